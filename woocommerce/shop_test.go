package woocommerce_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

const page = "<html><body><h1>Some page</h1></body></html>"

var (
	lookups = channeltest.On(http.MethodGet, "/products")
	batches = channeltest.On(http.MethodPost, "/batch")
)

func open(t testing.TB, shop *woocommercetest.Server, cfg woocommerce.ChannelConfig) *woocommerce.Channel {
	t.Helper()
	return openWith(t, woocommerce.Config{HTTPClient: shop.Client()}, cfg)
}

func openWith(t testing.TB, client woocommerce.Config, cfg woocommerce.ChannelConfig) *woocommerce.Channel {
	t.Helper()
	ch, err := connect(t, client).Channel(cfg)
	require.NoError(t, err)
	return ch
}

func connect(t testing.TB, cfg woocommerce.Config) *woocommerce.Client {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = "https://shop.example"
	}
	cfg.ConsumerKey, cfg.ConsumerSecret = "ck_test", "cs_test"
	client, err := woocommerce.New(cfg)
	require.NoError(t, err)
	return client
}

// simple adds n products "S-1", "S-2", … that show 1.
func simple(shop *woocommercetest.Server, n int) []string {
	skus := make([]string, n)
	for i := range skus {
		skus[i] = fmt.Sprintf("S-%d", i+1)
		shop.Add(woocommercetest.Product{SKU: skus[i], Quantity: 1})
	}
	return skus
}

// variations adds parents "V-1", …, each with the given number of variations "V-1-1", … that show 1.
func variations(shop *woocommercetest.Server, parents, each int) []string {
	var skus []string
	for p := range parents {
		name := fmt.Sprintf("V-%d", p+1)
		id := shop.Add(woocommercetest.Product{Type: "variable", SKU: name, Stock: woocommercetest.Unmanaged})[0]
		for v := range each {
			sku := fmt.Sprintf("%s-%d", name, v+1)
			shop.Add(woocommercetest.Product{Type: "variation", ParentID: id, SKU: sku, Quantity: 1})
			skus = append(skus, sku)
		}
	}
	return skus
}

// shared adds a parent that shows 50, and its three variations that show the same.
func shared(shop *woocommercetest.Server, name string) (parent int, skus []string) {
	parent = shop.Add(woocommercetest.Product{Type: "variable", SKU: name, Quantity: 50})[0]
	for _, v := range []string{"A", "B", "C"} {
		sku := name + "-" + v
		shop.Add(woocommercetest.Product{Type: "variation", ParentID: parent, SKU: sku, Stock: woocommercetest.ByParent})
		skus = append(skus, sku)
	}
	return parent, skus
}

// seen reads SKUs and asks for a quantity for each.
func seen(t testing.TB, ch *woocommerce.Channel, quantity int, skus ...string) []channel.Update {
	t.Helper()
	levels, err := ch.Levels(t.Context(), skus)
	require.NoError(t, err)
	var updates []channel.Update
	for _, sku := range skus {
		i := slices.IndexFunc(levels, func(l channel.Level) bool { return l.SKU == sku })
		require.GreaterOrEqual(t, i, 0, sku)
		updates = append(updates, channel.Update{SKU: sku, Quantity: quantity, Seen: &levels[i]})
	}
	return updates
}

func unread(quantity int, skus ...string) []channel.Update {
	var updates []channel.Update
	for _, sku := range skus {
		updates = append(updates, channel.Update{SKU: sku, Quantity: quantity})
	}
	return updates
}

func shows(t testing.TB, shop *woocommercetest.Server, want int, skus ...string) {
	t.Helper()
	for _, sku := range skus {
		got, ok := shop.Quantity(sku)
		require.True(t, ok, sku)
		require.Equal(t, want, got, sku)
	}
}

// failures returns a Push's errors by SKU.
func failures(t testing.TB, err error) channel.Errors {
	t.Helper()
	errs, ok := err.(channel.Errors)
	require.True(t, ok, "%v", err)
	return errs
}

func isErrors(err error) bool {
	_, ok := err.(channel.Errors)
	return ok
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
