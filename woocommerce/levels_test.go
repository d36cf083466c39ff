package woocommerce_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestLevels(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(
		woocommercetest.Product{ID: 11, SKU: "SIMPLE", Quantity: 7},
		woocommercetest.Product{ID: 12, SKU: "NEGATIVE", Quantity: -3},
		woocommercetest.Product{ID: 13, SKU: "UNMANAGED", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 14, SKU: "DRAFT", Status: "draft", Quantity: 4},
		woocommercetest.Product{ID: 15, SKU: "TRASH", Status: "trash", Quantity: 4},
		woocommercetest.Product{ID: 16, SKU: "EXTERNAL", Type: "external"},
		woocommercetest.Product{ID: 17, SKU: "GROUPED", Type: "grouped"},
		woocommercetest.Product{ID: 20, SKU: "VAR", Type: "variable", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 21, SKU: "VAR-A", Type: "variation", ParentID: 20, Quantity: 9},
		woocommercetest.Product{ID: 22, SKU: "VAR-B", Type: "variation", ParentID: 20, Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 30, SKU: "PAR", Type: "variable", Quantity: 50},
		woocommercetest.Product{ID: 31, SKU: "PAR-A", Type: "variation", ParentID: 30, Stock: woocommercetest.ByParent},
		woocommercetest.Product{ID: 40, SKU: `TWICE"`, Quantity: 1},
		woocommercetest.Product{ID: 41, SKU: `TWICE"`, Quantity: 2},
	)
	all := []string{"SIMPLE", "NEGATIVE", "UNMANAGED", "DRAFT", "TRASH", "EXTERNAL", "GROUPED", "VAR", "VAR-A", "VAR-B",
		"PAR", "PAR-A", `TWICE"`, "NONE", "SIMPLE"}
	type shown struct {
		Quantity       int
		Unset, OffSale bool
		Err            error
	}
	read := func(t *testing.T, cfg woocommerce.ChannelConfig) map[string]shown {
		levels, err := open(t, shop, cfg).Levels(t.Context(), all)
		require.NoError(t, err)
		got := make(map[string]shown)
		for _, l := range levels {
			s := shown{Quantity: l.Quantity, Unset: l.Unset, OffSale: l.OffSale}
			for _, kind := range []error{channel.ErrNotTracked, channel.ErrShared, channel.ErrUnknownSKU, channel.ErrInvalid} {
				if errors.Is(l.Err, kind) {
					s.Err = kind
				}
			}
			got[l.SKU+" = "+l.Ref] = s
		}
		return got
	}
	want := func() map[string]shown {
		return map[string]shown{
			"SIMPLE = product 11":                   {Quantity: 7},
			"NEGATIVE = product 12":                 {Quantity: -3},
			"UNMANAGED = product 13, unmanaged":     {Err: channel.ErrNotTracked},
			"DRAFT = product 14":                    {Quantity: 4, OffSale: true},
			"EXTERNAL = product 16, unmanaged":      {Err: channel.ErrNotTracked},
			"GROUPED = product 17, unmanaged":       {Err: channel.ErrNotTracked},
			"VAR = product 20, unmanaged":           {Err: channel.ErrNotTracked},
			"VAR-A = variation 21 of 20":            {Quantity: 9},
			"VAR-B = variation 22 of 20, unmanaged": {Err: channel.ErrNotTracked},
			"PAR = product 30":                      {Quantity: 50},
			"PAR-A = variation 31 of 30, by parent": {Err: channel.ErrShared},
			`TWICE" = product 40`:                   {Quantity: 1},
			`TWICE" = product 41`:                   {Quantity: 2},
		}
	}
	t.Run("default", func(t *testing.T) {
		assert.Equal(t, want(), read(t, woocommerce.ChannelConfig{}))
	})
	t.Run("Track", func(t *testing.T) {
		want := want()
		want["UNMANAGED = product 13, unmanaged"] = shown{Unset: true}
		want["VAR-B = variation 22 of 20, unmanaged"] = shown{Unset: true}
		assert.Equal(t, want, read(t, woocommerce.ChannelConfig{Track: true}))
	})
	t.Run("WriteParents", func(t *testing.T) {
		want := want()
		want["PAR-A = variation 31 of 30, by parent"] = shown{Quantity: 50}
		assert.Equal(t, want, read(t, woocommerce.ChannelConfig{WriteParents: true}))
	})
}

