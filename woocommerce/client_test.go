package woocommerce_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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

func TestNew(t *testing.T) {
	tests := []struct {
		url, key, secret, err string
	}{
		{"https://shop.example", "ck", "cs", ""},
		{"https://shop.example/blog/", "ck", "cs", ""},
		{"http://localhost:8080", "ck", "cs", ""},
		{"http://127.0.0.1", "ck", "cs", ""},
		{"http://[::1]:80", "ck", "cs", ""},
		{"http://shop.example", "ck", "cs", "use https"},
		{"http://localhost.shop.example", "ck", "cs", "use https"},
		{"https://user:sesame@shop.example", "ck", "cs", "credentials do not belong in the URL"},
		{"https://shop.example/wp-json/wc/v3", "ck", "cs", "without /wp-json"},
		{"shop.example", "ck", "cs", "URL"},
		{"", "ck", "cs", "URL"},
		{"https://shop.example", "", "cs", "ConsumerKey is required"},
		{"https://shop.example", "ck", "", "ConsumerSecret is required"},
		{"https://shop.example", "ck", "cs\n", "ConsumerSecret has a blank"},
	}
	for _, tt := range tests {
		_, err := woocommerce.New(woocommerce.Config{URL: tt.url, ConsumerKey: tt.key, ConsumerSecret: tt.secret})
		if tt.err == "" {
			assert.NoError(t, err, tt.url)
			continue
		}
		if assert.ErrorContains(t, err, tt.err) {
			assert.NotContains(t, err.Error(), "sesame")
		}
	}
	_, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck", ConsumerSecret: "cs", Parallel: -1})
	assert.Error(t, err)
}

func TestName(t *testing.T) {
	for url, want := range map[string]string{
		"https://shop.example": "woocommerce:shop.example", "https://shop.example/b/": "woocommerce:shop.example/b",
	} {
		ch := openWith(t, woocommerce.Config{URL: url}, woocommerce.ChannelConfig{})
		assert.Equal(t, want, ch.Name())
	}
	assert.Equal(t, "x", openWith(t, woocommerce.Config{}, woocommerce.ChannelConfig{Name: "x"}).Name())
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		simple(shop, 1)
		c := connect(t, woocommerce.Config{URL: "https://shop.example/folder", HTTPClient: shop.Client()})
		var got struct {
			SKU      string `json:"sku"`
			Quantity int    `json:"stock_quantity"`
		}
		shop.Inject(channeltest.Fault{Cut: true})
		require.NoError(t, c.Do(t.Context(), http.MethodGet, "products/11", url.Values{"_fields": {"sku,stock_quantity"}}, nil, &got), "a read is repeated")
		assert.Equal(t, "S-1", got.SKU)
		assert.Equal(t, "/folder/wp-json/wc/v3/products/11", shop.Requests()[0].URL.Path)

		require.NoError(t, c.Do(t.Context(), http.MethodPut, "products/11", nil, map[string]any{"stock_quantity": 4}, &got))
		assert.Equal(t, 4, got.Quantity)

		shop.Forget()
		shop.Inject(channeltest.Fault{Status: 502, Body: page})
		err := c.Do(t.Context(), http.MethodPut, "products/11", nil, map[string]any{"stock_quantity": 4}, nil)
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Equal(t, 1, shop.Count(nil), "a write is not repeated")

		err = c.Do(t.Context(), http.MethodPut, "products/11", nil, map[string]any{"stock_quantity": "many"}, nil)
		e, ok := errors.AsType[*woocommerce.Error](err)
		require.True(t, ok)
		assert.Equal(t, 400, e.Status)
		assert.Equal(t, "rest_invalid_param", e.Code)
		assert.Equal(t, "PUT https://shop.example/folder/wp-json/wc/v3/products/11", e.Op)

		require.ErrorIs(t, c.Do(t.Context(), http.MethodGet, "products/999", nil, nil, nil), channel.ErrUnknownSKU)
		variations(shop, 1, 1)
		err = c.Do(t.Context(), http.MethodPut, "products/13", nil, map[string]any{"stock_quantity": 4}, nil)
		require.ErrorIs(t, err, channel.ErrConflict)
		require.ErrorContains(t, err, "use the /products/<product_id>/variations/<id> endpoint", "entities are undone, and no tags")
		require.ErrorContains(t, c.Do(t.Context(), http.MethodGet, "../../wp/v2/users", nil, nil, nil), "leaves the API")
		require.Error(t, c.Do(t.Context(), http.MethodPost, "products", nil, func() {}, nil))
		shop.Inject(channeltest.Fault{Status: 200, Body: page})
		require.ErrorIs(t, c.Do(t.Context(), http.MethodGet, "products/11", nil, nil, &got), channel.ErrUnavailable)
	})
}

func TestRefusedKeys(t *testing.T) {
	t.Run("read only", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{ReadOnly: true})
		skus := simple(shop, 250)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		err := ch.Push(t.Context(), updates)
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.False(t, isErrors(err), "it is the shop that fails, and not each SKU")
		e, _ := errors.AsType[*woocommerce.Error](err)
		assert.Equal(t, "woocommerce_rest_authentication_error", e.Code)
		assert.Contains(t, e.Message, "write permissions")
		assert.LessOrEqual(t, shop.Count(batches), 2, "the rest is not tried")
	})
	t.Run("wrong secret", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{Secret: "cs_other"})
		_, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), []string{"S-1"})
		require.ErrorIs(t, err, channel.ErrUnauthorized)
	})
	t.Run("unknown key", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{Key: "ck_other"})
		_, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), []string{"S-1"})
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "the key is unknown, or the server drops the Authorization header")
	})
	t.Run("unknown key over HTTP", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{Key: "ck_other"})
		ch := openWith(t, woocommerce.Config{URL: "http://localhost:8080", HTTPClient: shop.Client()}, woocommerce.ChannelConfig{})
		_, err := ch.Levels(t.Context(), []string{"S-1"})
		require.ErrorIs(t, err, channel.ErrUnauthorized)
	})
	t.Run("firewall", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		shop.Inject(channeltest.Fault{Status: 403, Body: page})
		_, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), []string{"S-1"})
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "firewall")
	})
}

