package stocksync_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// The first program: it says what two shops show, what they should, and then
// mends it. A program of yours passes stocksync.Config{} to FromEnv and sets the
// variables in its environment; this one talks to a merchant in memory.
func Example() {
	ctx := context.Background()
	services, err := stocksync.FromEnv(merchant())
	check(err)
	fmt.Println(services)

	plan, err := services.Plan(ctx) // reads everything, writes nothing
	check(err)
	for _, l := range plan.Lines {
		fmt.Printf("%s: %s shows %d and should show %d\n", l.Channel, l.SKU, *l.Shown, l.Wanted)
	}

	s, err := services.Writer(syncer.Config{}) // from here on shops are written
	check(err)
	report, err := s.Reconcile(ctx)
	check(err)
	for _, c := range report.Channels {
		fmt.Printf("%s: %d written\n", c.Channel, c.Updated)
	}
	// Output:
	// ECOSIRE at ecosire.example → shopify:acme at acme.myshopify.com, woocommerce:shop.example at shop.example (less 1)
	// shopify:acme: MUG-RED shows 12 and should show 10
	// woocommerce:shop.example: MUG-RED shows 3 and should show 9
	// shopify:acme: 1 written
	// woocommerce:shop.example: 1 written
}

// merchant has twelve mugs, of which two are promised to customers. Both shops
// show another quantity.
func merchant() stocksync.Config {
	erp := ecosiretest.New(ecosiretest.Config{})
	erp.Add(ecosiretest.Product{SKU: "MUG-RED", OnHand: 12, Reserved: 2})
	shop := shopifytest.New(shopifytest.Config{Shop: "acme"})
	shop.Add(shopifytest.Item{SKU: "MUG-RED", Available: 12})
	site := woocommercetest.New(woocommercetest.Config{})
	site.Add(woocommercetest.Product{SKU: "MUG-RED", Quantity: 3})

	env := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api",
		"SHOPIFY_SHOP": "acme", "SHOPIFY_LOCATION_ID": "1", "SHOPIFY_ACCESS_TOKEN": "shpat_test",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
		"WC_BUFFER": "1",
	}
	return stocksync.Config{
		Getenv: func(name string) string { return env[name] },
		HTTPClient: &http.Client{Transport: hosts{
			"ecosire.example": erp, "shop.example": site,
			"acme.myshopify.com": shop, "storage.shopify.test": shop, // where its files are
		}},
	}
}

// hosts is a network of servers in memory.
type hosts map[string]http.RoundTripper

func (h hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	if server := h[req.URL.Host]; server != nil {
		return server.RoundTrip(req)
	}
	return nil, fmt.Errorf("nobody is at %s", req.URL.Host)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
