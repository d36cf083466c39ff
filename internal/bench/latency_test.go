package bench

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// delays are the times from an event until its product is shown, by channel.
type delays struct {
	shopify, woocommerce []time.Duration
}

func percentile(ds []time.Duration, p int) time.Duration {
	slices.Sort(ds)
	return ds[(len(ds)-1)*p/100]
}

// sales is a world in which one product after the other is sold once, so that
// each sale can be told from all others.
type sales struct {
	*World
	mu    sync.Mutex
	index map[string]int // of the product by SKU
	sold  map[string]time.Time
	from  time.Time // sales from this time to that time count
	to    time.Time
	seen  int // figures shown
	d     delays
}

func newSales(n int) (*sales, error) {
	s := &sales{index: make(map[string]int), sold: make(map[string]time.Time)}
	for i := range n {
		s.index[SKU(i)] = i
	}
	var err error
	s.World, err = NewWorld(n, Both, Agreed, nil, func(cfg *syncer.Config) {
		cfg.Hooks.Changed = s.shown
		cfg.Schedule = syncer.Never
	})
	return s, err
}

// sell sells one unit of the product number i.
func (s *sales) sell(i int) {
	s.mu.Lock()
	s.sold[SKU(i)] = time.Now()
	s.mu.Unlock()
	s.Ecosire.Sell(s.IDs[i], 1)
}

func (s *sales) shown(_ context.Context, name string, c syncer.Change) {
	s.visible(name == "shopify:test-shop", c.SKU, c.Wanted)
}

func (s *sales) visible(shopify bool, sku string, quantity int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.sold[sku]
	if !ok || quantity != Start(s.index[sku])-1 {
		return
	}
	s.seen++
	switch {
	case at.Before(s.from) || at.After(s.to):
	case shopify:
		s.d.shopify = append(s.d.shopify, time.Since(at))
	default:
		s.d.woocommerce = append(s.d.woocommerce, time.Since(at))
	}
}

// A way says how events are dealt with, and what else goes on.
type way string

const (
	alone       way = "events alone"
	reconciling way = "while reconciling"       // which begins after a warm-up; the events after that count
	surprise    way = "begin while reconciling" // the events do, and those of their first minute count
	guides      way = "the guide's"
)

const warmUp = 90 * time.Second

// latency sends so many events, at random moments (a Poisson process), so many
// a second, while another app takes half of Shopify's points.
func latency(t *testing.T, events int, perSecond float64, way way) (d delays) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := 10_000
		if way == surprise {
			n = 30_000
		}
		s, err := newSales(n)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		_, err = s.Syncer.Reconcile(ctx) // the shop's items are known then
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		s.Shopify.Drain(shopifyBucket / 2)
		wg.Go(func() {
			for wait(ctx, time.Second) {
				s.Shopify.Drain(shopifyRate / 2)
			}
		})
		notify := func(id string) { require.NoError(t, s.Syncer.Notify(ctx, id)) }
		if way == guides {
			g := NewGuide(s.World)
			notify = func(id string) { wg.Go(func() { g.OnChange(ctx, id) }) }
			wg.Go(func() { s.poll(ctx) })
		} else {
			wg.Go(func() { s.Syncer.Run(ctx) })
		}
		reconcile := func() {
			for ctx.Err() == nil {
				_, _ = s.Syncer.Reconcile(ctx)
			}
		}
		s.from, s.to = time.Now(), time.Now().Add(time.Hour)
		switch way {
		case reconciling:
			s.from = s.from.Add(warmUp)
			wg.Go(func() {
				if wait(ctx, warmUp) {
					reconcile()
				}
			})
		case surprise:
			wg.Go(reconcile)
			time.Sleep(warmUp)
			s.from, s.to = time.Now(), time.Now().Add(time.Minute)
		}
		random := rand.New(rand.NewPCG(1, 2))
		order := random.Perm(len(s.IDs))
		for _, i := range order[:events] {
			time.Sleep(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)))
			s.sell(i)
			notify(s.IDs[i])
		}
		for range 7200 {
			s.mu.Lock()
			done := s.seen >= 2*events
			s.mu.Unlock()
			if done {
				break
			}
			time.Sleep(time.Second)
		}
		cancel()
		wg.Wait()
		require.Equal(t, 2*events, s.seen)
		d = s.d
	})
	return d
}

// poll finds out what the shops show where no hook tells.
func (s *sales) poll(ctx context.Context) {
	type key struct {
		shopify bool
		sku     string
	}
	done := make(map[key]bool)
	for wait(ctx, 50*time.Millisecond) {
		s.mu.Lock()
		var waiting []key
		for sku := range s.sold {
			for _, k := range []key{{true, sku}, {false, sku}} {
				if !done[k] {
					waiting = append(waiting, k)
				}
			}
		}
		s.mu.Unlock()
		for _, k := range waiting {
			shows := s.WooCommerce.Quantity
			if k.shopify {
				shows = s.Shopify.Available
			}
			if n, _ := shows(k.sku); n == Start(s.index[k.sku])-1 {
				done[k] = true
				s.visible(k.shopify, k.sku, n)
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func TestLatency(t *testing.T) {
	measured(t)
	out := newTable("latency", "events/s", "events", "way", "Shopify p50", "p99", "WooCommerce p50", "p99")
	for _, load := range []struct {
		perSecond float64
		events    int
	}{{1, 300}, {10, 3000}, {100, 9900}} {
		for _, way := range []way{alone, reconciling, surprise, guides} {
			if way == guides && load.perSecond > 1 {
				continue // a request to ECOSIRE for each event: it never catches up
			}
			d := latency(t, load.events, load.perSecond, way)
			out.row(load.perSecond, number(len(d.shopify)), way,
				span(percentile(d.shopify, 50)), span(percentile(d.shopify, 99)),
				span(percentile(d.woocommerce, 50)), span(percentile(d.woocommerce, 99)))
		}
	}
	out.done(t)
}
