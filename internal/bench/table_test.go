package bench

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the tables into docs/performance.md")

const document = "../../docs/performance.md"

// mode is what STOCKSYNC_BENCH asks for: "", "short" or "full".
var mode = os.Getenv("STOCKSYNC_BENCH")

// measured skips what only measures, unless that is asked for.
func measured(t testing.TB) {
	t.Helper()
	if mode == "" {
		t.Skip("set STOCKSYNC_BENCH=short, or full")
	}
}

// A table is printed when the test ends.
type table struct {
	name string
	rows [][]string
}

func newTable(name string, head ...string) *table { return &table{name, [][]string{head}} }

func (t *table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// String is the table in Markdown. Columns of numbers are to the right.
func (t *table) String() string {
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
			if t.numeric(i) {
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
			if t.numeric(i) {
				line = line[1:] + ":"
			}
			b.WriteString("|" + line)
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func (t *table) numeric(column int) bool {
	return len(t.rows) > 1 && t.rows[1][column] != "" && strings.Contains("0123456789-<", t.rows[1][column][:1]) &&
		!strings.HasSuffix(t.rows[1][column], "drift")
}

// done prints the table, and with -update puts it in its place in the document.
func (t *table) done(tb testing.TB) {
	tb.Helper()
	if mode == "" {
		return
	}
	fmt.Printf("\n%s\n%s\n", t.name, t)
	if !*update {
		return
	}
	text, err := os.ReadFile(document)
	if err != nil {
		tb.Fatal(err)
	}
	begin, end := "<!-- table "+t.name+" -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		tb.Fatalf("%s has no place for the table %q", document, t.name)
	}
	if err := os.WriteFile(document, []byte(before+begin+t.String()+end+after), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// number groups digits: 100,000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// span is a time with about three digits.
func span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
