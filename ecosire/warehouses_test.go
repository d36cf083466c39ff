package ecosire_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

var cities = []string{"berlin", "hamburg", "koeln"}

// spread is an ECOSIRE of n products in three warehouses. Each third product is
// in Köln only, and each fourth has nothing reserved.
func spread(n int, filter ecosiretest.WarehouseFilter) (*ecosiretest.Server, []string) {
	s := ecosiretest.New(ecosiretest.Config{Warehouses: cities, WarehouseFilter: filter})
	var products []ecosiretest.Product
	for i := range n {
		at := map[string]ecosiretest.Units{"koeln": {OnHand: i, Reserved: i % 4}}
		if i%3 != 0 {
			at["berlin"], at["hamburg"] = ecosiretest.Units{OnHand: 10}, ecosiretest.Units{OnHand: 5, Reserved: 1}
		}
		products = append(products, ecosiretest.Product{SKU: fmt.Sprintf("SKU-%d", i), At: at})
	}
	return s, s.Add(products...)
}

func at(s *ecosiretest.Server, id, warehouse string) channel.Quantity {
	p, _ := s.Product(id)
	u := p.At[warehouse]
	return channel.Quantity{OnHand: u.OnHand, Reserved: u.Reserved, Available: u.OnHand - u.Reserved}
}

func TestWarehouses(t *testing.T) {
	for _, tt := range []struct {
		warehouses []string
		total      bool
		requests   int // for 250 products
	}{
		{nil, true, 3}, {nil, false, 3}, {[]string{"berlin"}, true, 6}, {[]string{"berlin", "koeln"}, false, 9}, {cities, true, 12},
	} {
		t.Run(fmt.Sprint(tt.warehouses, tt.total), func(t *testing.T) {
			s, ids := spread(250, ecosiretest.FilterQuantities)
			c := client(t, s, io.Discard)
			ctx := channel.WithWarehouses(t.Context(), tt.total, tt.warehouses...)
			for _, ask := range [][]string{ids, nil} {
				s.Forget()
				got, err := collect(c.Stock(ctx, ask...))
				require.NoError(t, err)
				require.Len(t, got, 250)
				for _, p := range got {
					require.NoError(t, p.Err)
					total, _ := s.Product(p.ProductID)
					assert.Equal(t, total.OnHand, p.OnHand)
					assert.Equal(t, total.Reserved, p.Reserved)
					assert.Len(t, p.Warehouses, len(tt.warehouses))
					for _, w := range tt.warehouses {
						assert.Equal(t, at(s, p.ProductID, w), p.Warehouses[w])
					}
				}
				assert.Len(t, s.Requests(), tt.requests)
			}
		})
	}
}

// If nothing uses the total it is asked for only where a product is not in the
// warehouse.
func TestOneWarehouseAlone(t *testing.T) {
	s, ids := spread(30, ecosiretest.FilterQuantities)
	ctx := channel.WithWarehouses(t.Context(), false, "berlin")
	got, err := collect(client(t, s, io.Discard).Stock(ctx, ids[1], ids[2]))
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, channel.Quantity{OnHand: 10, Available: 10}, got[0].Warehouses["berlin"])
	assert.Equal(t, 10, got[0].Available, "and not more than is there")
	assert.Len(t, s.Requests(), 1)

	s.Forget()
	got, err = collect(client(t, s, io.Discard).Stock(ctx, ids[1], ids[3], "no-such-id"))
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, ids[3], got[1].ProductID)
	assert.Equal(t, "SKU-3", got[1].SKU)
	assert.Zero(t, got[1].Available)
	q, err := got[1].In("berlin")
	require.NoError(t, err)
	assert.Zero(t, q)
	assert.Len(t, s.Requests(), 2)
}

// The catalogue of one warehouse that has every product is one list.
func TestTheCatalogueOfOneWarehouse(t *testing.T) {
	s, _ := spread(250, ecosiretest.FilterQuantities)
	for warehouse, requests := range map[string]int{"koeln": 2 + 3, "berlin": 2 + 6} {
		s.Forget()
		got, err := collect(client(t, s, io.Discard).Stock(channel.WithWarehouses(t.Context(), false, warehouse)))
		require.NoError(t, err)
		require.Len(t, got, 250)
		for _, p := range got {
			q, err := p.In(warehouse)
			require.NoError(t, err)
			assert.Equal(t, at(s, p.ProductID, warehouse), q)
		}
		assert.Len(t, s.Requests(), requests, warehouse)
	}
}

// A filter that says nothing about quantities must not multiply them.
func TestAWarehouseFilterThatMeansSomethingElse(t *testing.T) {
	for _, filter := range []ecosiretest.WarehouseFilter{ecosiretest.FilterRows, ecosiretest.FilterNothing} {
		for _, ask := range []bool{true, false} {
			s, ids := spread(60, filter)
			var logs bytes.Buffer
			c := client(t, s, &logs)
			ctx := channel.WithWarehouses(t.Context(), false, cities...)
			if !ask {
				ids = nil
			}
			got, err := collect(c.Stock(ctx, ids...))
			require.NoError(t, err)
			for _, p := range got {
				total, _ := s.Product(p.ProductID)
				if p.Err != nil {
					assert.ErrorContains(t, p.Err, "in all together")
					continue
				}
				q, err := p.In(cities...)
				require.NoError(t, err)
				assert.LessOrEqual(t, q.Available, total.OnHand-total.Reserved, "%s %+v", p.ProductID, p)
			}
			assert.Len(t, got, 60)
			assert.Less(t, good(got), 30)
			assert.Contains(t, logs.String(), "level=ERROR")
			assert.LessOrEqual(t, len(s.Requests()), 8, "one look more")
		}
	}
}

