// Quickstart does the main job: it makes two shops show what ECOSIRE says may
// be sold, and prints a report.
//
//	go run ./examples/quickstart
//
// By itself it talks to an ECOSIRE, a Shopify shop and a WooCommerce shop that
// live in this process. With ECOSIRE_API_KEY set it talks to the real ones
// instead, for the product ids given as arguments, or the whole catalogue; the
// other variables are listed in examples/internal/live.
//
// It exits with 0 only when every channel shows what it should of the products
// that it has.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/examples/internal/live"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := demo
	if live.Configured() {
		run = real
	}
	if err := run(ctx, os.Args[1:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// demo is what a service of yours would do, but for the clients' HTTPClient,
// which leads to the fakes.
func demo(ctx context.Context, _ ...string) error {
	w := newWorld()
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
	s, err := syncer.New(syncer.Config{
		Source:  source,
		Targets: []syncer.Target{{Channel: location}, {Channel: store}},
	})
	if err != nil {
		return err
	}

	fmt.Printf("%d products in ECOSIRE; the shops show old figures.\n\n", len(w.products))
	report, err := s.SyncProducts(ctx, w.products...)
	if err != nil {
		return err
	}
	fmt.Println(report)
	w.requests()

	fmt.Println("\nAn order for 3 mugs is confirmed in ECOSIRE, and 2 shirts come back:")
	w.ecosire.Sell(w.mug, 3)
	w.ecosire.Return(w.shirt, 2)
	report, err = s.SyncProducts(ctx, w.mug, w.shirt)
	if err != nil {
		return err
	}
	for _, c := range report.Channels {
		for _, change := range c.Changes {
			fmt.Printf("  %s: %s %d → %d\n", c.Channel, change.SKU, *change.Shown, change.Wanted)
		}
	}
	w.requests()
	if err := report.Err(); err != nil {
		return err
	}
	return w.verify()
}

// real does the same with the services that the environment names.
func real(ctx context.Context, productIDs ...string) error {
	services, err := live.Load(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	cfg := syncer.Config{Source: services.ECOSIRE}
	for _, c := range services.Channels {
		// A first sync may rightly change everything, so no guard holds it up.
		// examples/reconcile has one, and shows its plan first.
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c, Guard: syncer.Guard{Zeroed: -1, Units: -1}})
	}
	s, err := syncer.New(cfg)
	if err != nil {
		return err
	}
	sync := func() (*syncer.Report, error) {
		if len(productIDs) == 0 {
			return s.Reconcile(ctx)
		}
		return s.SyncProducts(ctx, productIDs...)
	}
	report, err := sync()
	fmt.Println(report)
	if err != nil {
		return err
	}
	if err := report.Err(); err != nil {
		return err
	}
	// What was written is true only when the shops show it: look again.
	again, err := sync()
	if err != nil {
		return err
	}
	for _, c := range again.Channels {
		if c.Updated > 0 {
			return fmt.Errorf("%s did not keep %d figures, or they changed meanwhile:\n%v", c.Channel, c.Updated, again)
		}
		fmt.Printf("%s shows ECOSIRE's figures: %d looked at again, nothing to write.\n", c.Channel, c.Checked)
	}
	return again.Err()
}

// A world is a merchant with a few hundred products and two shops.
type world struct {
	ecosire    *ecosiretest.Server
	shopify    *shopifytest.Server
	woo        *woocommercetest.Server
	products   []string // product ids
	mug, shirt string
}

func newWorld() *world {
	w := &world{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
	}
	// Simple products, whose shops' figures are wrong in various ways.
	for i := range 240 {
		w.add(fmt.Sprintf("MUG-%03d", i), i%17, 0)
	}
	// Variations.
	for i := range 12 {
		parent := w.woo.Add(woocommercetest.Product{Type: "variable", SKU: fmt.Sprintf("SHIRT-%02d", i), Stock: woocommercetest.Unmanaged})[0]
		for _, size := range []string{"S", "M", "L", "XL"} {
			w.add(fmt.Sprintf("SHIRT-%02d-%s", i, size), 3+i, parent)
		}
	}
	// SKUs that are legal, and that a hasty lookup gets wrong.
	for _, sku := range []string{"TEA,GREEN", `19" RACK`, "O'RING 3/4", "R&D+1", "ÄÖ-日本-1", "00123", "123", "50% OFF"} {
		w.add(sku, 5, 0)
	}
	// In one shop only; in no shop; and almost: a slip of the pen.
	w.products = append(w.products, w.ecosire.Add(ecosiretest.Product{SKU: "POSTER-1", OnHand: 4}, ecosiretest.Product{SKU: "SERVICE-1", OnHand: 1},
		ecosiretest.Product{SKU: "CAP-RED", OnHand: 9})...)
	w.shopify.Add(shopifytest.Item{SKU: "POSTER-1", Available: 1}, shopifytest.Item{SKU: "Cap-Red", Available: 1})
	w.woo.Add(woocommercetest.Product{SKU: "cap-red", Quantity: 1})
	w.mug, w.shirt = w.products[42], w.products[243]
	return w
}

// add puts a product into ECOSIRE and into both shops, as a variation if it
// has a parent in WooCommerce.
func (w *world) add(sku string, onHand, parent int) {
	w.products = append(w.products, w.ecosire.Add(ecosiretest.Product{SKU: sku, OnHand: onHand, Reserved: onHand / 5})...)
	w.shopify.Add(shopifytest.Item{SKU: sku, Available: onHand + len(sku)%2})
	p := woocommercetest.Product{SKU: sku, Quantity: onHand + 1}
	if parent != 0 {
		p.Type, p.ParentID = "variation", parent
	}
	w.woo.Add(p)
}

// verify compares the shops themselves with ECOSIRE itself.
func (w *world) verify() error {
	for _, shop := range []struct {
		name  string
		shows func(sku string) (int, bool)
	}{{"Shopify", w.shopify.Available}, {"WooCommerce", w.woo.Quantity}} {
		right := 0
		for _, p := range w.ecosire.Products() {
			n, ok := shop.shows(p.SKU)
			if !ok {
				continue // the shop does not have it
			}
			if want := max(0, p.OnHand-p.Reserved); n != want {
				return fmt.Errorf("%s shows %d of %q, and ECOSIRE has %d: %w", shop.name, n, p.SKU, want, channel.ErrNotApplied)
			}
			right++
		}
		fmt.Printf("%s shows ECOSIRE's figure for all %d products that it has.\n", shop.name, right)
	}
	return nil
}

// requests prints what the last step cost.
func (w *world) requests() {
	fmt.Printf("Requests: %d to ECOSIRE, %d to Shopify, %d to WooCommerce.\n",
		len(w.ecosire.Requests()), len(w.shopify.Requests()), len(w.woo.Requests()))
	w.ecosire.Forget()
	w.shopify.Forget()
	w.woo.Forget()
}
