package square

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/square/squaretest"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{free: 2}
		require.NoError(t, g.enter(t.Context()))
		require.NoError(t, g.enter(t.Context()))
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for _, w := range []struct {
			name    string
			urgency channel.Urgency
		}{{"night 1", channel.Background}, {"night 2", channel.Background}, {"watch", channel.Soon}, {"sale 1", channel.Urgent}, {"sale 2", channel.Urgent}} {
			wg.Go(func() {
				assert.NoError(t, g.enter(channel.WithUrgency(t.Context(), w.urgency)))
				mu.Lock()
				order = append(order, w.name)
				mu.Unlock()
				time.Sleep(time.Second)
				g.leave()
			})
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, g.enter(ctx), context.DeadlineExceeded, "one that gives up is not waited for")
		g.leave()
		wg.Wait()
		assert.Equal(t, []string{"sale 1", "sale 2", "watch", "night 1", "night 2"}, order)
		g.leave()
		assert.Equal(t, 2, g.free)
		assert.ErrorIs(t, g.enter(ctx), context.DeadlineExceeded)
		assert.Equal(t, 2, g.free)
		// One whose turn came as it gave up passes it on.
		g.abandon(channel.Urgent, make(chan struct{}))
		assert.Equal(t, 3, g.free)
	})
}

func TestASaleDoesNotQueueUpBehindAReconciliation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{Latency: 300 * time.Millisecond})
		skus := stock(till, 3_000)
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Rate = 0 })
		seen := levels(t, ch, skus...)
		var wg sync.WaitGroup
		wg.Go(func() {
			assert.NoError(t, ch.Push(channel.WithUrgency(t.Context(), channel.Background), updates(seen[1:], 1)))
		})
		for range 10 {
			time.Sleep(time.Second)
			start := time.Now()
			l := level(t, ch, skus[0])
			u := update(skus[0], l.Quantity+1)
			u.Seen = &l
			require.NoError(t, ch.Push(t.Context(), []channel.Update{u}))
			assert.Less(t, time.Since(start), 4*time.Second, "a search, a read and a write of 300 ms each, in turn with three that are under way")
		}
		wg.Wait()
	})
}
