package syncer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// What happened to a product: the newest entry first.
func ExampleSyncer_Journal() {
	ctx := context.Background()
	source, shop := newStock(9), channeltest.NewMemory("shop")
	shop.Set("SKU-0", 12)
	s, err := syncer.New(syncer.Config{
		Source: source, Targets: []syncer.Target{{Channel: shop}}, Journal: 7 * 24 * time.Hour,
	})
	check(err)
	_, err = s.Reconcile(ctx)
	check(err)
	source.put("p0", "SKU-0", 8)
	_, err = s.SyncProducts(ctx, "p0")
	check(err)

	for e, err := range s.Journal(ctx, "p0") {
		check(err)
		fmt.Printf("%s %s: %d → %d (%s)\n", e.Channel, e.Kind, *e.Shown, e.Wanted, e.Why)
	}
	// Output:
	// shop wrote: 9 → 8 (sync)
	// shop wrote: 12 → 9 (reconcile)
}

// Which products a channel does not show as it should, and why.
func ExampleSyncer_Troubles() {
	ctx, stop := context.WithCancel(context.Background())
	shop := channeltest.NewMemory("shop") // it does not have SKU-0
	given := make(chan bool)
	s, err := syncer.New(syncer.Config{
		Source: newStock(9), Targets: []syncer.Target{{Channel: shop}},
		Hooks: syncer.Hooks{GaveUp: func(context.Context, syncer.Problem) { given <- true }},
	})
	check(err)
	check(s.Notify(ctx, "p0"))
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-given
	stop()
	check(<-done)

	for t, err := range s.Troubles(context.Background()) {
		check(err)
		fmt.Println(t.Channel, t.SKU, channel.Class(t.Err), "given up:", t.GivenUp)
	}
	// Output:
	// shop SKU-0 unknown_sku given up: true
}
