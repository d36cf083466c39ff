package amazon_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

// A day is one of a merchant with 400 products, in a virtual hurry.
type day struct {
	t       *testing.T
	random  *rand.Rand
	ecosire *ecosiretest.Server
	seller  *amazontest.Server
	source  channel.Source
	queue   syncer.Queue // stands for one that survives
	feeds   *store
	syncer  atomic.Pointer[syncer.Syncer]
	ids     map[string]string // of the products, by SKU
	skus    []string          // those that the merchant ships

	mu     sync.Mutex
	sales  map[string][]time.Time // on Amazon
	booked map[string][]time.Time // at ECOSIRE, of those
}

// dayLag is how long Amazon takes to show what it has accepted, at most.
const dayLag = 15 * time.Minute

func newDay(t *testing.T) *day {
	d := &day{
		t: t, random: rand.New(rand.NewPCG(7, 7)),
		ecosire: ecosiretest.New(ecosiretest.Config{Latency: 100 * time.Millisecond}),
		seller:  amazontest.New(amazontest.Config{Latency: 300 * time.Millisecond, Lag: time.Minute, MaxLag: dayLag, FeedTime: 25 * time.Minute}),
		ids:     make(map[string]string), sales: make(map[string][]time.Time), booked: make(map[string][]time.Time),
	}
	for i := range 400 {
		sku := fmt.Sprintf("SKU-%03d", i)
		l := amazontest.Listing{SKU: sku, Quantity: 20, HandlingDays: 2}
		switch {
		case i%40 == 7:
			l.FBA = true
		case i%40 == 8:
			l.Locations = []string{"supply-source"}
		default:
			d.skus = append(d.skus, sku)
		}
		d.seller.Add(l)
		d.ids[sku] = d.ecosire.Add(ecosiretest.Product{SKU: sku, OnHand: 20})[0]
	}
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: d.ecosire.Client()})
	require.NoError(t, err)
	d.source, d.queue, d.feeds = source, lasting{syncer.NewMemoryQueue()}, new(store)
	return d
}

// start starts a process, which knows what the one before it has written down.
func (d *day) start(ctx context.Context, wg *sync.WaitGroup) {
	ch := open(d.t, d.seller, func(_ *amazon.Config, cc *amazon.ChannelConfig) {
		cc.Lag, cc.FeedFrom, cc.Store = dayLag, 100, d.feeds
	})
	s, err := syncer.New(syncer.Config{
		Source: d.source, Queue: d.queue, Targets: []syncer.Target{{Channel: ch}}, WatchEvery: -1, Schedule: syncer.Never(),
	})
	require.NoError(d.t, err)
	d.syncer.Store(s)
	wg.Go(func() { assert.NoError(d.t, s.Run(ctx)) })
}

func (d *day) notify(skus ...string) {
	var ids []string
	for _, sku := range skus {
		ids = append(ids, d.ids[sku])
	}
	require.NoError(d.t, d.syncer.Load().Notify(d.t.Context(), ids...))
}

// sellHere sells a unit at the merchant's own counter, of which ECOSIRE tells.
func (d *day) sellHere(sku string) {
	d.ecosire.Sell(d.ids[sku], 1)
	d.notify(sku)
	time.AfterFunc(4*time.Minute, func() { d.notify(sku) }) // the event comes twice
}

// sellThere sells a unit on Amazon, of which ECOSIRE learns minutes later.
func (d *day) sellThere(sku string) {
	if n, _ := d.seller.Quantity(sku); n == 0 {
		return
	}
	d.seller.Sell(sku, 1)
	d.mu.Lock()
	d.sales[sku] = append(d.sales[sku], time.Now())
	d.mu.Unlock()
	time.AfterFunc(time.Duration(1+d.random.IntN(5))*time.Minute, func() {
		d.mu.Lock()
		d.booked[sku] = append(d.booked[sku], time.Now())
		d.mu.Unlock()
		d.ecosire.Sell(d.ids[sku], 1)
		d.notify(sku)
	})
}

// trouble is what goes wrong at Amazon within a minute.
func (d *day) trouble() {
	faults := channeltest.Hostile()
	f := faults[d.random.IntN(len(faults))]
	f.Skip, f.Times = d.random.IntN(3), 1+d.random.IntN(2)
	f.Match = func(r channeltest.Request) bool { return strings.HasPrefix(r.Host, "sellingpartnerapi") }
	d.seller.Inject(f)
	d.seller.Drain("patchListingsItem", 20)
	d.seller.Drain("searchListingsItems", 20)
}

// hog is another process of the same application, for some minutes.
func (d *day) hog() {
	for range 1200 {
		time.Sleep(250 * time.Millisecond)
		d.seller.Drain("patchListingsItem", 1)
		d.seller.Drain("searchListingsItems", 1)
	}
}

