package syncer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// Hooks tell a host's metrics and records of what happens.
func ExampleHooks() {
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 12)
	s, err := syncer.New(syncer.Config{
		Source:  newStock(9),
		Targets: []syncer.Target{{Channel: shop}},
		Hooks: syncer.Hooks{
			Changed: func(_ context.Context, channel string, c syncer.Change) {
				fmt.Printf("%s: %s %d → %d\n", channel, c.SKU, *c.Shown, c.Wanted)
			},
			Down: func(_ context.Context, channel string, err error) {
				fmt.Println("down:", channel, err)
			},
		},
	})
	if err != nil {
		panic(err)
	}
	if _, err := s.SyncProducts(context.Background(), "p0"); err != nil {
		panic(err)
	}
	// Output:
	// shop: SKU-0 12 → 9
}

// Health asks nobody but the queue, so a probe may call it every second.
func ExampleSyncer_Health() {
	ctx := context.Background()
	s, _ := drifted()
	if err := s.Notify(ctx, "p0", "p1"); err != nil {
		panic(err)
	}
	h, err := s.Health(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("running:", h.Running)
	for _, c := range h.Channels {
		fmt.Println(c.Channel, "has", c.Tasks, "products to look at; down:", !c.DownSince.IsZero())
	}
	// Output:
	// running: false
	// shop has 2 products to look at; down: false
}

// Run reconciles at 03:30 in Berlin.
func ExampleDaily() {
	berlin := time.FixedZone("CET", 3600) // time.LoadLocation("Europe/Berlin") knows the summer, too
	schedule := syncer.Daily(3, 30, berlin)
	s, err := syncer.New(syncer.Config{
		Source:   newStock(9),
		Targets:  []syncer.Target{{Channel: channeltest.NewMemory("shop")}},
		Schedule: schedule,
	})
	if err != nil {
		panic(err)
	}
	_ = s // go s.Run(ctx)
	fmt.Println(schedule.Next(time.Date(2026, 11, 2, 12, 0, 0, 0, berlin)).UTC())
	// Output:
	// 2026-11-03 02:30:00 +0000 UTC
}

// A shop is under maintenance: nothing is asked of it until it is resumed.
func ExampleSyncer_Pause() {
	ctx := context.Background()
	s, shop := drifted()
	show := func() {
		if _, err := s.Reconcile(ctx); err != nil {
			panic(err)
		}
		n, _ := shop.Quantity("SKU-0")
		fmt.Println("SKU-0 shows", n)
	}
	if err := s.Pause(ctx, "shop", "Ana"); err != nil {
		panic(err)
	}
	show()
	if err := s.Resume(ctx, "shop", "Ana"); err != nil {
		panic(err)
	}
	show()
	// Output:
	// SKU-0 shows 12
	// SKU-0 shows 9
}
