package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// simulated is a merchant of forty mugs with two shops, in the state in which an
// older plugin keeps them. It begins anew with each process.
func simulated(logger *slog.Logger) (*stocksync.Services, error) {
	erp := ecosiretest.New(ecosiretest.Config{})
	shop := shopifytest.New(shopifytest.Config{})
	woo := woocommercetest.New(woocommercetest.Config{})
	for i := range 40 {
		sku := fmt.Sprintf("MUG-%02d", i)
		erp.Add(ecosiretest.Product{SKU: sku, Name: fmt.Sprintf("Mug no. %d", i), OnHand: 10 + i})
		shown, there := 10+i, sku
		switch {
		case i%10 == 3: // the plugin missed a sale
			shown++
		case i == 17: // somebody typed this one
			there = "mug 17"
		case i == 28:
			there = strings.ToLower(sku)
		}
		shop.Add(shopifytest.Item{SKU: there, Available: shown})
		if i != 5 { // which is not sold there
			woo.Add(woocommercetest.Product{SKU: sku, Quantity: shown})
		}
	}
	woo.Add(woocommercetest.Product{SKU: "GIFT-CARD", Quantity: 1})
	env := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api", "ECOSIRE_WEBHOOK_SECRET": "a simulated secret",
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": shop.Location(), "SHOPIFY_ACCESS_TOKEN": "shpat_test",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
	}
	return stocksync.FromEnv(stocksync.Config{
		Getenv: func(name string) string { return env[name] },
		Logger: logger,
		HTTPClient: &http.Client{Transport: network(func(r *http.Request) (*http.Response, error) {
			switch r.URL.Host {
			case "ecosire.example":
				return erp.RoundTrip(r)
			case "shop.example":
				return woo.RoundTrip(r)
			}
			return shop.RoundTrip(r)
		})},
	})
}

// A network leads to simulated services, and nowhere else.
type network func(*http.Request) (*http.Response, error)

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r) }
