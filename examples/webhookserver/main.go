// Webhookserver is a small complete service: it receives ECOSIRE's events and
// keeps the shops right within a moment, survives crashes and restarts, and
// tells how it is.
//
//	go run ./examples/webhookserver -demo
//
// sends it a few seconds of sales over HTTP, measures for each one how long it
// takes until both shops show it, and ends. Without -demo it serves until it is
// interrupted. By itself it works on services that live in this process; with
// ECOSIRE_API_KEY set on the real ones. The variables for these are listed in
// examples/internal/live; what else it reads:
//
//	ECOSIRE_WEBHOOK_SECRET  of the webhook endpoint; required with real services
//	ADDR                    where to listen; default 127.0.0.1:8080
//	QUEUE                   the file of the queue, with real services; default stocksync.db
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/examples/internal/live"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func main() {
	isDemo := flag.Bool("demo", false, "measure some seconds of simulated sales, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := simulated
	switch {
	case *isDemo:
		run = func(ctx context.Context) error { return demo(ctx, 150, 8*time.Second) }
	case live.Configured():
		run = real
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// real serves the services that the environment names.
func real(ctx context.Context) error {
	secret := os.Getenv("ECOSIRE_WEBHOOK_SECRET")
	if secret == "" {
		return errors.New("ECOSIRE_WEBHOOK_SECRET is not set: without it nobody's events can be believed")
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	services, err := live.Load(logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address())
	if err != nil {
		return err
	}
	return serve(ctx, listener, config{
		source: services.ECOSIRE, channels: services.Channels,
		secret: secret, queue: cmp.Or(os.Getenv("QUEUE"), "stocksync.db"), logger: logger,
	})
}

// A config is what serve needs.
type config struct {
	source   *ecosire.Client
	channels []channel.Channel
	secret   string // of the webhook endpoint
	queue    string // a file
	logger   *slog.Logger
}

// serve is the service. It ends when ctx is done, and closes the listener.
func serve(ctx context.Context, listener net.Listener, cfg config) (err error) {
	defer listener.Close()
	webhooks, err := ecosire.NewWebhooks(cfg.secret)
	if err != nil {
		return err
	}
	// What was acknowledged to ECOSIRE is in this file until it is done.
	queue, err := boltqueue.Open(cfg.queue)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	var targets []syncer.Target
	for _, c := range cfg.channels {
		targets = append(targets, syncer.Target{Channel: c})
	}
	s, err := syncer.New(syncer.Config{
		Source: cfg.source, Targets: targets, Webhooks: webhooks, Queue: queue, Logger: cfg.logger,
	})
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle("/webhooks/ecosire", s.WebhookHandler())
	mux.Handle("GET /healthz", health(s))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second}

	// The first of these to fail ends the others.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) })
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(patience) // events that are being received still get their answer
	})
	return group.Wait()
}

// health answers 200 while the service does its work, and 503 otherwise. A shop
// that is down is no reason to restart it: it is in the answer.
func health(s *syncer.Syncer) http.Handler {
	type shop struct {
		Channel   string    `json:"channel"`
		Waiting   int       `json:"waiting"`
		Oldest    time.Time `json:"oldest,omitzero"`
		DownSince time.Time `json:"downSince,omitzero"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, err := s.Health(r.Context())
		status := http.StatusOK
		if err != nil || !h.Running {
			status = http.StatusServiceUnavailable
		}
		shops := make([]shop, 0, len(h.Channels))
		for _, c := range h.Channels {
			shops = append(shops, shop{c.Channel, c.Tasks, c.Oldest, c.DownSince})
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"running": h.Running, "channels": shops})
	})
}

// demo serves a simulated merchant on a port of its own while so much is sold,
// and fails if a sale did not become visible.
func demo(ctx context.Context, sales int, during time.Duration) error {
	w := newWorld()
	fmt.Printf("%d sales of %d products in about %v; ECOSIRE answers in %v, Shopify in %v, WooCommerce in %v.\n\n",
		sales, len(w.products), during, latencyECOSIRE, latencyShopify, latencyWoo)
	took := make([]time.Duration, sales) // from the event until both shops show it; 0 means never
	err := w.serve(ctx, "127.0.0.1:0", nil, func(ctx context.Context, url string) {
		var wg sync.WaitGroup
		for i := range sales {
			wg.Go(func() { took[i] = w.sale(ctx, url, i%15 == 0) })
			pause(ctx, rand.N(2*during/time.Duration(sales)))
		}
		wg.Wait()
	})
	if err != nil {
		return err
	}
	slices.Sort(took)
	lost, _ := slices.BinarySearch(took, 1)
	fmt.Printf("\nFrom the event to visible on both shops: p50 %v, p99 %v.\n",
		took[sales/2].Round(time.Millisecond), took[sales*99/100].Round(time.Millisecond))
	fmt.Printf("Requests: %d to ECOSIRE, %d to Shopify, %d to WooCommerce.\n",
		len(w.ecosire.Requests()), len(w.shopify.Requests()), len(w.woo.Requests()))
	if lost > 0 {
		return fmt.Errorf("%d of %d sales did not become visible", lost, sales)
	}
	return nil
}

// simulated serves a simulated merchant until ctx is done.
func simulated(ctx context.Context) error {
	w := newWorld()
	return w.serve(ctx, address(), slog.New(slog.NewTextHandler(os.Stderr, nil)), func(ctx context.Context, url string) {
		fmt.Printf("A sale every few seconds; see %s/healthz. Interrupt to end.\n", url)
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
}

const worldSecret = "a simulated secret"

func newWorld() *world {
	w := &world{
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

// serve runs the service on this world, and traffic beside it. It ends both
// when the traffic does.
func (w *world) serve(ctx context.Context, addr string, logger *slog.Logger, traffic func(ctx context.Context, url string)) error {
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: w.ecosire.Client()})
	if err != nil {
		return err
	}
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: w.shopify.Client()})
	if err != nil {
		return err
	}
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: w.shopify.Location()})
	if err != nil {
		return err
	}
	woo, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: w.woo.Client(),
	})
	if err != nil {
		return err
	}
	store, err := woo.Channel(woocommerce.ChannelConfig{})
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
		return serve(ctx, listener, config{
			source: source, channels: []channel.Channel{location, store},
			secret: worldSecret, queue: filepath.Join(dir, "queue.db"), logger: logger,
		})
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
				fmt.Printf("a %s is sold, %d are left: visible on both shops after %v\n", p.SKU, left, took.Round(time.Millisecond))
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

func address() string { return cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080") }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
