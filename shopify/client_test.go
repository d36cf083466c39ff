package shopify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestShopName(t *testing.T) {
	for shop, good := range map[string]bool{
		"acme": true, "acme.myshopify.com": true, "a-1": true,
		"": false, "Acme": false, "acme.com": false, "https://acme.myshopify.com": false, "acme.myshopify.com/": false,
		"evil.example/x.myshopify.com": false, "evil.example#.myshopify.com": false, "acme.myshopify.com.evil.example": false,
		"user:pass@acme.myshopify.com": false, "-acme": false, "acme-": false, "acme ": false, "acme\n": false, ".myshopify.com": false,
		"acme.myshopify.com.myshopify.com": false, "https://acme.myshopify.comadmin": false, "acme.myshopify.comadmin": false,
		"acme.myshopify.com/admin": false, "https://admin.shopify.com/store/acme": false, "acme.myshopify.com:443": false,
		"ACME.myshopify.com": false, "acme.myshopify.COM": false, "//acme": false, "acme?x": false, "acme..myshopify.com": false,
		"acme.myshopify.com.": false, "xn--acme": true, "acme\x00": false, "äcme": false, "a": true, strings.Repeat("a", 101): false,
	} {
		c, err := New(Config{Shop: shop, Token: StaticToken("t")})
		if good {
			require.NoError(t, err, shop)
			assert.Equal(t, "https://"+strings.TrimSuffix(shop, ".myshopify.com")+".myshopify.com/admin/api/2026-10/graphql.json", c.endpoint.String())
			assert.Equal(t, "/admin/api/2026-10/graphql.json", c.endpoint.Path, "with its slash, or it is printed without")
			continue
		}
		require.ErrorContains(t, err, "Config.Shop", shop)
		assert.NotContains(t, err.Error(), "pass@")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"Config.Token":         func(c *Config) { c.Token = nil },
		"Config.Token: the":    func(c *Config) { c.Token = StaticToken("") },
		"Config.Token: the t":  func(c *Config) { c.Token = StaticToken("a\nb") },
		"Config.Token: cli":    func(c *Config) { c.Token = ClientCredentials("id", "") },
		"Config.Version":       func(c *Config) { c.Version = "../../x" },
		"2026-01 has no":       func(c *Config) { c.Version = "2026-01" },
		"2025-10 has no":       func(c *Config) { c.Version = "2025-10" },
		"use 2026-04 or later": func(c *Config) { c.Version = "2024-01" },
		"Config.BaseURL":       func(c *Config) { c.BaseURL = "http://example.com" },
	} {
		cfg := Config{Shop: "acme", Token: StaticToken("t")}
		change(&cfg)
		_, err := New(cfg)
		assert.ErrorContains(t, err, field)
	}
	for _, version := range []string{"", "2026-04", "2026-07", "2026-10", "2027-01", "unstable"} {
		_, err := New(Config{Shop: "acme", Token: StaticToken("t"), Version: version})
		assert.NoError(t, err, version)
	}
	client, err := New(Config{Shop: "acme", Token: StaticToken("t"), BaseURL: "http://127.0.0.1:8080/proxy/"})
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:8080/proxy/admin/api/2026-10/graphql.json", client.endpoint.String())
	for id, good := range map[string]bool{
		"1": true, "gid://shopify/Location/12": true,
		"": false, "0": false, "x": false, "gid://shopify/InventoryItem/1": false, "1?x": false, " 1": false,
	} {
		_, err := client.Channel(ChannelConfig{LocationID: id})
		assert.Equal(t, good, err == nil, id)
	}
	ch, err := client.Channel(ChannelConfig{LocationID: "7"})
	require.NoError(t, err)
	assert.Equal(t, "shopify:acme", ch.Name())
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	for _, source := range []TokenSource{StaticToken("shpat_test"), ClientCredentials("client-id", "shpat_test")} {
		cfg := Config{Shop: "acme", Token: source}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			assert.NotContains(t, fmt.Sprintf(verb, cfg), "shpat")
		}
	}
}

