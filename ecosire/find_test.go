package ecosire_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

func stocked(n int, cfg ecosiretest.Config) (*ecosiretest.Server, []string) {
	s := ecosiretest.New(cfg)
	products := make([]ecosiretest.Product, n)
	for i := range products {
		products[i] = ecosiretest.Product{SKU: fmt.Sprintf("SKU-%d", i), OnHand: i}
	}
	return s, s.Add(products...)
}

// Where ECOSIRE ignores productIds products are found in the catalogue.
func TestServerThatIgnoresProductIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ids := stocked(20_000, ecosiretest.Config{IgnoreProductIDs: true})
		s.Remove(ids[7], ids[10_050], ids[10_099], ids[10_100])
		var logs bytes.Buffer
		c := client(t, s, &logs)
		for i, at := range [][]int{{0, 19_999}, {1, 10_000, 10_001, 19_000}, {7}, {10_050}, {10_099, 10_100}, {}, {19_999}} {
			s.Forget()
			var asked, want []string
			for _, n := range at {
				asked = append(asked, ids[n])
				if _, ok := s.Product(ids[n]); ok {
					want = append(want, ids[n])
				}
			}
			asked = append(asked, "000-no-such-id", "zzz-no-such-id")
			got, err := collect(c.Stock(t.Context(), asked...))
			require.NoError(t, err)
			var found []string
			for _, p := range got {
				require.NoError(t, p.Err)
				assert.Equal(t, fmt.Sprintf("SKU-%d", p.Available), p.SKU)
				found = append(found, p.ProductID)
			}
			assert.ElementsMatch(t, want, found, i)
			assert.LessOrEqual(t, len(s.Requests()), []int{11, 19, 4, 12, 13, 3, 3}[i], i)
			time.Sleep(time.Minute)
		}
		assert.Contains(t, logs.String(), "productIds")

		// New ones come last.
		fresh := s.Add(ecosiretest.Product{SKU: "new", OnHand: 1})
		got, err := collect(c.Stock(t.Context(), fresh...))
		require.NoError(t, err)
		require.Len(t, got, 1)
		assert.NoError(t, got[0].Err)

		// The parameter gets another try.
		time.Sleep(10 * time.Minute)
		s.Forget()
		_, err = collect(c.Stock(t.Context(), ids[0]))
		require.NoError(t, err)
		assert.Equal(t, 1, s.Count(func(r channeltest.Request) bool { return r.URL.Query().Has("productIds") }))
	})
}

func TestServerThatIgnoresProductIDsAndOrder(t *testing.T) {
	s, ids := stocked(1_500, ecosiretest.Config{IgnoreProductIDs: true, Unsorted: true})
	got, err := collect(client(t, s, io.Discard).Stock(t.Context(), ids[0], ids[1_499], ids[700], "no-such-id"))
	require.NoError(t, err)
	assert.Equal(t, 3, good(got))
	assert.LessOrEqual(t, len(s.Requests()), 17)

	s, ids = stocked(15_000, ecosiretest.Config{IgnoreProductIDs: true, Unsorted: true})
	c := client(t, s, io.Discard)
	got, err = collect(c.Stock(t.Context(), ids[0], ids[14_999]))
	require.NoError(t, err)
	require.Len(t, got, 2)
	for _, p := range got {
		if p.Err != nil {
			assert.ErrorIs(t, p.Err, channel.ErrUnavailable, "not zero, and not gone")
			assert.Equal(t, ids[0], p.ProductID)
		}
	}
	assert.LessOrEqual(t, len(s.Requests()), 3)
}

// A list that is not in the order asked for is read a second time if it is
// short: what changed meanwhile went to a page that was read before.
func TestAnUnsortedCatalogue(t *testing.T) {
	s, ids := stocked(950, ecosiretest.Config{Unsorted: true})
	sold := 0
	s.Inject(channeltest.Fault{Times: -1, Match: func(channeltest.Request) bool {
		if sold < 30 { // with each request of the first reading one of the products that come last
			s.Sell(ids[sold], 1)
			sold += 3
		}
		return false
	}})
	got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
	require.NoError(t, err)
	assert.Len(t, got, 950)
	assert.LessOrEqual(t, len(s.Requests()), 21)
}

func TestWhatAListCanBeSortedByIsRemembered(t *testing.T) {
	s, _ := server(150)
	s.Inject(channeltest.Fault{
		Match:  func(r channeltest.Request) bool { return r.URL.Query().Get("sortBy") == "productId" },
		Status: 422, Body: `{"statusCode":422,"message":["sortBy must be one of sku, createdAt"]}`, Times: -1,
	})
	c := client(t, s, io.Discard)
	for _, want := range []int{3, 2} {
		s.Forget()
		got, err := collect(c.Stock(t.Context()))
		require.NoError(t, err)
		assert.Len(t, got, 150)
		assert.Len(t, s.Requests(), want)
		assert.Equal(t, "createdAt", s.Requests()[1].URL.Query().Get("sortBy"))
	}
}
