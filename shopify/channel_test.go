package shopify

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// One clear error for the location, and nothing about each item.
func TestLocationThatIsClosedOrWrong(t *testing.T) {
	for name, test := range map[string]struct {
		location string
		close    bool
		says     string
	}{
		"wrong":  {"99", false, "gid://shopify/Location/99 is not a location of this shop"},
		"closed": {"1", true, "gid://shopify/Location/1 is closed"},
	} {
		for _, activate := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " activate ", activate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shop := shopifytest.New(shopifytest.Config{})
					for i := range int64(3) {
						shop.AddLocation(i + 2)
					}
					right := open(t, shop)
					ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.LocationID, c.Activate = test.location, activate })
					skus := stock(shop, 40)
					seen := levels(t, right, skus...)
					if test.close {
						shop.CloseLocation(shop.Location())
					}
					check := func(err error) {
						t.Helper()
						fault, ok := err.(*Error)
						require.True(t, ok, "%T %v", err, err)
						assert.ErrorContains(t, fault, test.says)
						assert.ErrorContains(t, fault, "ChannelConfig.LocationID")
						assert.ErrorIs(t, fault, channel.ErrUnavailable)
						assert.NotErrorIs(t, fault, channel.ErrNotStocked)
						assert.False(t, channel.Permanent(fault))
						assert.Contains(t, fault.Codes, "INVALID_LOCATION")
					}
					for _, requests := range []int{4, 0, 0} { // two searches for 40, a read, and where it is
						shop.Forget()
						got, err := ch.Levels(t.Context(), skus)
						check(err)
						assert.Nil(t, got)
						assert.Equal(t, requests, shop.Count(nil))
					}
					unseen := make([]channel.Update, len(skus))
					for i, sku := range skus {
						unseen[i] = channel.Update{SKU: sku, Quantity: 4}
					}
					check(ch.Push(t.Context(), unseen))
					assert.Zero(t, shop.Count(doing(activateItem)))
					fault, ok := ch.Push(t.Context(), updates(seen, 1)).(*Error)
					require.True(t, ok, "what was seen before it was closed")
					assert.Contains(t, fault.Codes, "INVALID_LOCATION")
					assert.Empty(t, shop.History())

					if test.close {
						shop.OpenLocation(shop.Location())
						time.Sleep(closedLife)
						assert.Equal(t, seen, levels(t, ch, skus...))
					}
				})
			})
		}
	}
}

func TestLocationIsAskedForOnlyIfNothingIsStockedThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		shop.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "AWAY", NotStocked: true})
		for range 3 {
			assert.ErrorIs(t, levels(t, ch, "AWAY")[0].Err, channel.ErrNotStocked)
		}
		assert.Equal(t, 1, shop.Count(doing(findLocation)))
		time.Sleep(placeLife)
		levels(t, ch, "A", "AWAY")
		levels(t, ch, "AWAY")
		assert.Equal(t, 1, shop.Count(doing(findLocation)), "something is stocked there")
		time.Sleep(placeLife)
		shop.Inject(answering(findLocation, 200, `{"errors":[{"message":"x","extensions":{"code":"ACCESS_DENIED"}}]}`))
		assert.ErrorIs(t, levels(t, ch, "AWAY")[0].Err, channel.ErrNotStocked, "if it cannot be told")
	})
}

func TestBundleIsKnownAfterTheFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		shop.Add(shopifytest.Item{SKU: "KIT", Bundle: true, Available: 2}, shopifytest.Item{SKU: "PART", Available: 1})
		seen := levels(t, ch, "KIT", "PART")
		require.NoError(t, seen[0].Err, "nothing tells before")
		assert.ErrorIs(t, ch.Push(t.Context(), updates(seen, 1)), channel.ErrShared)
		shop.Forget()
		for range 6 {
			got := levels(t, ch, "KIT", "PART")
			assert.ErrorIs(t, got[0].Err, channel.ErrShared)
			assert.True(t, channel.Permanent(got[0].Err))
			assert.NoError(t, got[1].Err)
			assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: "KIT", Quantity: 1}}), channel.ErrShared)
			time.Sleep(24 * time.Hour)
		}
		assert.Empty(t, sent(t, shop))
		time.Sleep(24 * time.Hour)
		assert.NoError(t, levels(t, ch, "KIT")[0].Err, "after a week it is tried again")
	})
}

