package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
)

// running runs s until the test ends, and checks that it ends well.
func running(t *testing.T, s *syncer.Syncer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func configure(t *testing.T, cfg syncer.Config, channels ...channel.Channel) *syncer.Syncer {
	t.Helper()
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	s, err := syncer.New(cfg)
	require.NoError(t, err)
	return s
}

// unguarded is for tests that are about something else.
var unguarded = syncer.Guard{Losses: -1, Gains: -1}

// unguardedly is configure without guards.
func unguardedly(t *testing.T, cfg syncer.Config, channels ...channel.Channel) *syncer.Syncer {
	t.Helper()
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c, Guard: unguarded})
	}
	return configure(t, cfg)
}

func drained(t *testing.T, s *syncer.Syncer) bool {
	t.Helper()
	h, err := s.Health(t.Context())
	require.NoError(t, err)
	n := h.Orders.Tasks + h.Inbox.Tasks
	for _, c := range h.Channels {
		n += c.Tasks
	}
	return n == 0
}

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
		for i := range 10_000 {
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

// orderly is a source that knows orders.
type orderly struct {
	*stock
	orders map[string][]string
	fails  int
}

func (o *orderly) OrderProducts(_ context.Context, id string) ([]string, error) {
	if o.fails > 0 {
		o.fails--
		return nil, channel.ErrUnavailable
	}
	ids, ok := o.orders[id]
	if !ok {
		return nil, fmt.Errorf("404: %w", channel.ErrInvalid)
	}
	return ids, nil
}

func deliver(h http.Handler, secret, body string) int {
	r := httptest.NewRequest("POST", "/any/path", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, []byte(body)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestARefundIsResolvedByRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &orderly{stock: newStock(5), orders: map[string][]string{"o1": {"p0"}}, fails: 2}, shop("a", 1)
		hooks, err := ecosire.NewWebhooks("s3")
		require.NoError(t, err)
		s := configure(t, syncer.Config{Source: source, Webhooks: hooks}, m)
		for _, order := range []string{"o1", "gone"} {
			assert.Equal(t, 202, deliver(s.WebhookHandler(), "s3", `{"id":"evt_1","event":"charge.refunded","data":{"orderId":"`+order+`"}}`))
		}
		assert.Equal(t, 2, source.fails, "not in the request")
		defer running(t, s)()
		pass(10 * time.Second)
		shows(t, m, 5)
		assert.True(t, drained(t, s))
	})
}

