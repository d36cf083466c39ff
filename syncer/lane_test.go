package syncer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLaneDoesNotGrowWithTheCatalogue(t *testing.T) {
	l := newLane()
	now := time.Now()
	for page := range 10_000 {
		now = now.Add(time.Second)
		l.begin(now)
		for i := range 100 {
			assert.True(t, l.admit(fmt.Sprint(page, "-", i), now))
		}
		l.end(now)
	}
	assert.LessOrEqual(t, len(l.done), 2048)
}

func TestLaneRemembersWhileAnOlderRunIsOpen(t *testing.T) {
	l := newLane()
	start := time.Now()
	l.begin(start) // reads, and is slow
	for i := range 5000 {
		later := start.Add(time.Duration(i+1) * time.Second)
		l.begin(later)
		assert.True(t, l.admit(fmt.Sprint(i), later))
		l.end(later)
	}
	for i := range 5000 {
		assert.False(t, l.admit(fmt.Sprint(i), start))
	}
	l.end(start)
	assert.Empty(t, l.done)
}

// Of an SKU that the lane has forgotten it does not know any more what was
// dealt with, so nothing that is as old is let through.
func TestALaneAdmitsNothingOlderThanWhatItForgot(t *testing.T) {
	l := newLane()
	now := time.Now()
	end := l.begin(now)
	assert.True(t, l.admit("A", now.Add(2*time.Second)))
	assert.True(t, l.admit("B", now.Add(time.Second)))
	end()
	assert.Empty(t, l.done)
	assert.False(t, l.admit("A", now.Add(time.Second)))
	assert.True(t, l.admit("A", now.Add(2*time.Second)))
	assert.True(t, l.admit("A", now.Add(3*time.Second)))
}
