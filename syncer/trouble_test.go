package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// More than 10,000 unknown SKUs hide every failure from Report.Err.
func TestUnknownSKUsDoNotHideFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), channeltest.NewMemory("a")
		for i := range 10_001 {
			source.put(fmt.Sprintf("p%05d", i), fmt.Sprintf("NOT-%05d", i), 1)
		}
		m.Add(channel.Level{SKU: "BAD", Err: channel.ErrNotTracked})
		source.put("z", "BAD", 3)
		s := build(t, source, m)
		r, err := s.Reconcile(t.Context())
		t.Log(err, r.Channels[0].Failed, r.Channels[0].Unknown)
		assert.Equal(t, 1, r.Channels[0].Failed)
		assert.Error(t, r.Err(), "one quantity is not shown, and Err is nil")
	})
}

// One failed Push in a reconciliation stops all later groups of that channel.
func TestOneFailedPushDoesNotEndTheRunForTheChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), channeltest.NewMemory("a")
		for i := range 5000 {
			source.put(fmt.Sprintf("p%05d", i), fmt.Sprintf("S-%05d", i), 5)
			m.Set(fmt.Sprintf("S-%05d", i), 7)
		}
		pushes := 0
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
			if pushes++; pushes == 1 {
				return fmt.Errorf("one 503: %w", channel.ErrUnavailable)
			}
			return next.Push(ctx, u)
		}}
		s := build(t, source, c)
		r, err := s.Reconcile(t.Context())
		reads, _ := m.Calls()
		t.Log(err, "pushes", pushes, "reads", reads, "updated", r.Channels[0].Updated, "failed", r.Channels[0].Failed)
		assert.Greater(t, r.Channels[0].Updated, 3000, "4 of 5 groups could have been written")
	})
}

// pagedStock yields pages of 100 with a pause, as a quota would.
type pagedStock struct {
	n     int
	pause time.Duration
	asks  atomic.Int64 // pages
}

func (p *pagedStock) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		if len(ids) == 0 {
			for i := range p.n {
				ids = append(ids, fmt.Sprintf("p%06d", i))
			}
		}
		var asOf time.Time
		for i, id := range ids {
			if i%100 == 0 {
				p.asks.Add(1)
				asOf = time.Now()
				select {
				case <-ctx.Done():
					yield(channel.Stock{}, ctx.Err())
					return
				case <-time.After(p.pause):
				}
			}
			if !yield(channel.Stock{ProductID: id, SKU: "S" + id[1:], Available: 5, AsOf: asOf}, nil) {
				return
			}
		}
	}
}

// A channel that swallows requests holds a reconciliation for hours.
func TestAChannelThatSwallowsRequestsDoesNotHoldTheRun(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source := &pagedStock{n: 30_000, pause: time.Second}
		good, bad := channeltest.NewMemory("good"), channeltest.NewMemory("bad")
		for i := range 30_000 {
			good.Set(fmt.Sprintf("S%06d", i), 7)
		}
		hole := &channeltest.Intercept{Channel: bad, OnLevels: func(ctx context.Context, _ channel.Reader, _ []string) ([]channel.Level, error) {
			select { // five attempts of a minute, as internal/httpx makes them
			case <-time.After(5 * time.Minute):
				return nil, channel.ErrUnavailable
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		s := build(t, source, good, hole)
		start := time.Now()
		r, err := s.Reconcile(t.Context())
		t.Log(err, "took", time.Since(start), "pages read", source.asks.Load(), "of 300; good updated", r.Channels[0].Updated)
		assert.Less(t, time.Since(start), 20*time.Minute, "30,000 products take five minutes to read")
	})
}

// "Up" while the channel is down.
func TestAChannelThatNeverAnsweredIsNotUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		source.put("nosku", "", 3)
		c := &channeltest.Intercept{Channel: m,
			OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
				return nil, channel.ErrUnavailable
			}}
		var ups, downs atomic.Int64
		s := configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{
			Up:   func(context.Context, string, time.Duration) { ups.Add(1) },
			Down: func(context.Context, string, error) { downs.Add(1) },
		}}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Second)
		for range 5 {
			require.NoError(t, s.Notify(t.Context(), "nosku"))
			pass(time.Minute)
		}
		t.Log("ups", ups.Load(), "downs", downs.Load())
		assert.Zero(t, ups.Load(), "the channel never answered")
	})
}

// flaky is a queue whose Ack fails a few times, as on a full disk.
type flaky struct {
	*syncer.MemoryQueue
	fail atomic.Bool
}

func (f *flaky) Ack(ctx context.Context, tasks ...syncer.Task) error {
	if f.fail.Load() {
		return errors.New("no space left on device")
	}
	return f.MemoryQueue.Ack(ctx, tasks...)
}

// After a queue's passing failure, Run called again never takes what it held.
func TestWhatTheQueueCouldNotBeToldIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6), shop("a", 2)
		q := &flaky{MemoryQueue: syncer.NewMemoryQueue()}
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		q.fail.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		stop := running(t, s)
		pass(time.Hour)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.ErrorContains(t, h.QueueErr, "no space left")
		stop() // with a debt to the queue
		q.fail.Store(false)
		source.put("p1", "SKU-1", 7)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(time.Minute)
		shows(t, m, 5, 7)
		assert.True(t, drained(t, s))
	})
}

// Products whose quantity cannot be read are asked for one by one, for ever.
func TestUnreadableProductsAreTriedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newStock()
		var ids []string
		for i := range 300 {
			id := fmt.Sprintf("p%03d", i)
			ids = append(ids, id)
			source.put(id, id, 1)
			p := source.products[id]
			p.Err = errors.New("ecosire: \"available\" is 1.5, not a whole number")
			source.products[id] = p
		}
		s := configure(t, syncer.Config{Source: source}, channeltest.NewMemory("a"), channeltest.NewMemory("b"))
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), ids...))
		pass(time.Hour)
		before := source.asked()
		pass(time.Hour)
		t.Log("requests in the second hour:", source.asked()-before)
		assert.Less(t, source.asked()-before, 200, "300 bad quantities are three requests")
	})
}

