package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

// sizes draws so many sizes of catalogues up to a most, as many small ones as
// large ones.
func sizes(random *rand.Rand, n, most int) (all []int) {
	for range n {
		size := 1 + random.IntN(6_000)
		if random.IntN(2) == 0 {
			size = 6_001 + random.IntN(most-6_000)
		}
		all = append(all, size)
	}
	return all
}

// ratio is how much longer a reconciliation takes than it has to.
func ratio(t *testing.T, n int) float64 {
	r := reconcile(t, n, Both, Percent, false)
	bound := Bound(n, Percent.Differing(n), Both)
	// The first page tells how many there are, and the items that are not known
	// yet must be looked up at Shopify: a search for each 250, of which as many
	// as are read may be under way.
	bound += ecosireTime + shopifyTime
	return r.took.Seconds() / bound.Seconds()
}

// Of sizes drawn at random.
func TestCurve(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	n, most := 3, 15_000
	if mode != "" {
		n, most = 60, 30_000
	}
	out := newTable("curve", "products", "sizes", "worst ratio", "at")
	worst, at := map[bool]float64{}, map[bool]int{}
	count := map[bool]int{}
	for _, size := range append(sizes(random, n, most), 12_000) {
		large := size > 6_000
		count[large]++
		if r := ratio(t, size); r > worst[large] {
			worst[large], at[large] = r, size
		}
	}
	for _, large := range []bool{false, true} {
		out.row(map[bool]string{false: "up to 6,000", true: "above"}[large], count[large], fmt.Sprintf("%.2f", worst[large]), number(at[large]))
	}
	assert.LessOrEqual(t, worst[true], 1.05, "%d products", at[true])
	out.done(t)
}

// What single warehouses cost, at ECOSIRE alone.
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
