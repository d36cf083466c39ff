package ecosire_test

import (
	"context"
	"fmt"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

// ECOSIRE sends no event for an adjustment. OnStockChange tells of those that are
// posted through the client; pass the products on to a Syncer's Notify.
func ExampleConfig_onStockChange() {
	erp := ecosiretest.New(ecosiretest.Config{})
	mug := erp.Add(ecosiretest.Product{SKU: "MUG", OnHand: 10})[0]
	source, err := ecosire.New(ecosire.Config{
		APIKey: "eco_live_test", HTTPClient: erp.Client(),
		OnStockChange: func(ctx context.Context, productIDs ...string) error {
			fmt.Println(len(productIDs), "product has changed") // return s.Notify(ctx, productIDs...)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	err = source.PostAdjustment(context.Background(),
		ecosire.Adjustment{ProductID: mug, LocationID: "LOC-WH01-A1", Quantity: -2, Reason: "broken"})
	if err != nil {
		panic(err)
	}
	// Output:
	// 1 product has changed
}
