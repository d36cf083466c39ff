package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
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

// peers are other ways to do the same, and how many lines of code they have here.
var peers = []struct {
	name  string
	files []string
	way   func(*World) func(context.Context) error
}{
	{"the guide's way", []string{"guide.go"}, func(w *World) func(context.Context) error { return NewGuide(w).Reconcile }},
	{"a script, in batches, unread", []string{"script.go"}, func(w *World) func(context.Context) error { return NewScript(w).Reconcile }},
	{"Syncer", nil, nil},
}

// codeLines counts lines of code.
func codeLines(t *testing.T, files []string) (n int) {
	t.Helper()
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				n++
			}
		}
	}
	return n
}

// A script that knows the batches writes everything; a Syncer reads first.
func TestPeers(t *testing.T) {
	sizes := []int{500}
	if mode != "" {
		sizes = []int{1_000}
	}
	if mode == "full" {
		sizes = append(sizes, 10_000)
	}
	out := newTable("peers", "way", "products", "drift", "requests to ECOSIRE", "Shopify", "WooCommerce", "time", "lines of code")
	for _, n := range sizes {
		took := make(map[Fill]map[string]run)
		for _, fill := range []Fill{Percent, Off} {
			took[fill] = make(map[string]run)
			for _, p := range peers {
				r := reconcileBy(t, n, Both, fill, p.way)
				took[fill][p.name] = r
				code := "5"
				if p.files != nil {
					code = number(codeLines(t, p.files))
				}
				out.row(p.name, number(n), fill, number(r.ecosire), number(r.shopify), number(r.woocommerce), span(r.took), code)
			}
		}
		script, ours := took[Percent][peers[1].name], took[Percent]["Syncer"]
		assert.Less(t, ours.took, script.took/2, "%d products, a usual night", n)
		script, ours = took[Off][peers[1].name], took[Off]["Syncer"]
		assert.Less(t, ours.took, script.took, "%d products, all wrong", n)
	}
	out.done(t)
}
