package syncer_test

import (
	"context"
	"fmt"
	"os"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// Before the first write: what does the shop have of what the source has?
func ExampleSyncer_Coverage() {
	source := newStock()
	source.put("p1", "MUG-1", 5)
	source.put("p2", "Mug-2", 5)
	source.put("p3", "MUG-3", 5)
	shop := channeltest.NewMemory("shop")
	shop.Add(channel.Level{SKU: "MUG-1", Quantity: 9}, channel.Level{SKU: "MUG_2", Quantity: 9}, channel.Level{SKU: "GIFT", Quantity: 1})

	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shop}}})
	if err != nil {
		panic(err)
	}
	c, err := s.Coverage(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Channels[0].Matched, "of", c.Channels[0].Listings, "match")
	_ = c.WriteCSV(os.Stdout) // for whoever mends the shop
	// Output:
	// 1 of 3 match
	// channel,what,SKU,nearly,differs in,product,product SKU,name,why,what to do
	// shop,near miss,Mug-2,MUG_2,"case, dashes",p2,,,,"give both the same SKU, letter by letter"
	// shop,in the source only,MUG-3,,,p3,,,,"give the channel's item this SKU, or leave the product out"
	// shop,in the shop only,GIFT,,,,,,,"nothing, if the source is not to manage it; otherwise make a product with this SKU"
}
