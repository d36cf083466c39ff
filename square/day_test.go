package square_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
	"github.com/ecosire/stocksync/syncer"
)

// A day at the till: what lies on the shelf, what the source knows of it, and
// what the till shows. Sales take off the shelf at once, and off the source
// when they are booked.
type day struct {
	till   *squaretest.Server
	random *rand.Rand

	mu     sync.Mutex
	shelf  map[string]int // by SKU
	source map[string]int
	skus   map[string]string // by variation

	answers, high, low int // counts in Square's answers, and those that are not what lies there
	excess, missing    int // the largest number of units too many, and all that were too few
	empty              int // counts of 0 or less although something lies there
	sales              int
	over               int  // times that the till showed too many when somebody came to buy
	elsewhere          bool // the merchant has a web shop, too: see order
}

const (
	products   = 200
	maxBooking = 15 * time.Minute
)

func newDay(cfg squaretest.Config, faults []channeltest.Fault) *day {
	d := &day{
		till: squaretest.New(cfg), random: rand.New(rand.NewPCG(1, 2)),
		shelf: map[string]int{}, source: map[string]int{}, skus: map[string]string{},
	}
	for i := range products {
		sku, n := fmt.Sprintf("SKU-%03d", i), 10+d.random.IntN(60)
		d.shelf[sku], d.source[sku] = n, n
		d.skus[d.till.Add(squaretest.Variation{SKU: sku, Quantity: n})[0]] = sku
	}
	d.till.Inject(faults...)
	look := func(status int, _ http.Header, body []byte) (int, []byte) { d.look(body); return status, body }
	d.till.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/v2/inventory/changes/") || !d.elsewhere && strings.HasPrefix(r.URL.Path, "/v2/inventory/")
	}, Times: -1, Rewrite: look})
	return d
}

// look compares the counts of an answer with what lies there.
func (d *day) look(body []byte) {
	var said struct {
		Counts []struct {
			ID       string `json:"catalog_object_id"`
			State    string `json:"state"`
			Quantity string `json:"quantity"`
		} `json:"counts"`
	}
	if json.Unmarshal(body, &said) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range said.Counts {
		n, _ := strconv.Atoi(c.Quantity)
		d.answers++
		switch there := d.shelf[d.skus[c.ID]]; {
		case n > there:
			d.high++
			d.excess = max(d.excess, n-there)
		case n < there:
			d.low++
			d.missing += there - n
			if n <= 0 {
				d.empty++
			}
		}
	}
}

// Stock implements channel.Source.
func (d *day) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		asOf := time.Now()
		d.mu.Lock()
		if len(ids) == 0 {
			for sku := range d.source {
				ids = append(ids, sku)
			}
		}
		var all []channel.Stock
		for _, id := range ids {
			n := d.source[id]
			all = append(all, channel.Stock{ProductID: id, SKU: id, OnHand: n, Available: n, AsOf: asOf})
		}
		d.mu.Unlock()
		time.Sleep(120 * time.Millisecond) // on its way
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// change makes a change and tells nobody.
func (d *day) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// open has the shop open for ten hours: somebody buys something every few
// seconds, and each sale is booked 2 seconds to 15 minutes later. Deliveries
// are at the source when they are on the shelf.
func (d *day) open(ctx context.Context, notify func(context.Context, ...string) error) {
	for closing := time.Now().Add(10 * time.Hour); time.Now().Before(closing); {
		time.Sleep(time.Duration(d.random.Int64N(int64(12 * time.Second))))
		sku := fmt.Sprintf("SKU-%03d", d.random.IntN(1+d.random.IntN(products))) // some sell more than others
		if d.random.IntN(40) == 0 {
			d.change(func() { d.shelf[sku] += 12; d.source[sku] += 12 })
			notify(ctx, sku)
			continue
		}
		if d.elsewhere && d.random.IntN(4) == 0 {
			d.order(ctx, sku, notify)
			continue
		}
		d.change(func() {
			if n, _ := d.till.Quantity(sku); n > d.shelf[sku] {
				d.over++
			}
			if d.shelf[sku] == 0 {
				return
			}
			d.shelf[sku]--
			d.sales++
			d.till.Sell(sku, 1)
			late := 2*time.Second + time.Duration(d.random.Int64N(int64(time.Minute)))
			if d.random.IntN(2) == 0 {
				late = 2*time.Second + time.Duration(d.random.Int64N(int64(maxBooking-2*time.Second)))
			}
			time.AfterFunc(late, func() {
				d.change(func() { d.source[sku]-- })
				notify(ctx, sku)
			})
		})
	}
}

