package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After a table has changed, run go run ./internal/bench/charts.
func TestTheChartsShowTheTables(t *testing.T) {
	const root = "../../.."
	dir := t.TempDir()
	require.NoError(t, draw(root, dir))
	page, err := os.ReadFile(filepath.Join(root, "docs", "performance.md"))
	require.NoError(t, err)
	for _, chart := range []string{"time", "curve", "delay"} {
		for _, theme := range []string{"", "-dark"} {
			name := "performance-" + chart + theme + ".svg"
			want, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			got, err := os.ReadFile(filepath.Join(root, "docs", name))
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got), name)
			assert.Contains(t, string(page), name, "the page shows it")
		}
	}
}

// Nothing is drawn outside of the paper, and both themes draw the same.
func TestAChartOnBothPapers(t *testing.T) {
	c := &chart{title: "t", x: "x", y: "y", logY: true, unit: duration}
	rows := [][]string{{"1,000", "1m3s"}, {"100,000", "900ms"}}
	require.NoError(t, c.add("a", "", rows, 0, 1, func([]string) bool { return true }))
	var shapes []string
	for _, theme := range themes {
		text := c.svg(theme)
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		for _, want := range []string{">1,000<", ">100,000<", ">100 ms<", ">100 s<", `fill="` + theme.paper + `"`} {
			assert.Contains(t, text, want)
		}
		for _, colour := range append([]string{theme.ink, theme.paper, theme.grid}, theme.lines...) {
			text = strings.ReplaceAll(text, colour, "")
		}
		shapes = append(shapes, text)
	}
	assert.Equal(t, shapes[0], shapes[1])
}

func TestATableWithoutQuantitiesIsNoChart(t *testing.T) {
	_, err := timeAgainstSize("<!-- table catalogue -->\n<!-- end -->")
	assert.ErrorContains(t, err, "empty")
	_, err = delayAgainstLoad("")
	assert.ErrorContains(t, err, "no table")
	_, err = ratioAgainstSize("<!-- table curve -->\n| products |\n|---:|\n| 1 |\n<!-- end -->")
	assert.ErrorContains(t, err, "no quantities")
}
