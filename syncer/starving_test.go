package syncer_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

type erp struct {
	*ecosiretest.Server
	ids    []string
	client *ecosire.Client
}

func newERP(t *testing.T, n int) *erp {
	e := &erp{Server: ecosiretest.New(ecosiretest.Config{Latency: 100 * time.Millisecond})}
	var ps []ecosiretest.Product
	for i := range n {
		ps = append(ps, ecosiretest.Product{SKU: fmt.Sprintf("S%05d", i), OnHand: 50})
	}
	e.ids = e.Add(ps...)
	c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: e.Wire.Client()})
	require.NoError(t, err)
	e.client = c
	return e
}

func pct(ds []time.Duration, p int) time.Duration {
	slices.Sort(ds)
	if len(ds) == 0 {
		return 0
	}
	return ds[(len(ds)-1)*p/100].Round(time.Millisecond)
}

// What 300 products with a fraction cost events about others, at ECOSIRE's quota.
func TestUnreadableProductsDelayNobody(t *testing.T) {
	racetest.Long(t)
	for _, bad := range []int{0, 300} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newERP(t, 2000)
				a, b := channeltest.NewMemory("a"), channeltest.NewMemory("b")
				for i := range 2000 {
					a.Set(fmt.Sprintf("S%05d", i), 50)
					b.Set(fmt.Sprintf("S%05d", i), 50)
				}
				for i := range bad {
					e.Set(e.ids[i], 12345, 0)
				}
				e.Wire.Inject(channeltest.Fault{Times: -1, Rewrite: func(st int, _ http.Header, body []byte) (int, []byte) {
					return st, bytes.ReplaceAll(body, []byte(`"available":12345`), []byte(`"available":12345.5`))
				}})
				var mu sync.Mutex
				var ds []time.Duration
				sold := map[string]time.Time{}
				s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1, Hooks: syncer.Hooks{
					Changed: func(_ context.Context, ch string, c syncer.Change) {
						mu.Lock()
						defer mu.Unlock()
						if at, ok := sold[c.ProductID]; ok && ch == "a" {
							ds = append(ds, time.Since(at))
						}
					}}}, a, b)
				defer running(t, s)()
				if bad > 0 {
					require.NoError(t, s.Notify(t.Context(), e.ids[:bad]...))
				}
				pass(time.Hour)
				e.Wire.Forget()
				for i := range 600 { // one sale in three seconds, for half an hour
					id := e.ids[1000+i]
					mu.Lock()
					sold[id] = time.Now()
					mu.Unlock()
					e.Sell(id, 1)
					require.NoError(t, s.Notify(t.Context(), id))
					time.Sleep(3 * time.Second)
				}
				pass(2 * time.Minute)
				mu.Lock()
				assert.Len(t, ds, 600)
				assert.Less(t, pct(ds, 99), time.Second)
				mu.Unlock()
			})
		})
	}
}

// A channel that is down and filters spends a request for each product that it does not even sell.
func TestAChannelThatIsDownAndFiltersCostsNoRequests(t *testing.T) {
	n, sales := racetest.Size(6000, 600), racetest.Size(3600, 360)
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprint("down=", down), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newERP(t, n)
				a, b := channeltest.NewMemory("a"), channeltest.NewMemory("b")
				for i := range n {
					a.Set(fmt.Sprintf("S%05d", i), 50)
					b.Set(fmt.Sprintf("S%05d", i), 50)
				}
				out := &channeltest.Intercept{Channel: b, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
					if down {
						return nil, channel.ErrUnavailable
					}
					return next.Levels(ctx, skus)
				}}
				var mu sync.Mutex
				var ds []time.Duration
				sold := map[string]time.Time{}
				cfg := syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1, Hooks: syncer.Hooks{
					Changed: func(_ context.Context, ch string, c syncer.Change) {
						mu.Lock()
						defer mu.Unlock()
						if at, ok := sold[c.ProductID]; ok && ch == "a" {
							ds = append(ds, time.Since(at))
						}
					}},
					Targets: []syncer.Target{{Channel: a}, {Channel: out, Filter: func(s channel.Stock) bool { return s.SKU[len(s.SKU)-1] == '0' }}}}
				s := configure(t, cfg)
				defer running(t, s)()
				for i := range sales { // two a second, for half an hour; a tenth sold on b
					id := e.ids[i]
					mu.Lock()
					sold[id] = time.Now()
					mu.Unlock()
					e.Sell(id, 1)
					require.NoError(t, s.Notify(t.Context(), id))
					time.Sleep(500 * time.Millisecond)
				}
				pass(time.Minute)
				mu.Lock()
				assert.Len(t, ds, sales)
				assert.Less(t, pct(ds, 99), 2*time.Second, "b down: %v", down)
				mu.Unlock()
			})
		})
	}
}

