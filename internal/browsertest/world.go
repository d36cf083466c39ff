// Package browsertest looks at the status page with a real browser: in its tests,
// and in the program screenshots, which makes the README's pictures. It is a
// module of its own, so that nobody else needs what drives a browser.
package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/statuspage"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// The names of the world's channels.
const (
	Shopify     = "shopify:test-shop"
	WooCommerce = "woocommerce:shop.example"
)

// Hostile is what somebody may call a product who means no good.
const Hostile = `<img src=x onerror=alert(1)>`

// A World is a merchant with an ECOSIRE and two shops, all simulated, a Syncer
// that runs, and its status page.
type World struct {
	Syncer  *syncer.Syncer
	ECOSIRE *ecosiretest.Server
	Shop    *shopifytest.Server
	Woo     *woocommercetest.Server
	IDs     []string // of the products
	URL     string   // of the page, for who may act
	Looking string   // of the page, for who may not

	wooDown atomic.Bool
	end     func()
}

// names are those of products, which begin anew with another number.
var names = []string{"Mug, glazed", "Green tea, 100 g", "Lime honey", "Poster, A2", "Linen towel", "Oak board", "Candle, beeswax", "Notebook"}

// SKU is that of a product. Some are hostile.
func SKU(i int) string {
	switch {
	case i == 0:
		return Hostile
	case i == 1:
		return `"><script>alert(2)</script>`
	}
	return fmt.Sprintf("%s-%02d", []string{"MUG", "TEA", "HONEY", "POSTER", "TOWEL", "BOARD", "CANDLE", "NOTE"}[i%8], i/8+1)
}

// NewWorld starts a world with n products. With hostile set the first two
// are called what no product should be.
func NewWorld(ctx context.Context, products int, hostile bool) (*World, error) {
	w := &World{ECOSIRE: ecosiretest.New(ecosiretest.Config{}), Shop: shopifytest.New(shopifytest.Config{}), Woo: woocommercetest.New(woocommercetest.Config{})}
	for i := range products {
		p := ecosiretest.Product{SKU: SKU(i), Name: names[i%len(names)], OnHand: 12 + i%9}
		if i < 2 && !hostile {
			p.SKU = fmt.Sprintf("JAR-%02d", i)
		} else if i < 2 {
			p.Name = `'); DROP TABLE <b onmouseover="alert(3)">products</b>`
		}
		w.IDs = append(w.IDs, w.ECOSIRE.Add(p)...)
		w.Shop.Add(shopifytest.Item{SKU: p.SKU, Available: p.OnHand})
		if i != products-1 { // which WooCommerce does not have
			w.Woo.Add(woocommercetest.Product{SKU: p.SKU, Quantity: p.OnHand})
		}
	}
	if err := w.connect(); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Syncer.Run(run) }()
	ann := func(*http.Request) (string, bool) { return "ann", true }
	acting := httptest.NewServer(mounted(statuspage.Handler(w.Syncer, statuspage.Config{Actor: ann})))
	looking := httptest.NewServer(mounted(statuspage.Handler(w.Syncer, statuspage.Config{})))
	w.URL, w.Looking = acting.URL+"/status/", looking.URL+"/status/"
	w.end = func() {
		acting.Close()
		looking.Close()
		stop()
		<-ended
	}
	return w, nil
}

// connect makes the Syncer, whose clients lead to the world's servers.
func (w *World) connect() error {
	network := &http.Client{Transport: w}
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", BaseURL: "https://ecosire.example/api", HTTPClient: network})
	if err != nil {
		return err
	}
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: network})
	if err != nil {
		return err
	}
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: w.Shop.Location()})
	if err != nil {
		return err
	}
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: network})
	if err != nil {
		return err
	}
	store, err := site.Channel(woocommerce.ChannelConfig{})
	if err != nil {
		return err
	}
	w.Syncer, err = syncer.New(syncer.Config{
		Source: source, Targets: []syncer.Target{{Channel: location}, {Channel: store}}, Journal: 24 * time.Hour,
	})
	return err
}

func mounted(page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/status/", page)
	return mux
}

// Close ends the world.
func (w *World) Close() { w.end() }

// RoundTrip makes the world a network, which goes nowhere else.
func (w *World) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "ecosire.example":
		return w.ECOSIRE.RoundTrip(req)
	case "shop.example":
		if w.wooDown.Load() {
			rec := httptest.NewRecorder()
			http.Error(rec, "upstream", http.StatusBadGateway)
			return rec.Result(), nil
		}
		return w.Woo.RoundTrip(req)
	}
	return w.Shop.RoundTrip(req)
}

// Break takes WooCommerce down, or mends it.
func (w *World) Break(down bool) { w.wooDown.Store(down) }

// Sell sells a unit of each product, and waits until the shops that work show it.
func (w *World) Sell(ctx context.Context, within time.Duration) error {
	for _, id := range w.IDs {
		w.ECOSIRE.Sell(id, 1)
		if err := w.Syncer.Notify(ctx, id); err != nil {
			return err
		}
	}
	return w.Until(ctx, within, func(h syncer.Health) bool {
		for _, c := range h.Channels {
			if c.Tasks > 1 && c.Paused == nil && c.DownSince.IsZero() {
				return false
			}
		}
		return true
	})
}

// Until waits until the Syncer is as it should be.
func (w *World) Until(ctx context.Context, within time.Duration, so func(syncer.Health) bool) error {
	for end := time.Now().Add(within); time.Now().Before(end); {
		if h, err := w.Syncer.Health(ctx); err == nil && so(h) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the world is not as it should be within %v", within)
}

// BadImport has the source say that n products are sold out, and a
// reconciliation, of which the guards hold what that would do.
func (w *World) BadImport(ctx context.Context, products int) error {
	if _, err := w.Syncer.Reconcile(ctx); err != nil {
		return err
	}
	for _, id := range w.IDs[:products] {
		w.ECOSIRE.Set(id, 0, 0)
	}
	_, _ = w.Syncer.Reconcile(ctx) // it ends in an error: that is what it is for
	return w.Until(ctx, 10*time.Second, func(h syncer.Health) bool { return h.Channels[0].Held == products })
}
