package bench

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// mentions matches requests to Shopify by a word of their document.
func mentions(word string) func(channeltest.Request) bool {
	return func(r channeltest.Request) bool { return bytes.Contains(r.Body, []byte(word)) }
}

// A change that spends more requests than these fails here. One that spends
// fewer may lower them.
func TestRequestsOfAReconciliation(t *testing.T) {
	racetest.Long(t)
	const n = 1_000
	for fill, most := range map[Fill]struct{ shopifyWrites, wooWrites int }{
		Agreed: {0, 0}, Percent: {2, 2}, Off: {4, 10}, Fresh: {4, 10},
	} {
		t.Run(fill.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := NewWorld(n, Both, fill, nil, nil)
				require.NoError(t, err)
				_, err = w.Syncer.Reconcile(t.Context())
				require.NoError(t, err)
				wrong, example := w.Wrong()
				require.Zero(t, wrong, example)
				assert.Equal(t, 10, w.Ecosire.Count(nil), "a hundred products for each request to ECOSIRE")
				assert.Equal(t, 4, w.Shopify.Count(mentions("ReadLevels")), "250 items for each read at Shopify")
				assert.LessOrEqual(t, w.Shopify.Count(mentions("SetQuantities")), most.shopifyWrites)
				assert.LessOrEqual(t, w.Shopify.Count(mentions("ListItems")), 6, "250 items for each, and the last one twice")
				assert.Zero(t, w.Shopify.Count(mentions("StartBulk")), "no bulk operation for a thousand items")
				assert.Zero(t, w.Shopify.Count(mentions("FindItems")), "no search in a reconciliation")
				assert.Equal(t, 10, w.WooCommerce.Count(channeltest.On("GET", "")), "100 products for each read at WooCommerce")
				assert.LessOrEqual(t, w.WooCommerce.Count(channeltest.On("POST", "")), most.wooWrites)
				for _, wire := range []*channeltest.Wire{w.Ecosire.Wire, w.Shopify.Wire, w.WooCommerce.Wire} {
					require.Less(t, wire.Count(nil), 100, "or the wire has forgotten some")
				}
			})
		})
	}
}

func TestRequestsOfEvents(t *testing.T) {
	for _, tt := range []struct {
		name     string
		products int
		times    int
	}{{"a hundred events for one product", 1, 100}, {"a burst for a hundred products", 100, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := NewWorld(200, Both, Agreed, nil, func(cfg *syncer.Config) { cfg.WatchEvery = -1 })
				require.NoError(t, err)
				_, err = w.Syncer.Reconcile(t.Context()) // Shopify's items are known then
				require.NoError(t, err)
				time.Sleep(time.Minute)
				w.Requests()
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { w.Syncer.Run(ctx) })
				for range tt.times {
					for _, id := range w.IDs[:tt.products] {
						w.Ecosire.Sell(id, 1)
						require.NoError(t, w.Syncer.Notify(ctx, id))
					}
				}
				time.Sleep(10 * time.Second)
				cancel()
				wg.Wait()
				ecosire, shopify, woocommerce := w.Requests()
				wrong, example := w.Wrong()
				require.Zero(t, wrong, example)
				assert.Equal(t, 1, ecosire)
				assert.Equal(t, 2, shopify, "one read, one write")
				assert.Equal(t, 2, woocommerce, "one read, one write")
			})
		})
	}
}

// Virtual time depends on no machine.
func TestAReconciliationKeepsToItsBound(t *testing.T) {
	racetest.Long(t)
	const n = 10_000
	r := reconcile(t, n, Both, Percent, false)
	assert.LessOrEqual(t, r.took.Seconds()/Bound(n, Percent.Differing(n), Both).Seconds(), 1.05)
}

func TestEventsAreVisibleSoonDuringAReconciliation(t *testing.T) {
	racetest.Long(t)
	d := latency(t, 1_500, 10, newShop)
	assert.LessOrEqual(t, p99(d.shopify), 2*time.Second)
	assert.LessOrEqual(t, p99(d.woocommerce), 2200*time.Millisecond, "2 s, give or take some order of goroutines")
}

func TestBound(t *testing.T) {
	for _, tt := range []struct {
		n, differing int
		channels     Channels
		want         time.Duration
	}{
		{100, 0, Shopify, 300 * time.Millisecond},
		{6_000, 6_000, Shopify, 500 * time.Millisecond},
		{6_001, 0, Shopify, time.Minute + 300*time.Millisecond},
		{100_000, 0, Shopify, 16*time.Minute + 300*time.Millisecond},
		{100, 100, WooCommerce, 100*time.Millisecond + (2*45+100*2+100*20)*time.Millisecond/2},
		{100_000, 0, Both, 16*time.Minute + 100*time.Millisecond + 40*245*time.Millisecond/2},
	} {
		assert.Equal(t, tt.want, Bound(tt.n, tt.differing, tt.channels), "%+v", tt)
	}
}

func TestColdBound(t *testing.T) {
	for n, want := range map[int]struct{ warm, cold time.Duration }{
		100:   {500 * time.Millisecond, 600 * time.Millisecond},  // listed while the only page comes
		500:   {600 * time.Millisecond, 600 * time.Millisecond},  // as soon as all products are known
		501:   {600 * time.Millisecond, 800 * time.Millisecond},  // and one more is searched for
		5_000: {600 * time.Millisecond, 800 * time.Millisecond},  // by 180 searches of 9 points
		6_000: {600 * time.Millisecond, 1200 * time.Millisecond}, // for which there are points after two more rounds of the list
	} {
		differing := Percent.Differing(n)
		assert.Equal(t, want.warm, Warm(n, differing, Shopify), n)
		assert.Equal(t, want.cold, Cold(n, differing, Shopify), n)
	}
	assert.Equal(t, Bound(3_000, 30, Both)+ecosireTime+shopifyTime, Cold(3_000, 30, Both))
}
