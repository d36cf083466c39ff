package squaretest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
)

func Example() {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "MUG-RED", Quantity: 5})

	client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client()})
	if err != nil {
		log.Fatal(err)
	}
	shelf, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN"})
	if err != nil {
		log.Fatal(err)
	}
	till.Sell("MUG-RED", 2)
	levels, err := shelf.Levels(context.Background(), []string{"MUG-RED"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(levels[0].SKU, levels[0].Quantity)
	// Output: MUG-RED 3
}