func TestTypesOfPlugins(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := append(simple(shop, 1), variations(shop, 1, 1)...)
	shop.Add(woocommercetest.Product{ID: 50, SKU: "UNMANAGED", Stock: woocommercetest.Unmanaged})
	shop.Inject(channeltest.Fault{Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		body = bytes.ReplaceAll(body, []byte(`"type":"`), []byte(`"type":"subscription_`))
		return status, bytes.ReplaceAll(body, []byte(`"stock_quantity":1`), []byte(`"stock_quantity":1.5`))
	}})
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), append(skus, "UNMANAGED"))
	require.NoError(t, err)
	require.Len(t, levels, 3)
	for _, l := range levels {
		switch l.SKU {
		case "S-1":
			assert.Equal(t, channel.Level{SKU: "S-1", Quantity: 1, Inexact: true, Ref: "product 11"}, l)
		case "V-1-1":
			assert.Equal(t, channel.Level{SKU: "V-1-1", Quantity: 1, Inexact: true, Ref: "variation 13 of 12"}, l)
		default:
			assert.ErrorIs(t, l.Err, channel.ErrNotTracked, "what managing would do to it is not known")
		}
	}
}

func TestVariationWithoutSKUIsNotItsParent(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	parent := shop.Add(woocommercetest.Product{Type: "variable", SKU: "NSV-1", Quantity: 5})[0]
	shop.Add(woocommercetest.Product{Type: "variation", ParentID: parent, Quantity: 4})
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), []string{"NSV-1"})
	require.NoError(t, err)
	require.Len(t, levels, 1)
	assert.Equal(t, 5, levels[0].Quantity)
}

// What the shop's database or its cleaning of parameters makes of an SKU.
func TestOddSKUs(t *testing.T) {
	const long = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789-over-100"
	shop := woocommercetest.New(woocommercetest.Config{})
	for i, sku := range []string{
		"A", "B-1", "A,B-1", ",", "A B", "R&D-1", "P+1", "S/1", "100%", "Q'1", `B\1`, "H#1", "123", "é-1", "日本", "🎁", " PAD-1", "PAD-2 ",
		"L<1>", "OCT%41X", "T  2", " C,D", "0.0", "00", long,
	} {
		shop.Add(woocommercetest.Product{ID: 100 + i, SKU: sku, Quantity: 100 + i})
	}
	shop.Add(woocommercetest.Product{SKU: "", Quantity: 1}, woocommercetest.Product{SKU: "0", Quantity: 1})
	tests := []struct {
		sku  string
		want int   // 0: absent
		err  error // of its level
	}{
		{sku: "A", want: 100},
		{sku: "A,B-1", want: 102},
		{sku: ",", want: 103},
		{sku: "A B", want: 104},
		{sku: "R&D-1", want: 105},
		{sku: "P+1", want: 106},
		{sku: "S/1", want: 107},
		{sku: "100%", want: 108},
		{sku: "Q'1", want: 109},
		{sku: `B\1`, want: 110},
		{sku: "H#1", want: 111},
		{sku: "123", want: 112},
		{sku: "é-1", want: 113},
		{sku: "日本", want: 114},
		{sku: "🎁", want: 115},
		{sku: " PAD-1", want: 116},
		{sku: "PAD-2 ", want: 117},
		{sku: "L<1>", want: 118},
		{sku: "OCT%41X", want: 119},
		{sku: "T  2", want: 120},
		{sku: " C,D", want: 121},
		{sku: "0.0", want: 122},
		{sku: "00", want: 123},
		{sku: long, want: 124},
		{sku: "B-1,A"},
		{sku: "X<Y>"},
		{sku: "00123"},
		{sku: "a b", err: channel.ErrUnknownSKU},
		{sku: "PAD-2", err: channel.ErrUnknownSKU},
		{sku: "A ", err: channel.ErrUnknownSKU},
		{sku: "É-1", err: channel.ErrUnknownSKU},
		{sku: "", err: channel.ErrInvalid},
		{sku: " ", err: channel.ErrInvalid},
		{sku: "0", err: channel.ErrInvalid},
		{sku: "0 ", err: channel.ErrInvalid},
		{sku: "<>", err: channel.ErrInvalid},
		{sku: "\xff", err: channel.ErrInvalid},
		{sku: long + "<", err: channel.ErrInvalid},
		{sku: strings.Repeat("ж", 2000), err: channel.ErrInvalid},
	}
	ch := open(t, shop, woocommerce.ChannelConfig{})
	check := func(t *testing.T, levels []channel.Level, sku string, want int, kind error) {
		levels = slices.DeleteFunc(slices.Clone(levels), func(l channel.Level) bool { return l.SKU != sku })
		if want == 0 && kind == nil {
			assert.Empty(t, levels, "%q", sku)
			return
		}
		require.Len(t, levels, 1, "%q", sku)
		if kind != nil {
			require.ErrorIs(t, levels[0].Err, kind, "%q", sku)
			return
		}
		require.NoError(t, levels[0].Err, "%q", sku)
		assert.Equal(t, want, levels[0].Quantity, "%q", sku)
	}
	var all []string
	for _, tt := range tests {
		all = append(all, tt.sku)
		t.Run("alone "+url.QueryEscape(tt.sku), func(t *testing.T) {
			levels, err := ch.Levels(t.Context(), []string{tt.sku})
			require.NoError(t, err)
			check(t, levels, tt.sku, tt.want, tt.err)
		})
	}
	for range 2 {
		levels, err := ch.Levels(t.Context(), all)
		require.NoError(t, err)
		for _, tt := range tests {
			check(t, levels, tt.sku, tt.want, tt.err)
		}
		slices.Reverse(all)
	}
}

