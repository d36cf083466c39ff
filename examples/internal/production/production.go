// Package production is an environment like a merchant's: variables that name
// services, which are the module's fakes behind sockets of this machine. The
// examples' tests run in it.
package production

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// Secret is that of the webhook endpoint.
const Secret = "whsec_test"

// A Merchant has an ECOSIRE and two shops.
type Merchant struct {
	ECOSIRE  *ecosiretest.Server
	Shopify  *shopifytest.Server
	Woo      *woocommercetest.Server
	Products []string // ids; their SKUs are those of SKU
	Env      map[string]string
}

// SKU is the SKU of the product with an index.
func SKU(i int) string { return fmt.Sprintf("SKU-%04d", i) }

// New returns a merchant with n products of ten units, which both shops show.
// Its servers end with the test.
func New(t testing.TB, n int) *Merchant {
	m := &Merchant{
		ECOSIRE: ecosiretest.New(ecosiretest.Config{}),
		Shopify: shopifytest.New(shopifytest.Config{}),
		Woo:     woocommercetest.New(woocommercetest.Config{}),
	}
	for i := range n {
		m.Products = append(m.Products, m.ECOSIRE.Add(ecosiretest.Product{SKU: SKU(i), Name: fmt.Sprintf("Product %d", i), OnHand: 12, Reserved: 2})...)
		m.Shopify.Add(shopifytest.Item{SKU: SKU(i), Available: 10})
		m.Woo.Add(woocommercetest.Product{SKU: SKU(i), Quantity: 10})
	}
	url := func(handler http.Handler) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return server.URL
	}
	m.Env = map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": url(m.ECOSIRE) + "/api", "ECOSIRE_WEBHOOK_SECRET": Secret,
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_URL": url(m.Shopify), "SHOPIFY_LOCATION_ID": "1",
		"SHOPIFY_CLIENT_ID": "client-id", "SHOPIFY_CLIENT_SECRET": "client-secret",
		"WC_SITE_URL": url(m.Woo), "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
	}
	return m
}

// Getenv looks a variable up.
func (m *Merchant) Getenv(name string) string { return m.Env[name] }

// With returns a lookup with some variables changed; "" takes one away.
func (m *Merchant) With(changes map[string]string) func(string) string {
	env := maps.Clone(m.Env)
	maps.Copy(env, changes)
	return func(name string) string { return env[name] }
}

// Writes counts the requests that changed something at any of the services, or
// tried to.
func (m *Merchant) Writes() int {
	write := func(r channeltest.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }
	return m.ECOSIRE.Count(write) + m.Woo.Count(write) + m.Shopify.Count(func(r channeltest.Request) bool {
		if !write(r) || bytes.Contains(r.Body, []byte("bulkOperationRunQuery")) {
			return false // a bulk operation reads
		}
		return bytes.Contains(r.Body, []byte("mutation"))
	})
}

// Requests counts all requests.
func (m *Merchant) Requests() int {
	return len(m.ECOSIRE.Requests()) + len(m.Shopify.Requests()) + len(m.Woo.Requests())
}

// Sell makes ECOSIRE say that nothing is left of the first n products.
func (m *Merchant) Sell(n int) {
	for _, id := range m.Products[:n] {
		m.ECOSIRE.Set(id, 0, 0)
	}
}

// Zeroed returns how many products each shop shows as sold out.
func (m *Merchant) Zeroed() (shopify, woo int) {
	for i := range m.Products {
		if n, ok := m.Shopify.Available(SKU(i)); ok && n <= 0 {
			shopify++
		}
		if n, ok := m.Woo.Quantity(SKU(i)); ok && n <= 0 {
			woo++
		}
	}
	return shopify, woo
}

// Broken are environments that are set in part or mixed, by what is wrong, and
// the variable that an error must name.
func (m *Merchant) Broken() map[string]Broken {
	take := func(names ...string) map[string]string {
		changes := make(map[string]string)
		for _, name := range names {
			changes[name] = ""
		}
		return changes
	}
	shopify := []string{"SHOPIFY_SHOP", "SHOPIFY_URL", "SHOPIFY_LOCATION_ID", "SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET"}
	woo := []string{"WC_SITE_URL", "WC_CONSUMER_KEY", "WC_CONSUMER_SECRET"}
	mixed := take("WC_SITE_URL")
	mixed["WC_SITE_URL"] = "https://shop.example"
	both := take("")
	both["SHOPIFY_ACCESS_TOKEN"] = "shpat_test"
	return map[string]Broken{
		"no key of ECOSIRE":             {take("ECOSIRE_API_KEY"), "ECOSIRE_API_KEY"},
		"Shopify without ECOSIRE":       {take(append(woo, "ECOSIRE_API_KEY", "ECOSIRE_URL", "ECOSIRE_WEBHOOK_SECRET")...), "ECOSIRE_API_KEY"},
		"WooCommerce without ECOSIRE":   {take(append(shopify, "ECOSIRE_API_KEY", "ECOSIRE_URL", "ECOSIRE_WEBHOOK_SECRET")...), "ECOSIRE_API_KEY"},
		"no shop":                       {take(append(woo, shopify...)...), "SHOPIFY_SHOP"},
		"no name of the shop":           {take("SHOPIFY_SHOP"), "SHOPIFY_SHOP"},
		"no location":                   {take("SHOPIFY_LOCATION_ID"), "SHOPIFY_LOCATION_ID"},
		"no client secret":              {take("SHOPIFY_CLIENT_SECRET"), "SHOPIFY_CLIENT_SECRET"},
		"no consumer secret":            {take("WC_CONSUMER_SECRET"), "WC_CONSUMER_SECRET"},
		"no address of the site":        {take("WC_SITE_URL"), "WC_SITE_URL"},
		"two kinds of credentials":      {both, "SHOPIFY_ACCESS_TOKEN"},
		"a test server and a real shop": {mixed, "ECOSIRE_URL"},
	}
}

// Broken is what is changed in an environment, and what an error must name.
type Broken struct {
	Changes map[string]string
	Names   string
}
