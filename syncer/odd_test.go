package syncer_test

import (
	"context"
	"sync/atomic"
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

// An id that can never be asked for is tried again for ever.
func TestAnIDThatCannotBeAskedForIsGivenUp(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		e := newERP(t, 1)
		var retries, gave atomic.Int64
		s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1, Hooks: syncer.Hooks{
			Retry: func(_ context.Context, r syncer.Retry) { retries.Add(1) }, GaveUp: func(context.Context, syncer.Problem) { gave.Add(1) }}}, channeltest.NewMemory("a"))
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "WGT,PRO"))
		pass(24 * time.Hour)
		t.Log("retries in a day", retries.Load(), "given up", gave.Load())
		assert.Equal(t, int64(1), gave.Load(), "it is channel.Permanent")
	})
}

type wrapped struct{ channel.Source }

// A wrapped source loses everything optional, and 202 is answered for an event that is dropped.
func TestAnEventThatCannotBeResolvedIsNotAccepted(t *testing.T) {
	e := newERP(t, 1)
	q := syncer.NewMemoryQueue()
	s := configure(t, syncer.Config{Source: wrapped{e.client}, Queue: q, Webhooks: anyReceiver{}}, channeltest.NewMemory("a"))
	code := deliver(s.WebhookHandler(), "", "order-1")
	h, _ := s.Health(t.Context())
	r, err := s.SyncProducts(t.Context(), e.ids...)
	t.Log("answer", code, "orders waiting", h.Orders.Tasks, "requests", r.Requests, err)
	assert.False(t, code == 202 && h.Orders.Tasks == 0, "202 means stored")
}

// A queue whose clock is behind ours loses a mark to a quantity that was read before it.
type skewed struct {
	*syncer.MemoryQueue
	by time.Duration
}

func (q skewed) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	tasks, err := q.MemoryQueue.Lease(ctx, lane, n)
	for i := range tasks {
		tasks[i].First, tasks[i].Last = tasks[i].First.Add(-q.by), tasks[i].Last.Add(-q.by)
	}
	return tasks, err
}

func TestTheQueuesClockMayBeBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		s := configure(t, syncer.Config{Source: source, Queue: skewed{syncer.NewMemoryQueue(), 5 * time.Second}, Schedule: syncer.Never()}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		source.put("p0", "SKU-0", 4)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Hour)
		n, _ := m.Quantity("SKU-0")
		t.Log("shows", n)
		assert.Equal(t, 4, n)
	})
}

// A rival for an SKU whose listings make the host's code panic claims none, and
// ends no process.
func TestARivalThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6), shop("a", 1)
		var bad atomic.Bool
		name := func(s channel.Stock) string {
			if bad.Load() && s.ProductID == "p0" {
				panic("boom")
			}
			return "SKU-0"
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Listings: syncer.Renamed(name)}}})
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		bad.Store(true)
		_, err = s.SyncProducts(t.Context(), "p1")
		require.NoError(t, err)
		shows(t, m, 6)
	})
}