func TestBlankAndZeroSKUsAreNotAskedFor(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	simple(shop, 5)
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), []string{"", " ", "0"})
	require.NoError(t, err)
	assert.Len(t, levels, 3)
	assert.Empty(t, shop.Requests())
}

func TestNearMissNamesTheShopsSKU(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(woocommercetest.Product{SKU: "Tee-Red"}, woocommercetest.Product{SKU: "Ärmel-1"})
	ch := open(t, shop, woocommerce.ChannelConfig{})
	for asked, want := range map[string]string{
		"tee-red": "Tee-Red", "Tee-Red ": "Tee-Red", " Tee-Red": "Tee-Red", "Armel-1": "Ärmel-1",
	} {
		levels, err := ch.Levels(t.Context(), []string{asked})
		require.NoError(t, err)
		require.Len(t, levels, 1, asked)
		assert.ErrorIs(t, levels[0].Err, channel.ErrUnknownSKU)
		assert.ErrorContains(t, levels[0].Err, want)
		assert.Empty(t, levels[0].Ref)
	}
}

func TestLookupRequests(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 250)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	levels, err := ch.Levels(t.Context(), append(skus, skus...))
	require.NoError(t, err)
	assert.Len(t, levels, 250)
	assert.Equal(t, 3, shop.Count(nil))
	for _, r := range shop.Requests() {
		assert.Equal(t, "id", r.URL.Query().Get("orderby"), "the default order loses rows")
		assert.LessOrEqual(t, len(strings.Split(r.URL.Query().Get("sku"), ",")), 100)
	}
}

func TestLongURLIsSplit(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	var skus []string
	for i := range 100 {
		skus = append(skus, strings.Repeat("ы", 40)+string(rune('A'+i%26))+strings.Repeat("x", i/26))
		shop.Add(woocommercetest.Product{SKU: skus[i], Quantity: i})
	}
	ch := openWith(t, woocommerce.Config{URL: "https://shop.example/a/folder", HTTPClient: shop.Client()}, woocommerce.ChannelConfig{})
	levels, err := ch.Levels(t.Context(), skus)
	require.NoError(t, err)
	assert.Len(t, levels, 100)
	for _, r := range shop.Requests() {
		assert.LessOrEqual(t, len(r.URL.String()), 8000)
	}
	assert.LessOrEqual(t, shop.Count(nil), 5)
}