// A source with quantities older than the read makes a hot loop.
type snapshot struct {
	*stock
	asOf map[string]time.Time
	n    atomic.Int64
}

func (s *snapshot) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		s.n.Add(1)
		for _, id := range ids {
			p := s.products[id]
			p.AsOf = s.asOf[id]
			if !yield(p, nil) {
				return
			}
		}
	}
}

func TestAStaleAnswerIsNoHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &snapshot{stock: newStock(5, 6), asOf: map[string]time.Time{}}
		now := time.Now()
		source.asOf["p0"], source.asOf["p1"] = now.Add(-time.Minute), now.Add(-2*time.Minute) // two replicas, say
		m := shop("a", 2)
		s := configure(t, syncer.Config{Source: source}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(3 * time.Minute)
		n := source.n.Load()
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(time.Minute)
		q, _ := m.Quantity("SKU-1")
		t.Log("reads in a minute for one mark:", source.n.Load()-n, "shows", q)
		assert.Less(t, source.n.Load()-n, int64(20))
	})
}

// The baseline for ErrShrunk is replaced by the shrunk catalogue.
func TestAShrunkCatalogueIsToldEveryNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		s := build(t, source, m)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		all := source.order
		source.order = nil
		_, err = s.Reconcile(t.Context())
		t.Log("empty:", err)
		source.order = all[:3]
		_, err = s.Reconcile(t.Context())
		t.Log("3 of 100:", err)
		assert.ErrorIs(t, err, syncer.ErrShrunk)
	})
}

// After a conflict the old source quantity is forced.
func TestAfterAConflictTheSourceIsAskedAgain(t *testing.T) {
	source, m := newStock(5), channeltest.NewMemory("a")
	m.Set("SKU-0", 3)
	first := true
	var asOf []time.Time
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
		if first {
			first = false
			m.Set("SKU-0", 2) // a sale in the shop; ECOSIRE has it at once
			source.put("p0", "SKU-0", 4)
		}
		asOf = append(asOf, u[0].AsOf)
		return next.Push(ctx, u)
	}}
	s := build(t, source, c)
	r, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	n, _ := m.Quantity("SKU-0")
	t.Log("shows", n, "reads of the source", source.asked(), r.Channels[0].Changes, asOf)
	assert.Equal(t, 4, n, "the shop said that it changed; ECOSIRE says 4 and was not asked again")
}

// A watcher that fails is asked more often than configured.
func TestAFailingWatcherIsNotAskedMoreOften(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		w := &failingWatcher{stock: newStock(1)}
		s := configure(t, syncer.Config{Source: w, WatchEvery: 6 * time.Hour, Schedule: syncer.Never()}, shop("a", 1))
		defer running(t, s)()
		pass(24*time.Hour + time.Minute)
		t.Log("calls in a day at WatchEvery 6h:", w.n.Load())
		assert.LessOrEqual(t, w.n.Load(), int64(5))
	})
}

type failingWatcher struct {
	*stock
	n atomic.Int64
}

func (f *failingWatcher) Changes(context.Context, string) ([]string, string, error) {
	f.n.Add(1)
	return nil, "", errors.New("403")
}

// A plan with a line twice pushes an SKU twice.
func TestALineThatComesTwiceIsWrittenOnce(t *testing.T) {
	source, m := newStock(5), shop("a", 1)
	dup := 0
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
		seen := map[string]bool{}
		for _, u := range u {
			if seen[u.SKU] {
				dup++
			}
			seen[u.SKU] = true
		}
		return next.Push(ctx, u)
	}}
	s := build(t, source, c)
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	p.Lines = append(p.Lines, p.Lines...)
	r, err := s.Apply(t.Context(), p)
	t.Log(r, err)
	assert.Zero(t, dup, "channel.Channel: each SKU occurs once")
}

// Apply writes what the Filter leaves out by now.
func TestApplyHonoursTheFilterOfToday(t *testing.T) {
	source, m := newStock(5), shop("a", 1)
	s := build(t, source, m)
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	s2 := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Filter: func(channel.Stock) bool { return false }}}})
	_, err = s2.Apply(t.Context(), p)
	require.NoError(t, err)
	n, _ := m.Quantity("SKU-0")
	assert.Equal(t, 100, n, "what Filter leaves out is neither read nor written there")
}

// A Pacer's error ends a worker without a word.
type badPacer struct{ *stock }

func (badPacer) Pace(context.Context) error { return errors.New("redis is away") }

func TestAPacersTroubleStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 1)
		s := configure(t, syncer.Config{Source: badPacer{newStock(5)}}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Hour)
		n, _ := m.Quantity("SKU-0")
		h, _ := s.Health(t.Context())
		t.Log("shows", n, "running", h.Running, "tasks", h.Channels[0].Tasks)
		assert.True(t, n == 5 || !h.Running)
	})
}

// The duplicate check looks before the Filter.
func TestAFilteredProductClaimsNoSKU(t *testing.T) {
	source, m := newStock(5), shop("a", 1)
	source.put("archived", "SKU-0", 0)
	source.order = []string{"archived", "p0"}
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Filter: func(s channel.Stock) bool { return s.ProductID != "archived" }}}})
	r, err := s.Reconcile(t.Context())
	t.Log(r, err)
	n, _ := m.Quantity("SKU-0")
	assert.Equal(t, 5, n, "the filter leaves only one product with this SKU")
}