func TestRefusalsOfTheTransport(t *testing.T) {
	for _, test := range []struct {
		status  int
		body    string
		is      error
		repeats bool
	}{
		{401, `{"errors":"[API] Invalid API key or access token"}`, channel.ErrUnauthorized, false},
		{402, `{"errors":"Unavailable Shop"}`, channel.ErrUnavailable, false},
		{403, `{"errors":{"base":"scope"}}`, channel.ErrUnauthorized, false},
		{404, `{"errors":"Not Found"}`, nil, false},
		{423, ``, channel.ErrUnavailable, false},
		{430, `<html>Security rejection</html>`, channel.ErrUnavailable, false},
		{429, ``, channel.ErrUnavailable, true},
		{500, `oops`, channel.ErrUnavailable, true},
		{503, `<html>`, channel.ErrUnavailable, true},
		{302, ``, channel.ErrUnavailable, false},
		{200, `<html>Login</html>`, channel.ErrUnavailable, false},
		{200, ``, channel.ErrUnavailable, false},
		{200, `{}`, channel.ErrUnavailable, false},
		{200, `[]`, channel.ErrUnavailable, false},
		{200, `{"data":null}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":null}}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":{"nodes":null,"pageInfo":{"hasNextPage":false}}}}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":{"nodes":[]}}}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":{"nodes":7}}}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":{"nodes":[{"id":"7"}],"pageInfo":{"hasNextPage":false}}}}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":{"nodes":[],"pageInfo":{"hasNextPage":true}}}}`, channel.ErrUnavailable, false},
		{200, `{"data":{"inventoryItems":{"nodes":[],"pageInfo":{"hasNextPage":true,"endCursor":"a"}}}}`, channel.ErrUnavailable, false},
		{200, `{"errors":"plain text"}`, nil, false},
		{200, `{"data":{"inventoryItems":{"nodes":[],"pageInfo":{}}},"errors":[{"message":"part"}]}`, nil, false},
		{200, `{"errors":[{"message":"a","extensions":{"code":"ACCESS_DENIED"}}]}`, channel.ErrUnauthorized, false},
		{200, `{"errors":[{"message":"a","extensions":{"code":"SHOP_INACTIVE"}}]}`, channel.ErrUnavailable, false},
		{200, `{"errors":[{"message":"a","extensions":{"code":"INTERNAL_SERVER_ERROR","requestId":"r-1"}}]}`, channel.ErrUnavailable, true},
		{200, `{"errors":[{"message":"a","extensions":{"code":"MAX_COST_EXCEEDED"}}]}`, nil, false},
	} {
		t.Run(fmt.Sprintf("%d %s", test.status, test.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				shop.Add(shopifytest.Item{SKU: "A"})
				shop.Inject(answering(findItems, test.status, test.body))
				found, err := ch.Levels(t.Context(), []string{"A"})
				require.Error(t, err)
				assert.Nil(t, found)
				for _, sentinel := range []error{channel.ErrUnauthorized, channel.ErrUnavailable, channel.ErrUnknownSKU} {
					assert.Equal(t, sentinel == test.is, errors.Is(err, sentinel), "%v: %v", err, sentinel)
				}
				fault, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.Equal(t, "inventoryItems", fault.Op)
				assert.NotContains(t, err.Error(), "<")
				if !strings.Contains(test.body, `"endCursor"`) {
					assert.Equal(t, test.repeats, shop.Count(nil) > 1)
				}
			})
		})
	}
}

func TestQueryWithoutDataIsAnError(t *testing.T) {
	for _, body := range []string{`{"data":null}`, `{}`, `{"data":{"shop":null},"errors":[{"message":"part"}]}`, `{"data":7}`} {
		shop := shopifytest.New(shopifytest.Config{})
		shop.Inject(channeltest.Fault{Rewrite: func(int, http.Header, []byte) (int, []byte) { return 200, []byte(body) }})
		var data struct{ Shop any }
		assert.Error(t, open(t, shop).client.Query(t.Context(), `{ shop { id } }`, nil, &data), body)
	}
}

func TestErrorTells(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Inject(answering(findItems, 200, `{"errors":[{"message":"<b>No</b> shpat_test","extensions":{"code":"ACCESS_DENIED","requestId":"r-1"}}]}`))
	_, err := ch.Levels(t.Context(), []string{"A"})
	assert.Regexp(t, `^shopify: inventoryItems: ACCESS_DENIED: No \[redacted\] \(request request-\d+\)$`, err.Error())
}

func TestVersionMismatchIsLoggedOnce(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{Version: "2026-10"})
	var log bytes.Buffer
	ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Version, c.Logger = "2026-04", logger(&log) })
	for range 3 {
		levels(t, ch, "A")
	}
	assert.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	assert.Contains(t, log.String(), "asked=2026-04 served=2026-10")

	log.Reset()
	ch = open(t, shop, func(c *Config, _ *ChannelConfig) { c.Logger = logger(&log) })
	levels(t, ch, "A")
	assert.Empty(t, log.String())
}