// Orders that name no products spend the whole quota, one request each.
func TestAnOrderStormDelaysNoSale(t *testing.T) {
	for _, orders := range []int{0, 300} {
		t.Run(fmt.Sprint(orders), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newERP(t, 3000)
				a := channeltest.NewMemory("a")
				for i := range 3000 {
					a.Set(fmt.Sprintf("S%05d", i), 50)
				}
				var mu sync.Mutex
				var ds []time.Duration
				sold := map[string]time.Time{}
				src := &orderStorm{Client: e.client, ids: e.ids}
				s := configure(t, syncer.Config{Source: src, Schedule: syncer.Never(), WatchEvery: -1, Hooks: syncer.Hooks{
					Changed: func(_ context.Context, ch string, c syncer.Change) {
						mu.Lock()
						defer mu.Unlock()
						if at, ok := sold[c.ProductID]; ok {
							ds = append(ds, time.Since(at))
						}
					}},
					Webhooks: anyReceiver{}}, a)
				defer running(t, s)()
				h := s.WebhookHandler()
				pass(10 * time.Minute)
				for i := range orders {
					require.Equal(t, 202, deliver(h, "", fmt.Sprintf("order-%d", i)))
				}
				for i := range 300 {
					id := e.ids[1000+i]
					mu.Lock()
					sold[id] = time.Now()
					mu.Unlock()
					e.Sell(id, 1)
					require.NoError(t, s.Notify(t.Context(), id))
					time.Sleep(time.Second)
				}
				pass(2 * time.Minute)
				mu.Lock()
				assert.Len(t, ds, 300)
				assert.Less(t, pct(ds, 99), 2*time.Second)
				mu.Unlock()
			})
		})
	}
}

type anyReceiver struct{}

func (anyReceiver) Receive(_ context.Context, _ http.Header, body []byte) (channel.Event, error) {
	return channel.Event{Type: "charge.refunded", OrderIDs: []string{string(body)}}, nil
}

// orderStorm resolves each order by one request of the real client's quota.
type orderStorm struct {
	*ecosire.Client
	ids []string
	n   int
}

func (o *orderStorm) OrderProducts(ctx context.Context, id string) ([]string, error) {
	_, _ = o.Client.Count(ctx) // one request
	o.n++
	return []string{o.ids[o.n%500]}, nil
}

// Marks of a channel that is no longer configured.
func TestWhatWaitedForARemovedChannelIsDropped(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		source := newStock(5)
		s := configure(t, syncer.Config{Source: source, Queue: q}, shop("old", 1), shop("new", 1))
		require.NoError(t, s.Notify(t.Context(), "p0"))
		s2 := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, shop("new", 1))
		defer running(t, s2)()
		pass(24 * time.Hour)
		d, _ := q.Depth(t.Context(), "old")
		h, _ := s2.Health(t.Context())
		t.Log("old lane", d, "health", h)
		assert.Zero(t, d.Tasks)
	})
}

// Down is found by probes that never end for a refused credential.
func TestRefusedCredentialsAreProbedRarely(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := &channeltest.Intercept{Channel: shop("a", 1), OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			n++
			return nil, channel.ErrUnauthorized
		}}
		s := configure(t, syncer.Config{Source: newStock(5), Schedule: syncer.Never()}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(24 * time.Hour)
		t.Log("requests with refused credentials in a day:", n)
		assert.Less(t, n, 500)
	})
}

// Superseded by a run that fails: SyncProducts reports success.
func TestSupersededByAFailureIsNotSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		var once sync.Once
		c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			var err error
			once.Do(func() { time.Sleep(time.Second); err = channel.ErrUnavailable })
			if err != nil {
				return nil, err
			}
			return next.Levels(ctx, skus)
		}}
		source.delay = 10 * time.Millisecond
		s := build(t, source, c)
		var wg sync.WaitGroup
		var first *syncer.Report
		// the later call reads later and fails; the earlier one waits for it
		slow := &slowStock{stock: source, first: true}
		s2 := build(t, slow, c)
		_ = s
		wg.Go(func() { first, _ = s2.SyncProducts(t.Context(), "p0") })
		time.Sleep(50 * time.Millisecond)
		r2, _ := s2.SyncProducts(t.Context(), "p0")
		wg.Wait()
		n, _ := m.Quantity("SKU-0")
		t.Log("shows", n, "older call:", first.Err(), "superseded", first.Channels[0].Superseded, "newer call:", r2.Err())
		assert.True(t, n == 5 || first.Err() != nil, "nothing is shown, and the call says that all is well")
	})
}

type slowStock struct {
	*stock
	mu    sync.Mutex
	first bool
}

func (s *slowStock) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		s.mu.Lock()
		first := s.first
		s.first = false
		s.mu.Unlock()
		for p, err := range s.stock.Stock(ctx, ids...) {
			if first {
				time.Sleep(500 * time.Millisecond)
			}
			if !yield(p, err) {
				return
			}
		}
	}
}