func TestBasicIgnoredOverHTTPIsFollowedByOAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := append(simple(shop, 150), "A,B é+1", "R&D 'x' 100%")
		shop.Add(woocommercetest.Product{SKU: "A,B é+1"}, woocommercetest.Product{SKU: "R&D 'x' 100%"})
		ch := openWith(t, woocommerce.Config{URL: "http://127.0.0.1:8081", HTTPClient: shop.Client()}, woocommerce.ChannelConfig{})
		shop.Inject(channeltest.Fault{Match: lookups, Skip: 2, Cut: true, Apply: true}) // its repetition needs a nonce of its own
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
		shows(t, shop, 5, skus...)
		basic := 0
		for _, r := range shop.Requests() {
			if strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
				basic++
			}
			assert.NotContains(t, r.URL.RawQuery, "oauth_")
		}
		assert.LessOrEqual(t, basic, 2, "only those sent before the first answer")
	})
}

func TestOverASocket(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 3)
	for _, server := range []*httptest.Server{httptest.NewServer(shop), httptest.NewTLSServer(shop)} {
		defer server.Close()
		ch := openWith(t, woocommerce.Config{URL: server.URL, HTTPClient: server.Client()}, woocommerce.ChannelConfig{})
		require.NoError(t, ch.Push(t.Context(), unread(len(server.URL), skus...)))
		shows(t, shop, len(server.URL), skus...)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for location, want := range map[string]string{
		"https://www.shop.example/wp-json/wc/v3/products?sku=S-1": "configure https://www.shop.example as the URL",
		"https://login.example/?token=sesame":                     "leads to https://login.example/",
		"/de/wp-json/wc/v3/products":                              "configure https://shop.example/de as the URL",
		"":                                                        "redirects are not followed",
	} {
		shop := woocommercetest.New(woocommercetest.Config{})
		shop.Inject(channeltest.Fault{Status: 301, Header: http.Header{"Location": {location}}, Times: -1})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		_, err := ch.Levels(t.Context(), []string{"S-1"})
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "sesame")
		assert.Equal(t, 1, shop.Count(nil))

		u := channel.Update{SKU: "S-1", Quantity: 5, Seen: &channel.Level{SKU: "S-1", Ref: "product 11"}}
		err = ch.Push(t.Context(), []channel.Update{u})
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Equal(t, 2, shop.Count(nil))
		for _, r := range shop.Requests() {
			assert.Equal(t, "shop.example", r.Host)
		}
	}
}

func TestNoCredentialsAnywhere(t *testing.T) {
	const key, secret = "ck_test", "cs_test"
	token := base64.StdEncoding.EncodeToString([]byte(key + ":" + secret))
	leak := `{"code":"woocommerce_rest_` + secret + `","message":"<b>key</b> ` + key + `, &quot;` + secret + `&quot;, ` + token + `, &#99;s_test"}`
	for _, base := range []string{"https://shop.example", "http://localhost"} {
		for name, fault := range map[string]channeltest.Fault{
			"refusal":  {Status: 401, Body: leak},
			"failure":  {Status: 500, Body: leak},
			"redirect": {Status: 302, Header: http.Header{"Location": {"https://evil.example/" + secret + "/?k=" + key}}},
			"200":      {Status: 200, Body: leak},
			"cut":      {Cut: true},
			"item":     {Status: 200, Body: `{"update":[{"id":11,"error":` + leak + `}]}`},
		} {
			t.Run(base+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shop := woocommercetest.New(woocommercetest.Config{})
					simple(shop, 1)
					var log bytes.Buffer
					logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					fault.Times = -1
					shop.Inject(fault)
					c := connect(t, woocommerce.Config{URL: base, HTTPClient: shop.Client(), Logger: logger})
					ch, err := c.Channel(woocommerce.ChannelConfig{})
					require.NoError(t, err)
					_, readErr := ch.Levels(t.Context(), []string{"S-1"})
					require.Error(t, readErr)
					u := channel.Update{SKU: "S-1", Quantity: 5, Seen: &channel.Level{SKU: "S-1", Ref: "product 11"}}
					pushErr := ch.Push(t.Context(), []channel.Update{u})
					require.Error(t, pushErr)
					for _, text := range []string{log.String(), readErr.Error(), pushErr.Error()} {
						assert.NotContains(t, text, key)
						assert.NotContains(t, text, secret)
						assert.NotContains(t, text, token)
						assert.NotContains(t, text, "sku=")
					}
					for _, r := range shop.Requests() {
						assert.NotContains(t, r.URL.String(), key)
						assert.NotContains(t, r.URL.String(), secret)
						assert.NotEqual(t, "evil.example", r.Host)
					}
				})
			})
		}
	}
}

func TestRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 1000)
		ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Rate: 2, Parallel: 8}, woocommerce.ChannelConfig{})
		start := time.Now()
		_, err := ch.Levels(t.Context(), skus)
		require.NoError(t, err)
		assert.Len(t, shop.Requests(), 10)
		assert.Equal(t, 4500*time.Millisecond, time.Since(start))
	})
}