func TestRefusedTrackingIsKnownUntilItIsOn(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Track = true })
	shop.Add(shopifytest.Item{SKU: "A", Untracked: true})
	assert.True(t, levels(t, ch, "A")[0].Unset)
	shop.Inject(once(channeltest.Fault{Match: doing(trackItem), Status: 200, Body: `{"data":{"inventoryItemUpdate":{"inventoryItem":null,"userErrors":[{"field":null,"message":"locked"}]}}}`}))
	require.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 1}}), channel.ErrNotTracked)
	shop.Forget()
	assert.ErrorIs(t, levels(t, ch, "A")[0].Err, channel.ErrNotTracked)
	require.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 1}}), channel.ErrNotTracked)
	assert.Zero(t, shop.Count(doing(trackItem)))
	// Somebody switches it on.
	require.NoError(t, open(t, shop, func(_ *Config, c *ChannelConfig) { c.Track = true }).Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 3}}))
	assert.Equal(t, channel.Level{SKU: "A", Quantity: 3, Ref: "gid://shopify/InventoryItem/1001"}, levels(t, ch, "A")[0])
}

func TestWhatIsReadOfProducts(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{ReadProducts: true})
	ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Products, c.Track, c.Activate = true, true, true })
	shop.Add(
		shopifytest.Item{SKU: "PLAIN", Available: 1},
		shopifytest.Item{SKU: "DRAFT", Available: 2, Draft: true},
		shopifytest.Item{SKU: "BACKORDER", Available: -3, Continue: true},
		shopifytest.Item{SKU: "DRAFT, CONTINUE", Draft: true, Continue: true},
		shopifytest.Item{SKU: "KIT", Bundle: true},
		shopifytest.Item{SKU: "FREE", Untracked: true},
		shopifytest.Item{SKU: "FREE DRAFT", Untracked: true, Draft: true},
		shopifytest.Item{SKU: "AWAY", NotStocked: true},
		shopifytest.Item{SKU: "FREE, AWAY", Untracked: true, NotStocked: true},
	)
	shop.Forget()
	got := levels(t, ch, "PLAIN", "DRAFT", "BACKORDER", "DRAFT, CONTINUE", "KIT", "FREE", "FREE DRAFT", "AWAY", "FREE, AWAY")
	assert.Equal(t, 2, shop.Count(nil), "no further request")
	assert.ErrorIs(t, got[4].Err, channel.ErrShared, "before a write finds out")
	for i := range got {
		got[i].Ref, got[i].Err = "", nil
	}
	assert.Equal(t, []channel.Level{
		{SKU: "PLAIN", Quantity: 1},
		{SKU: "DRAFT", Quantity: 2, OffSale: true},
		{SKU: "BACKORDER", Quantity: -3, SellsAtZero: true},
		{SKU: "DRAFT, CONTINUE", OffSale: true},
		{SKU: "KIT"},
		{SKU: "FREE", Unset: true},
		{SKU: "FREE DRAFT", Unset: true, OffSale: true},
		{SKU: "AWAY", Unset: true, OffSale: true},
		{SKU: "FREE, AWAY", Unset: true},
	}, got)

	shop.Edit("PLAIN", func(i *shopifytest.Item) { i.Draft = true })
	assert.True(t, levels(t, ch, "PLAIN")[0].OffSale)
}

func TestProductsWithoutTheScope(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Products = true })
	_, err := ch.Levels(t.Context(), stock(shop, 3))
	require.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.ErrorContains(t, err, "read_products")
	assert.Equal(t, 2, shop.Count(nil), "it is not halved")
}

