package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After a table has changed, run go run ./internal/bench/charts.
func TestTheChartsShowTheTables(t *testing.T) {
	const docs = "../../../docs"
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "performance.md"), text, 0o644))
	require.NoError(t, draw(dir))
	for _, name := range []string{"performance-time.svg", "performance-delay.svg"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(docs, name))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), name)
	}
}

func TestATableWithoutFiguresIsNoChart(t *testing.T) {
	_, err := timeAgainstSize("<!-- table catalogue -->\n<!-- end -->")
	assert.ErrorContains(t, err, "empty")
	_, err = delayAgainstLoad("")
	assert.ErrorContains(t, err, "no table")
}
