package bench

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// firstSync is how long a WooCommerce shop with a number of cores takes to get its
// first 1,000 quantities, with a number of requests under way at a time.
func firstSync(t *testing.T, cores, parallel int) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		erp := ecosiretest.New(ecosiretest.Config{Latency: ecosireTime})
		shop := woocommercetest.New(woocommercetest.Config{
			RequestTime: wooTime, ItemReadTime: wooRead, ItemWriteTime: wooWrite, Cores: cores})
		for i := range 1_000 {
			erp.Add(ecosiretest.Product{SKU: SKU(i), OnHand: Start(i)})
			shop.Add(woocommercetest.Product{SKU: SKU(i), Stock: woocommercetest.Unmanaged})
		}
		source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
		require.NoError(t, err)
		site, err := woocommerce.New(woocommerce.Config{
			URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: shop.Client(), Parallel: parallel})
		require.NoError(t, err)
		store, err := site.Channel(woocommerce.ChannelConfig{Track: true})
		require.NoError(t, err)
		s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: store}}})
		require.NoError(t, err)
		start := time.Now()
		report, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1_000, report.Channels[0].Updated)
		took = time.Since(start)
	})
	return took
}

// TestParallel has no customers, who want some of the cores; TestLoadTable of the
// package woocommerce has.
func TestParallel(t *testing.T) {
	measured(t)
	cores := []int{1, 2, 4, 8}
	head := []string{"Parallel"}
	for _, c := range cores {
		head = append(head, fmt.Sprintf("%d cores", c))
	}
	head[1] = "1 core"
	out := newTable("parallel", head...)
	for _, parallel := range []int{1, 2, 4, 8} {
		row := []any{parallel}
		for _, c := range cores {
			row = append(row, span(firstSync(t, c, parallel)))
		}
		out.row(row...)
	}
	out.done(t)
}
