package square

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"Config.Token is required": func(c *Config) { c.Token = nil },
		"Config.Token: the token":  func(c *Config) { c.Token = StaticToken("") },
		"Config.Token: the":        func(c *Config) { c.Token = StaticToken("EAAA sesame") },
		"Config.Version":           func(c *Config) { c.Version = "latest" },
		"use https":                func(c *Config) { c.BaseURL = "http://example.com" },
		"without /v2":              func(c *Config) { c.BaseURL = "https://example.com/v2/" },
		"do not belong in the URL": func(c *Config) { c.BaseURL = "https://user:sesame@example.com" },
		"must not be negative":     func(c *Config) { c.Rate = -1 },
		"Config.Parallel":          func(c *Config) { c.Parallel = -1 },
	} {
		cfg := Config{Token: StaticToken("t")}
		change(&cfg)
		_, err := New(cfg)
		if assert.ErrorContains(t, err, want) {
			assert.NotContains(t, err.Error(), "sesame")
		}
	}
	client, err := New(Config{Token: StaticToken("t"), BaseURL: "http://127.0.0.1:8080/proxy/"})
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:8080/proxy", client.base.String())
	for want, cfg := range map[string]ChannelConfig{
		"LocationID: not":               {},
		"LocationID: not the id":        {LocationID: "L/../x"},
		`"main" is no id`:               {LocationID: "main"},
		"BookingLag: -1s is not":        {LocationID: "L", BookingLag: -time.Second},
		"BookingLag: 22h0m0.000000001s": {LocationID: "L", BookingLag: maxBookingLag + 1},
	} {
		_, err := client.Channel(cfg)
		assert.ErrorContains(t, err, want)
	}
}

func TestTrapEveryRequestNamesItsVersion(t *testing.T) {
	for _, version := range []string{"", "2026-07-15"} {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 3)
		var logs bytes.Buffer
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Version, c.Logger = version, logger(&logs) })
		require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
		for _, r := range till.Requests() {
			want := version
			if want == "" {
				want = squaretest.SchemaVersion
			}
			assert.Equal(t, want, r.Header.Get("Square-Version"))
			assert.Equal(t, "Bearer EAAAtest", r.Header.Get("Authorization"))
			assert.Equal(t, "connect.squareup.com", r.Host)
		}
		assert.NotContains(t, logs.String(), "another version")
	}
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 3)
	var logs bytes.Buffer
	client := till.Client()
	client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := till.RoundTrip(r)
		if err == nil {
			resp.Header.Set("Square-Version", "2030-01-01")
		}
		return resp, err
	})
	ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.HTTPClient, c.Logger = client, logger(&logs) })
	levels(t, ch, skus...)
	assert.Equal(t, 1, strings.Count(logs.String(), "another version"))
	ch = open(t, till, func(c *Config, _ *ChannelConfig) { c.Version = "2019-01-01" })
	_, err := ch.Levels(t.Context(), skus)
	assert.ErrorContains(t, err, "INVALID_SQUARE_VERSION_FORMAT")
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		ids := till.Add(squaretest.Variation{SKU: "A", Quantity: 3})
		c := open(t, till).client
		var got struct {
			Locations []struct{ ID string }
		}
		till.Inject(channeltest.Fault{Cut: true})
		require.NoError(t, c.Do(t.Context(), http.MethodGet, "/v2/locations", nil, nil, &got), "a read is repeated")
		assert.Equal(t, "LMAIN", got.Locations[0].ID)
		till.Inject(channeltest.Fault{Status: 502})
		require.NoError(t, c.Do(t.Context(), http.MethodPost, "/v2/inventory/counts/batch-retrieve", nil, map[string]any{"catalog_object_ids": ids}, nil), "so is one by POST")
		require.NoError(t, c.Do(t.Context(), http.MethodGet, "/v2/catalog/list", url.Values{"types": {"ITEM_VARIATION"}}, nil, nil))
		assert.Equal(t, "types=ITEM_VARIATION", till.Requests()[len(till.Requests())-1].URL.RawQuery)

		count := map[string]any{"type": "PHYSICAL_COUNT", "physical_count": map[string]any{
			"catalog_object_id": ids[0], "location_id": "LMAIN", "state": "IN_STOCK", "quantity": "9", "occurred_at": till.Now().Format(time.RFC3339),
		}}
		for key, requests := range map[string]int{"": 1, "mine": 2} {
			body := map[string]any{"changes": []any{count}}
			if key != "" {
				body["idempotency_key"] = key
			}
			till.Forget()
			till.Inject(channeltest.Fault{Status: 504})
			c.Do(t.Context(), http.MethodPost, "/v2/inventory/changes/batch-create", nil, body, nil)
			till.Heal()
			assert.Equal(t, requests, till.Count(nil), "a write is repeated with its key only")
			if key != "" {
				assert.Equal(t, till.Requests()[0].Body, till.Requests()[1].Body)
			}
		}
		assert.Equal(t, 9, shown(t, till, "A"))

		for _, path := range []string{"v2/locations", "/v2/../v1/x", "/v1/x", ""} {
			assert.ErrorContains(t, c.Do(t.Context(), http.MethodGet, path, nil, nil, nil), "begin with /v2/")
		}
		err := c.Do(t.Context(), http.MethodGet, "/v2/locations/LNONE", nil, nil, nil)
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok, err)
		assert.Equal(t, 404, e.Status)
		assert.Equal(t, "GET https://connect.squareup.com/v2/locations/LNONE", e.Op)
		assert.Equal(t, []Detail{{"INVALID_REQUEST_ERROR", "NOT_FOUND", "Merchant does not have a location with ID LNONE.", "location_id"}}, e.Details)

		// Errors may come with 200.
		till.Inject(answering("/v2/locations", 200, `{"errors":[{"category":"API_ERROR","code":"TEMPORARY_ERROR"},{"code":"OTHER"}],"locations":[]}`))
		err = c.Do(t.Context(), http.MethodGet, "/v2/locations", nil, nil, &got)
		assert.EqualError(t, err, "square: GET https://connect.squareup.com/v2/locations: 200 TEMPORARY_ERROR; and 1 more")
		assert.Error(t, c.Do(t.Context(), http.MethodGet, "/v2/locations", nil, func() {}, nil))
		till.Heal()
		assert.ErrorIs(t, c.Do(t.Context(), http.MethodGet, "/v2/locations", nil, nil, new(int)), channel.ErrUnavailable)
	})
}