func TestRedirectDoesNotCarryTheTokenAway(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Inject(channeltest.Fault{Times: -1, Status: 307, Header: http.Header{"Location": {"https://evil.example/"}}})
	_, err := ch.Levels(t.Context(), []string{"A"})
	require.ErrorIs(t, err, channel.ErrUnavailable)
	require.Len(t, shop.Requests(), 1)
	assert.Equal(t, "test-shop.myshopify.com", shop.Requests()[0].Host)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTokenIsNotInErrorsOfTheTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		client, err := New(Config{Shop: "acme", Token: StaticToken("shpat_test"), Logger: logger(&log),
			HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return nil, fmt.Errorf("cannot send %v", r.Header)
			})}})
		require.NoError(t, err)
		err = client.Query(t.Context(), `{ shop { id } }`, nil, nil)
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Contains(t, err.Error(), "[redacted]")
		assert.NotContains(t, err.Error()+log.String(), "shpat_test")
	})
}

func TestQueryRepeatsMutationsOnlyWithAKey(t *testing.T) {
	const track = `mutation Track($id: ID!) { inventoryItemUpdate(id: $id, input: {tracked: true}) { userErrors { message } } }`
	const activate = `mutation Activate($id: ID!, $at: ID!) { inventoryActivate(inventoryItemId: $id, locationId: $at) @idempotent(key: "k") { userErrors { message } } }`
	for _, test := range []struct {
		name, query string
		fault       channeltest.Fault
		requests    int
	}{
		{"query", `{ shop { id } }`, channeltest.Fault{Cut: true}, 2},
		{"mutation", track, channeltest.Fault{Cut: true, Apply: true}, 1},
		{"mutation that failed inside", track, channeltest.Fault{Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"errors":[{"message":"x","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`)
		}}, 1},
		{"mutation that was refused for its rate", track, channeltest.Fault{Status: 429}, 2},
		{"mutation with a key", activate, channeltest.Fault{Cut: true, Apply: true}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				client := open(t, shop).client
				id := shop.Add(shopifytest.Item{SKU: "A"})[0]
				vars := map[string]any{"id": id}
				if test.name == "mutation with a key" {
					vars["at"] = shop.Location()
				}
				if test.name == "query" {
					vars = nil
				}
				shop.Inject(test.fault)
				err := client.Query(t.Context(), test.query, vars, nil)
				assert.Equal(t, test.requests, shop.Count(nil))
				assert.Equal(t, test.requests == 1, err != nil, err)
			})
		})
	}
}

func TestClientCredentialsAskOncePerToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Token = ClientCredentials("client-id", "client-secret") })
		grants := func() int { return shop.Count(channeltest.On("POST", "/admin/oauth/access_token")) }

		var group sync.WaitGroup
		for range 5 {
			group.Go(func() { levels(t, ch, "A") })
		}
		group.Wait()
		assert.Equal(t, 1, grants(), "one token for all")

		shop.RevokeTokens()
		for range 5 {
			group.Go(func() { levels(t, ch, "A") })
		}
		group.Wait()
		assert.Equal(t, 2, grants(), "one more after a 401, for all who met it")

		time.Sleep(23*time.Hour + 50*time.Minute)
		levels(t, ch, "A")
		assert.Equal(t, 2, grants(), "still good")
		time.Sleep(6 * time.Minute)
		levels(t, ch, "A")
		assert.Equal(t, 3, grants(), "renewed before its end")
		for _, r := range shop.Requests() {
			assert.Empty(t, r.URL.RawQuery)
		}
	})
}

func TestFailedEarlyRenewalKeepsTheOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Token = ClientCredentials("client-id", "client-secret") })
		levels(t, ch, "A")
		time.Sleep(23*time.Hour + 56*time.Minute)
		shop.Inject(channeltest.Fault{Match: channeltest.On("", "access_token"), Times: 5, Status: 503})
		levels(t, ch, "A")
		time.Sleep(2 * time.Minute)
		levels(t, ch, "A")
		assert.Equal(t, 7, shop.Count(channeltest.On("POST", "access_token")))
	})
}

func TestRefusedClientCredentials(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	var log bytes.Buffer
	ch := open(t, shop, func(c *Config, _ *ChannelConfig) {
		c.Token, c.Logger = ClientCredentials("client-id", "wrong-secret"), logger(&log)
	})
	_, err := ch.Levels(t.Context(), []string{"A"})
	require.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.Contains(t, err.Error(), "invalid_client")
	assert.NotContains(t, err.Error()+log.String(), "wrong-secret")
	assert.Equal(t, 1, shop.Count(nil))
}

