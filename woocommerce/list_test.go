package woocommerce_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestSKUs(t *testing.T) {
	list := func(t *testing.T, ch *woocommerce.Channel) (skus map[string]int, err error) {
		skus = make(map[string]int)
		for sku, e := range ch.SKUs(t.Context()) {
			if e != nil {
				return skus, e
			}
			skus[sku]++
		}
		return skus, nil
	}
	fill := func(shop *woocommercetest.Server, n int) []string {
		skus := append(simple(shop, n), variations(shop, 3, 2)...)
		p := shop.Add(woocommercetest.Product{Type: "variable", SKU: "BIG", Quantity: 1})[0]
		for i := range 130 {
			sku := fmt.Sprintf("BIG-%d", i)
			shop.Add(woocommercetest.Product{Type: "variation", ParentID: p, SKU: sku, Stock: woocommercetest.ByParent})
			skus = append(skus, sku)
		}
		shop.Add(
			woocommercetest.Product{Type: "variation", ParentID: p, Stock: woocommercetest.ByParent}, // shows BIG
			woocommercetest.Product{SKU: "DRAFT", Status: "draft"}, woocommercetest.Product{SKU: "TRASH", Status: "trash"}, woocommercetest.Product{},
		)
		return append(skus, "V-1", "V-2", "V-3", "BIG", "DRAFT")
	}
	same := func(t *testing.T, want []string, got map[string]int) {
		t.Helper()
		for _, sku := range want {
			assert.Equal(t, 1, got[sku], sku)
		}
		assert.Len(t, got, len(want))
	}
	t.Run("all", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		want := fill(shop, 250)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		got, err := list(t, ch)
		require.NoError(t, err)
		same(t, want, got)
		assert.Equal(t, 3+3+2, shop.Count(nil))
		assert.EqualValues(t, 3+3+2, ch.Requests())
	})
	t.Run("what goes meanwhile hides nothing else", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		want := fill(shop, 450)
		gone := 0
		shop.Inject(channeltest.Fault{Times: -1, Match: func(r channeltest.Request) bool {
			if n := r.URL.Query().Get("offset"); (n == "99" || n == "297") && gone < 2 {
				gone++
				for id := 11 + 20*gone; id < 15+20*gone; id++ {
					shop.Remove(id)
				}
			}
			return false
		}})
		got, err := list(t, open(t, shop, woocommerce.ChannelConfig{}))
		require.NoError(t, err)
		for _, sku := range want {
			assert.LessOrEqual(t, got[sku], 1)
			if _, still := shop.Quantity(sku); still {
				assert.Equal(t, 1, got[sku], sku)
			}
		}
	})
	t.Run("a product that breaks its page", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		want := fill(shop, 250)
		shop.Fatal(100, "Uncaught Error") // S-90
		got, err := list(t, open(t, shop, woocommerce.ChannelConfig{}))
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.NotContains(t, got, "S-90")
		got["S-90"]++
		same(t, want, got)
		assert.Less(t, shop.Count(nil), 40)
	})
	t.Run("a row that makes no sense", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		want := fill(shop, 50)
		shop.Disguise(20, func(row map[string]any) { row["sku"] = 7 })
		got, err := list(t, open(t, shop, woocommerce.ChannelConfig{}))
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.Len(t, got, len(want)-1)
	})
	t.Run("what the shop hides", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		fill(shop, 50)
		shop.Inject(channeltest.Fault{Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
			var rows []json.RawMessage
			_ = json.Unmarshal(body, &rows)
			body, _ = json.Marshal(rows[:len(rows)-1])
			return status, body
		}})
		_, err := list(t, open(t, shop, woocommerce.ChannelConfig{}))
		require.ErrorIs(t, err, channel.ErrIncomplete)
	})
	t.Run("the shop is down", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			fill(shop, 250)
			shop.Inject(channeltest.Fault{Skip: 1, Status: 500, Body: page, Times: -1})
			_, err := list(t, open(t, shop, woocommerce.ChannelConfig{}))
			require.ErrorIs(t, err, channel.ErrUnavailable)
			require.NotErrorIs(t, err, channel.ErrIncomplete)
			assert.Less(t, shop.Count(nil), 10)
		})
	})
	t.Run("broken off", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		fill(shop, 250)
		for range open(t, shop, woocommerce.ChannelConfig{}).SKUs(t.Context()) {
			break
		}
		assert.Equal(t, 1, shop.Count(nil))
	})
	t.Run("switched off", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		fill(shop, 1)
		_, err := list(t, open(t, shop, woocommerce.ChannelConfig{SkipList: true}))
		require.ErrorIs(t, err, errors.ErrUnsupported)
		assert.Zero(t, shop.Count(nil))
	})
	t.Run("an empty shop", func(t *testing.T) {
		got, err := list(t, open(t, woocommercetest.New(woocommercetest.Config{}), woocommerce.ChannelConfig{}))
		require.NoError(t, err)
		assert.Empty(t, got)
	})
}
