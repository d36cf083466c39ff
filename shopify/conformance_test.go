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
	shop, activate := newShop(levels)
	client, err := shopify.New(shopify.Config{
		Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client(),
	})
	require.NoError(t, err)
	ch, err := client.Channel(shopify.ChannelConfig{LocationID: "1", Activate: activate})
	require.NoError(t, err)
	return channeltest.Subject{Channel: ch, Shown: shop.Available, Set: shop.Set, ComparesAndSets: true, Wire: shop.Wire}
}

func newShop(levels []channel.Level) (shop *shopifytest.Server, activate bool) {
	shop = shopifytest.New(shopifytest.Config{ReadProducts: true})
	items := make([]shopifytest.Item, len(levels))
	for i, l := range levels {
		items[i] = shopifytest.Item{SKU: l.SKU, Available: l.Quantity, Untracked: l.Err != nil, NotStocked: l.Unset}
		activate = activate || l.Unset
	}
	shop.Add(items...)
	return shop, activate
}

// newSubjectWithProducts reads more of each item.
func newSubjectWithProducts(t *testing.T, levels []channel.Level) channeltest.Subject {
	shop, activate := newShop(levels)
	client, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client()})
	require.NoError(t, err)
	ch, err := client.Channel(shopify.ChannelConfig{LocationID: "1", Activate: activate, Products: true})
	require.NoError(t, err)
	return channeltest.Subject{Channel: ch, Shown: shop.Available, Set: shop.Set, ComparesAndSets: true, Wire: shop.Wire,
		OffSale: func(sku string) { shop.Edit(sku, func(i *shopifytest.Item) { i.Draft = true }) }}
}

func TestConformance(t *testing.T) { channeltest.TestChannelInBubble(t, newSubject) }

func TestConformanceHTTP(t *testing.T) { channeltest.TestHTTPChannel(t, newSubject) }

func TestConformanceWithProducts(t *testing.T) {
	channeltest.TestChannelInBubble(t, newSubjectWithProducts)
}
