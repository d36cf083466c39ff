package amazon_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

func credentials() *amazon.Credentials {
	return amazon.NewCredentials(amazontest.ClientID, amazontest.ClientSecret, amazontest.RefreshToken)
}

func client(t testing.TB, s *amazontest.Server, change ...func(*amazon.Config)) *amazon.Client {
	t.Helper()
	cfg := amazon.Config{SellerID: "A1TESTSELLER", Region: amazon.Europe, HTTPClient: s.Client(), Credentials: credentials()}
	for _, f := range change {
		f(&cfg)
	}
	c, err := amazon.New(cfg)
	require.NoError(t, err)
	return c
}

func logger(into *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(into, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

const listingA = "/listings/2021-08-01/items/A1TESTSELLER/A"

func (q query) do(t testing.TB, c *amazon.Client) error {
	t.Helper()
	return c.Do(t.Context(), q.method, q.path, map[string][]string{"marketplaceIds": {"ATVPDKIKX0DER"}}, q.body, nil)
}

type query struct {
	method, path string
	body         any
}

var readA = query{http.MethodGet, listingA, nil}

func TestNewChecksItsConfig(t *testing.T) {
	good := amazon.Config{SellerID: "A1", Region: "eu", Credentials: credentials()}
	for name, change := range map[string]func(*amazon.Config){
		"SellerID":    func(c *amazon.Config) { c.SellerID = "A1/../x" },
		"Region":      func(c *amazon.Config) { c.Region = "us-east-1" },
		"Credentials": func(c *amazon.Config) { c.Credentials = nil },
		"client id":   func(c *amazon.Config) { c.Credentials = amazon.NewCredentials("", "s", "r") },
		"secret":      func(c *amazon.Config) { c.Credentials = amazon.NewCredentials("i", "hush hush", "r") },
		"Atzr":        func(c *amazon.Config) { c.Credentials = amazon.NewCredentials("i", "s", "Atza|hush") },
		"BaseURL":     func(c *amazon.Config) { c.BaseURL = "http://api.example" },
		"AuthURL":     func(c *amazon.Config) { c.AuthURL = "https://user:hush@auth.example" },
	} {
		cfg := good
		change(&cfg)
		_, err := amazon.New(cfg)
		assert.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), "hush")
	}
	c, err := amazon.New(good)
	require.NoError(t, err)
	for _, ccfg := range []amazon.ChannelConfig{{}, {MarketplaceID: "A,B"}, {MarketplaceID: "A", Lag: -1}, {MarketplaceID: "A", FeedFrom: -1}} {
		_, err := c.Channel(ccfg)
		assert.Error(t, err)
	}
	ch, err := c.Channel(amazon.ChannelConfig{MarketplaceID: "A"})
	require.NoError(t, err)
	assert.Equal(t, "amazon:A1", ch.Name())
}

func TestHosts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for region, host := range map[string]string{"na": "sellingpartnerapi-na.amazon.com", "eu": "sellingpartnerapi-eu.amazon.com", "fe": "sellingpartnerapi-fe.amazon.com"} {
			s := amazontest.New(amazontest.Config{})
			s.Add(amazontest.Listing{SKU: "A"})
			require.NoError(t, readA.do(t, client(t, s, func(c *amazon.Config) { c.Region = region })))
			r := s.Requests()
			assert.Equal(t, []string{"api.amazon.com", host}, []string{r[0].Host, r[1].Host})
			assert.Equal(t, "stocksync (Language=Go)", r[1].Header.Get("User-Agent"))
		}
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		c := client(t, s, func(c *amazon.Config) {
			c.BaseURL, c.AuthURL, c.UserAgent = "https://proxy.example/spapi/", "http://127.0.0.1:1", "acme/1.0"
		})
		_ = readA.do(t, c)
		r := s.Requests()
		assert.Equal(t, "127.0.0.1:1/auth/o2/token", r[0].Host+r[0].URL.Path)
		assert.Equal(t, "proxy.example/spapi"+listingA, r[1].Host+r[1].URL.Path)
		assert.Equal(t, "acme/1.0", r[1].Header.Get("User-Agent"))
	})
}

func TestDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 4})
		c := client(t, s)
		var item struct {
			SKU        string
			Attributes map[string]any
		}
		ask := map[string][]string{"marketplaceIds": {"ATVPDKIKX0DER"}, "includedData": {"attributes"}}
		require.NoError(t, c.Do(t.Context(), http.MethodGet, listingA, ask, nil, &item))
		assert.Equal(t, "A", item.SKU)
		assert.Contains(t, item.Attributes, "fulfillment_availability")

		var e *amazon.Error
		err := query{http.MethodGet, listingA + "%20B", nil}.do(t, c)
		require.ErrorAs(t, err, &e)
		assert.Equal(t, []any{404, "NOT_FOUND"}, []any{e.Status, e.Code})
		assert.NotContains(t, err.Error(), "marketplaceIds", "no query")

		for _, q := range []query{
			{http.MethodGet, "/listings/../orders", nil}, {http.MethodGet, "listings", nil}, {http.MethodGet, listingA, "a body"},
			{http.MethodGet, "/a%zz", nil}, {http.MethodPost, listingA, func() {}},
		} {
			s.Forget()
			assert.Error(t, q.do(t, c), "%v", q)
			assert.Zero(t, s.Count(nil))
		}

		// A write is not repeated, whatever it is.
		patch := query{http.MethodPatch, listingA, map[string]any{"productType": "PRODUCT", "patches": []any{map[string]any{
			"op": "merge", "path": "/attributes/fulfillment_availability", "value": []any{map[string]any{"fulfillment_channel_code": "DEFAULT", "quantity": 6}}}}}}
		s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", ""), Apply: true, Cut: true})
		err = patch.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnclear)
		assert.Equal(t, 1, s.Count(channeltest.On("PATCH", "")))
		assert.Equal(t, 6, quantity(t, s, "A"))
	})
}

func TestARowThatMakesNoSenseIsItsOwnTrouble(t *testing.T) {
	rows := map[string]string{
		`"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":-1}]`:                                                  "-1",
		`"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":1.5}]`:                                                 "1.5",
		`"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":"1"}]`:                                                 "quantity",
		`"fulfillmentAvailability":[{"quantity":1}]`:                                                                                      "fulfillmentChannelCode",
		`"fulfillmentAvailability":{}`:                                                                                                    "fulfillmentAvailability",
		`"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":1},{"fulfillmentChannelCode":"DEFAULT","quantity":2}]`: "two records",
		`"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":1,"Quantity":2}]`:                                      "Quantity",
	}
	for row, want := range rows {
		bubble(t, func(t *testing.T) {
			s := amazontest.New(amazontest.Config{})
			skus := stock(s, 3)
			ch := open(t, s)
			s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Rewrite: func(int, http.Header, []byte) (int, []byte) {
				return 200, []byte(`{"numberOfResults":2,"items":[{"sku":"SKU-00000",` + row + `},
					{"sku":"SKU-00001","fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":1}]}]}`)
			}})
			got := levels(t, ch, skus...)
			assert.ErrorContains(t, got[skus[0]].Err, want, row)
			assert.False(t, channel.Permanent(got[skus[0]].Err), "it may pass")
			assert.Equal(t, 1, got[skus[1]].Quantity)
			assert.NotContains(t, got, skus[2])
			errs := push(t, ch, to(skus[0], 9), to(skus[1], 9))
			assert.Error(t, errs[skus[0]])
			assert.Len(t, errs, 1)
			assert.Len(t, push(t, ch, to(skus[0], 9)), 1, "alone it is no trouble of the channel either")
			assert.Equal(t, 0, quantity(t, s, skus[0]))
		})
	}
	bubble(t, func(t *testing.T) { // a row that may be anybody's
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 2)
		s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"numberOfResults":2,"items":[{"sku":12},{"sku":"SKU-00001","fulfillmentAvailability":[]}]}`)
		}})
		got := levels(t, open(t, s), skus...)
		assert.Error(t, got[skus[0]].Err)
		assert.True(t, got[skus[1]].Unset)
	})
}

func TestAnSKUThatAmazonRefusesIsFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 40)
		ch := open(t, s)
		bad := func(r channeltest.Request) bool {
			return r.Method == "GET" && (strings.Contains(r.URL.Query().Get("identifiers"), skus[7]) || strings.HasSuffix(r.URL.Path, skus[7]))
		}
		refusal := channeltest.Fault{Match: bad, Times: -1, Status: 400, Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"errors":[{"code":"InvalidInput","message":"Invalid 'identifiers' provided.","details":""}]}`}
		s.Inject(refusal)
		got := levels(t, ch, skus...)
		assert.Len(t, got, 40)
		assert.ErrorIs(t, got[skus[7]].Err, channel.ErrInvalid)
		for i, sku := range skus {
			if i != 7 {
				assert.NoError(t, got[sku].Err)
			}
		}
		assert.ErrorIs(t, levels(t, ch, skus[7])[skus[7]].Err, channel.ErrInvalid)

		// What is refused for each SKU is not the SKUs' fault.
		s.Heal()
		refusal.Match = channeltest.On("GET", "")
		s.Inject(refusal)
		for _, asked := range [][]string{skus[:20], skus[:1]} {
			_, err := open(t, s).Levels(t.Context(), asked)
			assert.ErrorContains(t, err, "Invalid 'identifiers'")
			assert.False(t, channel.Permanent(err))
		}
	})
}

func TestAPushLeavesAmazonAloneWhenItIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 200)
		ch := open(t, s)
		got := levels(t, ch, skus...)
		var updates []channel.Update
		for _, sku := range skus {
			u := to(sku, 99)
			u.Seen = new(got[sku])
			updates = append(updates, u)
		}
		// One listing that always fails does not keep the others from being written.
		s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", skus[0]), Times: -1, Status: 500})
		errs := push(t, ch, updates...)
		assert.Len(t, errs, 1)
		assert.ErrorIs(t, errs[skus[0]], channel.ErrUnclear)
		s.Heal()
		// What was not sent is not unclear.
		s.Forget()
		s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", ""), Skip: 30, Times: -1, Status: 500})
		unsent := 0
		for sku, err := range push(t, ch, updates...) {
			sent := s.Count(channeltest.On("PATCH", sku)) > 0
			assert.Equal(t, sent, errors.Is(err, channel.ErrUnclear), sku)
			if !sent {
				unsent++
			}
		}
		assert.Greater(t, unsent, 100)
		s.Heal()
		for status, most := range map[int]int{503: 20 * 7, 403: 10} {
			s.Forget()
			s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", ""), Times: -1, Status: status})
			err := ch.Push(t.Context(), updates)
			_, named := err.(channel.Errors)
			assert.False(t, named, "%v", err)
			assert.LessOrEqual(t, s.Count(channeltest.On("PATCH", "")), most)
			s.Heal()
		}
	})
}

// A caller that leaves does not know what became of a write that was sent; one
// that was not sent was not done.
func TestAWriteThatNobodyWaitedForIsUnclear(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: time.Second})
		skus := stock(s, 30)
		ch := open(t, s)
		got := levels(t, ch, skus...)
		var updates []channel.Update
		for _, sku := range skus {
			u := to(sku, 99)
			u.Seen = new(got[sku])
			updates = append(updates, u)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		errs, ok := ch.Push(ctx, updates).(channel.Errors)
		require.True(t, ok)
		require.Len(t, errs, 30)
		sent := 0
		for sku, err := range errs {
			reached := s.Count(channeltest.On("PATCH", sku)) > 0
			assert.Equal(t, reached && !isPending(err), errors.Is(err, channel.ErrUnclear), "%s: %v", sku, err)
			if !isPending(err) {
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			}
			if reached {
				sent++
			}
		}
		assert.Less(t, sent, 30)
		assert.Greater(t, sent, 5)
	})
}
