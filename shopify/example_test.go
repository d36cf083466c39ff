package shopify_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// Read, compare, write: what a syncer does with a channel.
func Example() {
	shop := shopifytest.New(shopifytest.Config{Shop: "acme", Token: "shpat_test"})
	shop.Add(shopifytest.Item{SKU: "MUG-RED", Available: 5}, shopifytest.Item{SKU: "GIFT-CARD", Untracked: true})

	client, err := shopify.New(shopify.Config{
		Shop:       "acme",
		Token:      shopify.StaticToken("shpat_test"),
		HTTPClient: shop.Client(), // not in production
	})
	if err != nil {
		log.Fatal(err)
	}
	store, err := client.Channel(shopify.ChannelConfig{LocationID: "1"})
	if err != nil {
		log.Fatal(err)
	}

	ctx := channel.WithRun(context.Background(), "nightly")
	levels, err := store.Levels(ctx, []string{"MUG-RED", "GIFT-CARD", "mug-red"})
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range levels {
		fmt.Println(l.SKU, l.Quantity, l.Err != nil)
	}

	err = store.Push(ctx, []channel.Update{{SKU: "MUG-RED", Quantity: 3, Seen: &levels[0]}})
	fmt.Println("pushed:", err)
	change := shop.History()[0]
	fmt.Println(change.From, "to", change.To, "by", change.ReferenceDocumentURI)

	// What was seen is not there any more.
	err = store.Push(ctx, []channel.Update{{SKU: "MUG-RED", Quantity: 4, Seen: &levels[0]}})
	fmt.Println("conflict:", errors.Is(err, channel.ErrConflict))
	// Output:
	// MUG-RED 5 false
	// GIFT-CARD 0 true
	// mug-red 0 true
	// pushed: <nil>
	// 5 to 3 by gid://stocksync/SyncRun/nightly
	// conflict: true
}

// Anything else that the API offers goes through Query, with the same pacing
// and the same errors.
func ExampleClient_Query() {
	shop := shopifytest.New(shopifytest.Config{Shop: "acme"})
	client, err := shopify.New(shopify.Config{Shop: "acme", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client()})
	if err != nil {
		log.Fatal(err)
	}
	var data struct {
		Locations struct {
			Nodes []struct{ ID string }
		}
	}
	err = client.Query(context.Background(), `query Locations($first: Int!) { locations(first: $first) { nodes { id } } }`,
		map[string]any{"first": 10}, &data)
	fmt.Println(data.Locations.Nodes, err)
	// Output: [{gid://shopify/Location/1}] <nil>
}

// A sale in the shop is noticed by its webhook: the receiver says which SKU to
// look at.
func ExampleChannel_Webhooks() {
	shop := shopifytest.New(shopifytest.Config{Shop: "acme", ClientSecret: "app-secret"})
	shop.Add(shopifytest.Item{SKU: "MUG-RED", Available: 5})
	client, err := shopify.New(shopify.Config{Shop: "acme", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client()})
	if err != nil {
		log.Fatal(err)
	}
	store, err := client.Channel(shopify.ChannelConfig{LocationID: "1"})
	if err != nil {
		log.Fatal(err)
	}
	hooks, err := store.Webhooks("app-secret", "the one before it")
	if err != nil {
		log.Fatal(err)
	}

	header, body := shop.Delivery("MUG-RED")
	event, err := hooks.Receive(context.Background(), header, body)
	fmt.Println(event.Type, event.SKUs, err)

	header.Set("X-Shopify-Hmac-Sha256", shopify.SignWebhook("guessed", body))
	_, err = hooks.Receive(context.Background(), header, body)
	fmt.Println(errors.Is(err, channel.ErrUnauthorized))
	// Output:
	// inventory_levels/update [MUG-RED] <nil>
	// true
}
