// Charts draws the charts of docs/performance.md from the tables in it, so that
// the two cannot disagree. Run it from the module's root:
//
//	go run ./internal/bench/charts
package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := draw("docs"); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

func draw(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "performance.md"))
	if err != nil {
		return err
	}
	size, err := timeAgainstSize(string(text))
	if err != nil {
		return err
	}
	load, err := delayAgainstLoad(string(text))
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "performance-time.svg"), []byte(size.svg()), 0o644),
		os.WriteFile(filepath.Join(dir, "performance-delay.svg"), []byte(load.svg()), 0o644))
}

// timeAgainstSize is how long a catalogue takes on both shops.
func timeAgainstSize(text string) (*chart, error) {
	c := &chart{title: "Reconciling both shops: time against catalogue size", x: "products", y: "time"}
	rows, err := table(text, "catalogue")
	if err != nil {
		return nil, err
	}
	for _, kind := range []struct{ of, name string }{
		{"100 % drift", "100 % drift, first sync"}, // they do not differ by a line's width
		{"1 % drift", "1 % drift"},
		{"0 % drift", "0 % drift"},
	} {
		err = errors.Join(err, c.add(kind.name, "", rows, 0, 6, func(r []string) bool { return r[1] == "both" && r[2] == kind.of }))
	}
	err = errors.Join(err, c.add("bound, 1 % drift", "5 4", rows, 0, 7, func(r []string) bool { return r[1] == "both" && r[2] == "1 % drift" }))
	guide, missing := table(text, "guide")
	if err = errors.Join(err, missing); err != nil {
		return nil, err
	}
	return c, c.add("the guide's way", "", guide, 0, 5, func(r []string) bool { return r[1] == "both" })
}

// delayAgainstLoad is how long events take to be shown.
func delayAgainstLoad(text string) (*chart, error) {
	c := &chart{title: "From event to visible: p99 against load, 10,000 products", x: "events a second", y: "delay"}
	rows, err := table(text, "latency")
	if err != nil {
		return nil, err
	}
	for _, way := range []string{"events alone", "while reconciling"} {
		for _, shop := range []struct {
			name   string
			column int
		}{{"Shopify", 4}, {"WooCommerce", 6}} {
			err = errors.Join(err, c.add(shop.name+", "+way, map[string]string{"while reconciling": "5 4"}[way], rows, 0, shop.column,
				func(r []string) bool { return r[2] == way }))
		}
	}
	return c, err
}

// table reads the rows of a table of the document, without its head.
func table(text, name string) ([][]string, error) {
	_, rest, found := strings.Cut(text, "<!-- table "+name+" -->\n")
	body, _, closed := strings.Cut(rest, "<!-- end -->")
	if !found || !closed {
		return nil, fmt.Errorf("no table %q", name)
	}
	var rows [][]string
	for line := range strings.Lines(body) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		return nil, fmt.Errorf("the table %q is empty", name)
	}
	return rows[2:], nil
}

// A chart has two logarithmic axes; y is a time in seconds.
type chart struct {
	title, x, y string
	series      []series
}

type series struct {
	name, dash string
	points     [][2]float64
}

// add adds a series of those rows that are picked.
func (c *chart) add(name, dash string, rows [][]string, x, y int, pick func([]string) bool) error {
	s := series{name: name, dash: dash}
	for _, r := range rows {
		if len(r) <= max(x, y) || !pick(r) {
			continue
		}
		px, err := strconv.ParseFloat(strings.ReplaceAll(r[x], ",", ""), 64)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d, err := time.ParseDuration(r[y])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.points = append(s.points, [2]float64{px, d.Seconds()})
	}
	if len(s.points) == 0 {
		return fmt.Errorf("no numbers for %q", name)
	}
	c.series = append(c.series, s)
	return nil
}

// The drawing, in pixels.
const (
	width, height            = 800, 420
	left, right, top, bottom = 70, 270, 40, 50
)

var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00"}

func (c *chart) svg() string {
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, s := range c.series {
		for _, p := range s.points {
			for i := range p {
				low[i], high[i] = min(low[i], math.Log10(p[i])), max(high[i], math.Log10(p[i]))
			}
		}
	}
	low[1], high[1] = math.Floor(low[1]), math.Ceil(high[1])
	at := func(p [2]float64) (x, y float64) {
		x = left + (math.Log10(p[0])-low[0])/(high[0]-low[0])*(width-left-right)
		y = height - bottom - (math.Log10(p[1])-low[1])/(high[1]-low[1])*(height-top-bottom)
		return x, y
	}
	var b strings.Builder
	text := func(x, y float64, anchor, more, what string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, more, what)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#222">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", c.title)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	text(left, 22, "start", ` font-size="15"`, c.title)
	for e := low[1]; e <= high[1]; e++ {
		_, y := at([2]float64{1, math.Pow(10, e)})
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, y, width-right)
		text(left-8, y+4, "end", "", duration(math.Pow(10, e)))
	}
	for _, p := range c.series[0].points {
		x, _ := at(p)
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/>`+"\n", x, top, height-bottom)
		text(x, height-bottom+18, "middle", "", group(p[0]))
	}
	text((left+width-right)/2, height-12, "middle", "", c.x)
	text(18, (top+height-bottom)/2, "middle", fmt.Sprintf(` transform="rotate(-90 18 %d)"`, (top+height-bottom)/2), c.y)
	for i, s := range c.series {
		stroke := fmt.Sprintf(`stroke="%s" stroke-width="2" fill="none"`, colours[i%len(colours)])
		if s.dash != "" {
			stroke += ` stroke-dasharray="` + s.dash + `"`
		}
		var path strings.Builder
		for n, p := range s.points {
			x, y := at(p)
			step := 'L'
			if n == 0 {
				step = 'M'
			}
			fmt.Fprintf(&path, "%c%.1f %.1f", step, x, y)
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, colours[i%len(colours)])
		}
		fmt.Fprintf(&b, `<path d="%s" %s/>`+"\n", path.String(), stroke)
		y := float64(top + 10 + 20*i)
		fmt.Fprintf(&b, `<path d="M%d %.1fh24" %s/>`+"\n", width-right+16, y, stroke)
		text(width-right+46, y+4, "start", "", s.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// duration names a power of ten of a second.
func duration(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0f ms", seconds*1000)
	}
	return group(seconds) + " s"
}

func group(n float64) string {
	s := strconv.FormatFloat(n, 'f', -1, 64)
	if len(s) > 3 && !strings.Contains(s, ".") {
		s = s[:len(s)-3] + "," + s[len(s)-3:]
	}
	return s
}