// What moves from one warehouse to another between two requests is not there
// twice.
func TestAMoveBetweenTheRequests(t *testing.T) {
	s, ids := spread(10, ecosiretest.FilterQuantities)
	moved := false
	s.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) { return status, body },
		Match: func(r channeltest.Request) bool {
			if w := r.URL.Query().Get("warehouseId"); w == "hamburg" && !moved {
				moved = true
				s.SetAt(ids[1], "hamburg", 15, 1) // arrived, and has not left yet
				s.SetAt(ids[1], "berlin", 0, 0)
			}
			return false
		}})
	ctx := channel.WithWarehouses(t.Context(), true, "berlin", "hamburg", "koeln")
	got, err := collect(client(t, s, io.Discard).Stock(ctx, ids...))
	require.NoError(t, err)
	require.Len(t, got, 10)
	for _, p := range got {
		require.NoError(t, p.Err)
		q, err := p.In(cities...)
		require.NoError(t, err)
		assert.LessOrEqual(t, q.Available, p.Available)
	}
}

func TestAnUnknownWarehouse(t *testing.T) {
	for _, total := range []bool{true, false} {
		s, ids := spread(10, ecosiretest.FilterQuantities)
		var logs bytes.Buffer
		c := client(t, s, &logs)
		for _, ask := range [][]string{ids, nil} {
			got, err := collect(c.Stock(channel.WithWarehouses(t.Context(), total, "atlantis"), ask...))
			require.NoError(t, err)
			assert.Equal(t, 10, good(got), "the products are not to blame")
			for _, p := range got {
				_, err := p.In("atlantis")
				assert.ErrorIs(t, err, channel.ErrUnavailable, "not 0")
				total, _ := s.Product(p.ProductID)
				assert.Equal(t, total.OnHand, p.OnHand)
			}
		}
		assert.Contains(t, logs.String(), "atlantis")
		got, err := collect(c.Stock(t.Context(), ids...))
		require.NoError(t, err)
		assert.Equal(t, 10, good(got), "and nothing is remembered of them")
	}
}

func TestTroubleInAWarehouse(t *testing.T) {
	in := func(warehouse string) func(channeltest.Request) bool {
		return func(r channeltest.Request) bool { return r.URL.Query().Get("warehouseId") == warehouse }
	}
	for _, total := range []bool{true, false} {
		for _, warehouses := range [][]string{{"berlin"}, {"berlin", "koeln"}} {
			ctx := channel.WithWarehouses(t.Context(), total, warehouses...)
			t.Run(fmt.Sprint("500 ", total, warehouses), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, ids := spread(10, ecosiretest.FilterQuantities)
					s.Inject(channeltest.Fault{Times: -1, Status: 500, Match: in("berlin")})
					got, err := collect(client(t, s, io.Discard).Stock(channel.WithWarehouses(t.Context(), total, warehouses...), ids...))
					require.ErrorIs(t, err, channel.ErrUnavailable)
					assert.ErrorContains(t, err, "berlin")
					assert.Empty(t, got)
				})
			})
			t.Run(fmt.Sprint("an odd row ", total, warehouses), func(t *testing.T) {
				s, ids := spread(10, ecosiretest.FilterQuantities)
				s.Inject(channeltest.Fault{Times: -1, Match: in("berlin"), Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
					return status, bytes.Replace(body, []byte(`"onHand":10`), []byte(`"onHand":"10"`), 1)
				}})
				got, err := collect(client(t, s, io.Discard).Stock(ctx, ids...))
				require.NoError(t, err)
				assert.Len(t, got, 10)
				assert.Equal(t, 9, good(got))
			})
			t.Run(fmt.Sprint("no totals ", total, warehouses), func(t *testing.T) {
				s, ids := spread(10, ecosiretest.FilterQuantities)
				s.Inject(channeltest.Fault{Times: -1, Match: in("berlin"), Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
					return status, bytes.Replace(body, []byte(`"total":`), []byte(`"sum":`), 1)
				}})
				got, err := collect(client(t, s, io.Discard).Stock(ctx, ids...))
				require.NoError(t, err)
				assert.Len(t, got, 10)
				assert.Equal(t, 6, good(got), "those that are not listed may be there: missing is not zero")
			})
		}
	}
}

// An id that ECOSIRE refuses is found with warehouses, too.
func TestARefusedIDWithWarehouses(t *testing.T) {
	for _, warehouses := range [][]string{{"berlin"}, cities} {
		synctest.Test(t, func(t *testing.T) {
			s, ids := spread(100, ecosiretest.FilterQuantities)
			s.Refuse(422, ids[40])
			got, err := collect(client(t, s, io.Discard).Stock(channel.WithWarehouses(t.Context(), false, warehouses...), ids...))
			require.NoError(t, err)
			assert.Len(t, got, 100)
			assert.Equal(t, 99, good(got))
		})
	}
}

// With W warehouses a read costs W+1 requests, and Pace knows.
func TestPaceWithWarehouses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ids := spread(100, ecosiretest.FilterQuantities)
		c := client(t, s, io.Discard)
		ctx, cancel := context.WithTimeout(channel.WithWarehouses(t.Context(), true, cities...), 10*time.Minute)
		defer cancel()
		worst, reads := time.Duration(0), 0
		random := rand.New(rand.NewPCG(1, 1))
		for ctx.Err() == nil {
			asked := time.Now()
			if c.Pace(ctx) != nil {
				break
			}
			if _, err := collect(c.Stock(ctx, ids[random.IntN(100)])); err != nil {
				break
			}
			worst = max(worst, time.Since(asked))
			reads++
			time.Sleep(300 * time.Millisecond)
		}
		assert.LessOrEqual(t, worst, 5500*time.Millisecond)
		assert.GreaterOrEqual(t, reads, 140, "15 a minute")
	})
}
