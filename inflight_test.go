package stocksync_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// network leads to the fakes.
type network struct {
	ecosire *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Host {
	case "ecosire.example":
		return n.ecosire.RoundTrip(r)
	case "shop.example":
		return n.woo.RoundTrip(r)
	}
	return n.shopify.RoundTrip(r)
}

// TestASaleAnywhereIsASaleEverywhere: what a shop sells is off the other one long
// before ECOSIRE knows of the order, and is counted once when it does.
func TestASaleAnywhereIsASaleEverywhere(t *testing.T) {
	for _, tt := range []struct {
		name   string
		left   int // units of each product
		within time.Duration
	}{
		{"few are left", 6, 2 * time.Second},
		{"many are left", 400, 35 * time.Second}, // where nothing is compared and set, a write waits for more
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				products := 100
				if racetest.Short() {
					products = 20
				}
				n := network{
					ecosiretest.New(ecosiretest.Config{Latency: 60 * time.Millisecond}), shopifytest.New(shopifytest.Config{Latency: 100 * time.Millisecond}),
					woocommercetest.New(woocommercetest.Config{RequestTime: 100 * time.Millisecond, ItemWriteTime: 20 * time.Millisecond}),
				}
				var ids, skus []string
				for i := range products {
					sku := fmt.Sprintf("SKU-%03d", i)
					skus = append(skus, sku)
					ids = append(ids, n.ecosire.Add(ecosiretest.Product{SKU: sku, OnHand: tt.left})...)
					n.shopify.Add(shopifytest.Item{SKU: sku, Available: tt.left})
					n.woo.Add(woocommercetest.Product{SKU: sku, Quantity: tt.left})
				}
				services, err := stocksync.FromEnv(stocksync.Config{HTTPClient: &http.Client{Transport: n}, Getenv: lookup(map[string]string{
					"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api", "ECOSIRE_WEBHOOK_SECRET": "s",
					"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": n.shopify.Location(), "SHOPIFY_ACCESS_TOKEN": "shpat_test", "SHOPIFY_WEBHOOK_SECRET": "client-secret",
					"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test", "WC_WEBHOOK_SECRET": "w",
				})})
				require.NoError(t, err)
				s, err := services.Writer(syncer.Config{})
				require.NoError(t, err)
				var handlers []http.Handler
				for _, target := range services.Targets {
					h, err := s.ChannelHandler(target.Channel.Name())
					require.NoError(t, err)
					handlers = append(handlers, h)
				}
				defer n.shopify.Subscribe(shopifytest.Subscription{Handler: handlers[0], Delay: func() time.Duration { return 500 * time.Millisecond }})()
				n.woo.Subscribe(woocommercetest.Subscription{Handler: handlers[1], Secret: "w", Cron: func() time.Duration { return 500 * time.Millisecond }})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ctx) }()
				defer func() { stop(); assert.NoError(t, <-ended) }()
				_, err = s.Reconcile(t.Context())
				require.NoError(t, err)

				var took []time.Duration
				before := len(n.ecosire.Requests())
				for i, sku := range skus {
					if i%40 == 39 { // more at a time are not believed of one shop of this size
						time.Sleep(6 * time.Minute)
					}
					n.shopify.Sell(sku, 1)
					sold := time.Now()
					go func() { // ECOSIRE imports the order five minutes later
						time.Sleep(5 * time.Minute)
						n.ecosire.Sell(ids[i], 1)
						assert.NoError(t, s.Notify(ctx, ids[i]))
					}()
					for time.Since(sold) < time.Minute {
						if shows, _ := n.woo.Quantity(sku); shows < tt.left {
							break
						}
						time.Sleep(10 * time.Millisecond)
					}
					took = append(took, time.Since(sold))
					time.Sleep(1500 * time.Millisecond)
				}
				requests := float64(len(n.ecosire.Requests())-before) / float64(products)
				slices.Sort(took)
				t.Logf("off the other shop after %v (p50), %v (p99); %.1f requests to ECOSIRE a sale", took[products/2], took[products*99/100], requests)
				assert.LessOrEqual(t, took[products*99/100], tt.within)
				time.Sleep(7 * time.Minute)
				for _, sku := range skus {
					a, _ := n.shopify.Available(sku)
					b, _ := n.woo.Quantity(sku)
					assert.Equal(t, []int{tt.left - 1, tt.left - 1}, []int{a, b}, "counted once: %s", sku)
				}
			})
		})
	}
}
