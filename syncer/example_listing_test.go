package syncer_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A shop whose SKUs have a prefix, and another one that sells packs of six, too.
func ExampleRenamed() {
	eu, outlet := channeltest.NewMemory("eu"), channeltest.NewMemory("outlet")
	for _, sku := range []string{"EU-SKU-0", "SKU-0", "SKU-0-X6"} {
		eu.Set(sku, 0)
		outlet.Set(sku, 0)
	}
	s, err := syncer.New(syncer.Config{Source: newStock(25), Targets: []syncer.Target{
		{Channel: eu, Listings: syncer.Renamed(func(s channel.Stock) string { return "EU-" + s.SKU })},
		{Channel: outlet, Listings: func(s channel.Stock) []syncer.Listing {
			return []syncer.Listing{{SKU: s.SKU}, syncer.Pack(s.SKU+"-X6", s, 6)}
		}},
	}})
	check(err)
	report, err := s.SyncProducts(context.Background(), "p0")
	check(err)
	for _, c := range report.Channels {
		for _, change := range c.Changes {
			fmt.Println(c.Channel, "shows", change.Wanted, "of", change.SKU)
		}
	}
	// Unordered output:
	// eu shows 25 of EU-SKU-0
	// outlet shows 25 of SKU-0
	// outlet shows 4 of SKU-0-X6
}

// Three channels share what two warehouses have. A policy of the host's own follows.
func ExamplePolicy_Split() {
	shares := syncer.In("berlin", "hamburg").Split(50, 30, 20)
	shares[2] = shares[2].Then("no loose tea", func(s channel.Stock, before int) (int, error) {
		if strings.HasPrefix(s.SKU, "TEA-") {
			return 0, nil
		}
		return before, nil
	})
	tea := channel.Stock{SKU: "TEA-1", Warehouses: map[string]channel.Quantity{"berlin": {Available: 7}, "hamburg": {Available: 4}}}
	for _, share := range shares {
		n, err := share.Quantity(tea)
		fmt.Println(n, err)
	}
	// Output:
	// 6 <nil>
	// 3 <nil>
	// 0 <nil>
}
