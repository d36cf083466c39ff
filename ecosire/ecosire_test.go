package ecosire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

func client(t *testing.T, s http.RoundTripper, logs io.Writer) *ecosire.Client {
	t.Helper()
	c, err := ecosire.New(ecosire.Config{
		APIKey:     "eco_live_test",
		HTTPClient: &http.Client{Transport: s},
		Logger:     slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	return c
}

func server(n int) (*ecosiretest.Server, []string) {
	s := ecosiretest.New(ecosiretest.Config{})
	var products []ecosiretest.Product
	for i := range n {
		products = append(products, ecosiretest.Product{SKU: fmt.Sprintf("SKU-%d", i), OnHand: i + 3, Reserved: 3})
	}
	return s, s.Add(products...)
}

// collect reads a list to its end.
func collect[T any](list func(func(T, error) bool)) (all []T, err error) {
	for entry, e := range list {
		if e != nil {
			return all, e
		}
		all = append(all, entry)
	}
	return all, nil
}

func TestStockByIDsTakesAHundredToARequest(t *testing.T) {
	s, ids := server(300)
	got, err := collect(client(t, s, io.Discard).Stock(t.Context(), ids[:250]...))
	require.NoError(t, err)
	assert.Len(t, got, 250)
	assert.Len(t, s.Requests(), 3)
	for _, p := range got {
		assert.Equal(t, fmt.Sprintf("SKU-%d", p.Available), p.SKU)
		assert.WithinDuration(t, time.Now(), p.AsOf, time.Minute)
	}
}

func TestCatalogueIsPagedToTheEnd(t *testing.T) {
	s, ids := server(1234)
	c := client(t, s, io.Discard)
	got, err := collect(c.Stock(t.Context()))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, p := range got {
		seen[p.ProductID] = true
	}
	assert.Len(t, seen, len(ids))
	assert.Len(t, s.Requests(), 13)
}

func TestBreakingOffStopsTheReading(t *testing.T) {
	s, _ := server(1000)
	for range client(t, s, io.Discard).Stock(t.Context()) {
		break
	}
	assert.Len(t, s.Requests(), 1)
}

func onPageNumber(n string) func(channeltest.Request) bool {
	return func(r channeltest.Request) bool { return r.URL.Query().Get("page") == n }
}

func TestPageDrift(t *testing.T) {
	onPage := func(n string, f func()) channeltest.Fault {
		return channeltest.Fault{Match: func(r channeltest.Request) bool {
			if r.URL.Query().Get("page") == n {
				f()
			}
			return false
		}, Times: -1}
	}
	t.Run("a product created meanwhile is read", func(t *testing.T) {
		s, _ := server(250)
		s.Inject(onPage("2", sync.OnceFunc(func() { s.Add(ecosiretest.Product{SKU: "new"}) })))
		got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
		require.NoError(t, err)
		assert.Len(t, got, 251)
	})
	t.Run("a product removed meanwhile shifts another one out of sight", func(t *testing.T) {
		s, ids := server(250)
		s.Inject(onPage("2", sync.OnceFunc(func() { s.Remove(ids[0]) })))
		got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.Len(t, got, 249)
	})
	t.Run("a page that repeats", func(t *testing.T) {
		s, _ := server(250)
		s.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool {
			q := r.URL.Query()
			q.Set("page", "1") // a cache that ignores the page
			r.URL.RawQuery = q.Encode()
			return false
		}, Times: -1})
		got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.ErrorContains(t, err, "repeats")
		assert.Len(t, got, 100)
		assert.LessOrEqual(t, len(s.Requests()), 3, "and is not read for ever")
	})
	t.Run("fewer than the total", func(t *testing.T) {
		s, _ := server(250)
		s.Inject(channeltest.Fault{Match: onPageNumber("3"), Times: -1,
			Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
				return status, []byte(`{"data":[],"meta":{"total":250,"page":3,"limit":100,"totalPages":3}}`)
			}})
		got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.ErrorContains(t, err, "read 200 of 250")
		assert.Len(t, got, 200)
	})
	t.Run("a later page fails", func(t *testing.T) {
		s, _ := server(250)
		s.Inject(channeltest.Fault{Match: onPageNumber("2"), Times: -1, Status: 418})
		got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.Len(t, got, 100)
	})
}

