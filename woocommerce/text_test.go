package woocommerce_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
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
