package syncer

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// Only what is urgent, and was marked, takes SKUs away from a run that reads.
func TestWhoTakesSKUsAway(t *testing.T) {
	for _, tt := range []struct {
		pass    pass
		urgency channel.Urgency
		want    manner
	}{
		{pass{purpose: realtime}, channel.Urgent, urgently},
		{pass{purpose: realtime}, channel.Soon, inLine},
		{pass{purpose: applying}, channel.Urgent, inLine},
		{pass{purpose: nightly, yields: true}, channel.Background, yielding},
		{pass{purpose: nightly}, channel.Background, inLine},
	} {
		assert.Equal(t, tt.want, tt.pass.manner(channel.WithUrgency(t.Context(), tt.urgency)), tt)
	}
}

// A run that has read a thousand SKUs gives up those that it need not write, and no
// other: an event waits until a write of its SKU is over.
func TestNoTwoWritesOfOneSKUAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := channeltest.NewMemory("a")
		m.Set("A", 1)
		m.Set("B", 1)
		var under, most atomic.Int64
		slow := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			most.Store(max(most.Load(), under.Add(1)))
			time.Sleep(10 * time.Second)
			under.Add(-1)
			return next.Push(ctx, updates)
		}}
		s, err := New(Config{Source: allOf{{ProductID: "A", SKU: "A", Available: 5}, {ProductID: "B", SKU: "B", Available: 1}}, Targets: []Target{{Channel: slow}}})
		require.NoError(t, err)
		var calls errgroup.Group
		calls.Go(func() error { _, err := s.Reconcile(t.Context()); return err })
		time.Sleep(time.Second) // it writes A
		start := time.Now()
		_, err = s.SyncProducts(t.Context(), "B")
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "nobody writes B")
		calls.Go(func() error { _, err := s.SyncProducts(t.Context(), "A"); return err })
		time.Sleep(time.Second)
		assert.EqualValues(t, 1, under.Load(), "the event waits")
		require.NoError(t, calls.Wait())
		assert.EqualValues(t, 1, most.Load())
	})
}

// paced is a source that paces its reads.
type paced struct{ allOf }

func (paced) Pace(context.Context) error { return nil }

// What is remembered of the last minute's reads is forgotten after it, also where
// no product is marked again and again.
func TestReadsAreRememberedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: paced{}, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		r := newStockReader(s)
		defer r.close()
		for range 600 {
			require.Zero(t, r.tooSoon(t.Context(), []string{"p"}))
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, len(r.others), 61)
	})
}

// granted is a source with a quota in some unit.
type granted struct {
	paced
	unit string
}

func (g granted) Quota() (channel.Quota, bool) {
	return channel.Quota{Left: 6, Limit: 120, Unit: g.unit}, true
}

// A quota in requests says how often products are read that are marked again and
// again; one in something else does not.
func TestAQuotaInPointsIsNoNumberOfRequests(t *testing.T) {
	for unit, every := range map[string]time.Duration{"request": 2 * time.Second, "point": 4 * time.Second} {
		s, err := New(Config{Source: granted{unit: unit}, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		r := newStockReader(s)
		assert.Equal(t, every, r.oftenEvery(t.Context()), unit)
		r.close()
	}
}