func TestADay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDay(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		process, end := context.WithCancel(ctx)
		var running sync.WaitGroup
		d.start(process, &running)
		start := time.Now()
		for minute := range 24 * 60 {
			time.Sleep(time.Until(start.Add(time.Duration(minute) * time.Minute)))
			sku := d.skus[d.random.IntN(len(d.skus))]
			switch d.random.IntN(6) {
			case 0:
				d.sellHere(sku)
			case 1:
				d.sellThere(sku)
			}
			if minute%20 == 5 || minute%60 == 0 {
				d.trouble()
			}
			if minute == 2*60 || minute == 12*60 || minute == 23*60 {
				wg.Go(d.hog)
			}
			if minute == 12*60+15 { // Amazon works on the feed
				end()
				running.Wait()
				process, end = context.WithCancel(ctx)
				d.start(process, &running)
			}
			switch minute {
			case 2 * 60: // the nightly run, with some drift
				for _, sku := range d.skus[:4] {
					d.seller.Set(sku, 1)
				}
				fallthrough
			case 23 * 60:
				wg.Go(func() { _, _ = d.syncer.Load().Reconcile(ctx) })
			case 12 * 60: // goods arrive, and the run has so much to write that a feed does it
				for _, sku := range d.skus {
					p, _ := d.ecosire.Product(d.ids[sku])
					d.ecosire.Set(d.ids[sku], p.OnHand+30, p.Reserved)
				}
				wg.Go(func() { _, _ = d.syncer.Load().Reconcile(ctx) })
			}
		}
		d.seller.Heal()
		time.Sleep(time.Hour)
		report, _ := d.syncer.Load().Reconcile(ctx)
		for _, p := range report.Channels[0].Problems {
			assert.ErrorIs(t, p.Err, channel.ErrShared, p.SKU)
		}
		time.Sleep(time.Hour)
		cancel()
		end()
		wg.Wait()
		running.Wait()

		for _, sku := range d.skus {
			p, _ := d.ecosire.Product(d.ids[sku])
			assert.Equal(t, p.OnHand-p.Reserved, quantity(t, d.seller, sku), sku)
			assert.Equal(t, 2, d.seller.HandlingDays(sku))
		}
		assert.Empty(t, d.seller.Harm(), "nothing that Amazon fulfils was touched")
		assert.Empty(t, d.seller.Ghosts())
		feeds := d.seller.Feeds()
		require.NotEmpty(t, feeds)
		_, throttled := d.seller.Calls("")
		assert.NotZero(t, throttled)
		t.Logf("%d feeds, %d writes, %d requests over the quota", len(feeds), len(d.seller.History()), throttled)
		d.once(t)
		assert.Zero(t, d.raised(), "none was raised over a sale in flight")
	})
}

// raised counts the writes that gave back what Amazon had sold and ECOSIRE had
// not booked yet.
func (d *day) raised() (n int) {
	last := make(map[string]int)
	for _, c := range d.seller.History() {
		was, ok := last[c.SKU]
		last[c.SKU] = c.Quantity
		if !ok || c.By != "patch" || c.Quantity < was {
			continue
		}
		flying := 0
		for _, at := range d.sales[c.SKU] {
			if at.Before(c.Accepted) {
				flying++
			}
		}
		for _, at := range d.booked[c.SKU] {
			if at.Before(c.Accepted) {
				flying--
			}
		}
		if flying > 0 {
			n++
		}
	}
	return n
}

// once wants no quantity to be written again only because it does not show
// yet. A request whose answer was lost is repeated soon, and what was written
// while a feed had the listing is written again when the feed is done.
func (d *day) once(t *testing.T) {
	last := make(map[string]amazontest.Change)
	for _, c := range d.seller.History() {
		was, ok := last[c.SKU]
		last[c.SKU] = c
		if !ok || was.Quantity != c.Quantity || c.Accepted.Sub(was.Accepted) < 2*time.Minute {
			continue
		}
		again := false
		for _, f := range d.seller.Feeds() {
			again = again || c.By == "feed" && f.Created.Before(was.Accepted) // it was on its way
			again = again || was.Accepted.After(f.Created) && !was.Accepted.After(f.Done) && c.Accepted.After(f.Done)
		}
		for _, at := range d.sales[c.SKU] {
			again = again || at.After(was.Accepted) && at.Before(c.Accepted)
		}
		assert.False(t, c.Accepted.Before(was.Shows) && !again, "%s was set to %d at %s and at %s, before it showed at %s",
			c.SKU, c.Quantity, was.Accepted.Format(time.TimeOnly), c.Accepted.Format(time.TimeOnly), was.Shows.Format(time.TimeOnly))
	}
}

// lasting is a queue whose records outlive a process, as far as the syncer knows.
type lasting struct{ *syncer.MemoryQueue }
