package syncer_test

import (
	"context"
	"fmt"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A batch is recalled: nobody may buy the product, whatever the source says.
func ExampleSyncer_Pin() {
	ctx := context.Background()
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 9)
	s, err := syncer.New(syncer.Config{Source: newStock(9), Targets: []syncer.Target{{Channel: shop}}})
	if err != nil {
		panic(err)
	}
	show := func() {
		// Where Run runs it has done so within moments.
		if _, err := s.SyncProducts(ctx, "p0"); err != nil {
			panic(err)
		}
		n, _ := shop.Quantity("SKU-0")
		fmt.Println("the shop shows", n)
	}

	err = s.Pin(ctx, syncer.Pin{ProductID: "p0", Quantity: 0, Who: "Ana", Why: "recall of batch 7"})
	if err != nil {
		panic(err)
	}
	show()

	err = s.Unpin(ctx, syncer.Pin{ProductID: "p0", Who: "Ana", Why: "batch 7 is sorted out"})
	if err != nil {
		panic(err)
	}
	show()
	// Output:
	// the shop shows 0
	// the shop shows 9
}
