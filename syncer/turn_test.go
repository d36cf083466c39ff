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
