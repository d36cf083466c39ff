package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

func TestNotifyReachesEveryChannelSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(5, 0), shop("a", 2), shop("b", 2)
		var delays []time.Duration
		var mu sync.Mutex
		s := configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{Pushed: func(_ context.Context, p syncer.Pushed) {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, p.Delay)
		}}}, a, b)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Second)
		shows(t, a, 5, 0)
		shows(t, b, 5, 0)
		assert.Equal(t, []time.Duration{100 * time.Millisecond, 100 * time.Millisecond}, delays)
		assert.Equal(t, 1, source.asked(), "channels that keep step share a read")
		assert.True(t, drained(t, s))
	})
}

func TestABurstCostsAHandfulOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), shop("a", 10)
		s := configure(t, syncer.Config{Source: source}, m)
		defer running(t, s)()
		for i := range racetest.Size(10_000, 1_000) {
			require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i%10)))
			time.Sleep(100 * time.Microsecond)
		}
		pass(time.Second)
		shows(t, m, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
		assert.LessOrEqual(t, source.asked(), 12)
		_, writes := m.Calls()
		assert.Equal(t, 1, writes)
	})
}

func TestManyProductsTakeFullRequests(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(), channeltest.NewMemory("a"), channeltest.NewMemory("b")
		s := unguardedly(t, syncer.Config{Source: source}, a, b)
		var ids []string
		for i := range 10_000 {
			id := fmt.Sprintf("p%d", i)
			source.put(id, id, i)
			a.Set(id, -1)
			b.Set(id, -1)
			ids = append(ids, id)
		}
		for _, id := range ids {
			require.NoError(t, s.Notify(t.Context(), id))
		}
		defer running(t, s)()
		pass(time.Minute)
		assert.True(t, drained(t, s))
		n, _ := b.Quantity("p9999")
		assert.Equal(t, 9999, n)
		assert.InDelta(t, 51, source.asked(), 3, "a hundred products at first, then two hundred at a time, for both channels")
	})
}

func TestAMarkMadeDuringWorkIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		once := sync.OnceFunc(func() { time.Sleep(time.Minute) })
		slow := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			once()
			return next.Push(ctx, updates)
		}}
		s := configure(t, syncer.Config{Source: source}, slow)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second) // it is being written
		source.put("p0", "SKU-0", 3)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Minute)
		shows(t, m, 3)
		assert.True(t, drained(t, s))
	})
}

func TestAChannelThatIsDownForAnHour(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(), channeltest.NewMemory("a"), channeltest.NewMemory("b")
		const products = 300
		for i := range products {
			id := fmt.Sprintf("p%d", i)
			source.put(id, id, 0)
			a.Set(id, 100)
			b.Set(id, 100)
		}
		var broken atomic.Bool
		var asked atomic.Int64
		broken.Store(true)
		ill := &channeltest.Intercept{Channel: a, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if broken.Load() {
				asked.Add(1)
				return nil, fmt.Errorf("502: %w", channel.ErrUnavailable)
			}
			return next.Levels(ctx, skus)
		}}
		var ups, downs []string
		var worst time.Duration
		s := unguardedly(t, syncer.Config{Source: source, Hooks: syncer.Hooks{
			Down: func(_ context.Context, c string, _ error) { downs = append(downs, c) },
			Up:   func(_ context.Context, c string, _ time.Duration) { ups = append(ups, c) },
			Pushed: func(_ context.Context, p syncer.Pushed) {
				if p.Channel == "b" {
					worst = max(worst, p.Delay)
				}
			},
		}}, ill, b)
		defer running(t, s)()
		for i := range 3600 { // a sale a second for an hour
			id := fmt.Sprintf("p%d", i%products)
			source.put(id, id, i)
			require.NoError(t, s.Notify(t.Context(), id))
			pass(time.Second)
		}
		assert.LessOrEqual(t, worst, 200*time.Millisecond, "the other channel's delay is unchanged")
		assert.Less(t, asked.Load(), int64(330), "it is probed, not hammered")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.LessOrEqual(t, h.Channels[0].Tasks, products, "the backlog is bounded by the products")
		assert.False(t, h.Channels[0].DownSince.IsZero())
		assert.ErrorIs(t, h.Channels[0].Err, channel.ErrUnavailable)

		broken.Store(false)
		pass(20 * time.Second)
		assert.True(t, drained(t, s))
		for i := range products {
			n, _ := a.Quantity(fmt.Sprintf("p%d", i))
			assert.Equal(t, 3300+i, n)
		}
		assert.Equal(t, []string{"a"}, downs)
		assert.Equal(t, []string{"a"}, ups)
	})
}

func TestRetryIsAimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(1, 2, 3), shop("a", 3), shop("b", 3)
		fails := 3
		picky := &channeltest.Intercept{Channel: a, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			errs := channel.Errors{}
			var rest []channel.Update
			for _, u := range updates {
				if u.SKU == "SKU-1" && fails > 0 {
					fails--
					errs[u.SKU] = channel.ErrNotApplied
					continue
				}
				rest = append(rest, u)
			}
			if err := next.Push(ctx, rest); err != nil {
				return err
			}
			return errs.Err()
		}}
		s := configure(t, syncer.Config{Source: source}, picky, b)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0", "p1", "p2"))
		pass(time.Second)
		shows(t, a, 1, 100, 3)
		shows(t, b, 1, 2, 3)
		pass(time.Minute)
		shows(t, a, 1, 2, 3)
		reads, _ := b.Calls()
		assert.Equal(t, 1, reads, "the other channel is not asked again")
		assert.True(t, drained(t, s))
	})
}

func TestPermanentProblemsAreReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1), shop("a", 0)
		var given []syncer.Problem
		s := configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{GaveUp: func(_ context.Context, p syncer.Problem) { given = append(given, p) }}}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0", "nobody"))
		pass(time.Hour)
		require.Len(t, given, 2)
		assert.ErrorIs(t, given[0].Err, channel.ErrUnknownSKU)
		assert.ErrorIs(t, given[1].Err, syncer.ErrNoProduct)
		assert.True(t, drained(t, s))
		m.Set("SKU-0", 9)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, m, 1)
	})
}

func TestASourceThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), shop("a", 1)
		source.fail = channel.ErrUnavailable
		s := configure(t, syncer.Config{Source: source}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		shows(t, m, 100)
		assert.Less(t, source.asked(), 60)
		source.mu.Lock()
		source.fail = nil
		source.mu.Unlock()
		source.put("p0", "SKU-0", 4)
		pass(16 * time.Second)
		shows(t, m, 4)
	})
}

func TestRunEndsWithinItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6), shop("a", 2)
		stuck := true
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			if stuck {
				<-ctx.Done()
				return ctx.Err()
			}
			return next.Push(ctx, updates)
		}}
		q := syncer.NewMemoryQueue()
		s := configure(t, syncer.Config{Source: source, Queue: q, Grace: 3 * time.Second}, c)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Second)
		start := time.Now()
		stop()
		assert.LessOrEqual(t, time.Since(start), 3*time.Second)
		assert.False(t, drained(t, s), "what was not finished is still in the queue")
		shows(t, m, 100, 100)

		stuck = false
		stop = running(t, configure(t, syncer.Config{Source: source, Queue: q}, c))
		pass(10 * time.Second)
		stop()
		shows(t, m, 5, 6)
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := configure(t, syncer.Config{Source: newStock()}, shop("a", 0))
		defer running(t, s)()
		synctest.Wait()
		assert.ErrorIs(t, s.Run(t.Context()), syncer.ErrRunning)
	})
}

// brokenQueue fails when told to.
type brokenQueue struct {
	*syncer.MemoryQueue
	mu  sync.Mutex
	err error
}

func (q *brokenQueue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
}

func (q *brokenQueue) broken() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func (q *brokenQueue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	if err := q.broken(); err != nil {
		return err
	}
	return q.MemoryQueue.Mark(ctx, marks...)
}

func (q *brokenQueue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	if err := q.broken(); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Lease(ctx, lane, n)
}

func TestAQueueThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &brokenQueue{MemoryQueue: syncer.NewMemoryQueue()}
		m := shop("a", 1)
		s := configure(t, syncer.Config{Source: newStock(1), Queue: q}, m, shop("b", 1))
		require.NoError(t, s.Notify(t.Context(), "p0"))
		q.fail(errors.New("disk full"))
		defer running(t, s)()
		pass(time.Hour)
		assert.ErrorContains(t, s.Notify(t.Context(), "p0"), "disk full")
		q.fail(nil)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.ErrorContains(t, h.QueueErr, "disk full")
		assert.InDelta(t, time.Hour, time.Since(h.QueueSince), float64(time.Minute))
		pass(time.Minute)
		shows(t, m, 1)
		h, err = s.Health(t.Context())
		require.NoError(t, err)
		assert.NoError(t, h.QueueErr)
	})
}
