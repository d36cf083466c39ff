package shopify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// newSubject is a shop for the conformance kit.
func newSubject(t *testing.T, levels []channel.Level) channeltest.Subject {
	return subject(t, shopifytest.New(shopifytest.Config{}), levels, false)
}

// withProducts is one whose client reads what products say of their items.
func withProducts(t *testing.T, levels []channel.Level) channeltest.Subject {
	shop := shopifytest.New(shopifytest.Config{ReadProducts: true})
	sub := subject(t, shop, levels, true)
	sub.OffSale = func(sku string) { shop.Edit(sku, func(i *shopifytest.Item) { i.Draft = true }) }
	return sub
}

func subject(t *testing.T, shop *shopifytest.Server, levels []channel.Level, products bool) channeltest.Subject {
	items := make([]shopifytest.Item, len(levels))
	activate := false
	for i, l := range levels {
		items[i] = shopifytest.Item{SKU: l.SKU, Available: l.Quantity, Untracked: l.Err != nil, NotStocked: l.Unset}
		activate = activate || l.Unset
	}
	shop.Add(items...)
	client, err := shopify.New(shopify.Config{
		Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client(),
	})
	require.NoError(t, err)
	ch, err := client.Channel(shopify.ChannelConfig{LocationID: "1", Activate: activate, Products: products})
	require.NoError(t, err)
	return channeltest.Subject{Channel: ch, Shown: shop.Available, Set: shop.Set, Wire: shop.Wire}
}

func TestConformance(t *testing.T) { channeltest.TestChannelInBubble(t, newSubject) }

func TestConformanceHTTP(t *testing.T) { channeltest.TestHTTPChannel(t, newSubject) }

func TestConformanceWithProducts(t *testing.T) {
	if testing.Short() {
		t.Skip("what it adds is not concurrent")
	}
	channeltest.TestChannelInBubble(t, withProducts)
}
