package woocommerce_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
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

// asks matches reads of an SKU.
func asks(sku string) func(channeltest.Request) bool {
	return func(r channeltest.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(","+r.URL.Query().Get("sku")+",", ","+sku+",")
	}
}

func bySKU(levels []channel.Level) map[string]channel.Level {
	m := make(map[string]channel.Level, len(levels))
	for _, l := range levels {
		m[l.SKU] = l
	}
	return m
}

// One SKU that breaks whatever it is part of is found, and then leaves the
// others in peace.
func TestOnePoisonedSKU(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"500 of WordPress": {Status: 500, Body: `{"code":"internal_server_error","message":"<p>There has been a critical error on this website.</p>","data":{"status":500}}`},
		"500":              {Status: 500, Body: page},
		"502":              {Status: 502, Body: page},
		"cut":              {Cut: true},
		"HTML 200":         {Status: 200, Body: page},
		"half":             {Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) { return status, body[:len(body)/2] }},
		"400":              {Status: 400, Body: `{"code":"rest_invalid_param","message":"Invalid parameter(s): sku"}`},
		"403 HTML":         {Status: 403, Body: page},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "half" {
				racetest.Long(t)
			}
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{RequestTime: 45 * time.Millisecond, ItemReadTime: 2 * time.Millisecond})
				skus := simple(shop, 1000)
				ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Parallel: 2}, woocommerce.ChannelConfig{})
				start := time.Now()
				_, err := ch.Levels(t.Context(), skus)
				require.NoError(t, err)
				usual := time.Since(start)

				fault.Match, fault.Times = asks("S-317"), -1
				shop.Inject(fault)
				check := func(levels []channel.Level, err error) {
					t.Helper()
					require.NoError(t, err)
					require.Len(t, levels, 1000)
					for sku, l := range bySKU(levels) {
						if sku != "S-317" {
							require.NoError(t, l.Err, sku)
						} else if assert.Error(t, l.Err) {
							assert.False(t, channel.Permanent(l.Err), "it may pass")
						}
					}
				}
				start = time.Now()
				check(ch.Levels(t.Context(), skus))
				assert.Less(t, time.Since(start), 2*usual+2*time.Second, "to find it takes a moment")

				shop.Forget()
				start = time.Now()
				check(ch.Levels(t.Context(), skus))
				assert.Less(t, time.Since(start), 2*usual)
				assert.LessOrEqual(t, shop.Count(nil), 14, "it is remembered")

				levels, err := ch.Levels(t.Context(), []string{"S-317"})
				require.NoError(t, err, "alone it is not the shop either")
				assert.Error(t, levels[0].Err)

				shop.Heal()
				levels, err = ch.Levels(t.Context(), []string{"S-317"})
				require.NoError(t, err)
				assert.NoError(t, levels[0].Err)
				shop.Forget()
				_, err = ch.Levels(t.Context(), skus)
				require.NoError(t, err)
				assert.Equal(t, 10, shop.Count(nil), "all is well again")
			})
		})
	}
}

// Who asks for one SKU only cannot compare. The shop is asked for something else.
func TestOnePoisonedSKUAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		id := shop.Add(woocommercetest.Product{SKU: "BAD"})[0]
		shop.Add(woocommercetest.Product{ID: 1, SKU: "GOOD"})
		shop.Fatal(id, "Uncaught Error: Call to undefined function price_badge() in /srv/shop/wp-content/plugins/stock-badges/x.php:3\nStack trace:\n#0 {main}")
		ch := open(t, shop, woocommerce.ChannelConfig{})
		levels, err := ch.Levels(t.Context(), []string{"BAD"})
		require.NoError(t, err)
		require.Len(t, levels, 1)
		require.ErrorIs(t, levels[0].Err, channel.ErrUnavailable)
		for _, part := range []string{"There has been a critical error on this website", "Call to undefined function price_badge()", "plugin stock-badges, badge.php line 300"} {
			assert.ErrorContains(t, levels[0].Err, part)
		}
		assert.NotContains(t, levels[0].Err.Error(), "Stack")
		assert.NotContains(t, levels[0].Err.Error(), "/srv/shop/wp-content/plugins/stock-badges/includes")
	})
}

