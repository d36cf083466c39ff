package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// receives gives the targets of a world what reads their shops' deliveries.
func receives(cfg *syncer.Config) {
	for i := range cfg.Targets {
		var err error
		switch ch := cfg.Targets[i].Channel.(type) {
		case *shopify.Channel:
			cfg.Targets[i].Webhooks, err = ch.Webhooks("client-secret")
		case *woocommerce.Channel:
			cfg.Targets[i].Webhooks, err = ch.Webhooks("secret")
		}
		if err != nil {
			panic(err)
		}
	}
}

// subscribe lets the shops of a world deliver: Shopify after a second, and
// WooCommerce when its queue runs.
func (w *World) subscribe(t *testing.T, cfg *syncer.Config, cron time.Duration) {
	t.Helper()
	for _, target := range cfg.Targets {
		h, err := w.Syncer.ChannelHandler(target.Channel.Name())
		require.NoError(t, err)
		if _, isShopify := target.Channel.(*shopify.Channel); isShopify {
			w.Shopify.Subscribe(shopifytest.Subscription{Handler: h})
		} else {
			w.WooCommerce.Subscribe(woocommercetest.Subscription{Handler: h, Secret: "secret", Cron: func() time.Duration { return cron }})
		}
	}
}

// deliveringWorld is a world whose shops deliver, and whose Syncer runs until the test
// ends. There are n products of each of which the same number is there.
func deliveringWorld(t *testing.T, n, units int, cron time.Duration, edit func(*syncer.Config)) *World {
	t.Helper()
	var used syncer.Config
	w, err := NewWorld(n, Both, Agreed, func(int) int { return units }, func(cfg *syncer.Config) {
		cfg.Schedule, cfg.WatchEvery = syncer.Never(), -1
		receives(cfg)
		if edit != nil {
			edit(cfg)
		}
		used = *cfg
	})
	require.NoError(t, err)
	_, err = w.Syncer.Reconcile(t.Context())
	require.NoError(t, err)
	w.subscribe(t, &used, cron)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Syncer.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	time.Sleep(time.Minute)
	w.Requests()
	return w
}

// A sale in one shop leaves the other one soon, although ECOSIRE does not know
// of it for five minutes, and nothing changes when it does.
func TestASaleLeavesTheOtherShopSoon(t *testing.T) {
	sales := 100
	if racetest.Short() {
		sales = 15
	}
	for _, tt := range []struct {
		name   string
		from   Channels
		units  int
		within time.Duration // of which 99 in 100
	}{
		{"from Shopify, few left", Shopify, 9, 2 * time.Second},
		{"from Shopify, many left", Shopify, 40, 35 * time.Second},
		{"from WooCommerce, few left", WooCommerce, 9, 2 * time.Second},
		{"from WooCommerce, many left", WooCommerce, 40, 2 * time.Second}, // Shopify compares and sets
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// WooCommerce's queue runs a second after the sale: what it takes is
				// in nobody's hands here.
				w := deliveringWorld(t, sales, tt.units, time.Second, nil)
				sell, shows := w.Shopify.Sell, w.WooCommerce.Quantity
				if tt.from == WooCommerce {
					sell, shows = w.WooCommerce.Sell, w.Shopify.Available
				}
				var (
					took []time.Duration
					wg   sync.WaitGroup
				)
				for i := range sales {
					sell(SKU(i), 1)
					sold := time.Now()
					for n := tt.units; n == tt.units && time.Since(sold) < time.Minute; n, _ = shows(SKU(i)) {
						time.Sleep(10 * time.Millisecond)
					}
					took = append(took, time.Since(sold))
					time.Sleep(max(0, time.Until(sold.Add(5*time.Second)))) // two requests to ECOSIRE for each sale are well within its quota
					wg.Go(func() {
						time.Sleep(time.Until(sold.Add(5 * time.Minute)))
						w.Ecosire.Sell(w.IDs[i], 1)
						_ = w.Syncer.Notify(t.Context(), w.IDs[i])
					})
				}
				assert.LessOrEqual(t, percentile(took, 99), tt.within)
				t.Logf("p50 %v, p99 %v", percentile(took, 50), percentile(took, 99))
				wg.Wait()
				time.Sleep(time.Minute)
				n, example := w.Wrong()
				assert.Zero(t, n, example)
			})
		})
	}
}

// An event costs what it did before there was anything in flight, and a sale in
// a shop that ECOSIRE books later a few reads more, but no more writes.
func TestRequestsOfSales(t *testing.T) {
	sales := 50
	if racetest.Short() {
		sales = 5
	}
	requests := func(t *testing.T, units int, inShop bool, edit func(*syncer.Config)) (perSale [3]float64) {
		synctest.Test(t, func(t *testing.T) {
			// The shops are asked every few minutes whether their webhooks are there.
			var asked [3]atomic.Int64
			w := deliveringWorld(t, sales, units, 10*time.Second, func(cfg *syncer.Config) {
				if edit != nil {
					edit(cfg)
				}
				cfg.Hooks.Request = func(_ context.Context, _ string, r channel.Request) {
					switch r.Op {
					case "webhookSubscriptions":
						asked[1].Add(1)
					case "GET webhooks", "GET /webhooks":
						asked[2].Add(1)
					}
				}
			})
			for i := range asked {
				asked[i].Store(0)
			}
			for i := range sales {
				if inShop {
					w.Shopify.Sell(SKU(i), 1)
					time.Sleep(time.Minute)
				}
				w.Ecosire.Sell(w.IDs[i], 1)
				require.NoError(t, w.Syncer.Notify(t.Context(), w.IDs[i]))
				time.Sleep(time.Minute)
			}
			n, example := w.Wrong()
			assert.Zero(t, n, example)
			e, s, c := w.Requests()
			for i, n := range []int{e, s, c} {
				perSale[i] = float64(n-int(asked[i].Load())) / float64(sales)
			}
		})
		return perSale
	}
	for name, units := range map[string]int{"few left": 8, "many left": 50} {
		t.Run(name, func(t *testing.T) {
			was, is := requests(t, units, false, withoutFlight), requests(t, units, false, nil)
			assert.Equal(t, was, is, "requests to ECOSIRE, Shopify and WooCommerce for an event")
			sale := requests(t, units, true, nil)
			t.Logf("for each: event %v, sale in a shop %v", is, sale)
			assert.LessOrEqual(t, sale[0], 2.0, "ECOSIRE is read for the delivery and for the event")
			assert.LessOrEqual(t, sale[1], 3.0, "Shopify is read twice, asked for the item of the delivery once an hour, and not written")
			most := 4.0 // read for the delivery, once more when the sale is known, written, and read for the event
			if units >= 10 {
				most++ // a write that may wait is looked at twice
			}
			assert.LessOrEqual(t, sale[2], most, "WooCommerce")
		})
	}
}
