package syncer

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
)

func TestLocksDoNotGrowWithTheCatalogue(t *testing.T) {
	racetest.Long(t)
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
	assert.LessOrEqual(t, len(l.places), 2048)
}

func TestLocksRememberWhileAnOlderRunIsOpen(t *testing.T) {
	racetest.Long(t)
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
	assert.Empty(t, l.places)
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
	assert.Empty(t, l.places)
	assert.False(t, admits(l, "A", now.Add(time.Second)))
	assert.True(t, admits(l, "A", now.Add(2*time.Second)))
	assert.True(t, admits(l, "A", now.Add(3*time.Second)))
}

func admits(l *skuLocks, sku string, asOf time.Time) bool {
	admitted, _ := l.admit(&skuLock{}, []want{{sku: sku, asOf: asOf}})
	return len(admitted) > 0
}

// What is forgotten makes no reading stale that is still open.
func TestLocksAdmitWhatAnOpenReadingHasToSay(t *testing.T) {
	l := newSKULocks()
	start := time.Now()
	for i := range 3 {
		l.begin(start.Add(time.Duration(i) * time.Second))
	}
	for i := range 3000 {
		later := start.Add(time.Duration(10+i) * time.Second)
		l.begin(later)
		assert.True(t, admits(l, fmt.Sprint(i), later))
		l.end(later)
	}
	assert.True(t, admits(l, "A", start), "nobody has dealt with that one since")
}

// Locks that are over are forgotten, narrowed or not.
func TestLocksAreForgottenWhenTheyAreOver(t *testing.T) {
	for _, keep := range [][]string{{"a", "b"}, {"a"}, {}} {
		l := newSKULocks()
		lock, err := l.lock(t.Context(), []string{"a", "b"}, inLine, hopeful)
		assert.NoError(t, err)
		l.narrow(lock, keep)
		held := 0
		for _, p := range l.places {
			if p.last != nil {
				held++
			}
		}
		assert.Equal(t, len(keep), held)
		l.unlock(lock)
		l.begin(time.Now())()
		assert.Empty(t, l.places)
	}
}

// Whoever gives up in the moment in which its lock comes lets the next one have it.
func TestALockThatComesTooLateIsPassedOn(t *testing.T) {
	for range 50 { // by chance
		synctest.Test(t, func(t *testing.T) {
			l := newSKULocks()
			first, err := l.lock(t.Context(), []string{"a"}, inLine, hopeful)
			assert.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				if lock, err := l.lock(ctx, []string{"a"}, inLine, hopeful); err == nil {
					l.unlock(lock)
				}
			}()
			synctest.Wait()
			cancel()
			l.unlock(first)
			within, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			_, err = l.lock(within, []string{"a"}, inLine, hopeful)
			assert.NoError(t, err)
		})
	}
}

// Which quantity is stale is said of each SKU by itself, in whatever order they come.
func TestLocksAdmitEachSKUByItself(t *testing.T) {
	l := newSKULocks()
	now := time.Now()
	defer l.begin(now)()
	lock, err := l.lock(t.Context(), []string{"A", "B", "C"}, inLine, hopeful)
	require.NoError(t, err)
	defer l.unlock(lock)
	admit := func(wants ...want) (admitted, stale []string) {
		for i := range wants {
			wants[i].asOf = now.Add(time.Duration(wants[i].quantity) * time.Second)
		}
		fresh, old := l.admit(lock, wants)
		return skusOf(fresh), skusOf(old)
	}
	admitted, stale := admit(want{sku: "B", quantity: 20}, want{sku: "C", quantity: 30}, want{sku: "A", quantity: 10})
	assert.Equal(t, []string{"B", "C", "A"}, admitted)
	assert.Empty(t, stale)
	admitted, stale = admit(want{sku: "A", quantity: 9}, want{sku: "B", quantity: 21}, want{sku: "C", quantity: 29})
	assert.Equal(t, []string{"B"}, admitted)
	assert.Equal(t, []string{"A", "C"}, stale)
	admitted, stale = admit(want{sku: "A", quantity: 11}, want{sku: "B", quantity: 20}, want{sku: "C", quantity: 31})
	assert.Equal(t, []string{"A", "C"}, admitted)
	assert.Equal(t, []string{"B"}, stale)
}
