package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// demo serves a simulated merchant on a port of its own while so much is sold,
// and fails if a sale did not become visible.
func demo(ctx context.Context, out *show.Output, sales int, during time.Duration) error {
	w := newWorld(out)
	fmt.Fprintf(out, "%d sales of %d products in about %v; ECOSIRE answers in %v, Shopify in %v, WooCommerce in %v.\n\n",
		sales, len(w.products), during, latencyECOSIRE, latencyShopify, latencyWoo)
	took := make([]time.Duration, sales) // from the event until both shops show it; 0 means never
	var failed error
	err := w.serve(ctx, "127.0.0.1:0", nil, func(ctx context.Context, url string) {
		var wg sync.WaitGroup
		for i := range sales {
			wg.Go(func() { took[i] = w.sale(ctx, url, i%15 == 0) })
			pause(ctx, rand.N(2*during/time.Duration(sales)))
		}
		wg.Wait()
		if ctx.Err() == nil {
			failed = w.saleInAShop(ctx, url, max(during/8, 500*time.Millisecond))
		}
	})
	if err := cmp.Or(err, failed); err != nil {
		return err
	}
	slices.Sort(took)
	lost, _ := slices.BinarySearch(took, 1)
	fmt.Fprintf(w.out, "\nFrom the event to visible on both shops: p50 %v, p99 %v.\n",
		took[sales/2].Round(time.Millisecond), took[sales*99/100].Round(time.Millisecond))
	fmt.Fprintf(w.out, "Requests: %d to ECOSIRE, %d to Shopify, %d to WooCommerce.\n",
		len(w.ecosire.Requests()), len(w.shopify.Requests()), len(w.woo.Requests()))
	if lost > 0 {
		return fmt.Errorf("%d of %d sales did not become visible", lost, sales)
	}
	return nil
}

// simulated serves a simulated merchant until ctx is done.
func simulated(ctx context.Context, out *show.Output, addr string, logger *slog.Logger) error {
	w := newWorld(out)
	return w.serve(ctx, addr, logger, func(ctx context.Context, url string) {
		fmt.Fprintf(out, "A sale every few seconds. Open %s/status/ to see how things are. Interrupt to end.\n", url)
		var wg sync.WaitGroup
		defer wg.Wait()
		for ctx.Err() == nil {
			wg.Go(func() { w.sale(ctx, url, true) })
			pause(ctx, rand.N(6*time.Second))
		}
	})
}

// How long the simulated services take to answer.
const (
	latencyECOSIRE = 60 * time.Millisecond
	latencyShopify = 100 * time.Millisecond
	latencyWoo     = 120 * time.Millisecond
)

// A world is a merchant with two shops.
type world struct {
	ecosire  *ecosiretest.Server
	shopify  *shopifytest.Server
	woo      *woocommercetest.Server
	products []ecosiretest.Product
	selling  sync.Mutex
	out      *show.Output
}

const worldSecret = "a simulated secret"

// newWorld says what it is on out.
func newWorld(out *show.Output) *world {
	fmt.Fprintln(out, out.Paint(show.Bold, "Simulated services:"), "ECOSIRE and two shops in this process. Nothing leaves this machine.")
	w := &world{
		out:     out,
		ecosire: ecosiretest.New(ecosiretest.Config{Latency: latencyECOSIRE}),
		shopify: shopifytest.New(shopifytest.Config{Latency: latencyShopify}),
		woo:     woocommercetest.New(woocommercetest.Config{RequestTime: latencyWoo, ItemWriteTime: 5 * time.Millisecond}),
	}
	for i := range 40 {
		p := ecosiretest.Product{SKU: fmt.Sprintf("MUG-%02d", i), OnHand: 1000}
		p.ID = w.ecosire.Add(p)[0]
		w.shopify.Add(shopifytest.Item{SKU: p.SKU, Available: p.OnHand})
		w.woo.Add(woocommercetest.Product{SKU: p.SKU, Quantity: p.OnHand})
		w.products = append(w.products, p)
	}
	return w
}

// services are built as yours are, but for what the variables say, and for the
// HTTP client, which leads to the world's servers.
func (w *world) services() (*stocksync.Services, error) {
	env := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api", "ECOSIRE_WEBHOOK_SECRET": worldSecret,
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": w.shopify.Location(), "SHOPIFY_ACCESS_TOKEN": "shpat_test",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
		"SHOPIFY_WEBHOOK_SECRET": "client-secret", "WC_WEBHOOK_SECRET": worldSecret,
	}
	return stocksync.FromEnv(stocksync.Config{
		Getenv:     func(name string) string { return env[name] },
		HTTPClient: &http.Client{Transport: w},
	})
}

// RoundTrip makes the world a network, which goes nowhere else.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "ecosire.example":
		return w.ecosire.RoundTrip(req)
	case "shop.example":
		return w.woo.RoundTrip(req)
	}
	return w.shopify.RoundTrip(req)
}

// serve runs the service on this world, and traffic beside it. It ends both
// when the traffic does.
func (w *world) serve(ctx context.Context, addr string, logger *slog.Logger, traffic func(ctx context.Context, url string)) error {
	services, err := w.services()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "webhookserver")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return serve(ctx, listener, services, filepath.Join(dir, "queue.db"), anybody, logger)
	})
	group.Go(func() error {
		defer stop()
		traffic(ctx, "http://"+listener.Addr().String())
		return nil
	})
	return group.Wait()
}

// sale sells a unit, sends the event as ECOSIRE would, and returns how long it
// then takes until both shops show it, or 0 if they do not.
func (w *world) sale(ctx context.Context, url string, show bool) time.Duration {
	w.selling.Lock()
	p := w.products[rand.IntN(len(w.products))]
	w.ecosire.Sell(p.ID, 1)
	now, _ := w.ecosire.Product(p.ID)
	w.selling.Unlock()
	left := now.OnHand - now.Reserved

	body := fmt.Appendf(nil, `{"id":"evt_%d","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, rand.Uint32(), p.ID)
	sent := time.Now()
	if err := send(ctx, url+"/webhooks/ecosire", body); err != nil {
		fmt.Fprintln(os.Stderr, "the event was not accepted:", err)
		return 0
	}
	// Stock only falls here, so a shop that shows no more than was left shows
	// this sale.
	for time.Since(sent) < 10*time.Second && ctx.Err() == nil {
		a, _ := w.shopify.Available(p.SKU)
		b, _ := w.woo.Quantity(p.SKU)
		if max(a, b) <= left {
			took := time.Since(sent)
			if show {
				fmt.Fprintf(w.out, "a %s is sold, %d are left: visible on both shops after %v\n", p.SKU, left, took.Round(time.Millisecond))
			}
			return took
		}
		pause(ctx, 2*time.Millisecond)
	}
	return 0
}

func send(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(worldSecret, body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return errors.New(resp.Status)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
