package till

import (
	"context"
	"fmt"
	"testing"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

func TestConformance(t *testing.T) {
	channeltest.TestChannel(t, func(t *testing.T, levels []channel.Level) channeltest.Subject {
		articles := make(map[string]int)
		for _, l := range levels {
			if _, twice := articles[l.SKU]; twice || l.Unset || l.Err != nil {
				t.Skip("a till has each SKU once, with a quantity")
			}
			articles[l.SKU] = l.Quantity
		}
		till := New(articles)
		return channeltest.Subject{Channel: till, Shown: till.Shows, Set: till.Set}
	})
}

// The adapter under the engine, with the library's ECOSIRE in memory.
func TestSync(t *testing.T) {
	erp := ecosiretest.New(ecosiretest.Config{})
	ids := erp.Add(ecosiretest.Product{SKU: "TEA-1", OnHand: 20, Reserved: 4})
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	if err != nil {
		t.Fatal(err)
	}
	till := New(map[string]int{"TEA-1": 0})
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: till, Policy: syncer.Available().Cap(10)}}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.SyncProducts(t.Context(), ids...)
	if err != nil || report.Err() != nil {
		t.Fatal(err, report)
	}
	if n, _ := till.Shows("TEA-1"); n != 10 {
		t.Errorf("the till shows %d, and should show 10", n)
	}
}

func ExampleTill() {
	till := New(map[string]int{"TEA-1": 3})
	err := till.Push(context.Background(), []channel.Update{{SKU: "TEA-1", Quantity: 5}, {SKU: "TEA-2", Quantity: 1}})
	n, _ := till.Shows("TEA-1")
	fmt.Println(n, err)
	// Output: 5 1 not shown; "TEA-2": unknown SKU "TEA-2"
}
