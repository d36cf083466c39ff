// Minimal is the smallest program of somebody else's: one shop, one call. It
// imports what it needs, and links nothing else.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func main() {
	// Services in memory, where yours are real and HTTPClient is not set.
	erp, shop := ecosiretest.New(ecosiretest.Config{}), woocommercetest.New(woocommercetest.Config{})
	ids := erp.Add(ecosiretest.Product{SKU: "MUG-RED", OnHand: 12, Reserved: 2})
	shop.Add(woocommercetest.Product{SKU: "MUG-RED", Quantity: 3})

	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	check(err)
	site, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: shop.Client(),
	})
	check(err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	check(err)
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: store}}})
	check(err)
	report, err := s.SyncProducts(context.Background(), ids...)
	check(err)
	check(report.Err())

	shown, _ := shop.Quantity("MUG-RED")
	fmt.Println("MUG-RED shows", shown)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
