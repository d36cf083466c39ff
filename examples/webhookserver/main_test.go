package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	require.NoError(t, demo(t.Context(), 30, time.Second))
}

func TestDemoTellsWhatDidNotBecomeVisible(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // no shop can be as quick
	defer cancel()
	assert.ErrorContains(t, demo(ctx, 3, time.Millisecond), "3 of 3 sales did not become visible")
}

// With the variables set, the same works over sockets, as with real services.
func TestReal(t *testing.T) {
	w := newWorld()
	erp, shop, woo := httptest.NewServer(w.ecosire), httptest.NewServer(w.shopify), httptest.NewServer(w.woo)
	defer erp.Close()
	defer shop.Close()
	defer woo.Close()
	for name, value := range map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": erp.URL + "/api", "ECOSIRE_WEBHOOK_SECRET": worldSecret,
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_URL": shop.URL, "SHOPIFY_LOCATION_ID": "1", "SHOPIFY_ACCESS_TOKEN": "shpat_test",
		"SHOPIFY_CLIENT_ID": "", "SHOPIFY_CLIENT_SECRET": "",
		"WC_SITE_URL": woo.URL, "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
		"ADDR": freeAddress(t), "QUEUE": filepath.Join(t.TempDir(), "queue.db"),
	} {
		t.Setenv(name, value)
	}
	for range 2 { // the second finds the first one's queue
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- real(ctx) }()
		url := "http://" + address()
		var health struct {
			Running  bool
			Channels []struct{ Channel string }
		}
		require.Eventually(t, func() bool {
			resp, err := http.Get(url + "/healthz")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&health) == nil
		}, 10*time.Second, 10*time.Millisecond)
		assert.True(t, health.Running)
		assert.Len(t, health.Channels, 2)
		assert.Positive(t, w.sale(ctx, url, false))
		stop()
		require.NoError(t, <-done, "it ends well when it is told to")
	}

	t.Setenv("ECOSIRE_WEBHOOK_SECRET", "")
	assert.ErrorContains(t, real(t.Context()), "ECOSIRE_WEBHOOK_SECRET")
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
