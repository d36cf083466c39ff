package ecosire_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

// Read what may be sold of two products. A service of yours has no HTTPClient
// here: the example talks to an ECOSIRE in memory.
func ExampleClient_Stock() {
	fake := ecosiretest.New(ecosiretest.Config{})
	ids := fake.Add(
		ecosiretest.Product{SKU: "WGT-PRO-001", OnHand: 142, Reserved: 30},
		ecosiretest.Product{SKU: "WGT-PRO-002", OnHand: 7, Reserved: 9},
	)

	client, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: fake.Client()})
	if err != nil {
		log.Fatal(err)
	}
	for stock, err := range client.Stock(context.Background(), ids...) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(stock.SKU, stock.Available)
	}
	// Unordered output:
	// WGT-PRO-001 112
	// WGT-PRO-002 -2
}

// The stock of single warehouses is read where it is asked for.
func ExampleClient_Stock_warehouses() {
	fake := ecosiretest.New(ecosiretest.Config{Warehouses: []string{"berlin", "hamburg", "koeln"}})
	id := fake.Add(ecosiretest.Product{SKU: "TEA-GREEN", At: map[string]ecosiretest.Units{
		"berlin": {OnHand: 5, Reserved: 1}, "koeln": {OnHand: 7},
	}})[0]
	client, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: fake.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := channel.WithWarehouses(context.Background(), true, "berlin", "hamburg")
	for stock, err := range client.Stock(ctx, id) {
		if err != nil {
			fmt.Println(err)
			return
		}
		north, err := stock.In("berlin", "hamburg")
		fmt.Println(stock.SKU, stock.Available, north.Available, err)
		_, err = stock.In("koeln")
		fmt.Println(err)
	}
	// Output:
	// TEA-GREEN 11 4 <nil>
	// the stock in warehouse "koeln" was not read: unavailable
}
