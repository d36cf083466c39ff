package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// reconcile measures one reconciliation, by the Syncer or by the guide's way.
func reconcile(t *testing.T, n int, channels Channels, fill Fill, guide bool) run {
	t.Helper()
	if guide {
		return reconcileBy(t, n, channels, fill, func(w *World) func(context.Context) error { return NewGuide(w).Reconcile })
	}
	return reconcileBy(t, n, channels, fill, nil)
}

// reconcileBy is reconcile by another way; nil is the Syncer.
func reconcileBy(t *testing.T, n int, channels Channels, fill Fill, way func(*World) func(context.Context) error) (r run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := NewWorld(n, channels, fill, nil, nil)
		require.NoError(t, err)
		if way == nil && channels == Shopify {
			w.honest(t)
		}
		start := time.Now()
		if way != nil {
			require.NoError(t, way(w)(t.Context()))
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

// A catalogue is a row of the table of catalogues.
type catalogue struct {
	products int
	channels Channels
	fill     Fill
}

// catalogues are both shops at each size and drift, and a single shop on a usual night. At
// 5,500 and 12,000 products the last requests have to wait for those that events may need.
func catalogues() (all []catalogue) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		for _, fill := range []Fill{Fresh, Agreed, Percent, Off} {
			if n == 100_000 && fill != Percent && mode != "full" {
				continue // it takes a while
			}
			all = append(all, catalogue{n, Both, fill})
		}
		if n < 100_000 || mode == "full" {
			all = append(all, catalogue{n, Shopify, Percent}, catalogue{n, WooCommerce, Percent})
		}
	}
	return append(all, catalogue{5_500, Both, Percent}, catalogue{12_000, Both, Percent})
}

// TestCatalogue is of one reconciliation each. A first sync begins with 0 everywhere
// on Shopify, and with stock that is not managed on WooCommerce. Drift is the share of
// products that are shown wrongly at the beginning. All are shown rightly at the end,
// or it fails.
//
// What is over the bound at large sizes is about a second in each minute: ECOSIRE
// names the end of its minute in whole seconds, and the library waits until that
// second is over. Where there are more requests to ECOSIRE than hundreds of products,
// a channel was two minutes behind, and what it had missed was read again.
func TestCatalogue(t *testing.T) {
	measured(t)
	out := newTable("catalogue", "products", "shops", "case", "requests to ECOSIRE", "Shopify", "WooCommerce", "time", "bound", "ratio")
	all := catalogues()
	slices.SortStableFunc(all, func(a, b catalogue) int { return cmp.Compare(a.products, b.products) })
	runs := make([]run, len(all))
	together(t, len(all), func(t *testing.T, i int) {
		runs[i] = reconcile(t, all[i].products, all[i].channels, all[i].fill, false)
	})
	for i, c := range all {
		r, bound := runs[i], Bound(c.products, c.fill.Differing(c.products), c.channels)
		out.row(number(c.products), c.channels, c.fill, number(r.ecosire), number(r.shopify), number(r.woocommerce),
			span(r.took), span(bound), fmt.Sprintf("%.3f", r.took.Seconds()/bound.Seconds()))
	}
	out.done(t)
}
