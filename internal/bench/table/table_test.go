package table_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/bench/table"
)

func TestATableIsReadAsItIsWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(name, []byte("before\n<!-- table speed -->\nold\n<!-- end -->\nafter\n"), 0o600))
	speed := table.New("speed", "products", "case", "time")
	speed.Row(table.Number(1_234_567), "1 % drift", table.Span(90*time.Second+40*time.Millisecond))
	speed.Row(5, "first sync", table.Span(1_234*time.Millisecond))
	require.NoError(t, speed.Write(name))
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, `before
<!-- table speed -->
|  products | case       |  time |
|----------:|------------|------:|
| 1,234,567 | 1 % drift  | 1m30s |
|         5 | first sync | 1.23s |
<!-- end -->
after
`, string(text))
	rows, err := table.Read(string(text), "speed")
	require.NoError(t, err)
	assert.Equal(t, [][]string{{"1,234,567", "1 % drift", "1m30s"}, {"5", "first sync", "1.23s"}}, rows)

	require.ErrorContains(t, table.New("other", "a").Write(name), "no place")
	_, err = table.Read(string(text), "other")
	require.ErrorContains(t, err, "no table")
	_, err = table.Read("<!-- table x -->\n<!-- end -->", "x")
	require.ErrorContains(t, err, "empty")
}