func TestRefusedSortingIsGivenUp(t *testing.T) {
	s, _ := server(150)
	s.Inject(channeltest.Fault{
		Match:  func(r channeltest.Request) bool { return r.URL.Query().Has("sortBy") },
		Status: 422, Body: `{"statusCode":422,"message":["sortBy must be one of sku"],"error":"Unprocessable Entity"}`, Times: -1,
	})
	got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
	require.NoError(t, err)
	assert.Len(t, got, 150)
}

func TestQuantitiesAreNeverGuessed(t *testing.T) {
	for _, tt := range []struct {
		fields string
		want   int    // available
		err    string // or why there is none
	}{
		{`"onHand":5,"reserved":2,"available":3`, 3, ""},
		{`"onHand":5.0,"reserved":2,"available":3e0`, 3, ""},
		{`"onHand":5,"reserved":2,"available":4`, 3, ""},
		{`"onHand":5,"reserved":1,"available":3`, 3, ""},
		{`"onHand":5,"reserved":9,"available":-4`, -4, ""},
		{`"onHand":5,"reserved":2`, 0, `has no "available"`},
		{`"onHand":5,"reserved":2,"available":null`, 0, `"available" is null`},
		{`"onHand":5,"reserved":2,"available":"3"`, 0, `not a whole number`},
		{`"onHand":5,"reserved":2,"available":2.5`, 0, `not a whole number`},
		{`"onHand":5,"reserved":2,"available":1e30`, 0, `not a whole number`},
		{`"onHand":null,"reserved":2,"available":3`, 0, `"onHand" is null`},
		{`"onHand":5,"available":3`, 0, `has no "reserved"`},
		{`"onHand":5,"reserved":{},"available":3`, 0, `not a whole number`},
	} {
		t.Run(tt.fields, func(t *testing.T) {
			mock := httpmock.NewMockTransport()
			mock.RegisterResponder("GET", ecosire.DefaultBaseURL+"/inventory/products", httpmock.NewStringResponder(200,
				`{"data":[{"productId":"a","sku":"A","surprise":[1],`+tt.fields+`},{"productId":"b","sku":"B","onHand":7,"reserved":0,"available":7}],
				"meta":{"total":2,"page":1,"limit":100,"totalPages":1}}`))
			got, err := collect(client(t, mock, io.Discard).Stock(t.Context(), "a", "b"))
			require.NoError(t, err)
			require.Len(t, got, 2)
			if tt.err != "" {
				assert.ErrorContains(t, got[0].Err, tt.err)
			} else {
				assert.NoError(t, got[0].Err)
				assert.Equal(t, tt.want, got[0].Available)
			}
			assert.Equal(t, 7, got[1].Available, "one bad product does not cost the others")
		})
	}
}

func TestDisagreementIsLoggedOncePerProduct(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("GET", ecosire.DefaultBaseURL+"/inventory/products", httpmock.NewStringResponder(200,
		`{"data":[{"productId":"a","sku":"A","onHand":5,"reserved":0,"available":9}],"meta":{"total":1,"page":1,"limit":100,"totalPages":1}}`))
	var logs bytes.Buffer
	c := client(t, mock, &logs)
	for range 3 {
		got, err := collect(c.Stock(t.Context(), "a"))
		require.NoError(t, err)
		assert.Equal(t, 5, got[0].Available)
	}
	assert.Equal(t, 1, strings.Count(logs.String(), "product=a"))
}