func TestDuplicates(t *testing.T) {
	mk := func(policy channel.Duplicates, items ...shopifytest.Item) (*shopifytest.Server, *Channel, []string) {
		shop := shopifytest.New(shopifytest.Config{ReadProducts: true})
		ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Duplicates, c.Track = policy, true })
		return shop, ch, shop.Add(items...)
	}
	live, draft := shopifytest.Item{SKU: "A", Available: 5}, shopifytest.Item{SKU: "A", Available: 3, Draft: true}

	t.Run("only the one for sale", func(t *testing.T) {
		for _, order := range [][]shopifytest.Item{{live, draft}, {draft, live}, {draft, live, draft}} {
			shop, ch, ids := mk(channel.DuplicatesForSale, order...)
			got := levels(t, ch, "A")
			require.Len(t, got, 1)
			assert.Equal(t, 5, got[0].Quantity)
			require.NoError(t, ch.Push(t.Context(), updates(got, 2)))
			require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 9}}))
			for _, id := range ids {
				item, _ := shop.Item(id)
				assert.Equal(t, map[bool]int{true: 3, false: 9}[item.Draft], item.Available)
			}
		}
	})
	t.Run("several for sale, or none", func(t *testing.T) {
		for _, order := range [][]shopifytest.Item{{live, live}, {draft, draft}} {
			shop, ch, _ := mk(channel.DuplicatesForSale, order...)
			assert.Len(t, levels(t, ch, "A"), 2)
			assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 9}}), channel.ErrAmbiguousSKU)
			assert.Empty(t, shop.History())
		}
	})
	t.Run("all", func(t *testing.T) {
		shop, ch, ids := mk(channel.DuplicatesAll, live, draft, shopifytest.Item{SKU: "B", Available: 1})
		got := levels(t, ch, "A", "B")
		require.Len(t, got, 2)
		assert.True(t, got[0].Unset, "they disagree")
		assert.Equal(t, ids[0]+" "+ids[1], strings.Join(strings.Fields(got[0].Ref), " "))
		require.NoError(t, ch.Push(t.Context(), updates(got, 7)))
		got = levels(t, ch, "A")
		assert.False(t, got[0].Unset)
		assert.Equal(t, 7, got[0].Quantity)
		shop.Forget()
		require.NoError(t, ch.Push(t.Context(), updates(got, 1)))
		for _, id := range ids[:2] {
			item, _ := shop.Item(id)
			assert.Equal(t, 8, item.Available)
		}
		write := sent(t, shop)[0].Input.Quantities
		require.Len(t, write, 2)
		assert.Equal(t, 7, *write[0].ChangeFromQuantity, "on top of what is shown")
		assert.Equal(t, 7, *write[1].ChangeFromQuantity)
		// One of them is sold meanwhile.
		shop.Set("A", 6)
		assert.ErrorIs(t, ch.Push(t.Context(), updates(got, 3)), channel.ErrConflict)
	})
	t.Run("all, but one cannot", func(t *testing.T) {
		_, ch, _ := mk(channel.DuplicatesAll, live, shopifytest.Item{SKU: "A", Bundle: true})
		require.NoError(t, levels(t, ch, "A")[0].Err)
		assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 9}}), channel.ErrShared)
		assert.ErrorIs(t, levels(t, ch, "A")[0].Err, channel.ErrShared)
	})
	_, err := open(t, shopifytest.New(shopifytest.Config{})).client.Channel(ChannelConfig{LocationID: "1", Duplicates: 7})
	assert.ErrorContains(t, err, "Duplicates")
}

