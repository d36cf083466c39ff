package channeltest_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A server does its work, and the answer is lost on its way back.
func ExampleWire() {
	done := 0
	wire := channeltest.NewWire(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { done++ }))
	wire.Inject(channeltest.Fault{Match: channeltest.On("POST", "/stock"), Apply: true, Cut: true})

	_, err := wire.Client().Post("https://shop.example/stock", "application/json", nil)
	fmt.Println(err != nil, done)
	_, err = wire.Client().Post("https://shop.example/stock", "application/json", nil)
	fmt.Println(err != nil, done, len(wire.Requests()))
	// Output:
	// true 1
	// false 2 2
}

// A channel that sells one between reading and writing.
func ExampleIntercept() {
	shop := channeltest.NewMemory("shop")
	shop.Set("MUG", 5)
	c := &channeltest.Intercept{Channel: shop, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		shop.Set("MUG", 4)
		return next.Push(ctx, updates)
	}}
	fmt.Println(c.Push(context.Background(), []channel.Update{{SKU: "MUG", Quantity: 9, Seen: &channel.Level{SKU: "MUG", Quantity: 5}}}))
	// Output: 1 not shown; "MUG": changed since it was read: "MUG" shows 4, not 5
}
