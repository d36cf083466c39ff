// Catalogue shows how a catalogue becomes what channels show, where it is not one
// warehouse, one name and one listing of each product: three warehouses, a Shopify
// shop with a location for each, and a WooCommerce shop that adds a prefix to every
// SKU, sells packs and kits, has a copy of a product and one product that is
// no longer made.
//
//	go run ./examples/catalogue
//
// All services live in this process. It prints what each channel shows of each
// product and why, then looks into the shops themselves. The exit code is 0 if
// everything is as it should be, and 1 if not.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, newWorld(), os.Stdout)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, w *world, out io.Writer) int {
	if err := play(ctx, w, out); err != nil {
		fmt.Fprintln(out, "WRONG:", err)
		return 1
	}
	return 0
}

// targets are what this example is about.
func targets(w *world) ([]syncer.Target, error) {
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: w.shopify.Client()})
	if err != nil {
		return nil, err
	}
	var all []syncer.Target
	// Each location of the shop shows what is in its warehouse. Köln keeps one
	// unit for who comes by.
	for _, city := range []string{"berlin", "hamburg", "koeln"} {
		location, err := shop.Channel(shopify.ChannelConfig{Name: "shopify:" + city, LocationID: w.locations[city]})
		if err != nil {
			return nil, err
		}
		policy := syncer.In(city)
		if city == "koeln" {
			policy = policy.Buffer(1)
		}
		all = append(all, syncer.Target{Channel: location, Policy: policy})
	}
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test",
		HTTPClient: w.woo.Client()})
	if err != nil {
		return nil, err
	}
	// Of several items with one SKU the one that is published counts.
	store, err := site.Channel(woocommerce.ChannelConfig{Name: "woocommerce", Duplicates: channel.DuplicatesForSale})
	if err != nil {
		return nil, err
	}
	return append(all, syncer.Target{
		Channel: store,
		// The web shop ships from two of the three warehouses.
		Policy: syncer.In("berlin", "hamburg").Buffer(2),
		// Its SKUs have a prefix. Mugs are sold by six, too.
		Listings: func(s channel.Stock) []syncer.Listing {
			listings := []syncer.Listing{{SKU: "EU-" + s.SKU}}
			if s.SKU == "MUG" {
				listings = append(listings, syncer.Pack("EU-MUG-6", s, 6))
			}
			return listings
		},
		Kits: func() []syncer.Listing {
			mug, tea, honey := w.ids["MUG"], w.ids["TEA"], w.ids["HONEY"]
			return []syncer.Listing{
				{SKU: "EU-BREAKFAST", Parts: []syncer.Part{{ProductID: mug, Units: 2}, {ProductID: tea, Units: 1}}},
				{SKU: "EU-GIFT", Parts: []syncer.Part{{ProductID: tea, Units: 1}, {ProductID: honey, Units: 1}}},
			}
		},
		// What has the prefix is ECOSIRE's. The voucher is not.
		Retire: func(sku string) bool { return strings.HasPrefix(sku, "EU-") },
	}), nil
}

func play(ctx context.Context, w *world, out io.Writer) error {
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: w.ecosire.Client()})
	if err != nil {
		return err
	}
	all, err := targets(w)
	if err != nil {
		return err
	}
	s, err := syncer.New(syncer.Config{Source: source, Targets: all})
	if err != nil {
		return err
	}

	fmt.Fprintln(out, "What would be written:")
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, plan)

	report, err := s.Reconcile(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Written. It took %d requests to ECOSIRE: the catalogue and the parts of kits, for all warehouses together and for each.\n%s\n", report.Requests[""], report)

	fmt.Fprintln(out, "What each channel shows, and why:")
	for _, sku := range []string{"MUG", "TEA", "HONEY", "POSTER"} {
		why, err := s.Explain(ctx, syncer.Question{ProductID: w.ids[sku]})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, why)
	}
	if err := w.check(out, wanted); err != nil {
		return err
	}

	// A part of two kits is sold in Berlin: one mark moves all five listings.
	w.ecosire.SetAt(w.ids["TEA"], "berlin", 4, 0)
	if _, err := s.SyncProducts(ctx, w.ids["TEA"]); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nFive units of tea leave Berlin:")
	if err := w.check(out, afterwards()); err != nil {
		return err
	}

	report, err = s.SyncProducts(ctx, slices.Collect(maps.Values(w.ids))...)
	if err != nil {
		return err
	}
	for _, c := range report.Channels {
		if c.Updated != 0 {
			return fmt.Errorf("a second look wrote %d times on %s", c.Updated, c.Channel)
		}
	}
	fmt.Fprintln(out, "\nA second look at all products had nothing to write.")
	return nil
}
