package syncer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// Somebody asks why the shop shows 7.
func ExampleSyncer_Explain() {
	source := newStock(9)
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 5)
	s, err := syncer.New(syncer.Config{
		Source:  source,
		Targets: []syncer.Target{{Channel: shop, Policy: syncer.Available().Buffer(2)}},
		Journal: 7 * 24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := s.Reconcile(ctx); err != nil {
		panic(err)
	}

	x, err := s.Explain(ctx, syncer.Question{SKU: "SKU-0"})
	if err != nil {
		panic(err)
	}
	for _, c := range x.Channels { // fmt.Print(x) prints all of it
		for _, l := range c.Listings {
			fmt.Printf("%s shows %d of %s, and should show %d:\n", c.Channel, *l.Shows, l.SKU, *l.Wanted)
			for _, step := range l.Steps {
				fmt.Printf("  %s → %d\n", step.Name, step.Quantity)
			}
		}
		for _, e := range c.History {
			fmt.Printf("%s: %d → %d\n", e.Kind, *e.Shown, e.Wanted)
		}
	}
	// Output:
	// shop shows 7 of SKU-0, and should show 7:
	//   available → 9
	//   buffer 2 → 7
	// wrote: 5 → 7
}
