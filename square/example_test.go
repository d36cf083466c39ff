package square_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
)

// Read, compare, write: what a syncer does with a channel.
func Example() {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "MUG-RED", Quantity: 5}, squaretest.Variation{SKU: "GIFT-WRAP", Untracked: true})

	client, err := square.New(square.Config{
		Token:      square.StaticToken("EAAAtest"),
		HTTPClient: till.Client(), // not in production
	})
	if err != nil {
		log.Fatal(err)
	}
	shelf, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN", BookingLag: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}

	ctx := channel.WithRun(context.Background(), "nightly")
	levels, err := shelf.Levels(ctx, []string{"MUG-RED", "GIFT-WRAP", "mug-red"})
	if err != nil {
		log.Fatal(err)
	}
	for _, l := range levels {
		fmt.Printf("%s %d %q\n", l.SKU, l.Quantity, channel.Class(l.Err))
	}

	// The source says 9, and does not know yet of what the till has just sold.
	till.Sell("MUG-RED", 2)
	err = shelf.Push(ctx, []channel.Update{{SKU: "MUG-RED", Quantity: 9, AsOf: time.Now()}})
	n, _ := till.Quantity("MUG-RED")
	fmt.Println("pushed:", err, "and the till shows", n)

	// Somebody counted more.
	till.Set("MUG-RED", 12)
	err = shelf.Push(ctx, []channel.Update{{SKU: "MUG-RED", Quantity: 9, AsOf: time.Now()}})
	fmt.Println("outdated:", errors.Is(err, channel.ErrNotApplied))
	// Output:
	// mug-red 0 "unknown_sku"
	// MUG-RED 5 ""
	// GIFT-WRAP 0 "not_tracked"
	// pushed: <nil> and the till shows 7
	// outdated: true
}

// Anything else that the API offers goes through Do, with the same pacing and
// the same errors.
func ExampleClient_Do() {
	till := squaretest.New(squaretest.Config{})
	client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client()})
	if err != nil {
		log.Fatal(err)
	}
	var answer struct {
		Locations []struct{ ID, Status string }
	}
	err = client.Do(context.Background(), http.MethodGet, "/v2/locations", nil, nil, &answer)
	fmt.Println(answer.Locations, err)
	// Output: [{LMAIN ACTIVE}] <nil>
}

// What a subscription to inventory.count.updated delivers.
func ExampleWebhooks() {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "MUG-RED", Quantity: 5})
	client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client()})
	if err != nil {
		log.Fatal(err)
	}
	shelf, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN"})
	if err != nil {
		log.Fatal(err)
	}
	const address = "https://host.example/hooks/square"
	hooks, err := shelf.Webhooks(address, "signature key")
	if err != nil {
		log.Fatal(err)
	}
	header, body := till.Delivery(address, "signature key", "MUG-RED")
	event, err := hooks.Receive(context.Background(), header, body)
	fmt.Println(event.Type, event.SKUs, err)

	_, err = hooks.Receive(context.Background(), header, append(body, ' '))
	fmt.Println(errors.Is(err, channel.ErrUnauthorized))
	// Output:
	// inventory.count.updated [MUG-RED] <nil>
	// true
}
