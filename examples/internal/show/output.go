// Package show prints plans and reports for people, on a terminal or into a
// file. It is for the examples of this module.
package show

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"github.com/ecosire/stocksync/internal/text"
)

// An Output is where people read. It is as wide as COLUMNS says, or as the
// terminal is, and a file has any width. Its colours are on for a terminal,
// unless NO_COLOR is set. It is safe for concurrent use.
type Output struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	colour   bool
	width    int // in columns; 0 means any
}

// To returns the output to w.
func To(w io.Writer, getenv func(string) string) *Output {
	o := &Output{w: w}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		o.terminal = true
		o.colour = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
		if o.width, _, _ = term.GetSize(int(file.Fd())); o.width <= 0 {
			o.width = 80
		}
	}
	if n, err := strconv.Atoi(getenv("COLUMNS")); err == nil && n > 0 {
		o.width = n
	}
	return o
}

// Write writes to the output's writer, one call at a time.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// A Colour is how a text is set off.
type Colour string

// The colours.
const (
	Plain  Colour = ""
	Bold   Colour = "1"
	Dim    Colour = "2"
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
)

// Paint returns text in a colour, or as it is where there are no colours.
func (o *Output) Paint(c Colour, text string) string {
	if !o.colour || c == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Head prints a heading, after an empty line.
func (o *Output) Head(format string, args ...any) {
	fmt.Fprintf(o, "\n%s\n", o.Paint(Bold, fmt.Sprintf(format, args...)))
}

// A Column is one of a table.
type Column struct {
	Title string
	Right bool // numbers
	// Least is how narrow the column may get where the table is wider than the
	// terminal; 0 means that it keeps its width.
	Least int
	// Drop lets the column be left out where that does not suffice: those with 1
	// first. 0 means never.
	Drop int
}

// A Cell is a text in a table. What the outside wrote is cleaned before it is
// printed.
type Cell struct {
	Text   string
	Colour Colour
}

// Line prints a text, in lines that fit the width of the output. It prints
// nothing for "".
func (o *Output) Line(c Colour, text string) {
	if text == "" {
		return
	}
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case o.width > 0 && uniseg.StringWidth(line)+1+uniseg.StringWidth(word) > o.width:
			fmt.Fprintln(o, o.Paint(c, line))
			line = word
		default:
			line += " " + word
		}
	}
	fmt.Fprintln(o, o.Paint(c, line))
}

// fitting leaves columns out until the others can be made to fit.
func (o *Output) fitting(columns []Column, rows [][]Cell) ([]Column, [][]Cell) {
	for o.width > 0 {
		least, drop := 2*(len(columns)-1), -1
		for i, c := range columns {
			w := uniseg.StringWidth(c.Title)
			for _, row := range rows {
				w = max(w, uniseg.StringWidth(text.Clean(row[i].Text)))
			}
			if c.Least > 0 {
				w = min(w, c.Least)
			}
			least += w
			if c.Drop > 0 && (drop < 0 || c.Drop < columns[drop].Drop) {
				drop = i
			}
		}
		if least <= o.width || drop < 0 {
			break
		}
		columns = slices.Delete(slices.Clone(columns), drop, drop+1)
		rows = slices.Clone(rows)
		for i := range rows {
			rows[i] = slices.Delete(slices.Clone(rows[i]), drop, drop+1)
		}
	}
	return columns, rows
}

// Table prints rows. What does not fit the width of the output is cut off at
// the widest columns that may get narrower.
func (o *Output) Table(columns []Column, rows [][]Cell) {
	columns, rows = o.fitting(columns, rows)
	const gap = "  "
	texts := make([][]string, 0, len(rows)+1)
	var titles []string
	for _, c := range columns {
		titles = append(titles, c.Title)
	}
	texts = append(texts, titles)
	for _, row := range rows {
		var line []string
		for _, cell := range row {
			line = append(line, text.Clean(cell.Text))
		}
		texts = append(texts, line)
	}
	widths := make([]int, len(columns))
	total := len(gap) * (len(columns) - 1)
	for i := range columns {
		for _, line := range texts {
			widths[i] = max(widths[i], uniseg.StringWidth(line[i]))
		}
		total += widths[i]
	}
	for o.width > 0 && total > o.width {
		widest := -1
		for i, c := range columns {
			if c.Least > 0 && widths[i] > c.Least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		total--
	}
	for n, line := range texts {
		var b strings.Builder
		for i, t := range line {
			if i > 0 {
				b.WriteString(gap)
			}
			t = cut(t, widths[i])
			pad := strings.Repeat(" ", widths[i]-uniseg.StringWidth(t))
			colour := Dim
			if n > 0 {
				colour = rows[n-1][i].Colour
			}
			switch {
			case columns[i].Right:
				b.WriteString(pad + o.Paint(colour, t))
			case i == len(line)-1:
				b.WriteString(o.Paint(colour, t))
			default:
				b.WriteString(o.Paint(colour, t) + pad)
			}
		}
		fmt.Fprintln(o, strings.TrimRight(b.String(), " "))
	}
}

// cut shortens a text to a width.
func cut(s string, width int) string {
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var b strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if used+g.Width() > width-1 {
			break
		}
		b.WriteString(g.Str())
		used += g.Width()
	}
	return b.String() + "…"
}

// Wait draws a line on a terminal for as long as something lasts: what it says
// is asked again and again. Nothing is drawn elsewhere, or within the first
// second. The line is gone when done returns.
func (o *Output) Wait(says func() string) (done func()) {
	if !o.terminal {
		return func() {}
	}
	return o.wait(says, time.Second, 200*time.Millisecond)
}

func (o *Output) wait(says func() string, first, every time.Duration) (done func()) {
	stop := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		began := time.Now()
		next := time.NewTimer(first)
		defer next.Stop()
		drawn := false
		for {
			select {
			case <-stop:
				if drawn {
					fmt.Fprint(o, "\r\x1b[K")
				}
				return
			case <-next.C:
				line := fmt.Sprintf("%s  %s", says(), time.Since(began).Round(time.Second))
				if o.width > 0 {
					line = cut(line, o.width-1)
				}
				fmt.Fprintf(o, "\r\x1b[K%s", o.Paint(Dim, line))
				drawn = true
				next.Reset(every)
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stop)
		drawing.Wait()
	})
}

// Count returns a number with its thousands set apart, and what is counted.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Number returns a number with its thousands set apart.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
