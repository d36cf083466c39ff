// Consumer is a program of somebody else's that uses stocksync: a module of its
// own, with an adapter of its own, and the module's fakes as test doubles. It
// shows that the exported packages suffice.
//
// It mounts the webhook handler, runs, gets an event and a notification, and
// looks itself whether every channel shows what ECOSIRE has.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

const secret = "whsec_test"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	w := newWorld()
	targets, err := w.targets()
	if err != nil {
		return err
	}
	var s *syncer.Syncer
	source, err := ecosire.New(ecosire.Config{
		APIKey: "eco_live_test", HTTPClient: w.ecosire.Client(),
		OnStockChange: func(ctx context.Context, ids ...string) error { return s.Notify(ctx, ids...) },
	})
	if err != nil {
		return err
	}
	webhooks, err := ecosire.NewWebhooks(secret)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stocksync")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	queue, err := boltqueue.Open(filepath.Join(dir, "queue.db"))
	if err != nil {
		return err
	}
	defer queue.Close()
	pushed := make(chan syncer.Pushed, 100)
	s, err = syncer.New(syncer.Config{
		Source: source, Targets: targets, Webhooks: webhooks, Queue: queue,
		Gather: -1, WatchEvery: -1, Schedule: syncer.Never,
		Hooks: syncer.Hooks{Pushed: func(p syncer.Pushed) { pushed <- p }},
	})
	if err != nil {
		return err
	}

	report, err := s.Reconcile(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(report.Err(), w.verify()); err != nil {
		return err
	}
	fmt.Printf("reconciled: %d products on %d channels\n", report.Read, len(report.Channels))

	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	server := httptest.NewServer(mux)
	defer server.Close()
	ended := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- s.Run(running) }()

	w.ecosire.Sell(w.tea, 3)
	if err := deliver(ctx, server.URL+"/webhooks/ecosire", secret, w.tea, http.StatusAccepted); err != nil {
		return err
	}
	if err := w.await(ctx, pushed); err != nil {
		return fmt.Errorf("after the event: %w", err)
	}
	fmt.Println("an order for 3 is on every channel")

	for location, err := range source.Locations(ctx) {
		if err != nil {
			return err
		}
		if err := source.PostAdjustment(ctx, ecosire.Adjustment{ProductID: w.cup, LocationID: location.ID, Quantity: 5, Reason: "count"}); err != nil {
			return err
		}
		break
	}
	if p, _ := w.ecosire.Product(w.cup); p.OnHand != 12 {
		return fmt.Errorf("the adjustment left %d on hand", p.OnHand)
	}
	if err := w.await(ctx, pushed); err != nil {
		return fmt.Errorf("after the adjustment: %w", err)
	}
	fmt.Println("an adjustment by 5 is on every channel")

	if err := deliver(ctx, server.URL+"/webhooks/ecosire", "whsec_forged", w.tea, http.StatusUnauthorized); err != nil {
		return err
	}
	fmt.Println("a forged event was refused")

	stop()
	if err := <-ended; err != nil {
		return err
	}
	health, err := s.Health(ctx)
	if err != nil {
		return err
	}
	for _, c := range health.Channels {
		if c.Tasks != 0 {
			return fmt.Errorf("%s: %d tasks are left", c.Channel, c.Tasks)
		}
	}
	fmt.Println("OK")
	return nil
}

// deliver sends an event as ECOSIRE would, signed with key, and checks the
// status of the answer.
func deliver(ctx context.Context, url, key, productID string, want int) error {
	body := fmt.Appendf(nil, `{"id":"evt_1","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":3}]}}`, productID)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(key, body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("the event was answered with %s, and not with %d", resp.Status, want)
	}
	return nil
}

// A world is an ECOSIRE, two shops and a till.
type world struct {
	ecosire  *ecosiretest.Server
	shopify  *shopifytest.Server
	woo      *woocommercetest.Server
	till     *till
	tea, cup string // product ids
}

func newWorld() *world {
	w := &world{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
		till:    &till{articles: map[string]int{"TEA-1": 0, "CUP-1": 0}},
	}
	ids := w.ecosire.Add(ecosiretest.Product{SKU: "TEA-1", OnHand: 20, Reserved: 4}, ecosiretest.Product{SKU: "CUP-1", OnHand: 7})
	w.tea, w.cup = ids[0], ids[1]
	w.shopify.Add(shopifytest.Item{SKU: "TEA-1", Available: 20}, shopifytest.Item{SKU: "CUP-1", Available: 7})
	w.woo.Add(woocommercetest.Product{SKU: "TEA-1", Quantity: 1}, woocommercetest.Product{SKU: "CUP-1", Stock: woocommercetest.Unmanaged})
	return w
}

func (w *world) targets() ([]syncer.Target, error) {
	shop, err := shopify.New(shopify.Config{
		Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: w.shopify.Client(),
	})
	if err != nil {
		return nil, err
	}
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: w.shopify.Location()})
	if err != nil {
		return nil, err
	}
	site, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: w.woo.Client(),
	})
	if err != nil {
		return nil, err
	}
	store, err := site.Channel(woocommerce.ChannelConfig{})
	if err != nil {
		return nil, err
	}
	return []syncer.Target{
		{Channel: location},
		{Channel: store},
		{Channel: w.till, Policy: syncer.Available().Cap(10)},
	}, nil
}

// await waits until every channel is right, looking again after each batch.
func (w *world) await(ctx context.Context, pushed <-chan syncer.Pushed) error {
	for {
		select {
		case p := <-pushed:
			if p.Err != nil || len(p.Problems) > 0 {
				return fmt.Errorf("%s: %v %v", p.Channel, p.Err, p.Problems)
			}
			if w.verify() == nil {
				return nil
			}
		case <-ctx.Done():
			return errors.Join(ctx.Err(), w.verify())
		}
	}
}

// verify compares what is shown with what ECOSIRE has.
func (w *world) verify() error {
	for _, p := range w.ecosire.Products() {
		available := p.OnHand - p.Reserved
		for _, c := range []struct {
			name  string
			want  int
			shows func(sku string) (int, bool)
		}{
			{"Shopify", available, w.shopify.Available},
			{"WooCommerce", available, w.woo.Quantity},
			{"the till", min(available, 10), w.till.shows},
		} {
			if n, ok := c.shows(p.SKU); !ok || n != c.want {
				return fmt.Errorf("%s shows %d of %s, and should show %d", c.name, n, p.SKU, c.want)
			}
		}
	}
	return nil
}
