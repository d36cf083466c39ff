package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/bench/table"
)

// page reads a document as one line.
func page(t *testing.T, name string) (text, line string) {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data), strings.Join(strings.Fields(string(data)), " ")
}

// What README.md and docs/performance.md say in words is what the tables say.
func TestTheProseSaysWhatTheTablesSay(t *testing.T) {
	text, line := page(t, "../../docs/performance.md")
	_, readme := page(t, "../../README.md")
	rows := func(name string) [][]string {
		rows, err := table.Read(text, name)
		require.NoError(t, err)
		return rows
	}
	took := func(cell string) time.Duration {
		d, err := time.ParseDuration(cell)
		require.NoError(t, err)
		return d
	}
	found := false
	for _, r := range rows("catalogue") {
		if r[0] == "100,000" && r[1] == "both" && r[2] == "1 % drift" {
			found = true
			assert.Contains(t, readme, fmt.Sprintf("in %.1f minutes; ECOSIRE's %d requests a minute allow no less than %.1f",
				took(r[6]).Minutes(), ecosireLimit, took(r[7]).Minutes()))
		}
		if n, _ := strconv.Atoi(strings.ReplaceAll(r[0], ",", "")); n == 10_000 || n == 100_000 {
			ratio, err := strconv.ParseFloat(r[8], 64)
			require.NoError(t, err)
			assert.LessOrEqual(t, ratio, 1.1, "%v: the ratio that quotas make", r)
		}
	}
	assert.True(t, found)
	require.Contains(t, line, "From 10,000 products on a run takes at most a tenth longer than the quotas make it take")

	require.Contains(t, readme, "At ten events a second 99 % are visible within about two seconds, within three in the last minute")
	require.Contains(t, line, "Up to ninety events a second 99 in 100 are shown on Shopify within two seconds")
	for _, r := range rows("latency") {
		rate, err := strconv.ParseFloat(r[0], 64)
		require.NoError(t, err)
		within := 2 * time.Second
		switch way(r[2]) {
		case guides:
			continue
		case lastMinute:
			within = 3 * time.Second
		}
		if rate <= 90 {
			assert.LessOrEqual(t, took(r[4]), within, "Shopify: %v", r)
		}
		if rate == 10 {
			assert.LessOrEqual(t, took(r[7]), within, "WooCommerce: %v", r)
		}
	}
	require.Contains(t, line, "At ECOSIRE's quota a core is busy for less than a hundredth of the time")
	for _, r := range rows("cost") {
		ns, err := strconv.Atoi(strings.ReplaceAll(r[1], ",", ""))
		require.NoError(t, err)
		assert.Less(t, time.Duration(ns)*ecosireLimit*ecosirePage, time.Minute/100, r[0])
	}
	require.Contains(t, line, "No size takes more than 1.15 of what the quotas allow, and none above 6,000 products more than 1.05")
	assert.Equal(t, 1.15, point{products: ecosireLimit * ecosirePage}.most())
	assert.Equal(t, 1.05, point{products: ecosireLimit*ecosirePage + 1}.most())
}