func TestMoreRowsThanSKUsArePaged(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 100)
	for range 30 {
		shop.Add(woocommercetest.Product{SKU: "S-7", Quantity: 2})
	}
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), skus)
	require.NoError(t, err)
	assert.Len(t, levels, 130)
	assert.Equal(t, 2, shop.Count(nil))
}

func TestDroppedSKUFilterIsAnError(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	simple(shop, 150)
	// A plugin that switches SKUs off makes the shop ignore the parameter.
	shop.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool {
		q := r.URL.Query()
		q.Del("sku")
		r.URL.RawQuery = q.Encode()
		return false
	}, Times: -1})
	ch := open(t, shop, woocommerce.ChannelConfig{})
	for _, sku := range []string{"S-1", "NONE", "ÄÖ-1-of-none"} {
		_, err := ch.Levels(t.Context(), []string{sku})
		require.ErrorIs(t, err, channel.ErrUnavailable, sku)
		require.ErrorContains(t, err, "does not filter by SKU")
	}
	assert.LessOrEqual(t, shop.Count(nil), 3, "the catalogue is not read to its end")
}

func TestHiddenProductIsNotPlainlyUnknown(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	simple(shop, 2)
	shop.Inject(channeltest.Fault{Rewrite: func(status int, h http.Header, body []byte) (int, []byte) {
		return status, []byte("[]") // X-WP-Total still counts one
	}})
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), []string{"S-1"})
	require.NoError(t, err)
	require.Len(t, levels, 1)
	assert.ErrorIs(t, levels[0].Err, channel.ErrUnknownSKU)
	assert.ErrorContains(t, levels[0].Err, "hides 1")
}

// Whatever the shop answers in place of a list is never "unknown SKU".
func TestLookupAnswersThatAreNoList(t *testing.T) {
	answer := func(body string) func(int, http.Header, []byte) (int, []byte) {
		return func(status int, h http.Header, _ []byte) (int, []byte) { return status, []byte(body) }
	}
	for name, fault := range map[string]channeltest.Fault{
		"HTML 200":  {Rewrite: answer(page)},
		"empty 200": {Rewrite: answer("")},
		"null":      {Rewrite: answer("null")},
		"object":    {Rewrite: answer("{}")},
		"cut short": {Rewrite: answer(`[{"id":11,"type":"sim`)},
		"PHP warning before JSON": {Rewrite: func(s int, _ http.Header, b []byte) (int, []byte) {
			return s, append([]byte("<br /><b>Warning</b>: x in /srv/y.php"), b...)
		}},
		"404 HTML":     {Status: 404, Body: page},
		"404 no route": {Status: 404, Body: `{"code":"rest_no_route","message":"No route","data":{"status":404}}`},
		"redirect":     {Status: 301, Header: http.Header{"Location": {"https://www.shop.example/wp-json/wc/v3/products"}}},
	} {
		t.Run(name, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			simple(shop, 1)
			shop.Inject(fault)
			ch := open(t, shop, woocommerce.ChannelConfig{})
			levels, err := ch.Levels(t.Context(), []string{"S-1"})
			require.ErrorIs(t, err, channel.ErrUnavailable)
			require.NotErrorIs(t, err, channel.ErrUnknownSKU)
			assert.Empty(t, levels)
			assert.NotContains(t, err.Error(), "S-1")
			assert.NotContains(t, err.Error(), "Warning")

			shop.Inject(fault)
			err = ch.Push(t.Context(), unread(5, "S-1"))
			require.ErrorIs(t, err, channel.ErrUnavailable)
			require.NotErrorIs(t, err, channel.ErrUnknownSKU)
			assert.Zero(t, shop.Writes())
		})
	}
}
