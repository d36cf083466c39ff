package amazon_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
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

var tokenRequests = channeltest.On("POST", "/auth/o2/token")

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

func TestTokensAreKeptAndRenewedEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: time.Second})
		s.Add(amazontest.Listing{SKU: "A"})
		c := client(t, s)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { assert.NoError(t, readA.do(t, c)) })
		}
		wg.Wait()
		assert.Equal(t, 1, s.Count(tokenRequests), "one for all")
		time.Sleep(54 * time.Minute)
		assert.NoError(t, readA.do(t, c))
		assert.Equal(t, 1, s.Count(tokenRequests))
		time.Sleep(2 * time.Minute)
		s.Inject(channeltest.Fault{Match: tokenRequests, Times: -1, Status: 503})
		assert.NoError(t, readA.do(t, c), "the old one is still good")
		s.Heal()
		s.Forget()
		time.Sleep(90 * time.Second)
		assert.NoError(t, readA.do(t, c))
		assert.Equal(t, 1, s.Count(tokenRequests))
		assert.Equal(t, 1, s.Count(channeltest.On("GET", "")), "no request with an expired token")
		assert.EqualValues(t, 1+5+1+7+1+2, c.Requests(), "those for tokens too")
	})
}

func TestAnExpiredTokenIsRenewedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		c := client(t, s)
		require.NoError(t, readA.do(t, c))
		time.Sleep(10 * time.Minute)
		s.ExpireTokens()
		s.Forget()
		require.NoError(t, readA.do(t, c))
		assert.Equal(t, []int{1, 2}, []int{s.Count(tokenRequests), s.Count(channeltest.On("GET", ""))})

		// Whole-service spells of 403 with good tokens: no storm of tokens.
		time.Sleep(10 * time.Minute)
		s.Forget()
		s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Status: 403, Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":"The access token you provided has expired."}]}`})
		for range 20 {
			err := readA.do(t, c)
			assert.ErrorIs(t, err, channel.ErrUnauthorized)
			assert.False(t, channel.Permanent(err), "not for good")
		}
		assert.LessOrEqual(t, s.Count(tokenRequests), 2)
		s.Heal()
		assert.NoError(t, readA.do(t, c))
	})
}

func TestAForbiddenPathIsNoReasonForAToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		c := client(t, s)
		err := query{http.MethodGet, "/orders/v0/orders", nil}.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "Product Listing")
		assert.ErrorContains(t, err, "request-")
		assert.Equal(t, 1, s.Count(tokenRequests))
		assert.Equal(t, 1, s.Count(channeltest.On("GET", "")))
	})
}

func TestTheClientSecretIsReplacedWhileRunning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		keys := credentials()
		c := client(t, s, func(c *amazon.Config) { c.Credentials = keys })
		require.NoError(t, readA.do(t, c))
		s.RotateSecret("amzn1.oa2-cs.v1.new")
		require.NoError(t, readA.do(t, c), "the token is good yet")
		time.Sleep(2 * time.Hour)
		err := readA.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "invalid_client")
		assert.ErrorContains(t, err, "180 days")
		keys.Rotate("amzn1.oa2-cs.v1.new")
		assert.NoError(t, readA.do(t, c))

		time.Sleep(10 * time.Minute)
		s.Revoke()
		err = readA.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "invalid_grant")
		assert.ErrorContains(t, err, "revoked")
	})
}

func TestASecretThatIsReplacedMeanwhileIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{ClientSecret: "new"})
		s.Add(amazontest.Listing{SKU: "A"})
		keys := credentials()
		c := client(t, s, func(c *amazon.Config) { c.Credentials = keys })
		s.Inject(channeltest.Fault{Match: tokenRequests, Delay: time.Second, Apply: true, Status: 401, Body: `{"error":"invalid_client","error_description":"Client authentication failed"}`})
		time.AfterFunc(time.Second/2, func() { keys.Rotate("new") })
		assert.NoError(t, readA.do(t, c))
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

