package main

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestDemo(t *testing.T) {
	require.NoError(t, demo(t.Context()))
}

// With the variables set, the same works over sockets, as with real services.
func TestReal(t *testing.T) {
	w := newWorld()
	for name, handler := range map[string]*httptest.Server{
		"ECOSIRE_URL": httptest.NewServer(w.ecosire), "SHOPIFY_URL": httptest.NewServer(w.shopify), "WC_SITE_URL": httptest.NewServer(w.woo),
	} {
		defer handler.Close()
		url := handler.URL
		if name == "ECOSIRE_URL" {
			url += "/api"
		}
		t.Setenv(name, url)
	}
	for name, value := range map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "SHOPIFY_SHOP": "test-shop", "SHOPIFY_CLIENT_ID": "client-id", "SHOPIFY_CLIENT_SECRET": "client-secret",
		"SHOPIFY_ACCESS_TOKEN": "", "SHOPIFY_LOCATION_ID": "1", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
	} {
		t.Setenv(name, value)
	}
	require.NoError(t, real(t.Context(), w.products[:7]...))
	n, _ := w.woo.Quantity("MUG-006")
	assert.Equal(t, 5, n)
	n, _ = w.shopify.Available("MUG-007")
	assert.Equal(t, 8, n, "only what was asked for")

	require.NoError(t, real(t.Context()), "without ids, all products")
	require.NoError(t, w.verify())

	assert.Error(t, real(t.Context(), "no-such-product"))
	w.shopify.Add(shopifytest.Item{SKU: "MUG-001"})
	assert.ErrorContains(t, real(t.Context()), "ambiguous")
	w.woo.Add(woocommercetest.Product{SKU: "X", Stock: woocommercetest.Unmanaged, Type: "external"})
	w.ecosire.Add(ecosiretest.Product{SKU: "X", OnHand: 1})
	assert.Error(t, real(t.Context()))
	t.Setenv("SHOPIFY_LOCATION_ID", "")
	assert.ErrorContains(t, real(t.Context()), "missing: SHOPIFY_LOCATION_ID")
}
