package bench

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
	"github.com/ecosire/stocksync/syncer"
)

// What Square takes. It publishes neither its limits nor its times.
const (
	squareTime   = 200 * time.Millisecond // of a request
	squareObject = time.Millisecond       // for each object of the catalog
	squareRead   = 1000                   // variations of a search, and ids of a read of counts
	squareWrite  = 100                    // counts of a write
)

// A tillWorld is ECOSIRE, a till that sells the same products, and a Syncer
// between them.
type tillWorld struct {
	ecosire *ecosiretest.Server
	till    *squaretest.Server
	syncer  *syncer.Syncer
}

func newTillWorld(t testing.TB, n int, fill Fill) *tillWorld {
	w := &tillWorld{
		ecosire: ecosiretest.New(ecosiretest.Config{Latency: ecosireTime, Limit: 1 << 20}),
		till:    squaretest.New(squaretest.Config{Latency: squareTime, ObjectTime: squareObject}),
	}
	products := make([]ecosiretest.Product, n)
	variations := make([]squaretest.Variation, n)
	for i := range n {
		products[i] = ecosiretest.Product{SKU: SKU(i), OnHand: Start(i)}
		variations[i] = squaretest.Variation{SKU: SKU(i), Quantity: fill.shows(i), Uncounted: fill == Fresh}
	}
	w.ecosire.Add(products...)
	w.till.Add(variations...)
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: w.ecosire.Client()})
	require.NoError(t, err)
	client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: w.till.Client()})
	require.NoError(t, err)
	shelf, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN", BookingLag: 15 * time.Minute})
	require.NoError(t, err)
	w.syncer, err = syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shelf}}, WatchEvery: -1})
	require.NoError(t, err)
	return w
}

// TestSquare is of 10,000 variations. The least is what the batches come to; what was
// never counted is read twice before that is believed. The client begins with five
// requests a second and goes up to ten. ECOSIRE's quota is left out, since it is slower.
func TestSquare(t *testing.T) {
	long(t)
	const n = 10_000
	out := newTable("square", "job, for 10,000 variations", "searches", "reads", "writes", "least", "ratio", "time")
	for _, fill := range []Fill{Agreed, Percent, Off, Fresh} {
		synctest.Test(t, func(t *testing.T) {
			w := newTillWorld(t, n, fill)
			start := time.Now()
			_, err := w.syncer.Reconcile(t.Context())
			took := time.Since(start)
			require.NoError(t, err)
			for i := range n {
				shows, ok := w.till.Quantity(SKU(i))
				require.True(t, ok && shows == Start(i), "%s shows %d", SKU(i), shows)
			}
			searches := w.till.Count(channeltest.On("", "/catalog/search"))
			reads := w.till.Count(channeltest.On("", "/counts/"))
			writes := w.till.Count(channeltest.On("", "/changes/"))
			least := 2*pages(n, squareRead) + pages(fill.Differing(n), squareWrite)
			if fill == Fresh {
				least += pages(n, squareRead) // what has no count is asked for once more
			}
			ratio := float64(searches+reads+writes) / float64(least)
			out.row(fill, number(searches), number(reads), number(writes), number(least), fmt.Sprintf("%.2f", ratio), span(took))
			assert.Equal(t, pages(n, squareRead), searches, "also for the list of SKUs")
			assert.LessOrEqual(t, writes, pages(n, squareWrite))
			// A run asks for groups of products, each of which may have some that
			// differ.
			assert.LessOrEqual(t, ratio, 1.5)
			assert.Less(t, took, time.Minute)
		})
	}
	out.done(t)
}
