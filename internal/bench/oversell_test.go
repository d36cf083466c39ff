package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// The model of a day of sales. Each customer wants one unit of one product.
//
//   - There are 500 products: of a fifth there are 1 to 3 units, of the
//     others 20 to 60.
//   - Over the day 3,000 customers come, at random moments whose rate follows
//     a sine with its peak at 18:00 and its trough, a tenth of that, at 06:00.
//     What they want follows Zipf's law, with a weight of (20+rank)^-1.1, over
//     a random order of the products.
//   - At 18:00 there is a flash sale of ten products with 120 units each: for
//     ten minutes four more customers come every second for one of them.
//   - 45 in a hundred come to Shopify, 45 to WooCommerce, and 10 to ECOSIRE
//     itself, such as over the counter.
//   - A shop sells what it shows, and shows one less from then on. ECOSIRE
//     hears of the order after two seconds, reserves the unit and sends its
//     event. At ECOSIRE itself only what is available is sold.
//   - Nothing is received or returned.
//
// A unit is oversold when more of a product are reserved than there are.
const (
	dayProducts = 500
	dayOrders   = 3_000
	flashItems  = 10
	flashOrders = 2_400
	orderDelay  = 2 * time.Second
	daySeed     = 20
)

type sale struct {
	at      time.Duration // since midnight
	product int
	where   Channels // 0 is ECOSIRE itself
}

// day returns the stock at midnight and who wants what, in order.
func day(seed uint64) (stock []int, wanted []sale) {
	random := rand.New(rand.NewPCG(seed, 1))
	stock = make([]int, dayProducts)
	for i := range stock {
		stock[i] = 20 + random.IntN(41)
		if random.IntN(5) == 0 {
			stock[i] = 1 + random.IntN(3)
		}
		if i < flashItems {
			stock[i] = 120
		}
	}
	order := random.Perm(dayProducts)
	zipf := rand.NewZipf(random, 1.1, 20, dayProducts-1)
	where := func() Channels {
		switch n := random.IntN(100); {
		case n < 45:
			return Shopify
		case n < 90:
			return WooCommerce
		}
		return 0
	}
	for len(wanted) < dayOrders {
		at := time.Duration(random.Int64N(int64(24 * time.Hour)))
		rate := 0.55 + 0.45*math.Cos(2*math.Pi*(at-18*time.Hour).Hours()/24)
		if random.Float64() < rate {
			wanted = append(wanted, sale{at, order[zipf.Uint64()], where()})
		}
	}
	for range flashOrders {
		at := 18*time.Hour + time.Duration(random.Int64N(int64(10*time.Minute)))
		wanted = append(wanted, sale{at, random.IntN(flashItems), where()})
	}
	slices.SortFunc(wanted, func(a, b sale) int { return cmp.Compare(a.at, b.at) })
	return stock, wanted
}

// A shopDay says what became of a day.
type shopDay struct {
	sold, lost int // units sold, and customers who found nothing
	oversold   int // units
	products   int // with units oversold
}

// live lives through the day. event is called, in a goroutine of its own,
// when ECOSIRE sends an event.
func live(t *testing.T, stock []int, wanted []sale, policy syncer.Policy, buffered bool,
	start func(ctx context.Context, w *World, run func(func())), event func(ctx context.Context, w *World, id string)) (d shopDay) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := NewWorld(dayProducts, Both, Agreed, func(i int) int { return stock[i] }, func(cfg *syncer.Config) {
			cfg.Schedule = syncer.Never
			cfg.WatchEvery = -1 // nothing happens without an event
			cfg.ReconcileAtStart = buffered
			for i := range cfg.Targets {
				cfg.Targets[i].Policy = policy
			}
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if start != nil {
			start(ctx, w, wg.Go)
		}
		midnight := time.Now()
		for _, s := range wanted {
			time.Sleep(time.Until(midnight.Add(s.at)))
			if !w.buy(s) {
				d.lost++
				continue
			}
			d.sold++
			wg.Go(func() {
				if s.where != 0 {
					time.Sleep(orderDelay)
				}
				w.Ecosire.Sell(w.IDs[s.product], 1)
				if event != nil {
					event(ctx, w, w.IDs[s.product])
				}
			})
		}
		time.Sleep(time.Hour)
		cancel()
		wg.Wait()
		for _, p := range w.Ecosire.Products() {
			if over := p.Reserved - p.OnHand; over > 0 {
				d.oversold += over
				d.products++
			}
		}
	})
	return d
}

// buy reports whether the customer finds a unit.
func (w *World) buy(s sale) bool {
	sku := SKU(s.product)
	switch s.where {
	case Shopify:
		n, _ := w.Shopify.Available(sku)
		if n > 0 {
			w.Shopify.Set(sku, n-1)
		}
		return n > 0
	case WooCommerce:
		n, _ := w.WooCommerce.Quantity(sku)
		if n > 0 {
			w.WooCommerce.Sell(sku, 1)
		}
		return n > 0
	}
	p, _ := w.Ecosire.Product(w.IDs[s.product])
	return p.OnHand > p.Reserved
}

func TestOversell(t *testing.T) {
	measured(t)
	stock, wanted := day(daySeed)
	out := newTable("oversell", "way", "units sold", "customers sent away", "units oversold", "products oversold", "per 10,000 units")
	record := func(way string, d shopDay) {
		out.row(way, number(d.sold), number(d.lost), d.oversold, d.products, fmt.Sprintf("%.0f", 1e4*float64(d.oversold)/float64(d.sold)))
	}
	record("a push that takes no time", live(t, stock, wanted, syncer.Available(), false, nil, func(_ context.Context, w *World, id string) {
		p, _ := w.Ecosire.Product(id)
		w.Shopify.Set(p.SKU, max(0, p.OnHand-p.Reserved))
		w.WooCommerce.Set(p.SKU, max(0, p.OnHand-p.Reserved))
	}))
	run := func(ctx context.Context, w *World, run func(func())) { run(func() { w.Syncer.Run(ctx) }) }
	notify := func(ctx context.Context, w *World, id string) { _ = w.Syncer.Notify(ctx, id) }
	record("push on event", live(t, stock, wanted, syncer.Available(), false, run, notify))
	record("push on event, a buffer of one", live(t, stock, wanted, syncer.Available().Buffer(1), true, run, notify))
	var guide *Guide
	record("the guide's handler", live(t, stock, wanted, syncer.Available(), false,
		func(_ context.Context, w *World, _ func(func())) { guide = NewGuide(w) },
		func(ctx context.Context, _ *World, id string) { _ = guide.OnChange(ctx, id) }))
	record("polling every 15 minutes", live(t, stock, wanted, syncer.Available(), false,
		func(ctx context.Context, w *World, run func(func())) {
			run(func() {
				for wait(ctx, 15*time.Minute) {
					_, _ = w.Syncer.Reconcile(ctx)
				}
			})
		}, nil))
	record("no sync at all", live(t, stock, wanted, syncer.Available(), false, nil, nil))
	out.done(t)
}
