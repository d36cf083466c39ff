package woocommerce_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// follow asks a channel for changes as a watch does.
func follow(t *testing.T, ch *woocommerce.Channel) (look func() map[string]int) {
	t.Helper()
	_, cursor, err := ch.Changes(t.Context(), "")
	require.NoError(t, err)
	return func() map[string]int {
		t.Helper()
		levels, next, err := ch.Changes(t.Context(), cursor)
		require.NoError(t, err)
		cursor = next
		shows := make(map[string]int)
		for _, l := range levels {
			if l.Err == nil && !l.Unset {
				shows[l.SKU] = l.Quantity
			}
		}
		return shows
	}
}

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{WriteParents: true})
		simple(shop, 150)
		variations(shop, 2, 3)
		_, family := shared(shop, "PAR")
		time.Sleep(time.Hour)
		shop.Sell("S-150", 1)
		look := follow(t, ch)
		time.Sleep(5 * time.Second)
		look()
		before := len(shop.Requests())
		assert.LessOrEqual(t, len(look()), 1, "what changed in the last second may come again")
		assert.Len(t, shop.Requests(), before+1)

		time.Sleep(time.Minute)
		shop.Sell("S-7", 1)
		shop.Sell("V-2-3", 2)
		shows := look()
		assert.Equal(t, 0, shows["S-7"])
		assert.Equal(t, -1, shows["V-2-3"], "the parent is dated, and its variation is found")
		assert.NotContains(t, shows, "V-2-1")
		shop.Sell("S-7", 1) // in the same second
		assert.Equal(t, -1, look()["S-7"])

		time.Sleep(time.Minute)
		shop.Sell(family[1], 4)
		shows = look()
		for _, sku := range family {
			assert.Equal(t, 46, shows[sku], "all variations of a parent that has the stock")
		}
		time.Sleep(time.Minute)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "S-1", Quantity: 9}}))
		assert.Equal(t, 9, look()["S-1"], "our own writes come, too")
	})
}

func TestChangesThatAreTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		simple(shop, 700)
		look := follow(t, ch)
		time.Sleep(time.Minute)
		for i := range 700 {
			shop.Set(fmt.Sprintf("S-%d", i+1), 5)
		}
		assert.Len(t, look(), 500)
		time.Sleep(time.Minute)
		assert.Len(t, look(), 500, "some of that second may have been missing")
		time.Sleep(time.Minute)
		before := len(shop.Requests())
		assert.Empty(t, look())
		assert.Len(t, shop.Requests(), before+1)
		shop.Sell("S-3", 1)
		assert.Equal(t, map[string]int{"S-3": 4}, look(), "an import is done with")
	})
}

func TestChangesOfAnEmptyShopAndOfABrokenOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		look := follow(t, ch)
		assert.Empty(t, look())
		simple(shop, 2)
		assert.Len(t, look(), 2)
		shop.Inject(channeltest.Fault{Cut: true, Times: -1})
		_, next, err := ch.Changes(t.Context(), "2026-01-01T00:00:00")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Empty(t, next)
		shop.Heal()
		shop.Inject(channeltest.Fault{Status: 200, Body: page, Times: -1})
		_, _, err = ch.Changes(t.Context(), "2026-01-01T00:00:00")
		require.Error(t, err)
	})
}