func TestUnset(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	both := func(_ *Config, c *ChannelConfig) { c.Track, c.Activate = true, true }
	ch := open(t, shop, both)
	ids := shop.Add(
		shopifytest.Item{SKU: "FREE", Untracked: true, Available: 3},
		shopifytest.Item{SKU: "AWAY", NotStocked: true},
		shopifytest.Item{SKU: "BOTH", Untracked: true, NotStocked: true},
		shopifytest.Item{SKU: "PLAIN", Available: 4},
	)
	skus := []string{"FREE", "AWAY", "BOTH"}
	seen := levels(t, ch, skus...)
	require.NoError(t, ch.Push(t.Context(), updates(seen, 7)))

	// A conflict is one here, too.
	now := levels(t, ch, skus...)
	shop.Set("FREE", 6)
	assert.ErrorIs(t, ch.Unset(t.Context(), updates(now[:1], 0)), channel.ErrConflict)

	require.NoError(t, ch.Unset(t.Context(), updates(levels(t, ch, skus...), 0)))
	again := levels(t, ch, skus...)
	assert.Equal(t, seen, again, "as before their first quantity")
	items := make([]shopifytest.Item, len(ids))
	for i, id := range ids {
		items[i], _ = shop.Item(id)
	}
	assert.True(t, items[0].Untracked && !items[0].NotStocked)
	assert.True(t, !items[1].Untracked && items[1].NotStocked)
	assert.True(t, items[2].Untracked && items[2].NotStocked)
	shop.Forget()
	assert.NoError(t, ch.Unset(t.Context(), updates(again, 0)), "twice is harmless")
	assert.Zero(t, shop.Count(doing(trackItem))+shop.Count(doing(deactivateLevel)))

	errs, ok := ch.Unset(t.Context(), []channel.Update{{SKU: "PLAIN"}, {SKU: "NONE"}, {SKU: ""}}).(channel.Errors)
	require.True(t, ok)
	assert.ErrorIs(t, errs["PLAIN"], channel.ErrInvalid, "who knows what it was before")
	assert.ErrorIs(t, errs["NONE"], channel.ErrUnknownSKU)
	assert.ErrorIs(t, errs[""], channel.ErrUnknownSKU)

	// Another process may undo it where only one thing can have been done.
	require.NoError(t, ch.Push(t.Context(), updates(seen, 7)))
	track := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Track = true })
	require.NoError(t, track.Unset(t.Context(), []channel.Update{{SKU: "FREE"}}))
	item, _ := shop.Item(ids[0])
	assert.True(t, item.Untracked)
	activate := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Activate = true })
	require.NoError(t, activate.Unset(t.Context(), []channel.Update{{SKU: "AWAY"}}))
	item, _ = shop.Item(ids[1])
	assert.True(t, item.NotStocked)

	// And so may one that got what this one kept.
	var kept bytes.Buffer
	require.NoError(t, ch.Keep(&kept))
	other := open(t, shop, both)
	require.NoError(t, other.Restore(&kept))
	require.NoError(t, other.Unset(t.Context(), []channel.Update{{SKU: "BOTH"}}))
	item, _ = shop.Item(ids[2])
	assert.True(t, item.Untracked && item.NotStocked)
}

func TestUnsetThatIsRefused(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Track = true })
	shop.Add(shopifytest.Item{SKU: "A", Untracked: true})
	require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 1}}))
	shop.Inject(once(channeltest.Fault{Match: doing(trackItem), Status: 200, Body: `{"data":{"inventoryItemUpdate":{"inventoryItem":{"tracked":true},"userErrors":[{"field":null,"message":"no"}]}}}`}))
	errs, ok := ch.Unset(t.Context(), []channel.Update{{SKU: "A"}}).(channel.Errors)
	require.True(t, ok)
	assert.ErrorContains(t, errs["A"], "no")
	shop.Inject(channeltest.Fault{Status: 402})
	assert.ErrorIs(t, ch.Unset(t.Context(), []channel.Update{{SKU: "A"}}), channel.ErrUnavailable)
	assert.NoError(t, ch.Unset(t.Context(), []channel.Update{{SKU: "A"}}))
}

func TestSeveralLocationsOfOneShop(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	outlet := shop.AddLocation(7)
	main := open(t, shop)
	second, err := main.client.Channel(ChannelConfig{LocationID: outlet, Name: "outlet"})
	require.NoError(t, err)
	shop.Add(shopifytest.Item{SKU: "A", Available: 3}, shopifytest.Item{SKU: "B", Available: 1})
	shop.StockAt(outlet, "A", 9)
	got := levels(t, second, "A", "B")
	assert.Equal(t, 9, got[0].Quantity)
	assert.ErrorIs(t, got[1].Err, channel.ErrNotStocked)
	require.NoError(t, second.Push(t.Context(), updates(got[:1], 1)))
	n, _ := shop.AvailableAt(outlet, "A")
	assert.Equal(t, 10, n)
	assert.Equal(t, 3, available(t, shop, "A"))
	assert.Equal(t, 3, levels(t, main, "A")[0].Quantity)
}
