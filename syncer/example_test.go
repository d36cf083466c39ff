package syncer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

// A shop is made to show what ECOSIRE says may be sold.
func ExampleSyncer_SyncProducts() {
	// An ECOSIRE and a shop in memory; yours are real.
	erp := ecosiretest.New(ecosiretest.Config{})
	ids := erp.Add(
		ecosiretest.Product{SKU: "MUG", OnHand: 142, Reserved: 30},
		ecosiretest.Product{SKU: "TEA", OnHand: 5, Reserved: 7}, // more is promised than there is
		ecosiretest.Product{SKU: "CAP", OnHand: 9},
	)
	shop := channeltest.NewMemory("shop")
	shop.Set("MUG", 120)
	shop.Set("TEA", 2)

	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	if err != nil {
		panic(err)
	}
	s, err := syncer.New(syncer.Config{
		Source:  source,
		Targets: []syncer.Target{{Channel: shop}},
	})
	if err != nil {
		panic(err)
	}

	report, err := s.SyncProducts(context.Background(), ids...)
	if err != nil {
		panic(err) // something was not done; the report says what
	}
	for _, c := range report.Channels {
		for _, change := range c.Changes {
			fmt.Printf("%s: %s %d → %d\n", c.Channel, change.SKU, *change.Shown, change.Wanted)
		}
		for _, p := range c.Problems {
			fmt.Println(p)
		}
	}
	// Output:
	// shop: TEA 2 → 0
	// shop: MUG 120 → 112
	// shop: unknown SKU "CAP"
}

// A service that receives ECOSIRE's events keeps its shop right within a
// moment, and tells the syncer of what there are no events for.
func ExampleSyncer_WebhookHandler() {
	erp := ecosiretest.New(ecosiretest.Config{})
	mug := erp.Add(ecosiretest.Product{SKU: "MUG", OnHand: 10})[0]
	shop := channeltest.NewMemory("shop")
	shop.Set("MUG", 10)

	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	if err != nil {
		panic(err)
	}
	webhooks, err := ecosire.NewWebhooks("the endpoint's secret")
	if err != nil {
		panic(err)
	}
	changes := make(chan syncer.Change)
	s, err := syncer.New(syncer.Config{
		Source:   source,
		Targets:  []syncer.Target{{Channel: shop}},
		Webhooks: webhooks,
		Hooks: syncer.Hooks{Pushed: func(_ context.Context, p syncer.Pushed) {
			for _, c := range p.Changes {
				changes <- c
			}
		}},
	})
	if err != nil {
		panic(err)
	}

	// Run works until its context is done.
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()

	mux := http.NewServeMux()
	mux.Handle("/webhooks/ecosire", s.WebhookHandler())

	// An order for 3 is confirmed, and ECOSIRE sends an event.
	erp.Sell(mug, 3)
	body := `{"id":"evt_1","event":"checkout.completed","data":{"lineItems":[{"productId":"` + mug + `","quantity":3}]}}`
	event := httptest.NewRequest("POST", "/webhooks/ecosire", strings.NewReader(body))
	event.Header.Set("Content-Type", "application/json")
	event.Header.Set("X-Ecosire-Signature", ecosire.Sign("the endpoint's secret", []byte(body)))
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, event)
	fmt.Println("answered", answer.Code)
	fmt.Println("the shop shows", (<-changes).Wanted)

	// Somebody counts the shelf: there is no event for that.
	erp.Set(mug, 20, 3)
	if err := s.Notify(ctx, mug); err != nil {
		panic(err)
	}
	fmt.Println("the shop shows", (<-changes).Wanted)

	stop()
	fmt.Println("ended:", <-done)
	// Output:
	// answered 202
	// the shop shows 7
	// the shop shows 17
	// ended: <nil>
}

// 80 % of the stock for a marketplace, less two units as safety stock.
func ExamplePolicy() {
	marketplace := syncer.Available().Share(80).Buffer(2)
	for _, available := range []int{12, 2, -3} {
		steps, _ := marketplace.Explain(channel.Stock{Available: available})
		fmt.Println(available, steps)
	}
	// Output:
	// 12 [{available 12} {share 80 % 9} {buffer 2 7}]
	// 2 [{available 2} {share 80 % 1} {buffer 2 0}]
	// -3 [{available 0} {share 80 % 0} {buffer 2 0}]
}
