package syncer_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

// The twenty lines of README.md, which a test compares with these. They are
// compiled and not run: they would call real services. The examples of this
// package and examples/quickstart run the same on fakes.
var _ = twentyLines

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func twentyLines(ctx context.Context) {
	source, err := ecosire.New(ecosire.Config{APIKey: os.Getenv("ECOSIRE_API_KEY")})
	check(err)
	shop, err := shopify.New(shopify.Config{Shop: "acme",
		Token: shopify.ClientCredentials(os.Getenv("SHOPIFY_CLIENT_ID"), os.Getenv("SHOPIFY_CLIENT_SECRET"))})
	check(err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: os.Getenv("SHOPIFY_LOCATION_ID")})
	check(err)
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example",
		ConsumerKey: os.Getenv("WC_CONSUMER_KEY"), ConsumerSecret: os.Getenv("WC_CONSUMER_SECRET")})
	check(err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	check(err)

	s, err := syncer.New(syncer.Config{
		Source:  source,
		Targets: []syncer.Target{{Channel: location}, {Channel: store, Policy: syncer.Available().Buffer(2)}},
	})
	check(err)
	report, err := s.SyncProducts(ctx, "018e5678-abcd-7000-8000-000000000001")
	check(err)
	fmt.Println(report) // what each channel showed, what was written, and what could not be
}
