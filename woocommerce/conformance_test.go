package woocommerce_test

import (
	"strings"
	"testing"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// newSubject is a shop for the conformance kit.
func newSubject(t *testing.T, levels []channel.Level) channeltest.Subject {
	shop := woocommercetest.New(woocommercetest.Config{})
	folded := make(map[string]string, len(levels))
	for _, l := range levels {
		if other, taken := folded[strings.ToLower(l.SKU)]; taken && other != l.SKU {
			t.Skip("a shop's database ignores case: it takes no second SKU that differs in that alone")
		}
		folded[strings.ToLower(l.SKU)] = l.SKU
		p := woocommercetest.Product{SKU: l.SKU, Quantity: l.Quantity}
		switch {
		case l.Err != nil:
			p.Type = "external"
		case l.Unset:
			p.Stock = woocommercetest.Unmanaged
		}
		shop.Add(p)
	}
	ch := open(t, shop, woocommerce.ChannelConfig{Track: true})
	return channeltest.Subject{Channel: ch, Shown: shop.Quantity, Set: shop.Set, Wire: shop.Wire,
		OffSale: func(sku string) { shop.Publish(sku, false) }}
}

func TestConformance(t *testing.T) { channeltest.TestChannelInBubble(t, newSubject) }

func TestConformanceHTTP(t *testing.T) { channeltest.TestHTTPChannel(t, newSubject) }
