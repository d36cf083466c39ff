package stocksync_test

import (
	"context"
	"fmt"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// Without the environment: every client is built by hand, with all its options.
// A service of yours has no HTTPClient here: the example talks to services in
// memory.
func Example_byHand() {
	erp := ecosiretest.New(ecosiretest.Config{})
	products := erp.Add(ecosiretest.Product{SKU: "MUG-RED", OnHand: 12, Reserved: 2})
	shopifyShop := shopifytest.New(shopifytest.Config{})
	shopifyShop.Add(shopifytest.Item{SKU: "MUG-RED", Available: 12})
	wooShop := woocommercetest.New(woocommercetest.Config{})
	wooShop.Add(woocommercetest.Product{SKU: "MUG-RED", Quantity: 3})

	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	check(err)
	shop, err := shopify.New(shopify.Config{
		Shop: "test-shop", Token: shopify.ClientCredentials("client-id", "client-secret"), HTTPClient: shopifyShop.Client(),
	})
	check(err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: shopifyShop.Location()})
	check(err)
	site, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: wooShop.Client(),
	})
	check(err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	check(err)

	s, err := syncer.New(syncer.Config{
		Source:  source,
		Targets: []syncer.Target{{Channel: location}, {Channel: store, Policy: syncer.Available().Buffer(1)}},
	})
	check(err)
	report, err := s.SyncProducts(context.Background(), products...)
	check(err)
	for _, c := range report.Channels {
		for _, change := range c.Changes {
			fmt.Println(c.Channel, change.SKU, *change.Shown, "→", change.Wanted)
		}
	}
	// Output:
	// shopify:test-shop MUG-RED 12 → 10
	// woocommerce:shop.example MUG-RED 3 → 9
}
