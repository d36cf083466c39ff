// Package table prints tables in Markdown, and keeps them in documents, each
// between two comments:
//
//	<!-- table name -->
//	<!-- end -->
//
// So what is measured gets into a page by one command, and what is drawn from it
// cannot disagree with it.
package table

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Table is its head and its rows.
type Table struct {
	Name string
	rows [][]string
}

// New returns a table without rows.
func New(name string, head ...string) *Table { return &Table{name, [][]string{head}} }

// Row adds one. Each cell is printed as by [fmt.Sprint].
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// String is the table in Markdown. Columns of quantities are to the right.
func (t *Table) String() string {
	var b strings.Builder
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c), 3)
		}
	}
	for n, row := range t.rows {
		for i, c := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if t.quantities(i) {
				b.WriteString("| " + pad + c + " ")
			} else {
				b.WriteString("| " + c + pad + " ")
			}
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, w := range width {
			line := strings.Repeat("-", w+2)
			if t.quantities(i) {
				line = line[1:] + ":"
			}
			b.WriteString("|" + line)
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func (t *Table) quantities(column int) bool {
	if len(t.rows) < 2 {
		return false
	}
	cell := t.rows[1][column]
	return cell != "" && strings.Contains("0123456789-<", cell[:1]) && // and no text that begins with one
		!strings.HasSuffix(cell, "drift") && !strings.HasSuffix(cell, ")") && strings.Count(cell, " ") <= 2
}

func marks(name string) (begin, end string) { return "<!-- table " + name + " -->\n", "<!-- end -->" }

// Write puts the table in its place in a document, which must have one.
func (t *Table) Write(document string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	begin, end := marks(t.Name)
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table %q", document, t.Name)
	}
	return os.WriteFile(document, []byte(before+begin+t.String()+end+after), 0o644)
}

// Read returns the rows of a table in the text of a document, without its head.
func Read(text, name string) ([][]string, error) {
	begin, end := marks(name)
	_, rest, found := strings.Cut(text, begin)
	body, _, closed := strings.Cut(rest, end)
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

// Number groups digits: 100,000.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Span is a time with about three digits.
func Span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
