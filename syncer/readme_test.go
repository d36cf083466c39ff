package syncer_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce"
)

// The code blocks of README.md, which a test compares with these. They are
// compiled and not run: they would call real services. The examples of this
// package and examples/quickstart run the same on fakes.
var _ = []any{twentyLines, byItself}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func twentyLines(ctx context.Context) {
	source, err := ecosire.New(ecosire.Config{APIKey: os.Getenv("ECOSIRE_API_KEY")})
	check(err)
	shop, err := shopify.New(shopify.Config{Shop: "acme", Token: shopify.StaticToken(os.Getenv("SHOPIFY_ACCESS_TOKEN"))})
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

func byItself(ctx context.Context, mux *http.ServeMux, source channel.Source, targets []syncer.Target) error {
	queue, err := boltqueue.Open("stocksync.db") // what was acknowledged survives a crash
	check(err)
	defer queue.Close()
	webhooks, err := ecosire.NewWebhooks(os.Getenv("ECOSIRE_WEBHOOK_SECRET"))
	check(err)
	s, err := syncer.New(syncer.Config{Source: source, Targets: targets, Queue: queue, Webhooks: webhooks})
	check(err)
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	go func() { check(s.Run(ctx)) }() // real time, and every day at 02:00 UTC the whole catalogue
	err = s.Notify(ctx, "018e…")      // what ECOSIRE sends no event for: adjustments, transfers, returns
	return err
}