func TestRefusalsOfTheTransport(t *testing.T) {
	said := func(code string) string {
		return `{"errors":[{"category":"X","code":"` + code + `","detail":"so it is"}]}`
	}
	for _, test := range []struct {
		status  int
		body    string
		is      error
		repeats bool
	}{
		{401, said("UNAUTHORIZED"), channel.ErrUnauthorized, false},
		{401, said("ACCESS_TOKEN_REVOKED"), channel.ErrUnauthorized, false},
		{401, ``, channel.ErrUnauthorized, false},
		{403, said("INSUFFICIENT_SCOPES"), channel.ErrUnauthorized, false},
		{403, `<html>Blocked</html>`, channel.ErrUnauthorized, false},
		{404, `<html>Not here</html>`, channel.ErrUnavailable, false},
		{400, said("BAD_REQUEST"), channel.ErrInvalid, false},
		{429, said("RATE_LIMITED"), channel.ErrUnavailable, true},
		{500, said("INTERNAL_SERVER_ERROR"), channel.ErrUnavailable, true},
		{502, ``, channel.ErrUnavailable, true},
		{503, said("SERVICE_UNAVAILABLE"), channel.ErrUnavailable, true},
		{504, `<html>`, channel.ErrUnavailable, true},
		{302, ``, channel.ErrUnavailable, false},
		{200, ``, channel.ErrUnavailable, false},
		{200, `null`, channel.ErrUnavailable, false},
		{200, `[]`, channel.ErrUnavailable, false},
		{200, `<html>Login</html>`, channel.ErrUnavailable, false},
		{200, `{"counts":7}`, channel.ErrUnavailable, false},
		{200, `{"counts":[]} {}`, channel.ErrUnavailable, false},
		{200, `{"Counts":[]}`, channel.ErrUnavailable, false},
		{200, `{"errors":[{"code":"TEMPORARY_ERROR"}]}`, channel.ErrUnavailable, false},
		{200, `{"errors":"no"}`, channel.ErrUnavailable, false},
	} {
		t.Run(fmt.Sprintf("%d %s", test.status, test.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				till := squaretest.New(squaretest.Config{})
				skus := stock(till, 2)
				ch := open(t, till)
				seen := levels(t, ch, skus...)
				till.Inject(answering(countsPath, test.status, test.body))
				till.Forget()
				got, err := ch.Levels(t.Context(), skus)
				if test.status == 400 { // asked for again one by one
					require.NoError(t, err)
					require.Len(t, got, 2)
					assert.ErrorIs(t, got[0].Err, channel.ErrInvalid)
				} else {
					assert.ErrorIs(t, err, test.is)
					assert.False(t, channel.Permanent(err))
					assert.Equal(t, test.repeats, till.Count(on(countsPath)) > 1)
				}
				till.Heal()
				till.Inject(answering(changesPath, test.status, strings.ReplaceAll(test.body, "Counts", "counts\":[],\"COUNTS")))
				err = ch.Push(t.Context(), updates(seen, 1))
				if errors.Is(err, channel.ErrInvalid) {
					assert.Contains(t, test.body, "BAD_REQUEST", "each of two alone")
					return
				}
				if test.status == 200 && strings.Contains(test.body, "errors") {
					assert.ErrorIs(t, err, channel.ErrNotApplied)
					return
				}
				assert.ErrorIs(t, err, test.is)
				assert.Equal(t, test.status != 401 && test.status != 403 && test.status != 404, errors.Is(err, channel.ErrUnclear), "%v", err)
			})
		})
	}
}

func TestTrapTokensEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{Token: "EAAAroot"})
		skus := stock(till, 2)
		token := till.Grant()
		var mu sync.Mutex
		asked := 0
		source := TokenFunc(func(_ context.Context, refused string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if refused == token {
				asked++
				token = till.Grant()
			}
			return token, nil
		})
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Token = source })
		levels(t, ch, skus...)
		for range 3 {
			till.Expire(token)
			levels(t, ch, skus...)
		}
		assert.Equal(t, 3, asked, "once for each that expired")

		// One that has no other is asked once a request.
		till.Forget()
		stuck := 0
		ch = open(t, till, func(c *Config, _ *ChannelConfig) {
			c.Token = TokenFunc(func(_ context.Context, refused string) (string, error) {
				if refused != "" {
					stuck++
				}
				return "EAAAwrong", nil
			})
		})
		_, err := ch.Levels(t.Context(), skus)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.Equal(t, 1, stuck)
		assert.Len(t, till.Requests(), 1)

		// One that has ever another is asked once, too.
		till.Forget()
		n := 0
		ch = open(t, till, func(c *Config, _ *ChannelConfig) {
			c.Token = TokenFunc(func(_ context.Context, refused string) (string, error) {
				if refused != "" {
					n++
				}
				return fmt.Sprint("EAAAwrong", n), nil
			})
		})
		_, err = ch.Levels(t.Context(), skus)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.Len(t, till.Requests(), 2)

		till.Forget()
		for text, f := range map[string]TokenFunc{
			"no usable token": func(context.Context, string) (string, error) { return "two words", nil },
			"vault is sealed": func(context.Context, string) (string, error) { return "", errors.New("vault is sealed") },
		} {
			ch = open(t, till, func(c *Config, _ *ChannelConfig) { c.Token = f })
			_, err := ch.Levels(t.Context(), skus)
			assert.ErrorContains(t, err, text)
			assert.True(t, errors.Is(err, channel.ErrUnauthorized) || errors.Is(err, channel.ErrUnavailable))
			assert.False(t, channel.Permanent(err))
		}
		assert.Empty(t, till.Requests(), "nothing is sent without a token")
	})
}

