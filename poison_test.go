package stocksync_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

// poisoned is an ECOSIRE of n products that shows 50 of each, a shop that shows
// the same, and what keeps them equal.
func poisoned(t *testing.T, n int, gaveUp func(context.Context, syncer.Problem)) (*ecosiretest.Server, []string, *channeltest.Memory, *syncer.Syncer) {
	t.Helper()
	e, shop := ecosiretest.New(ecosiretest.Config{}), channeltest.NewMemory("shop")
	var ids []string
	for i := range n {
		ids = append(ids, e.Add(ecosiretest.Product{SKU: fmt.Sprintf("S%05d", i), OnHand: 50})...)
		shop.Set(fmt.Sprintf("S%05d", i), 50)
	}
	c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: e.Client()})
	require.NoError(t, err)
	s, err := syncer.New(syncer.Config{Source: c, Targets: []syncer.Target{{Channel: shop}}, Schedule: syncer.Never(), WatchEvery: -1,
		Hooks: syncer.Hooks{GaveUp: gaveUp}})
	require.NoError(t, err)
	return e, ids, shop, s
}

// One id that ECOSIRE refuses, or fails for, each time costs the others nothing.
func TestAPoisonedIDInRealTime(t *testing.T) {
	for _, status := range []int{422, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				gave := 0
				e, ids, shop, s := poisoned(t, 200, func(context.Context, syncer.Problem) {
					mu.Lock()
					defer mu.Unlock()
					gave++
				})
				e.Refuse(status, "WGT-PRO-001") // an SKU where an id was meant
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { assert.NoError(t, s.Run(ctx)) })
				require.NoError(t, s.Notify(ctx, "WGT-PRO-001"))
				for i := range 100 {
					e.Sell(ids[i], 1)
					require.NoError(t, s.Notify(ctx, ids[i]))
					time.Sleep(10 * time.Second)
				}
				time.Sleep(time.Minute)
				for i := range 100 {
					n, _ := shop.Quantity(fmt.Sprintf("S%05d", i))
					assert.Equal(t, 49, n)
				}
				assert.Less(t, len(e.Requests()), 160)
				time.Sleep(time.Hour)
				cancel()
				wg.Wait()
				assert.Equal(t, 1, gave)
			})
		})
	}
}

// Nor does it in a call with many others.
func TestAPoisonedIDAmongMany(t *testing.T) {
	for _, status := range []int{422, 500} {
		synctest.Test(t, func(t *testing.T) {
			e, ids, _, s := poisoned(t, 1000, nil)
			e.Refuse(status, ids[517])
			for _, id := range ids {
				e.Set(id, 7, 0)
			}
			start := time.Now()
			r, err := s.SyncProducts(t.Context(), ids...)
			require.ErrorContains(t, err, ids[517], "and says so")
			assert.Equal(t, 999, r.Channels[0].Updated)
			assert.Equal(t, 1, r.Unread)
			assert.Less(t, time.Since(start), 20*time.Second)
		})
	}
}

// A row that makes no sense is its product's error, every night.
func TestABadRowInANight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, ids, shop, s := poisoned(t, 1000, nil)
		e.Break(ids[150], "sku", "4006381333931")
		e.Break(ids[151], "available", "2.5")
		e.Break(ids[152], "", `{"sku":"S00152"}`)
		for _, id := range ids {
			e.Set(id, 57, 0)
		}
		r, _ := s.Reconcile(t.Context())
		assert.Equal(t, 997, r.Read)
		assert.Equal(t, 3, r.Unread)
		for i := range ids {
			n, _ := shop.Quantity(fmt.Sprintf("S%05d", i))
			if i >= 150 && i <= 152 {
				assert.Equal(t, 50, n, "missing is not zero")
			} else if n != 57 {
				t.Fatalf("product %d shows %d", i, n)
			}
		}
	})
}
