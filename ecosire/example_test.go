package ecosire_test

import (
	"context"
	"fmt"
	"log"

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
