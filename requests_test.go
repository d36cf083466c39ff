package stocksync_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// Each request is told by its channel and an operation that names no product,
// so that these can be labels; and what is left of the quotas is known.
func TestRequestsAreToldByOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := make(map[string]int64)
		var mu sync.Mutex
		w := newWorld(t, 12, false, func(cfg *syncer.Config) {
			cfg.Hooks.Request = func(_ context.Context, name string, r channel.Request) {
				mu.Lock()
				defer mu.Unlock()
				assert.Equal(t, 200, r.Status)
				assert.NotEmpty(t, r.Host)
				heard[name+": "+r.Service+" "+r.Op]++
			}
		})
		for i, id := range w.ids {
			w.ecosire.Set(id, i, 0)
		}
		report, err := w.SyncProducts(t.Context(), w.ids...)
		require.NoError(t, err)
		assert.Equal(t, []string{
			": ecosire GET /inventory/products",
			"shopify:test-shop: shopify inventoryItems", "shopify:test-shop: shopify inventorySetQuantities", "shopify:test-shop: shopify nodes",
			"woocommerce:shop.example: woocommerce GET /products", "woocommerce:shop.example: woocommerce POST /products/batch",
			"woocommerce:shop.example: woocommerce POST /products/{id}/variations/batch",
		}, slices.Sorted(maps.Keys(heard)))
		var told, sent int64
		for _, n := range heard {
			told += n
		}
		for _, n := range report.Requests {
			sent += n
		}
		assert.Equal(t, sent, told, "each once")
		h, err := w.Health(t.Context())
		require.NoError(t, err)
		assert.Equal(t, &channel.Quota{Left: 59, Limit: 60, Unit: "request"}, h.Quota)
		require.NotNil(t, h.Channels[0].Quota)
		assert.Equal(t, "point", h.Channels[0].Quota.Unit)
		assert.Less(t, h.Channels[0].Quota.Left, h.Channels[0].Quota.Limit+1)
		assert.Nil(t, h.Channels[1].Quota, "WooCommerce has none")
	})
}