// A shop that fails for everything is no matter of SKUs, and is not asked for
// each of them.
func TestAShopThatAnswersNoQuestion(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"500": {Status: 500, Body: page}, "502": {Status: 502, Body: page}, "cut": {Cut: true}, "HTML 200": {Status: 200, Body: page},
		"403 HTML": {Status: 403, Body: page}, "404 HTML": {Status: 404, Body: page}, "no answer": {Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				skus := simple(shop, 100)
				fault.Times = -1
				shop.Inject(fault)
				_, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), skus)
				require.Error(t, err)
				assert.True(t, !channel.Permanent(err))
				assert.LessOrEqual(t, shop.Count(nil), 5)
			})
		})
	}
	t.Run("to the questions for SKUs", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 1000)
		shop.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool { return r.URL.Query().Has("sku") }, Times: -1, Status: 403, Body: page})
		_, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), skus)
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.LessOrEqual(t, shop.Count(nil), 50)
	})
}

func TestALimitOfAddressesIsLearned(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  woocommercetest.Config
	}{
		{"403", woocommercetest.Config{QueryLimit: 2048}},
		{"404", woocommercetest.Config{QueryLimit: 2048, QueryStatus: 404}},
		{"414", woocommercetest.Config{QueryLimit: 2048, QueryStatus: 414}},
		{"413", woocommercetest.Config{QueryLimit: 2048, QueryStatus: 413}},
		{"406", woocommercetest.Config{QueryLimit: 2048, QueryStatus: 406}},
		{"494", woocommercetest.Config{QueryLimit: 2048, QueryStatus: 494}},
		{"400", woocommercetest.Config{QueryLimit: 2048, QueryStatus: 400}},
		{"1024", woocommercetest.Config{URLLimit: 1024}},
		{"4096", woocommercetest.Config{URLLimit: 4096}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shop := woocommercetest.New(tt.cfg)
			var skus []string
			for i := range 300 {
				skus = append(skus, fmt.Sprintf("A-RATHER-LONG-ARTICLE-NUMBER-OF-A-WHOLESALER/%05d", i))
				shop.Add(woocommercetest.Product{SKU: skus[i], Quantity: i})
			}
			var logs bytes.Buffer
			ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Logger: slog.New(slog.NewTextHandler(&logs, nil))}, woocommerce.ChannelConfig{})
			levels, err := ch.Levels(t.Context(), skus)
			require.NoError(t, err)
			require.Len(t, levels, 300)
			for _, l := range levels {
				require.NoError(t, l.Err)
			}
			assert.Contains(t, logs.String(), "long addresses are refused")

			shop.Forget()
			levels, err = ch.Levels(t.Context(), skus)
			require.NoError(t, err)
			require.Len(t, levels, 300)
			limit := max(tt.cfg.QueryLimit, tt.cfg.URLLimit)
			for _, r := range shop.Requests() {
				assert.LessOrEqual(t, len(r.URL.RawQuery), limit)
			}
			assert.LessOrEqual(t, shop.Count(nil), 2+2*300*50/limit)
		})
	}
	t.Run("what is refused for an SKU is no limit", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 100)
		shop.Inject(channeltest.Fault{Match: asks("S-7"), Times: -1, Status: 403, Body: page})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		levels, err := ch.Levels(t.Context(), skus)
		require.NoError(t, err)
		assert.Error(t, bySKU(levels)["S-7"].Err)
		shop.Forget()
		_, err = ch.Levels(t.Context(), skus)
		require.NoError(t, err)
		assert.LessOrEqual(t, shop.Count(nil), 3)
	})
}

func TestCachesAreDefeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 3)
		shop.Cache(time.Hour, false)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		for n := range 4 {
			shop.Set("S-1", 10*n)
			levels, err := ch.Levels(t.Context(), skus)
			require.NoError(t, err)
			assert.Equal(t, 10*n, bySKU(levels)["S-1"].Quantity)
		}
		seen := make(map[string]bool)
		for _, r := range shop.Requests() {
			assert.False(t, seen[r.URL.RawQuery], "an address of its own each time")
			seen[r.URL.RawQuery] = true
			assert.Equal(t, "no-cache", r.Header.Get("Cache-Control"))
		}
	})
}

// A cache that looks at nothing but what it knows is not believed.
func TestWhatACacheAnswersIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 3)
		shop.Cache(time.Hour, true)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		_, err := ch.Levels(t.Context(), skus)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		shop.Set("S-1", 10)
		_, err = ch.Levels(t.Context(), skus)
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "a cache answered in place of the shop")
		assert.ErrorContains(t, err, "exclude /wp-json/wc/v3/")
		assert.Equal(t, 3, shop.Count(nil), "asked once more, and not for parts")

		err = ch.Push(t.Context(), unread(5, "S-1", "S-2", "S-3"))
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Zero(t, shop.Writes())

		time.Sleep(2 * time.Hour)
		levels, err := ch.Levels(t.Context(), skus)
		require.NoError(t, err)
		assert.Equal(t, 10, bySKU(levels)["S-1"].Quantity)
	})
}

func TestCachesAreDefeatedBySignedRequestsToo(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 3)
	shop.Cache(time.Hour, false)
	ch := openWith(t, woocommerce.Config{URL: "http://localhost", HTTPClient: shop.Client()}, woocommerce.ChannelConfig{})
	for range 3 {
		_, err := ch.Levels(t.Context(), skus)
		require.NoError(t, err)
	}
}

func TestNoiseAroundTheShopsJSON(t *testing.T) {
	for name, around := range map[string][2]string{
		"a byte order mark": {"\ufeff", ""},
		"a comment":         {"", "\n<!-- Performance optimized by Boxcar. Served in 0.2 seconds -->\n"},
		"a warning":         {"<br />\n<b>Deprecated</b>:  Optional parameter before required one in <b>/srv/shop/wp-content/plugins/x/y.php</b> on line <b>12</b><br />\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := append(simple(shop, 120), variations(shop, 2, 2)...)
			shop.Noise(around[0], around[1])
			var logs bytes.Buffer
			ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Logger: slog.New(slog.NewTextHandler(&logs, nil))}, woocommerce.ChannelConfig{})
			require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
			shows(t, shop, 5, skus...)
			assert.Equal(t, 1, strings.Count(logs.String(), "\n"), "%s", &logs)
			assert.Contains(t, logs.String(), "noise around the service's JSON")
		})
	}
}

func TestManyProductsWithOneSKUSpoilNothing(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 50)
	for range 1100 {
		shop.Add(woocommercetest.Product{SKU: "MANY"})
	}
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), append(skus, "MANY"))
	require.NoError(t, err)
	require.Len(t, levels, 51)
	assert.ErrorIs(t, bySKU(levels)["MANY"].Err, channel.ErrInvalid)
	assert.NoError(t, bySKU(levels)["S-1"].Err)
}

func TestARateAndADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		c := connect(t, woocommerce.Config{HTTPClient: shop.Client(), Rate: 0.1})
		require.NoError(t, c.Do(t.Context(), http.MethodGet, "products", url.Values{}, nil, nil))
		ctx, cancel := contextFor(t, 5*time.Second)
		defer cancel()
		err := c.Do(ctx, http.MethodGet, "products", nil, nil, nil)
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "woocommerce: GET https://shop.example/wp-json/wc/v3/products: ")
	})
}
