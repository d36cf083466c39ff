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
	shop := shopifytest.New(shopifytest.Config{})
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
	ch, err := client.Channel(shopify.ChannelConfig{LocationID: "1", Activate: activate})
	require.NoError(t, err)
	return channeltest.Subject{Channel: ch, Shown: shop.Available, Set: shop.Set, ComparesAndSets: true, Wire: shop.Wire}
}

func TestConformance(t *testing.T) { channeltest.TestChannelInBubble(t, newSubject) }

func TestConformanceHTTP(t *testing.T) { channeltest.TestHTTPChannel(t, newSubject) }