func TestWebhookHandler(t *testing.T) {
	hooks, err := ecosire.NewWebhooks("new", "old")
	require.NoError(t, err)
	const good = `{"id":"evt_1","event":"checkout.completed","data":{"orderId":"o","lineItems":[{"productId":"p0","quantity":2},{"productId":"p0"}]}}`
	q := &brokenQueue{MemoryQueue: syncer.NewMemoryQueue()}
	var events, marks int
	s := configure(t, syncer.Config{Source: newStock(), Webhooks: hooks, Queue: q, Hooks: syncer.Hooks{
		Received: func(context.Context, channel.Event) { events++ }, Marked: func(context.Context, []string) { marks++ },
	}}, shop("a", 0), shop("b", 0))
	for _, tt := range []struct {
		name   string
		secret string
		body   string
		edit   func(*http.Request)
		want   int
		depth  int
	}{
		{"accepted", "new", good, nil, 202, 1},
		{"the old secret", "old", good, nil, 202, 1},
		{"prefixed signature", "new", good, func(r *http.Request) {
			r.Header.Set("X-Ecosire-Signature", "sha256="+r.Header.Get("X-Ecosire-Signature"))
		}, 202, 1},
		{"no stock", "new", `{"event":"license.activated","data":{"productId":"p0"}}`, nil, 202, 0},
		{"future event", "new", `{"event":"inventory.changed","data":{"productIds":["a","b"],"productId":"c"}}`, nil, 202, 3},
		{"null data", "new", `{"event":"invoice.paid","data":null}`, nil, 202, 0},
		{"wrong secret", "other", good, nil, 401, 0},
		{"no signature", "new", good, func(r *http.Request) { r.Header.Del("X-Ecosire-Signature") }, 401, 0},
		{"empty signature", "new", good, func(r *http.Request) { r.Header.Set("X-Ecosire-Signature", "sha256=") }, 401, 0},
		{"signature of another body", "new", good, func(r *http.Request) {
			r.Header.Set("X-Ecosire-Signature", ecosire.Sign("new", []byte(good+" ")))
		}, 401, 0},
		{"not JSON", "new", `{"event":`, nil, 400, 0},
		{"not an event", "new", `{}`, nil, 400, 0},
		{"ids of another type", "new", `{"event":"x","data":{"productIds":[1]}}`, nil, 400, 0},
		{"long id", "new", `{"event":"x","data":{"productId":"` + strings.Repeat("x", 200) + `"}}`, nil, 400, 0},
		{"many ids", "new", `{"event":"x","data":{"productIds":["` + strings.Join(manyIDs(1001), `","`) + `"]}}`, nil, 400, 0},
		{"GET", "new", good, func(r *http.Request) { r.Method = "GET" }, 405, 0},
		{"form", "new", good, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, 0},
		{"untyped", "new", good, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, 0},
		{"large", "new", `"` + strings.Repeat("x", 1<<20) + `"`, nil, 413, 0},
		{"queue out of order", "new", good, func(*http.Request) { q.fail(errors.New("disk full")) }, 503, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q.MemoryQueue = syncer.NewMemoryQueue()
			q.fail(nil)
			r := httptest.NewRequest("POST", "/hooks/ecosire", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Ecosire-Signature", ecosire.Sign(tt.secret, []byte(tt.body)))
			if tt.edit != nil {
				tt.edit(r)
			}
			w := httptest.NewRecorder()
			s.WebhookHandler().ServeHTTP(w, r)
			assert.Equal(t, tt.want, w.Code)
			assert.Empty(t, w.Body.String(), "no detail")
			assert.Equal(t, tt.want == 503, w.Header().Get("Retry-After") != "")
			assert.Equal(t, tt.want == 405, w.Header().Get("Allow") == "POST")
			d, err := q.Depth(t.Context(), "inbox")
			require.NoError(t, err)
			assert.Equal(t, tt.depth, d.Tasks)
		})
	}
	assert.Equal(t, 7, events)
	assert.Equal(t, 4, marks)

	t.Run("no receiver means refuse", func(t *testing.T) {
		s := configure(t, syncer.Config{Source: newStock()}, shop("a", 0))
		assert.Equal(t, 401, deliver(s.WebhookHandler(), "", good))
		s = configure(t, syncer.Config{Source: newStock(), Webhooks: new(ecosire.Webhooks)}, shop("a", 0))
		assert.Equal(t, 401, deliver(s.WebhookHandler(), "", good))
	})
}

func manyIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return ids
}

// watched is a source that tells what changed.
type watched struct {
	*stock
	calls []string
	times []time.Time
	err   error
}

func (w *watched) Changes(_ context.Context, cursor string) ([]string, string, error) {
	w.calls = append(w.calls, cursor)
	w.times = append(w.times, time.Now())
	if w.err != nil {
		return nil, "", w.err
	}
	if cursor == "" {
		return nil, "1", nil
	}
	return []string{"p0"}, cursor + "1", nil
}

func TestWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &watched{stock: newStock(5)}, shop("a", 1)
		q := syncer.NewMemoryQueue()
		stop := running(t, configure(t, syncer.Config{Source: source, Queue: q}, m))
		pass(time.Second)
		shows(t, m, 100)
		pass(31 * time.Second)
		shows(t, m, 5)
		stop()
		assert.Equal(t, []string{"", "1"}, source.calls)

		source.err = channel.ErrUnavailable
		stop = running(t, configure(t, syncer.Config{Source: source, Queue: q, WatchEvery: time.Second}, m))
		pass(24 * time.Hour)
		stop()
		assert.Equal(t, "11", source.calls[2], "the cursor is kept in the queue")
		assert.Less(t, len(source.calls), 40, "a failing watcher is asked ever more rarely")
		assert.GreaterOrEqual(t, source.times[3].Sub(source.times[2]), 24*time.Second)

		source.calls = nil
		stop = running(t, configure(t, syncer.Config{Source: source, Queue: q, WatchEvery: -1}, m))
		pass(time.Hour)
		stop()
		assert.Empty(t, source.calls)
	})
}

// pass lets time pass, and everything happen that is due by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
