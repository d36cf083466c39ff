package syncer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A large group starves while two others hold one of its SKUs in turn.
func TestLocksAreFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSKULocks()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		hold := func(sku string, offset time.Duration) {
			time.Sleep(offset)
			for ctx.Err() == nil {
				lock, err := l.lock(ctx, []string{sku}, inLine, hopeful)
				if err != nil {
					return
				}
				time.Sleep(2 * time.Second)
				l.unlock(lock)
				time.Sleep(500 * time.Millisecond) // gather, read
			}
		}
		go hold("a", 0)
		go hold("b", 1250*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		_, err := l.lock(ctx, []string{"a", "b", "c"}, inLine, hopeful)
		t.Log("the group of three waited", time.Since(start), err)
		assert.NoError(t, err)
		time.Sleep(2 * time.Hour)
	})
}

// An urgent lock takes an SKU away from one that yields, but not from whoever
// that one waits for.
func TestAnUrgentLockDoesNotWaitForOneThatYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSKULocks()
		first, err := l.lock(t.Context(), []string{"a"}, inLine, hopeful)
		assert.NoError(t, err)
		var group *skuLock
		go func() { group, _ = l.lock(t.Context(), []string{"a", "b", "c", "d"}, yielding, hopeful) }()
		synctest.Wait()
		for _, sku := range []string{"b", "c"} {
			urgent, err := l.lock(t.Context(), []string{sku}, urgently, hopeful)
			assert.NoError(t, err)
			if sku == "b" {
				l.unlock(urgent)
			}
		}
		var behind *skuLock
		go func() { behind, _ = l.lock(t.Context(), []string{"a"}, urgently, hopeful) }()
		synctest.Wait()
		assert.Nil(t, behind, "the one before the group is not done")
		l.unlock(first)
		synctest.Wait()
		assert.NotNil(t, behind)
		assert.NotNil(t, group)
		assert.Equal(t, map[string]bool{"a": true, "b": true, "c": true}, l.secure(group))

		late := false
		go func() { _, err := l.lock(t.Context(), []string{"d"}, urgently, hopeful); late = err == nil }()
		synctest.Wait()
		assert.False(t, late, "it is secured")
		l.unlock(group)
		synctest.Wait()
		assert.True(t, late)
	})
}

func TestANarrowedLockKeepsWhatItWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSKULocks()
		group, err := l.lock(t.Context(), []string{"a", "b"}, yielding, hopeful)
		assert.NoError(t, err)
		l.secure(group)
		l.narrow(group, []string{"b"})
		free, err := l.lock(t.Context(), []string{"a"}, urgently, hopeful)
		assert.NoError(t, err)
		l.unlock(free)
		kept := false
		go func() { _, err := l.lock(t.Context(), []string{"b"}, urgently, hopeful); kept = err == nil }()
		synctest.Wait()
		assert.False(t, kept)
		l.unlock(group)
		synctest.Wait()
		assert.True(t, kept)
	})
}

func hopeful() error { return nil }

// Nor does an urgent lock wait for one that was narrowed to others by way of one that
// yields.
func TestAnUrgentLockDoesNotWaitForWhatWasNarrowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSKULocks()
		first, err := l.lock(t.Context(), []string{"a", "b"}, yielding, hopeful)
		assert.NoError(t, err)
		var second *skuLock
		go func() { second, _ = l.lock(t.Context(), []string{"a"}, yielding, hopeful) }()
		synctest.Wait()
		l.secure(first)
		l.narrow(first, []string{"b"})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		urgent, err := l.lock(ctx, []string{"a"}, urgently, hopeful)
		if assert.NoError(t, err) {
			l.unlock(urgent)
		}
		assert.Zero(t, time.Since(start))
		l.unlock(first)
		synctest.Wait()
		assert.Equal(t, map[string]bool{"a": true}, l.secure(second))
		l.unlock(second)
	})
}
