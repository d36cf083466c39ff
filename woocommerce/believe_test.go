package woocommerce_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// sync does what an engine does: it reads, and pushes what differs.
func syncTo(t *testing.T, ch *woocommerce.Channel, quantity int, skus ...string) error {
	t.Helper()
	var updates []channel.Update
	for _, u := range seen(t, ch, quantity, skus...) {
		if u.Seen.Err == nil && (u.Seen.Unset || u.Seen.Inexact || u.Seen.Quantity != quantity) {
			updates = append(updates, u)
		}
	}
	return ch.Push(t.Context(), updates)
}

// The shop answers with the new quantity and shows the old one.
func TestAcceptedIsNotBelievedTwice(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 20)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		shop.Forgetful(idOf(t, seen(t, ch, 0, skus...), "S-7"), true)
		require.NoError(t, syncTo(t, ch, 5, skus...), "the answer said so")

		errs := failures(t, syncTo(t, ch, 5, skus...))
		require.Len(t, errs, 1)
		assert.ErrorIs(t, errs["S-7"], channel.ErrNotApplied)
		assert.ErrorContains(t, errs["S-7"], "shows 1 again, for the 2nd time")

		writes := 0
		for range 24 * 60 {
			shop.Forget()
			errs := failures(t, syncTo(t, ch, 5, skus...))
			assert.ErrorIs(t, errs["S-7"], channel.ErrNotApplied)
			writes += shop.Count(batches)
			time.Sleep(time.Minute)
		}
		assert.LessOrEqual(t, writes, 30, "it is not hammered")
		assert.GreaterOrEqual(t, writes, 20, "nor given up")

		shop.Forgetful(17, false)
		time.Sleep(time.Hour)
		require.NoError(t, syncTo(t, ch, 5, skus...))
		shows(t, shop, 5, skus...)
	})
}

// A shop that goes back for a reason is not accused: an order was cancelled, say.
func TestAnOldQuantityThatSomebodySetIsNoLie(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 20)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	for range 5 {
		require.NoError(t, syncTo(t, ch, 5, skus...))
		shows(t, shop, 5, skus...)
		shop.Set("S-7", 1)
	}
	// The same update twice without a look between: nothing has been learned.
	updates := seen(t, ch, 5, "S-7")
	for range 3 {
		shop.Forget()
		require.NoError(t, ch.Push(t.Context(), updates))
	}
	assert.Equal(t, 1, shop.Count(nil))
}

// Another process writes the same product at the same time: the answer shows its
// quantity, and a read shows ours.
func TestAnAnswerWithAnothersQuantity(t *testing.T) {
	for _, shown := range []int{5, 4} {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 3)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Inject(channeltest.Fault{Match: batches, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
			shop.Set("S-1", shown)
			return status, bytes.Replace(body, []byte(`"stock_quantity":5`), []byte(`"stock_quantity":4`), 1)
		}})
		shop.Forget()
		err := ch.Push(t.Context(), updates)
		assert.Equal(t, 1, shop.Count(lookups))
		if shown == 5 {
			require.NoError(t, err)
			continue
		}
		errs := failures(t, err)
		require.Len(t, errs, 1)
		assert.ErrorIs(t, errs["S-1"], channel.ErrNotApplied)
		assert.ErrorContains(t, errs["S-1"], "asked for 5, the shop shows 4")
	}
}

