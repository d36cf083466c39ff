package syncer_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
)

// A shop's own webhook tells of a sale: the unit is off the other channels at once,
// although the source has not booked the order.
func ExampleSyncer_ChannelHandler() {
	ctx, stop := context.WithCancel(context.Background())
	shop := shopifytest.New(shopifytest.Config{Shop: "acme"}) // a Shopify in memory
	shop.Add(shopifytest.Item{SKU: "SKU-0", Available: 5})
	client, err := shopify.New(shopify.Config{Shop: "acme", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client()})
	check(err)
	store, err := client.Channel(shopify.ChannelConfig{LocationID: "1"})
	check(err)
	hooks, err := store.Webhooks("the app's client secret")
	check(err)
	market := channeltest.NewMemory("market")
	market.Set("SKU-0", 5)

	changes := make(chan syncer.Change)
	s, err := syncer.New(syncer.Config{
		Source:  newStock(5),
		Targets: []syncer.Target{{Channel: store, Webhooks: hooks}, {Channel: market}},
		Hooks:   syncer.Hooks{Changed: func(_ context.Context, _ string, c syncer.Change) { changes <- c }},
	})
	check(err)
	handler, err := s.ChannelHandler("shopify:acme") // mux.Handle("POST /webhooks/shopify", handler)
	check(err)
	_, err = s.SyncProducts(ctx, "p0") // from here on it is known what the shop shows
	check(err)
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()

	shop.Sell("SKU-0", 2)
	header, body := shop.Delivery("SKU-0")
	header.Set("X-Shopify-Hmac-Sha256", shopify.SignWebhook("the app's client secret", body))
	delivery := httptest.NewRequest("POST", "/webhooks/shopify", bytes.NewReader(body))
	delivery.Header = header
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, delivery)
	fmt.Println("answered", answer.Code)
	fmt.Println("the market shows", (<-changes).Wanted)

	stop()
	check(<-done)
	// Output:
	// answered 202
	// the market shows 3
}
