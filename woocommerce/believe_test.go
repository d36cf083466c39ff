package woocommerce_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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

func TestNothingThatIsPrintedHasTheKey(t *testing.T) {
	cfg := woocommerce.Config{URL: "https://user:sesame@shop.example/?k=sesame", ConsumerKey: "ck_sesame", ConsumerSecret: "cs_sesame", Parallel: 3}
	cfg.URL = "https://shop.example"
	client, err := woocommerce.New(cfg)
	require.NoError(t, err)
	ch, err := client.Channel(woocommerce.ChannelConfig{})
	require.NoError(t, err)
	cfg.URL = "https://user:sesame@shop.example/?k=sesame"
	type host struct {
		Name   string
		client *woocommerce.Client
		ch     *woocommerce.Channel
		value  woocommerce.Channel
	}
	var logs bytes.Buffer
	for _, v := range []any{cfg, &cfg, client, ch, *ch, host{"x", client, ch, *ch}, &host{"x", client, ch, *ch}, []any{cfg, client}, map[string]any{"c": cfg}, struct{ C woocommerce.Config }{cfg}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), "sesame", "%T by %s", v, verb)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&logs, nil), slog.NewJSONHandler(&logs, nil)} {
			slog.New(h).Info("x", slog.Any("v", v), "v", v)
		}
		data, err := json.Marshal(v)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "sesame", "%T", v)
	}
	assert.NotContains(t, logs.String(), "sesame")
	assert.Equal(t, "woocommerce.Config{URL:https://shop.example/ ConsumerKey:[redacted] ConsumerSecret:[redacted] Parallel:3 Rate:0}", fmt.Sprint(cfg))
}

func TestHints(t *testing.T) {
	for _, tt := range []struct {
		name, base string
		fault      channeltest.Fault
		want       []string
		not        string
	}{
		{"a firewall's page", "", channeltest.Fault{Status: 403, Body: "<html><head><title>Attention Required! | Wall</title></head></html>"},
			[]string{`titled "Attention Required! | Wall"`, "firewall"}, ""},
		{"plain permalinks", "", channeltest.Fault{Status: 404, Body: "<html><head><title>Page not found &#8211; My Shop</title></head></html>"},
			[]string{"Page not found – My Shop", "try https://shop.example/index.php as the URL"}, ""},
		{"that was tried", "https://shop.example/index.php", channeltest.Fault{Status: 404, Body: page}, []string{"is this the address of WordPress"}, "try "},
		{"no WooCommerce", "", channeltest.Fault{Status: 404, Body: `{"code":"rest_no_route","message":"No route was found"}`}, []string{"with WooCommerce active?"}, "index.php"},
		{"a key that may only write", "http://localhost", channeltest.Fault{Status: 401, Body: `{"code":"woocommerce_rest_authentication_error","message":"The API key provided does not have read permissions.","data":{"status":401}}`},
			[]string{"permission Read/Write"}, "clocks"},
		{"memory", "", channeltest.Fault{Status: 500, Body: `{"code":"internal_server_error","message":"<p>There has been a critical error on this website.</p>","data":{"status":500,"error":{"type":1,` +
			`"message":"Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes)","file":"/home/u1/htdocs/wp-content/plugins/big-import/src/a.php","line":7}}}`},
			[]string{"Allowed memory size of 134217728 bytes exhausted", "plugin big-import, a.php line 7"}, "/home/u1"},
		{"200 with an error in it", "", channeltest.Fault{Status: 200, Body: `{"code":"rest_forbidden","message":"Sorry, <b>no</b>.","data":{"status":401}}`}, []string{"rest_forbidden", "Sorry, no."}, ""},
		{"PHP", "", channeltest.Fault{Status: 200, Body: "<br />\n<b>Fatal error</b>:  Uncaught TypeError: array<int> expected in /x/y.php:3 in <b>/x/y.php</b> on line <b>3</b><br />"},
			[]string{"Fatal error: Uncaught TypeError: array<int> expected"}, ""},
		{"a cause in angle brackets", "", channeltest.Fault{Status: 400, Body: `{"code":"rest_x","message":"a < b, c > d and <anonymous>"}`}, []string{"a < b, c > d and <anonymous>"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				tt.fault.Times = -1
				shop.Inject(tt.fault)
				c := connect(t, woocommerce.Config{URL: tt.base, HTTPClient: shop.Client()})
				err := c.Do(t.Context(), http.MethodGet, "products/1", nil, nil, new([]any))
				require.Error(t, err)
				for _, part := range tt.want {
					assert.ErrorContains(t, err, part)
				}
				if tt.not != "" {
					assert.NotContains(t, err.Error(), tt.not)
				}
			})
		})
	}
	t.Run("a key that may only read, where requests are signed", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{ReadOnly: true})
		skus := simple(shop, 1)
		ch := openWith(t, woocommerce.Config{URL: "http://localhost", HTTPClient: shop.Client()}, woocommerce.ChannelConfig{})
		err := ch.Push(t.Context(), seen(t, ch, 5, skus...))
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "Read/Write")
		assert.NotContains(t, err.Error(), "clocks")
	})
}