// Siblings that disagree do not take turns, however they come.
func TestSiblingsThatDisagree(t *testing.T) {
	start := func(t *testing.T) (*woocommercetest.Server, *woocommerce.Channel) {
		shop := woocommercetest.New(woocommercetest.Config{})
		parent := shop.Add(woocommercetest.Product{Type: "variable", SKU: "PAR", Quantity: 9})[0]
		shop.Add(
			woocommercetest.Product{Type: "variation", ParentID: parent, SKU: "A", Stock: woocommercetest.ByParent},
			woocommercetest.Product{Type: "variation", ParentID: parent, SKU: "B", Stock: woocommercetest.ByParent},
		)
		return shop, open(t, shop, woocommerce.ChannelConfig{WriteParents: true})
	}
	want := map[string]int{"A": 9, "B": 203}
	differing := func(t *testing.T, ch *woocommerce.Channel, skus ...string) (updates []channel.Update) {
		for _, u := range seen(t, ch, 0, skus...) {
			if u.Quantity = want[u.SKU]; u.Quantity != u.Seen.Quantity {
				updates = append(updates, u)
			}
		}
		return updates
	}
	t.Run("read together", func(t *testing.T) {
		shop, ch := start(t)
		for range 4 {
			errs := failures(t, ch.Push(t.Context(), differing(t, ch, "A", "B")))
			assert.ErrorIs(t, errs["B"], channel.ErrShared)
			assert.ErrorContains(t, errs["B"], `"A" 9, "B" 203`)
			shows(t, shop, 9, "PAR")
		}
		assert.Zero(t, shop.Writes())
	})
	t.Run("read one after the other", func(t *testing.T) {
		shop, ch := start(t)
		failed := 0
		for range 6 {
			for _, sku := range []string{"A", "B"} {
				if err := ch.Push(t.Context(), differing(t, ch, sku)); err != nil {
					assert.ErrorIs(t, err, channel.ErrShared)
					failed++
				}
			}
		}
		assert.LessOrEqual(t, shop.Writes(), 2)
		assert.GreaterOrEqual(t, failed, 4)
	})
	t.Run("one stock, and an event for each", func(t *testing.T) {
		shop, ch := start(t)
		for n := 8; n > 0; n-- {
			for _, sku := range []string{"A", "B", "PAR"} {
				require.NoError(t, syncTo(t, ch, n, sku))
				shows(t, shop, n, "PAR")
			}
			shop.Sell("PAR", 1) // not booked yet
			require.NoError(t, syncTo(t, ch, n, "B"))
			require.NoError(t, syncTo(t, ch, n, "A", "B", "PAR"))
		}
	})
	t.Run("once they agree", func(t *testing.T) {
		shop, ch := start(t)
		require.Error(t, ch.Push(t.Context(), differing(t, ch, "A", "B")))
		require.NoError(t, syncTo(t, ch, 7, "A", "B"))
		shows(t, shop, 7, "A", "B")
	})
}

func TestUnset(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(
		woocommercetest.Product{ID: 11, SKU: "OPEN", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 12, SKU: "SHUT", Stock: woocommercetest.Unmanaged, OutOfStock: true},
		woocommercetest.Product{ID: 20, SKU: "VAR", Type: "variable", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 21, SKU: "VAR-A", Type: "variation", ParentID: 20, Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 22, SKU: "NEVER", Stock: woocommercetest.Unmanaged},
	)
	skus := []string{"OPEN", "SHUT", "VAR-A"}
	stock := func(id int) woocommercetest.Product {
		p, _ := shop.Product(id)
		return p
	}
	for name, again := range map[string]bool{"by the same client": true, "by another one": false} {
		for _, quantity := range []int{0, 6} {
			t.Run(fmt.Sprint(name, " at ", quantity), func(t *testing.T) {
				ch := open(t, shop, woocommerce.ChannelConfig{Track: true})
				before := seen(t, ch, quantity, skus...)
				require.NoError(t, ch.Push(t.Context(), before))
				shows(t, shop, quantity, skus...)

				updates := seen(t, ch, 0, skus...)
				if !again {
					ch = open(t, shop, woocommerce.ChannelConfig{})
					for i := range updates {
						updates[i].Seen.OffSale = before[i].Seen.OffSale // what a plan remembers
					}
				}
				shop.Forget()
				require.NoError(t, ch.Unset(t.Context(), updates))
				assert.Equal(t, 2, shop.Count(nil))
				for id, sku := range map[int]string{11: "OPEN", 12: "SHUT", 21: "VAR-A"} {
					assert.Equal(t, woocommercetest.Unmanaged, stock(id).Stock, sku)
				}
				assert.False(t, stock(11).OutOfStock, "it is sold without a limit again")
				assert.False(t, stock(21).OutOfStock)
				if again || quantity == 0 {
					assert.True(t, stock(12).OutOfStock, "it was not for sale")
				}
				if !again {
					shop.Remove(12)
					shop.Add(woocommercetest.Product{ID: 12, SKU: "SHUT", Stock: woocommercetest.Unmanaged, OutOfStock: true})
				}
			})
		}
	}
	t.Run("unread, and what shows none", func(t *testing.T) {
		ch := open(t, shop, woocommerce.ChannelConfig{Track: true})
		require.NoError(t, ch.Push(t.Context(), unread(3, "OPEN")))
		shop.Forget()
		errs := failures(t, ch.Unset(t.Context(), unread(0, "OPEN", "NEVER", "NONE")))
		assert.Len(t, errs, 1)
		assert.ErrorIs(t, errs["NONE"], channel.ErrUnknownSKU)
		assert.Equal(t, woocommercetest.Unmanaged, stock(11).Stock)
		assert.Equal(t, 1, shop.Writes()%2*0+shop.Count(batches))
	})
	t.Run("an answer that is lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := simple(shop, 3)
			ch := open(t, shop, woocommerce.ChannelConfig{Track: true})
			updates := seen(t, ch, 0, skus...)
			shop.Inject(channeltest.Fault{Match: batches, Cut: true, Apply: true})
			require.NoError(t, ch.Unset(t.Context(), updates))
			assert.Equal(t, 3, shop.Writes())
		})
	})
}

