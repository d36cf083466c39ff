package bench

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A run is what making a catalogue right took.
type run struct {
	ecosire, shopify, woocommerce int // requests
	took                          time.Duration
}

func (r run) requests() int { return r.ecosire + r.shopify + r.woocommerce }

// reconcile measures one reconciliation, by the Syncer or by the guide's way.
func reconcile(t *testing.T, n int, channels Channels, fill Fill, guide bool) (r run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := NewWorld(n, channels, fill, nil, nil)
		require.NoError(t, err)
		start := time.Now()
		if guide {
			require.NoError(t, NewGuide(w).Reconcile(t.Context()))
		} else {
			report, err := w.Syncer.Reconcile(t.Context())
			require.NoError(t, err)
			require.NoError(t, report.Err())
		}
		r.took = time.Since(start)
		r.ecosire, r.shopify, r.woocommerce = w.Requests()
		wrong, example := w.Wrong()
		require.Zero(t, wrong, example)
	})
	return r
}

func TestCatalogue(t *testing.T) {
	measured(t)
	out := newTable("catalogue", "products", "shops", "case", "requests to ECOSIRE", "Shopify", "WooCommerce", "time", "bound", "ratio")
	for _, n := range []int{1_000, 5_500, 10_000, 12_000, 100_000} {
		for _, channels := range []Channels{Shopify, WooCommerce, Both} {
			for _, fill := range []Fill{Fresh, Agreed, Percent, Off} {
				// Two sizes whose last requests have to wait for the reserve.
				if (n == 5_500 || n == 12_000) && (channels != Both || fill != Percent) {
					continue
				}
				if n == 100_000 && mode != "full" && (channels != Both || fill != Percent) {
					continue // it takes a while
				}
				r := reconcile(t, n, channels, fill, false)
				bound := Bound(n, fill.Differing(n), channels)
				out.row(number(n), channels, fill, number(r.ecosire), number(r.shopify), number(r.woocommerce),
					span(r.took), span(bound), fmt.Sprintf("%.3f", r.took.Seconds()/bound.Seconds()))
			}
		}
	}
	out.done(t)
}

func TestGuide(t *testing.T) {
	measured(t)
	out := newTable("guide", "products", "shops", "requests, the guide's way", "Syncer", "factor", "time, the guide's way", "Syncer", "factor")
	for _, n := range []int{1_000, 10_000} {
		for _, channels := range []Channels{Shopify, WooCommerce, Both} {
			if n == 10_000 && (channels != Both || mode != "full") {
				continue // it takes a while
			}
			ours, guide := reconcile(t, n, channels, Percent, false), reconcile(t, n, channels, Percent, true)
			out.row(number(n), channels, number(guide.requests()), number(ours.requests()), fmt.Sprintf("%.0f", float64(guide.requests())/float64(ours.requests())),
				span(guide.took), span(ours.took), fmt.Sprintf("%.0f", guide.took.Seconds()/ours.took.Seconds()))
		}
	}
	out.done(t)
}