// order promises a unit that lies there to somebody who ordered it in the web
// shop, of which the source knows at once and the till does not.
func (d *day) order(ctx context.Context, sku string, notify func(context.Context, ...string) error) {
	d.change(func() {
		if d.shelf[sku] > 0 {
			d.shelf[sku]--
			d.source[sku]--
		}
	})
	notify(ctx, sku)
}

func runDay(t *testing.T, cfg squaretest.Config, lag time.Duration, elsewhere bool, faults ...channeltest.Fault) (d *day) {
	synctest.Test(t, func(t *testing.T) {
		cfg.Latency, cfg.ClockSkew = 200*time.Millisecond, 3*time.Second
		d = newDay(cfg, faults)
		d.elsewhere = elsewhere
		client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: d.till.Client()})
		require.NoError(t, err)
		ch, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN", BookingLag: lag})
		require.NoError(t, err)
		s, err := syncer.New(syncer.Config{Source: d, Targets: []syncer.Target{{Channel: ch}}, WatchEvery: -1, Settle: -1, Schedule: syncer.Daily(2, 0, time.UTC)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		time.Sleep(9 * time.Hour)
		d.open(ctx, s.Notify)
		time.Sleep(time.Until(time.Date(2000, 1, 2, 3, 0, 0, 0, time.UTC)))
		cancel()
		wg.Wait()
		for sku, there := range d.shelf { // after the night's run
			n, ok := d.till.Quantity(sku)
			require.True(t, ok)
			require.Equal(t, there, d.source[sku])
			require.Equal(t, there, n, sku)
		}
	})
	t.Logf("%d sales; of %d counts in Square's answers %d (%.0f %%) showed too many, up to %d; %d too few, by %.1f on average, of which %d showed none",
		d.sales, d.answers, d.high, 100*float64(d.high)/float64(d.answers), d.excess, d.low, float64(d.missing)/float64(d.low), d.empty)
	require.Greater(t, d.sales, 3500)
	return d
}

// badLine loses answers, refuses requests and delays them, again and again.
func badLine() []channeltest.Fault {
	n := 0
	every := func(so int) func(channeltest.Request) bool {
		return func(r channeltest.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/v2/inventory/") {
				return false
			}
			n++
			return n%so == 0
		}
	}
	return []channeltest.Fault{
		{Times: -1, Match: every(7), Cut: true, Apply: true},
		{Times: -1, Match: every(11), Status: http.StatusServiceUnavailable},
		{Times: -1, Match: every(15), Delay: 2 * time.Minute},
	}
}

func TestADayAtTheTill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	t.Run("with BookingLag", func(t *testing.T) {
		t.Parallel()
		d := runDay(t, squaretest.Config{}, maxBooking, false)
		assert.Zero(t, d.high, "no answer shows more than is there")
		assert.Zero(t, d.over, "nor does the till between the answers")
	})
	t.Run("with BookingLag and orders from elsewhere", func(t *testing.T) {
		t.Parallel()
		d := runDay(t, squaretest.Config{}, maxBooking, true)
		assert.Zero(t, d.high, "no count that was taken shows more than is there")
	})
	t.Run("with BookingLag and a bad line", func(t *testing.T) {
		t.Parallel()
		d := runDay(t, squaretest.Config{Rate: 3, Burst: 4, Doubts: squaretest.Doubts{
			ThrottledInPart: true, LaterCountWinsTie: true, TakesPart: true, NamesNoField: true, FewIDs: true,
		}}, maxBooking, false, badLine()...)
		assert.Zero(t, d.high, "no answer shows more than is there")
		assert.Zero(t, d.over, "nor does the till between the answers")
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		d := runDay(t, squaretest.Config{}, 0, false)
		assert.Positive(t, d.high)
		assert.Positive(t, d.over)
	})
	t.Run("with BookingLag, if counts replace", func(t *testing.T) {
		t.Parallel()
		d := runDay(t, squaretest.Config{Doubts: squaretest.Doubts{CountsReplace: true}}, maxBooking, false)
		assert.Positive(t, d.high, "then nothing helps")
	})
}
