package syncer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// Many products that are marked again and again, each at its own moments, cost
// as little together as one, and each is shown as often as if it were alone.
func TestManyReplayedDeliveriesCostLittle(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		const n = 10
		e := newERP(t, n)
		m := channeltest.NewMemory("a")
		for i := range n {
			m.Set(fmt.Sprintf("S%05d", i), 50)
		}
		s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1}, m)
		defer running(t, s)()
		pass(time.Minute)
		replay := func(seconds int) {
			for range seconds {
				for i := range n {
					require.NoError(t, s.Notify(t.Context(), e.ids[i]))
					pass(time.Second / n)
				}
			}
		}
		replay(120)
		before := e.Count(nil)
		replay(300)
		assert.LessOrEqual(t, e.Count(nil)-before, 300/4+2, "one in four seconds for all of them")
		for i := range n {
			e.Sell(e.ids[i], 1)
		}
		replay(6)
		for i := range n {
			shown, _ := m.Quantity(fmt.Sprintf("S%05d", i))
			assert.Equal(t, 49, shown, "product %d", i)
		}
		pass(time.Minute)
		assert.True(t, drained(t, s))
	})
}

// slowToRead is a channel that takes a while.
type slowToRead struct {
	*channeltest.Memory
	takes time.Duration
}

func (c *slowToRead) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	time.Sleep(c.takes)
	return c.Memory.Levels(ctx, skus)
}

// What was read for one channel while another was busy does not wait there for
// the quota once more.
func TestWhatWasReadForOthersNeedsNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		e := newERP(t, n)
		fast, slow := channeltest.NewMemory("fast"), channeltest.NewMemory("slow")
		for i := range n {
			fast.Set(fmt.Sprintf("S%05d", i), 50)
			slow.Set(fmt.Sprintf("S%05d", i), 50)
		}
		sold := make(map[string]time.Time)
		var latest time.Duration
		var mu sync.Mutex // of these
		s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1, Hooks: syncer.Hooks{
			Changed: func(_ context.Context, name string, c syncer.Change) {
				mu.Lock()
				defer mu.Unlock()
				if name == "slow" {
					latest = max(latest, time.Since(sold[c.SKU]))
				}
			},
		}}, fast, &slowToRead{slow, 700 * time.Millisecond})
		defer running(t, s)()
		pass(time.Minute)
		// More often than the quota has requests, so reads are about a second apart.
		for i := range n {
			mu.Lock()
			sold[fmt.Sprintf("S%05d", i)] = time.Now()
			mu.Unlock()
			e.Sell(e.ids[i], 1)
			require.NoError(t, s.Notify(t.Context(), e.ids[i]))
			pass(time.Duration(300+i*37%500) * time.Millisecond)
		}
		pass(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		assert.Less(t, latest, 2*time.Second, "a read's second, and two turns of the channel")
		assert.True(t, drained(t, s))
	})
}
