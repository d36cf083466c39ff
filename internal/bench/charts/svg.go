package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A chart has a logarithmic x axis.
type chart struct {
	title, x, y string
	logY        bool
	unit        func(float64) string // of y
	series      []series
}

type series struct {
	name, dash string
	points     [][2]float64
}

// A theme is for pages of one brightness.
type theme struct {
	suffix           string
	ink, paper, grid string
	lines            []string
}

// The colours can be told apart by those who see fewer.
var themes = []theme{
	{"", "#1f2328", "#ffffff", "#d8dee4", []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#59636e", "#e69f00"}},
	{"-dark", "#e6edf3", "#0d1117", "#30363d", []string{"#56b4e9", "#ff8c42", "#3fd3a4", "#e6a4c8", "#9198a1", "#f0e442"}},
}

// The drawing, in pixels.
const (
	width, height            = 800, 420
	left, right, top, bottom = 70, 250, 40, 50
)

// An axis maps quantities to pixels.
type axis struct {
	low, high, from, to float64
	log                 bool
}

func (a axis) scale(v float64) float64 {
	if a.log {
		return math.Log10(v)
	}
	return v
}

func (a axis) at(v float64) float64 {
	return a.from + (a.scale(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// fit makes the axis as long as the quantities need, up to round ones.
func (a axis) fit(values []float64, step float64) axis {
	a.low, a.high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		a.low, a.high = min(a.low, a.scale(v)), max(a.high, a.scale(v))
	}
	a.low, a.high = math.Floor(a.low/step)*step, math.Ceil(a.high/step)*step
	return a
}

// tick is what is written beside the axis: its ends, and round quantities between.
func (a axis) ticks(step float64) (at []float64) {
	for n := 0; a.low+float64(n)*step <= a.high+step/1000; n++ {
		v := a.low + float64(n)*step
		if a.log {
			v = math.Pow(10, v)
		}
		at = append(at, v)
	}
	return at
}

func (c *chart) svg(t theme) string {
	var xs, ys []float64
	for _, s := range c.series {
		for _, p := range s.points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	stepY := 0.1
	if c.logY {
		stepY = 1
	}
	x := axis{from: left, to: width - right, log: true}.fit(xs, 1)
	y := axis{from: height - bottom, to: top, log: c.logY}.fit(ys, stepY)

	var b strings.Builder
	text := func(x, y float64, anchor, more, what string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, more, what)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="%s">`+"\n", width, height, t.ink)
	fmt.Fprintf(&b, "<title>%s</title>\n", c.title)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="%s"/>`+"\n", width, height, t.paper)
	text(left, 22, "start", ` font-size="15"`, c.title)
	for _, v := range y.ticks(stepY) {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="%s"/>`+"\n", left, y.at(v), width-right, t.grid)
		text(left-8, y.at(v)+4, "end", "", c.unit(v))
	}
	for _, v := range x.ticks(1) {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="%s"/>`+"\n", x.at(v), top, height-bottom, t.grid)
		text(x.at(v), height-bottom+18, "middle", "", plain(v))
	}
	text((left+width-right)/2, height-12, "middle", "", c.x)
	text(18, (top+height-bottom)/2, "middle", fmt.Sprintf(` transform="rotate(-90 18 %d)"`, (top+height-bottom)/2), c.y)
	for i, s := range c.series {
		colour := t.lines[i%len(t.lines)]
		stroke := fmt.Sprintf(`stroke="%s" stroke-width="2" fill="none"`, colour)
		if s.dash != "" {
			stroke += ` stroke-dasharray="` + s.dash + `"`
		}
		var path strings.Builder
		for n, p := range s.points {
			move := 'L'
			if n == 0 {
				move = 'M'
			}
			fmt.Fprintf(&path, "%c%.1f %.1f", move, x.at(p[0]), y.at(p[1]))
			if s.dash == "" {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(p[0]), y.at(p[1]), colour)
			}
		}
		fmt.Fprintf(&b, `<path d="%s" %s/>`+"\n", path.String(), stroke)
		legend := float64(top + 10 + 20*i)
		fmt.Fprintf(&b, `<path d="M%d %.1fh24" %s/>`+"\n", width-right+16, legend, stroke)
		text(width-right+46, legend+4, "start", "", s.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// duration names seconds.
func duration(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0f ms", seconds*1000)
	}
	return plain(seconds) + " s"
}

// plain groups digits, and rounds off what floating point adds.
func plain(n float64) string {
	s := strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64)
	whole, _, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