func TestStillRefusedWithANewToken(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Token = ClientCredentials("client-id", "client-secret") })
	shop.Inject(answering(findItems, 401, `{"errors":"no"}`))
	_, err := ch.Levels(t.Context(), []string{"A"})
	require.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.Equal(t, 2, shop.Count(doing(findItems)), "asked once more only")
}

func TestStaticTokenIsNotTriedTwice(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{Token: "shpat_other"})
	_, err := open(t, shop).Levels(t.Context(), []string{"A"})
	require.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.Equal(t, 1, shop.Count(nil))
}

func TestTokenGrantThatMakesNoSense(t *testing.T) {
	for _, body := range []string{`<html>`, ``, `{}`, `{"access_token":""}`, `{"access_token":"a\nb"}`, `{"access_token":7}`} {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Token = ClientCredentials("client-id", "client-secret") })
		shop.Inject(channeltest.Fault{Rewrite: func(int, http.Header, []byte) (int, []byte) { return 200, []byte(body) }})
		_, err := ch.Levels(t.Context(), []string{"A"})
		require.ErrorIs(t, err, channel.ErrUnavailable, body)
	}
}

// With sockets and BaseURL, from the first token to the result
// of a bulk operation.
func TestOverASocket(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	server := httptest.NewServer(shop)
	defer server.Close()
	ch := open(t, shop, func(c *Config, _ *ChannelConfig) {
		c.BaseURL, c.HTTPClient, c.Token = server.URL, server.Client(), ClientCredentials("client-id", "client-secret")
	})
	skus := stock(shop, 30)
	require.NoError(t, ch.Preload(t.Context()))
	require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
	assert.Len(t, shop.History(), 30)
	assert.Zero(t, shop.Count(doing(findItems)))
}

func TestCancelledCallReturnsTheContextsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{Latency: time.Hour})
		ch := open(t, shop)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ch.Levels(ctx, []string{"A"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		err = ch.Push(ctx, []channel.Update{{SKU: "A", Quantity: 1}})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		_, some := errors.AsType[channel.Errors](err)
		assert.False(t, some)
	})
}

func TestErrorsOfTheTransportNameTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Logger = logger(&log) })
		shop.Inject(channeltest.Fault{Cut: true, Times: -1})
		_, err := ch.Levels(t.Context(), []string{"A"})
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "POST https://test-shop.myshopify.com/admin/api/2026-10/graphql.json")
		assert.Contains(t, log.String(), "/admin/api")
	})
}

func TestStatusesAreExplained(t *testing.T) {
	for status, word := range map[int]string{401: "token", 402: "frozen", 403: "scope", 404: "Config.Shop", 423: "locked", 430: "suspicious"} {
		shop := shopifytest.New(shopifytest.Config{})
		shop.Inject(channeltest.Fault{Times: -1, Status: status, Body: `{"errors":"its own words"}`})
		_, err := open(t, shop).Levels(t.Context(), []string{"A"})
		assert.ErrorContains(t, err, word)
		assert.ErrorContains(t, err, "its own words")
	}
}

// Keys of an answer match byte for byte, and once.
func TestAnswersAreReadStrictly(t *testing.T) {
	for _, body := range []string{
		`{"DATA":{"shop":{"id":"x"}}}`, `{"data":{"shop":{"id":"x"}},"Errors":[{"message":"no"}]}`, `{"data":null,"data":{"shop":{"id":"x"}}}`,
	} {
		shop := shopifytest.New(shopifytest.Config{})
		shop.Inject(channeltest.Fault{Status: 200, Body: body, Times: -1})
		assert.ErrorIs(t, open(t, shop).client.Query(t.Context(), `{ shop { id } }`, nil, nil), channel.ErrUnavailable, body)
	}
	for _, body := range []string{
		`{"inventoryAdjustmentGroup":null,"USERERRORS":[]}`, `{"userErrors":[],"USERERRORS":[{"message":"no"}]}`, `{"userErrors":[],"userErrors":[{"message":"no"}]}`,
		`{"userErrors":{}}`, `{"userErrors":"none"}`,
	} {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 1)...)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Status: 200, Body: `{"data":{"inventorySetQuantities":` + body + `}}`, Times: -1})
		assert.ErrorIs(t, ch.Push(t.Context(), updates(seen, 1)), channel.ErrUnavailable, body)
	}
}
