package syncer

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestGuardCheck(t *testing.T) {
	for _, tt := range []struct {
		guard Guard
		ok    bool
	}{
		{Guard{}, true},
		{Guard{Losses: 1, Gains: 1, Few: 1000, Times: 1, Window: 1}, true},
		{Guard{Losses: -1, Gains: -1, Few: -1}, true},
		{Guard{Losses: 1.1}, false},
		{Guard{Gains: 1.1}, false},
		{Guard{Losses: math.NaN()}, false},
		{Guard{Times: -1}, false},
		{Guard{Window: -1}, false},
	} {
		assert.Equal(t, tt.ok, tt.guard.check() == nil, "%+v", tt.guard)
	}
}

// A window counts by when products were marked, in whichever order they come.
func TestWindow(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, marks := range map[string][]struct {
		minute  int
		product string
		ok      bool
	}{
		"a third within ten minutes": {{0, "p", true}, {9, "q", true}, {9, "r", false}},
		"and after them":             {{0, "p", true}, {1, "q", true}, {10, "r", true}, {10, "s", false}},
		"the latest comes first":     {{9, "p", true}, {5, "q", true}, {0, "r", false}},
		"far before the others":      {{10, "p", true}, {10, "q", true}, {0, "r", true}},
		"all in one minute":          {{3, "p", true}, {3, "q", true}, {3, "r", false}},
		"one counts once":            {{0, "p", true}, {5, "p", true}, {5, "p", true}, {5, "q", true}, {6, "r", false}},
		"at its latest mark":         {{0, "p", true}, {9, "p", true}, {9, "q", true}, {12, "r", false}},
		"an earlier mark moves none": {{9, "p", true}, {0, "p", true}, {9, "q", true}, {12, "r", false}},
	} {
		var w window
		for i, m := range marks {
			ok := w.count(loss, m.product, noon.Add(time.Duration(m.minute)*time.Minute), 10*time.Minute, 2)
			assert.Equal(t, m.ok, ok, "%s: %d", name, i)
		}
		assert.True(t, w.count(gain, "p", noon, 10*time.Minute, 1), "gains are counted apart")
	}
	var w window
	assert.False(t, w.count(loss, "p", noon, time.Minute, 0))
	for i := range 100 {
		assert.True(t, w.count(loss, fmt.Sprint(i), noon, 0, -1), "no limit")
	}
	assert.Len(t, w.minutes[loss], 1)
	w.count(loss, "p", noon.Add(3*24*time.Hour), time.Minute, -1)
	assert.Len(t, w.minutes[loss], 1, "what is days old is forgotten")
}