func TestAnswersThatAreNoAnswers(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"HTML 200":     {Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>Bad day</html>"},
		"empty 200":    {Status: 200},
		"bare list":    {Status: 200, Body: "[]"},
		"empty object": {Status: 200, Body: "{}"},
		"null data":    {Status: 200, Body: `{"data":null,"meta":{"total":0}}`},
		"no meta":      {Status: 200, Body: `{"data":[]}`},
		"torn JSON":    {Status: 200, Body: `{"data":[{"productId":"a"`},
		"redirect":     {Status: 302, Header: http.Header{"Location": {"https://elsewhere.example/"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ids := server(1)
			fault.Times = -1
			s.Inject(fault)
			for _, ask := range [][]string{nil, ids} {
				got, err := collect(client(t, s, io.Discard).Stock(t.Context(), ask...))
				require.ErrorIs(t, err, channel.ErrUnavailable)
				assert.Empty(t, got)
			}
			for _, r := range s.Requests() {
				assert.Equal(t, "api.ecosire.com", r.Host)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		is     error
		text   string
	}{
		{400, `{"statusCode":400,"message":"malformed","error":"Bad Request"}`, channel.ErrInvalid, "400 malformed"},
		{422, `{"statusCode":422,"message":["a must be b","c is missing"],"error":"Unprocessable Entity"}`, channel.ErrInvalid, "422 a must be b; c is missing"},
		{401, `{"statusCode":401,"message":"key eco_live_test is expired"}`, channel.ErrUnauthorized, "key [redacted] is expired"},
		{403, `{"statusCode":403,"message":"role"}`, channel.ErrUnauthorized, "403 role"},
		{404, `{"statusCode":404,"message":"Order not found"}`, channel.ErrInvalid, "404 Order not found"},
		{500, `<h1>oops</h1>`, channel.ErrUnavailable, "a page of HTML"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := server(0)
			s.Inject(channeltest.Fault{Status: tt.status, Body: tt.body, Times: -1})
			_, err := client(t, s, io.Discard).Order(t.Context(), "o1")
			require.ErrorIs(t, err, tt.is)
			assert.ErrorContains(t, err, tt.text)
			e, ok := errors.AsType[*ecosire.Error](err)
			require.True(t, ok)
			assert.Equal(t, tt.status, e.Status)
			if tt.status < 500 {
				assert.Len(t, s.Requests(), 1, "4xx is final")
			} else {
				assert.Len(t, s.Requests(), 5)
			}
		})
	}
}

func TestReadsAreRepeatedAndPostsAreNot(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"502":             {Status: 502, Times: 2},
		"503":             {Status: 503, Times: 2},
		"connection lost": {Cut: true, Times: 2},
		"answer lost":     {Cut: true, Apply: true, Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ids := server(1)
				c := client(t, s, io.Discard)
				s.Inject(fault)
				got, err := collect(c.Stock(t.Context(), ids...))
				require.NoError(t, err)
				assert.Len(t, got, 1)
				assert.Len(t, s.Requests(), 3)

				s.Forget()
				s.Inject(fault)
				err = c.PostAdjustment(t.Context(), ecosire.Adjustment{ProductID: ids[0], LocationID: "LOC-WH01-A1", Quantity: 5})
				require.ErrorIs(t, err, channel.ErrUnavailable)
				assert.Len(t, s.Requests(), 1, "it might count twice")
			})
		})
	}
}

func TestWaitingForTheQuotaEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := server(10_000)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		got, err := collect(client(t, s, io.Discard).Stock(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Len(t, got, 6000)
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestOrdersTransfersAdjustmentsMoves(t *testing.T) {
	s, ids := server(3)
	c := client(t, s, io.Discard)
	ctx := t.Context()
	for range 130 {
		s.Sell(ids[0], 1)
	}
	orders, err := collect(c.Orders(ctx, ecosire.OrderFilter{Status: "confirmed"}))
	require.NoError(t, err)
	require.Len(t, orders, 130)
	one, err := c.Order(ctx, orders[0].ID)
	require.NoError(t, err)
	assert.Equal(t, ids[0], one.LineItems[0].ProductID)
	none, err := collect(c.Orders(ctx, ecosire.OrderFilter{Status: "draft"}))
	require.NoError(t, err)
	assert.Empty(t, none)

	transfer, err := c.CreateTransfer(ctx, ecosire.Transfer{Type: ecosire.TransferReceipt, LineItems: []ecosire.TransferLine{{ProductID: ids[1], Quantity: 40}}})
	require.NoError(t, err)
	require.NoError(t, c.ValidateTransfer(ctx, transfer.ID))
	p, _ := s.Product(ids[1])
	assert.Equal(t, 44, p.OnHand)
	assert.ErrorIs(t, c.CancelTransfer(ctx, transfer.ID), channel.ErrInvalid)
	transfer, err = c.Transfer(ctx, transfer.ID)
	require.NoError(t, err)
	assert.Equal(t, "done", transfer.Status)
	all, err := collect(c.Transfers(ctx, ecosire.TransferFilter{Type: ecosire.TransferReceipt}))
	require.NoError(t, err)
	assert.Len(t, all, 1)

	locations, err := collect(c.Locations(ctx))
	require.NoError(t, err)
	require.NoError(t, c.PostAdjustment(ctx, ecosire.Adjustment{ProductID: ids[2], LocationID: locations[0].ID, Quantity: -2, Reason: "broken"}))
	p, _ = s.Product(ids[2])
	assert.Equal(t, 3, p.OnHand)
	at, err := c.StockByLocation(ctx, ids[2])
	require.NoError(t, err)
	assert.Equal(t, 3, at[0].Quantity)

	moves, err := collect(c.Moves(ctx))
	require.NoError(t, err)
	assert.Len(t, moves, 132)
	assert.Equal(t, ids[2], moves[131].ProductID)
}

func TestIDsThatWouldReachAnotherEndpoint(t *testing.T) {
	s, _ := server(1)
	c := client(t, s, io.Discard)
	for _, id := range []string{"", ".", ".."} {
		_, err := c.Order(t.Context(), id)
		assert.ErrorIs(t, err, channel.ErrInvalid, id)
	}
	assert.Empty(t, s.Requests())
	_, err := c.Order(t.Context(), "a/../../inventory/products?x=#y")
	assert.ErrorIs(t, err, channel.ErrInvalid)
	assert.Equal(t, "/api/orders/a%2F..%2F..%2Finventory%2Fproducts%3Fx=%23y", s.Requests()[0].URL.EscapedPath())

	got, err := collect(c.Stock(t.Context(), "a,b", " "))
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.ErrorIs(t, got[0].Err, channel.ErrInvalid)
}

func TestNoCredentialAnywhere(t *testing.T) {
	const key = "eco_live_verysecret"
	var elsewhere []*http.Request
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere = append(elsewhere, r) }))
	defer thief.Close()
	for name, fault := range map[string]channeltest.Fault{
		"redirect":  {Status: 307, Header: http.Header{"Location": {thief.URL}}},
		"echo":      {Status: 400, Body: `{"message":"Bearer ` + key + ` is no good"}`},
		"cut":       {Cut: true},
		"not JSON":  {Status: 200, Body: key},
		"wrong key": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fault.Times = -1
				s, _ := server(1)
				s.Inject(fault)
				var logs bytes.Buffer
				c, err := ecosire.New(ecosire.Config{APIKey: key, HTTPClient: s.Client(),
					Logger: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))})
				require.NoError(t, err)
				_, err = collect(c.Stock(t.Context(), "a"))
				require.Error(t, err)
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), key)
				assert.NotContains(t, err.Error(), "productIds", "no query strings")
				assert.NotContains(t, logs.String(), key)
			})
		})
	}
	assert.Empty(t, elsewhere)
}

func TestConstructorSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		want string
		cfg  ecosire.Config
	}{
		{"APIKey is empty", ecosire.Config{APIKey: " "}},
		{"use https", ecosire.Config{APIKey: "k", BaseURL: "http://api.ecosire.com/api"}},
		{"credentials do not belong", ecosire.Config{APIKey: "k", BaseURL: "https://u:p@api.ecosire.com"}},
		{"not a URL", ecosire.Config{APIKey: "k", BaseURL: "api.ecosire.com"}},
	} {
		_, err := ecosire.New(tt.cfg)
		assert.ErrorContains(t, err, tt.want)
	}
	_, err := ecosire.New(ecosire.Config{APIKey: "k", BaseURL: "http://127.0.0.1:8080/api/"})
	assert.NoError(t, err)
}

func TestAMissingPartOfTheBaseURLIsNamed(t *testing.T) {
	s, _ := server(1)
	for _, fault := range []channeltest.Fault{{}, {Status: 200, Body: "<html><title>Welcome</title></html>", Header: http.Header{"Content-Type": {"text/html"}}}} {
		fault.Times = -1
		s.Heal()
		s.Inject(fault)
		c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", BaseURL: "https://erp.example", HTTPClient: s.Client()})
		require.NoError(t, err)
		_, err = c.Count(t.Context())
		assert.ErrorContains(t, err, "does not end in /api")
		c = client(t, s, io.Discard)
		_, err = c.Count(t.Context())
		if fault.Status != 0 {
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "/api:")
			assert.ErrorContains(t, err, "Welcome")
		}
	}
}
