package syncer_test

import (
	"context"
	"fmt"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// The first weeks: nothing is written, then a few products, then all.
func ExampleTarget_observe() {
	ctx := context.Background()
	source := newStock(9, 4)
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 12) // another program keeps it, more or less
	shop.Set("SKU-1", 4)

	week := func(t syncer.Target) {
		t.Channel = shop
		s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{t}})
		if err != nil {
			panic(err)
		}
		r, err := s.Reconcile(ctx) // and s.Run(ctx)
		if err != nil {
			panic(err)
		}
		c := r.Channels[0]
		fmt.Printf("wrote %d, would have written %d\n", c.Updated, c.Observed)
		for _, o := range c.Observations {
			fmt.Printf("  %s showed %d, and would show %d\n", o.SKU, *o.Shown, o.Wanted)
		}
	}
	week(syncer.Target{Observe: true})
	week(syncer.Target{Observe: true, Pilot: func(s channel.Stock) bool { return s.SKU == "SKU-0" }})
	week(syncer.Target{})
	// Output:
	// wrote 0, would have written 1
	//   SKU-0 showed 12, and would show 9
	// wrote 1, would have written 0
	// wrote 0, would have written 0
}