func TestDuplicates(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(
		woocommercetest.Product{ID: 11, SKU: "COPIED", Quantity: 3},
		woocommercetest.Product{ID: 12, SKU: "COPIED", Quantity: 9, Status: "draft"},
		woocommercetest.Product{ID: 13, SKU: "TWO", Quantity: 3},
		woocommercetest.Product{ID: 14, SKU: "TWO", Quantity: 4},
		woocommercetest.Product{ID: 15, SKU: "DRAFTS", Status: "draft"},
		woocommercetest.Product{ID: 16, SKU: "DRAFTS", Status: "draft"},
		woocommercetest.Product{ID: 17, SKU: "SAME", Quantity: 6},
		woocommercetest.Product{ID: 18, SKU: "SAME", Quantity: 6},
		woocommercetest.Product{ID: 19, SKU: "ONE", Quantity: 1},
		woocommercetest.Product{ID: 20, SKU: "ODD", Quantity: 1},
		woocommercetest.Product{ID: 21, SKU: "ODD", Type: "external"},
	)
	all := []string{"COPIED", "TWO", "DRAFTS", "SAME", "ONE", "ODD"}
	read := func(t *testing.T, d channel.Duplicates) (*woocommerce.Channel, map[string][]channel.Level) {
		ch := open(t, shop, woocommerce.ChannelConfig{Duplicates: d})
		levels, err := ch.Levels(t.Context(), all)
		require.NoError(t, err)
		got := make(map[string][]channel.Level)
		for _, l := range levels {
			got[l.SKU] = append(got[l.SKU], l)
		}
		return ch, got
	}
	shown := func(id int) int {
		p, _ := shop.Product(id)
		return p.Quantity
	}
	t.Run("reported", func(t *testing.T) {
		ch, got := read(t, channel.DuplicatesReported)
		assert.Len(t, got["COPIED"], 2)
		assert.Len(t, got["SAME"], 2)
		assert.Len(t, got["ONE"], 1)
		errs := failures(t, ch.Push(t.Context(), unread(5, all...)))
		assert.Len(t, errs, 5)
		assert.ErrorIs(t, errs["COPIED"], channel.ErrAmbiguousSKU)
	})
	t.Run("for sale", func(t *testing.T) {
		ch, got := read(t, channel.DuplicatesForSale)
		assert.Equal(t, []channel.Level{{SKU: "COPIED", Quantity: 3, Ref: "product 11"}}, got["COPIED"])
		assert.Len(t, got["TWO"], 2, "both are for sale")
		assert.Len(t, got["DRAFTS"], 2, "neither is")
		errs := failures(t, ch.Push(t.Context(), unread(5, all...)))
		assert.NotContains(t, errs, "COPIED")
		assert.ErrorIs(t, errs["TWO"], channel.ErrAmbiguousSKU)
		assert.Equal(t, 5, shown(11))
		assert.Equal(t, 9, shown(12), "the draft is left alone")
	})
	t.Run("all", func(t *testing.T) {
		ch, got := read(t, channel.DuplicatesAll)
		assert.Equal(t, []channel.Level{{SKU: "TWO", Unset: true, Ref: "product 13; product 14"}}, got["TWO"])
		assert.Equal(t, []channel.Level{{SKU: "SAME", Quantity: 6, Ref: "product 17; product 18"}}, got["SAME"])
		assert.Equal(t, []channel.Level{{SKU: "DRAFTS", OffSale: true, Ref: "product 15; product 16"}}, got["DRAFTS"])
		require.Len(t, got["ODD"], 1)
		assert.ErrorIs(t, got["ODD"][0].Err, channel.ErrNotTracked)
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 7, "COPIED", "TWO", "SAME", "DRAFTS")))
		for id := 11; id <= 18; id++ {
			assert.Equal(t, 7, shown(id), id)
		}
		errs := failures(t, ch.Unset(t.Context(), seen(t, ch, 0, "TWO")))
		assert.ErrorIs(t, errs["TWO"], channel.ErrInvalid)
		shop.Remove(14)
		shop.Add(woocommercetest.Product{ID: 14, SKU: "OTHER"})
	})
	_, err := connect(t, woocommerce.Config{}).Channel(woocommerce.ChannelConfig{Duplicates: 9})
	assert.Error(t, err)
}
