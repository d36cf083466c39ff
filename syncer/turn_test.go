package syncer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A large group starves while two others hold one of its SKUs in turn.
func TestTurnsAreFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		hold := func(sku string, offset time.Duration) {
			time.Sleep(offset)
			for ctx.Err() == nil {
				leave, err := l.enter(ctx, []string{sku}, nil)
				if err != nil {
					return
				}
				time.Sleep(2 * time.Second)
				leave()
				time.Sleep(500 * time.Millisecond) // gather, read
			}
		}
		go hold("a", 0)
		go hold("b", 1250*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		_, err := l.enter(ctx, []string{"a", "b", "c"}, nil)
		t.Log("the group of three waited", time.Since(start), err)
		assert.NoError(t, err)
		time.Sleep(2 * time.Hour)
	})
}

// An urgent turn takes an SKU away from one that yields, but not from whoever
// that one waits for.
func TestAnUrgentTurnDoesNotWaitForOneThatYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		first, err := l.queue(t.Context(), []string{"a"}, inLine, nil)
		assert.NoError(t, err)
		var group *turn
		go func() { group, _ = l.queue(t.Context(), []string{"a", "b", "c", "d"}, yielding, nil) }()
		synctest.Wait()
		for _, sku := range []string{"b", "c"} {
			urgent, err := l.queue(t.Context(), []string{sku}, urgently, nil)
			assert.NoError(t, err)
			if sku == "b" {
				l.leave(urgent)
			}
		}
		var behind *turn
		go func() { behind, _ = l.queue(t.Context(), []string{"a"}, urgently, nil) }()
		synctest.Wait()
		assert.Nil(t, behind, "the one before the group is not done")
		l.leave(first)
		synctest.Wait()
		assert.NotNil(t, behind)
		assert.NotNil(t, group)
		assert.Equal(t, map[string]bool{"a": true, "b": true, "c": true}, l.insist(group))

		late := false
		go func() { _, err := l.queue(t.Context(), []string{"d"}, urgently, nil); late = err == nil }()
		synctest.Wait()
		assert.False(t, late, "it insists")
		l.leave(group)
		synctest.Wait()
		assert.True(t, late)
	})
}

func TestANarrowedTurnKeepsWhatItWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		group, err := l.queue(t.Context(), []string{"a", "b"}, yielding, nil)
		assert.NoError(t, err)
		l.insist(group)
		l.narrow(group, []string{"b"})
		free, err := l.queue(t.Context(), []string{"a"}, urgently, nil)
		assert.NoError(t, err)
		l.leave(free)
		kept := false
		go func() { _, err := l.queue(t.Context(), []string{"b"}, urgently, nil); kept = err == nil }()
		synctest.Wait()
		assert.False(t, kept)
		l.leave(group)
		synctest.Wait()
		assert.True(t, kept)
	})
}
