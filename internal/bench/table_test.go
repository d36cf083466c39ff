package bench

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ecosire/stocksync/internal/bench/table"
)

var update = flag.Bool("update", false, "write the tables into docs/performance.md")

// documents are where the tables are that are not in the page.
var documents = map[string]string{"curve": "charts/curve.md"}

// mode is what STOCKSYNC_BENCH asks for: "", "short" or "full".
var mode = os.Getenv("STOCKSYNC_BENCH")

// measured skips what only measures, unless that is asked for.
func measured(t testing.TB) {
	t.Helper()
	if mode == "" {
		t.Skip("set STOCKSYNC_BENCH=short, or full")
	}
}

// long leaves a test to the run without -short: under the race detector it takes
// ten times as long, and what it counts, in virtual time, is the same.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
}

// A measurement is a table that is printed when the test ends.
type measurement struct{ *table.Table }

func newTable(name string, head ...string) measurement { return measurement{table.New(name, head...)} }

func (m measurement) row(cells ...any) { m.Row(cells...) }

// done prints the table, and with -update puts it in its place in the document.
func (m measurement) done(tb testing.TB) {
	tb.Helper()
	if mode == "" {
		return
	}
	fmt.Printf("\n%s\n%s\n", m.Name, m)
	if !*update {
		return
	}
	document := "../../docs/performance.md"
	if other, ok := documents[m.Name]; ok {
		document = other
	}
	if err := m.Write(document); err != nil {
		tb.Fatal(err)
	}
}

func number(n int) string { return table.Number(n) }

func span(d time.Duration) string { return table.Span(d) }

// together does n things, as many at a time as there are cores: in virtual time
// nothing depends on how busy a machine is.
func together(t *testing.T, n int, do func(t *testing.T, i int)) {
	t.Helper()
	t.Run("rows", func(t *testing.T) {
		for i := range n {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				do(t, i)
			})
		}
	})
}