// A quota that other processes use up is survived, without a word of for how
// long it lasts.
func TestTrap429WithoutRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
		skus := stock(s, 200)
		ch := open(t, s)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // half of all there is
			for {
				select {
				case <-stop:
					return
				case <-time.After(400 * time.Millisecond):
					s.Drain("patchListingsItem", 1)
					s.Drain("searchListingsItems", 1)
				}
			}
		})
		var updates []channel.Update
		for _, sku := range skus {
			updates = append(updates, to(sku, 99))
		}
		start := time.Now()
		assert.Empty(t, outcome(t, ch.Push(t.Context(), updates)))
		close(stop)
		wg.Wait()
		_, throttled := s.Calls("patchListingsItem")
		assert.NotZero(t, throttled)
		assert.Less(t, throttled, 60)
		assert.Less(t, time.Since(start), 2*80*time.Second, "of which 78 s are the least")
		for _, sku := range skus {
			assert.Equal(t, 99, quantity(t, s, sku))
		}
	})
}

func TestThePaceFollowsTheHeaderBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
		skus := stock(s, 2000)
		ch := open(t, s)
		took := func() time.Duration {
			start := time.Now()
			_, err := ch.Levels(t.Context(), skus)
			require.NoError(t, err)
			return time.Since(start)
		}
		assert.InDelta(t, 19.1, took().Seconds(), 0.5)
		time.Sleep(time.Minute)
		s.SetRate("searchListingsItems", 20)
		assert.InDelta(t, 5, took().Seconds(), 1)
		time.Sleep(time.Minute)
		s.SetRate("searchListingsItems", 1)
		assert.InDelta(t, 95, took().Seconds(), 12)
		_, throttled := s.Calls("searchListingsItems")
		assert.Less(t, throttled, 20)

		// What makes no sense is not believed.
		for _, limit := range []string{"0", "-1", "NaN", "1e99", "Inf", "soon", ""} {
			s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
			skus := stock(s, 300)
			ch := open(t, s)
			s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Rewrite: func(status int, h http.Header, body []byte) (int, []byte) {
				h.Set("x-amzn-RateLimit-Limit", limit)
				return status, body
			}})
			start := time.Now()
			_, err := ch.Levels(t.Context(), skus)
			assert.NoError(t, err)
			assert.Less(t, time.Since(start), 10*time.Second, limit)
		}
	})
}

func TestWorkThatCanWaitComesLast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
		skus := stock(s, 2000)
		ch := open(t, s)
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx := channel.WithUrgency(t.Context(), channel.Background)
			ls, err := ch.Levels(ctx, skus[:1900])
			assert.NoError(t, err)
			assert.Len(t, ls, 1900)
		})
		for i := range 20 {
			time.Sleep(time.Second)
			start := time.Now()
			_, err := ch.Levels(t.Context(), skus[1900+i:1901+i])
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(start), 200*time.Millisecond, "a share of the burst is left to it")
		}
		wg.Wait()
		_, throttled := s.Calls("")
		assert.Zero(t, throttled)
	})
	// What nobody told of goes between the two.
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 600)
		ch := open(t, s)
		var mu sync.Mutex
		var order []channel.Urgency
		var wg sync.WaitGroup
		for u := channel.Background; u >= channel.Urgent; u-- {
			time.Sleep(time.Millisecond) // the least urgent comes first
			wg.Go(func() {
				_, err := ch.Levels(channel.WithUrgency(t.Context(), u), skus[200*u:200*u+200])
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, u)
			})
		}
		wg.Wait()
		assert.Equal(t, []channel.Urgency{channel.Urgent, channel.Soon, channel.Background}, order)
	})
}

func TestAWaitForTheQuotaEndsWithTheContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 1000)
		ch := open(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := ch.Levels(ctx, skus)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		var updates []channel.Update
		for _, sku := range skus[:100] {
			updates = append(updates, to(sku, 7))
		}
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err = ch.Push(ctx, updates)
		errs, ok := err.(channel.Errors)
		require.True(t, ok)
		pending, done := 0, 0
		for _, err := range errs {
			if isPending(err) {
				pending++
			} else if errors.Is(err, context.DeadlineExceeded) {
				done++
			}
		}
		assert.NotZero(t, pending)
		assert.Equal(t, 100, pending+done, "each is known or not")
		assert.Empty(t, levels(t, ch))
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