// Nothing that a host may print or keep shows a secret.
func TestSecretsAreOutOfReach(t *testing.T) {
	const token, key = "EAAAsesame-open", "signature-sesame"
	till := squaretest.New(squaretest.Config{Token: token})
	skus := stock(till, 2)
	cfg := Config{Token: StaticToken(token), HTTPClient: till.Client()}
	client, err := New(cfg)
	require.NoError(t, err)
	ch, err := client.Channel(ChannelConfig{LocationID: "LMAIN"})
	require.NoError(t, err)
	hooks, err := ch.Webhooks("https://host.example/square", key)
	require.NoError(t, err)
	levels(t, ch, skus...)
	type holder struct {
		cfg    Config
		token  TokenSource
		client *Client
		hooks  *Webhooks
		value  Webhooks
	}
	held := holder{cfg, cfg.Token, client, hooks, *hooks}
	for _, v := range []any{cfg, &cfg, cfg.Token, client, ch, hooks, *hooks, held, &held} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("x", "v", v)
		}
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		for _, secret := range []string{token, key} {
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprint([]byte(secret))} {
				assert.NotContains(t, out.String(), strings.Trim(form, "[]"), "%T", v)
			}
		}
	}
}

func TestNoTokenInErrorsLogsOrElsewhere(t *testing.T) {
	const token = "EAAAsesame-open"
	var mu sync.Mutex
	foreign := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		foreign++
	}))
	defer other.Close()
	var redirect bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if redirect {
			http.Redirect(w, r, other.URL+"/?t="+r.Header.Get("Authorization"), http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Square-Version", "1-"+r.Header.Get("Authorization"))
		w.WriteHeader(400)
		// A service that says everything again.
		fmt.Fprintf(w, `{"errors":[{"category":%q,"code":%q,"detail":%q,"field":%q}]}`, r.Header.Get("Authorization"),
			r.Header.Get("Authorization"), "you sent "+r.Header.Get("Authorization")+"\x1b[31m\u202e", token)
	}))
	defer srv.Close()
	var logs bytes.Buffer
	client, err := New(Config{Token: StaticToken(token), BaseURL: srv.URL, Logger: logger(&logs), Rate: 1000})
	require.NoError(t, err)
	ch, err := client.Channel(ChannelConfig{LocationID: "LMAIN"})
	require.NoError(t, err)
	for _, redirect = range []bool{false, true} {
		_, err = ch.Levels(t.Context(), []string{"A"})
		require.Error(t, err)
		errs := []error{err, ch.Push(t.Context(), []channel.Update{update("A", 1)}), client.Do(t.Context(), "POST", "/v2/x", nil, map[string]string{"a": "b"}, nil)}
		for sku, err := range ch.SKUs(t.Context()) {
			assert.Empty(t, sku)
			errs = append(errs, err)
		}
		require.Len(t, errs, 4)
		for _, err := range errs {
			require.Error(t, err)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "sesame")
			assert.NotContains(t, err.Error(), "\x1b")
			assert.NotContains(t, err.Error(), "\u202e")
			assert.Less(t, len(err.Error()), 2000)
		}
	}
	assert.NotContains(t, logs.String(), "sesame")
	assert.Zero(t, foreign, "redirects are not followed")

	// A transport that prints its request.
	client, err = New(Config{Token: StaticToken(token), HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("proxy refused %v", r.Header)
	})}, Logger: logger(&logs), Rate: 1000})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ch, err = client.Channel(ChannelConfig{LocationID: "LMAIN"})
	require.NoError(t, err)
	_, err = ch.Levels(ctx, []string{"A"})
	require.Error(t, err)
	assert.NotContains(t, err.Error()+logs.String(), "sesame")
}

func TestWithoutTheRightToSeeLocations(t *testing.T) {
	var logs bytes.Buffer
	till := squaretest.New(squaretest.Config{Scopes: []string{"ITEMS_READ", "INVENTORY_READ", "INVENTORY_WRITE"}})
	skus := stock(till, 2)
	ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Logger = logger(&logs) })
	require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
	assert.Equal(t, 1, strings.Count(logs.String(), "whether it is open is not known"))
	assert.Equal(t, 1, till.Count(on(locationsPath)))
}
