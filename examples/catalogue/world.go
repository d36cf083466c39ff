package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// A world is an ECOSIRE with three warehouses, and two shops.
type world struct {
	ecosire   *ecosiretest.Server
	shopify   *shopifytest.Server
	woo       *woocommercetest.Server
	ids       map[string]string // of ECOSIRE's products, by SKU
	locations map[string]string // of the Shopify shop, by warehouse
	items     map[string]int    // of WooCommerce, by SKU
	draft     int               // a copy that nobody can buy
}

// wanted is what the shops are to show, counted by hand:
//
//	available  Berlin  Hamburg  Köln
//	MUG            18        7     4
//	TEA             9        2     –
//	HONEY           5        –     9
//	POSTER         -1        6     1
var wanted = map[string]map[string]int{
	"shopify:berlin":  {"MUG": 18, "TEA": 9, "HONEY": 5, "POSTER": 0},
	"shopify:hamburg": {"MUG": 7, "TEA": 2, "HONEY": 0, "POSTER": 6},
	"shopify:koeln":   {"MUG": 3, "TEA": 0, "HONEY": 8, "POSTER": 0}, // less one
	"woocommerce": { // Berlin and Hamburg, less two
		"EU-MUG": 23, "EU-TEA": 9, "EU-HONEY": 3, "EU-POSTER": 3,
		"EU-MUG-6":     3, // of 23
		"EU-BREAKFAST": 9, // of 23 mugs, two each, and 9 units of tea
		"EU-GIFT":      3, // of 9 units of tea and 3 of honey
		"EU-VASE":      0, // retired
		"VOUCHER-50":   100,
	},
}

// afterwards is what the shops are to show when five units of tea have left Berlin.
func afterwards() map[string]map[string]int {
	all := make(map[string]map[string]int)
	for name, skus := range wanted {
		all[name] = maps.Clone(skus)
	}
	all["shopify:berlin"]["TEA"] = 4
	maps.Copy(all["woocommerce"], map[string]int{"EU-TEA": 4, "EU-BREAKFAST": 4, "EU-GIFT": 3})
	return all
}

func newWorld() *world {
	w := &world{
		ecosire:   ecosiretest.New(ecosiretest.Config{Warehouses: []string{"berlin", "hamburg", "koeln"}}),
		shopify:   shopifytest.New(shopifytest.Config{}),
		woo:       woocommercetest.New(woocommercetest.Config{}),
		ids:       make(map[string]string),
		locations: make(map[string]string),
		items:     make(map[string]int),
	}
	type at = map[string]ecosiretest.Units
	for _, p := range []ecosiretest.Product{
		{SKU: "MUG", Name: "Mug, glazed", At: at{"berlin": {OnHand: 20, Reserved: 2}, "hamburg": {OnHand: 7}, "koeln": {OnHand: 4}}},
		{SKU: "TEA", Name: "Green tea, 100 g", At: at{"berlin": {OnHand: 9}, "hamburg": {OnHand: 3, Reserved: 1}}},
		{SKU: "HONEY", Name: "Lime honey", At: at{"berlin": {OnHand: 5}, "koeln": {OnHand: 12, Reserved: 3}}},
		{SKU: "POSTER", Name: "Poster, A2", At: at{"berlin": {OnHand: 2, Reserved: 3}, "hamburg": {OnHand: 6}, "koeln": {OnHand: 1}}},
	} {
		w.ids[p.SKU] = w.ecosire.Add(p)[0]
	}

	// The shops have drifted by a unit here and there.
	for i, city := range []string{"berlin", "hamburg", "koeln"} {
		location := w.shopify.Location()
		if i > 0 {
			location = w.shopify.AddLocation(int64(i + 1))
		}
		w.locations[city] = location
		for _, sku := range slices.Sorted(maps.Keys(w.ids)) {
			shown := wanted["shopify:"+city][sku]
			if sku == "MUG" || sku == "POSTER" && city == "berlin" {
				shown++
			}
			if i == 0 {
				w.shopify.Add(shopifytest.Item{SKU: sku, Available: shown})
			} else {
				w.shopify.StockAt(location, sku, shown)
			}
		}
	}
	for sku, n := range wanted["woocommerce"] {
		if strings.HasPrefix(sku, "EU-MUG") || sku == "EU-GIFT" {
			n++
		}
		if sku == "EU-VASE" {
			n = 4
		}
		w.items[sku] = w.woo.Add(woocommercetest.Product{SKU: sku, Quantity: n})[0]
	}
	w.draft = w.woo.Add(woocommercetest.Product{SKU: "EU-TEA", Status: "draft", Quantity: 77})[0]
	return w
}

// shows is what a shop itself says.
func (w *world) shows(name, sku string) (int, bool) {
	if city, ok := strings.CutPrefix(name, "shopify:"); ok {
		return w.shopify.AvailableAt(w.locations[city], sku)
	}
	p, ok := w.woo.Product(w.items[sku])
	return p.Quantity, ok
}

// check looks into the shops, and says what is not as it should be.
func (w *world) check(out io.Writer, want map[string]map[string]int) error {
	var wrong []string
	n := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		for _, sku := range slices.Sorted(maps.Keys(want[name])) {
			n++
			if got, ok := w.shows(name, sku); !ok || got != want[name][sku] {
				wrong = append(wrong, fmt.Sprintf("%s shows %d of %s, and not %d", name, got, sku, want[name][sku]))
			}
		}
	}
	if draft, _ := w.woo.Product(w.draft); draft.Quantity != 77 {
		wrong = append(wrong, fmt.Sprintf("the draft of EU-TEA was given %d units", draft.Quantity))
	}
	if wrong != nil {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	fmt.Fprintf(out, "Checked in the shops themselves: all %d listings are right, and the draft was left alone.\n", n)
	return nil
}
