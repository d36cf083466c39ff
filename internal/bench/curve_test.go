package bench

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

// A point is one size of a catalogue, and how a reconciliation of it compares
// with what the quotas allow.
type point struct {
	products    int
	took, bound time.Duration
}

// honest makes a request that Shopify refuses for lack of points fail the test.
func (w *World) honest(t *testing.T) {
	w.Shopify.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		assert.False(t, bytes.Contains(body, []byte("THROTTLED")), "Shopify had not as many points as were taken")
		return status, body
	}})
}

func (p point) ratio() float64 { return p.took.Seconds() / p.bound.Seconds() }

func measure(t *testing.T, n int, channels Channels) point {
	return point{n, reconcile(t, n, channels, Percent, false).took, Cold(n, Percent.Differing(n), channels)}
}

// most is the ratio that a size may have.
func (p point) most() float64 {
	if p.products > ecosireLimit*ecosirePage {
		return 1.05
	}
	return 1.15
}

// measureWarm measures a second reconciliation, with Shopify alone.
func measureWarm(t *testing.T, n int) point {
	return point{n, again(t, n), Warm(n, Percent.Differing(n), Shopify)}
}

// within asserts the ratio that a size may have.
func (p point) within(t *testing.T) {
	t.Helper()
	assert.LessOrEqual(t, p.ratio(), p.most(), "%d products: %v, of which %v is the bound", p.products, p.took, p.bound)
}

// TestCurve is of sixty sizes, each 12 % larger than the one before, and of two whose last
// requests have to wait for those that events may need. A short one leaves out the largest.
func TestCurve(t *testing.T) {
	measured(t)
	const n, smallest, largest = 60, 100, 100_000
	sizes := []int{5_500, 12_000}
	for i := range n {
		sizes = append(sizes, int(math.Round(smallest*math.Pow(largest/smallest, float64(i)/(n-1)))))
	}
	slices.Sort(sizes)
	if mode != "full" {
		sizes = slices.DeleteFunc(sizes, func(n int) bool { return n > 20_000 })
	}
	points := newTable("curve", "products", "time", "bound", "ratio", "at most")
	var small, large point
	all := make([]point, len(sizes))
	together(t, len(sizes), func(t *testing.T, i int) { all[i] = measure(t, sizes[i], Both) })
	for i, size := range sizes {
		p := all[i]
		p.within(t)
		points.row(number(p.products), span(p.took), span(p.bound), fmt.Sprintf("%.3f", p.ratio()), p.most())
		worst := &small
		if size > ecosireLimit*ecosirePage {
			worst = &large
		}
		if worst.bound == 0 || p.ratio() > worst.ratio() {
			*worst = p
		}
	}
	points.done(t)
	out := newTable("worst", "the worst", "products", "time", "bound", "ratio", "at most")
	row := func(name string, p point, most string) {
		out.row(name, number(p.products), span(p.took), span(p.bound), fmt.Sprintf("%.3f", p.ratio()), most)
	}
	row("up to 6,000 products", small, "1.15")
	row("above", large, "1.05")
	minute := slices.DeleteFunc(sizes, func(n int) bool { return n > ecosireLimit*ecosirePage })
	alone := make([]point, 2*len(minute)) // with Shopify; the odd ones are warm
	together(t, len(alone), func(t *testing.T, i int) {
		if i%2 == 0 {
			alone[i] = measure(t, minute[i/2], Shopify)
		} else {
			alone[i] = measureWarm(t, minute[i/2])
		}
	})
	var worst [2]point
	for i, p := range alone {
		p.within(t)
		if w := &worst[i%2]; w.bound == 0 || p.ratio() >= w.ratio() {
			*w = p
		}
	}
	row("Shopify alone, its items not known", worst[0], "1.15")
	row("Shopify alone, its items known", worst[1], "1.15")
	out.done(t)
}

// again measures a second reconciliation, for which as many differ as for the
// first one.
func again(t *testing.T, n int) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := NewWorld(n, Shopify, Percent, nil, nil)
		require.NoError(t, err)
		w.honest(t)
		_, err = w.Syncer.Reconcile(t.Context())
		require.NoError(t, err)
		for i, id := range w.IDs {
			if i%100 == 0 {
				w.Ecosire.Sell(id, 1)
			}
		}
		time.Sleep(10 * time.Minute)
		start := time.Now()
		report, err := w.Syncer.Reconcile(t.Context())
		require.NoError(t, err)
		require.Equal(t, Percent.Differing(n), report.Channels[0].Updated)
		took = time.Since(start)
	})
	return took
}

// TestWarehouses is what single warehouses cost, at ECOSIRE alone.
func TestWarehouses(t *testing.T) {
	const n = 2_000
	products, times := n, 1
	if mode != "" {
		products, times = 10_000, 10
	}
	out := newTable("warehouses", "warehouses", "requests for a catalogue", "time", "bound", "ratio", "requests for an event", "reads a minute")
	for _, warehouses := range []int{0, 1, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			names := make([]string, max(1, warehouses))
			at := make(map[string]ecosiretest.Units)
			for i := range names {
				names[i] = fmt.Sprint("warehouse-", i)
				at[names[i]] = ecosiretest.Units{OnHand: 3}
			}
			s := ecosiretest.New(ecosiretest.Config{Latency: ecosireTime, Warehouses: names})
			var ids []string
			for range products {
				ids = append(ids, s.Add(ecosiretest.Product{At: at})...)
			}
			c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: &http.Client{Transport: s}})
			require.NoError(t, err)
			ctx := t.Context()
			if warehouses > 0 {
				ctx = channel.WithWarehouses(ctx, false, names...)
			}
			start, read := time.Now(), 0
			for stock, err := range c.Stock(channel.WithUrgency(ctx, channel.Background)) {
				require.NoError(t, err)
				require.NoError(t, stock.Err)
				require.Len(t, stock.Warehouses, warehouses)
				read++
			}
			require.Equal(t, products, read)
			took, requests := time.Since(start), len(s.Requests())
			if warehouses == 1 {
				assert.Equal(t, 2+products/100, requests)
			} else {
				assert.Equal(t, (1+warehouses)*products/100, requests)
			}
			bound := time.Duration((requests-1)/ecosireLimit)*time.Minute + ecosireTime
			if requests > 2*ecosireLimit {
				assert.LessOrEqual(t, took.Seconds()/bound.Seconds(), 1.05)
			}

			time.Sleep(2 * time.Minute)
			s.Forget()
			for range c.Stock(ctx, ids[0]) {
			}
			event := len(s.Requests())
			reads, ended := 0, time.Now().Add(time.Duration(times)*time.Minute)
			limited, cancel := context.WithDeadline(ctx, ended)
			for c.Pace(limited) == nil {
				for range c.Stock(limited, ids[reads]) {
				}
				reads++
			}
			cancel()
			out.row(warehouses, number(requests), span(took), span(bound), fmt.Sprintf("%.2f", took.Seconds()/bound.Seconds()), event, fmt.Sprintf("%.1f", float64(reads)/float64(times)))
		})
	}
	out.done(t)
}
