package syncer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLocksDoNotGrowWithTheCatalogue(t *testing.T) {
	l := newSKULocks()
	now := time.Now()
	for page := range 10_000 {
		now = now.Add(time.Second)
		l.begin(now)
		for i := range 100 {
			assert.True(t, admits(l, fmt.Sprint(page, "-", i), now))
		}
		l.end(now)
	}
	assert.LessOrEqual(t, len(l.done), 2048)
}

func TestLocksRememberWhileAnOlderRunIsOpen(t *testing.T) {
	l := newSKULocks()
	start := time.Now()
	l.begin(start) // reads, and is slow
	for i := range 5000 {
		later := start.Add(time.Duration(i+1) * time.Second)
		l.begin(later)
		assert.True(t, admits(l, fmt.Sprint(i), later))
		l.end(later)
	}
	for i := range 5000 {
		assert.False(t, admits(l, fmt.Sprint(i), start))
	}
	l.end(start)
	assert.Empty(t, l.done)
}

// Of an SKU that the locks have forgotten they do not know any more what was
// dealt with, so nothing that is as old is let through.
func TestLocksAdmitNothingOlderThanWhatItForgot(t *testing.T) {
	l := newSKULocks()
	now := time.Now()
	end := l.begin(now)
	assert.True(t, admits(l, "A", now.Add(2*time.Second)))
	assert.True(t, admits(l, "B", now.Add(time.Second)))
	end()
	assert.Empty(t, l.done)
	assert.False(t, admits(l, "A", now.Add(time.Second)))
	assert.True(t, admits(l, "A", now.Add(2*time.Second)))
	assert.True(t, admits(l, "A", now.Add(3*time.Second)))
}

func admits(l *skuLocks, sku string, asOf time.Time) bool {
	admitted, _ := l.admit([]want{{sku: sku, asOf: asOf}})
	return len(admitted) > 0
}
