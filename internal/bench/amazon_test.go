package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// What Amazon takes. The quotas are its models'; its time for a request is
// assumed, and so is that for a feed.
const (
	amazonTime  = 300 * time.Millisecond // of a request
	amazonFeed  = 20 * time.Minute       // of a feed
	amazonLag   = 10 * time.Minute       // until it shows, at most
	amazonRate  = 5                      // requests a second, for reading and for writing
	amazonBurst = 5
	amazonPage  = 20
)

// amazonBound is the least time in which Amazon grants so many requests of one
// operation.
func amazonBound(requests int) time.Duration {
	return time.Duration(max(0, requests-amazonBurst)) * time.Second / amazonRate
}

// A market is ECOSIRE, a seller at Amazon, and a Syncer between them.
type market struct {
	ids     []string
	skus    []string
	ecosire *ecosiretest.Server
	seller  *amazontest.Server
	channel *amazon.Channel
	syncer  *syncer.Syncer

	mu   sync.Mutex
	read map[string]time.Time // when the quantity was read that was pushed last, by SKU
}

func newMarket(t *testing.T, n int, fill Fill, lag time.Duration, feedFrom int) *market {
	m := &market{
		ecosire: ecosiretest.New(ecosiretest.Config{Latency: ecosireTime}),
		seller:  amazontest.New(amazontest.Config{Latency: amazonTime, MaxLag: lag, FeedTime: amazonFeed}),
		read:    make(map[string]time.Time),
	}
	products := make([]ecosiretest.Product, n)
	listings := make([]amazontest.Listing, n)
	for i := range n {
		products[i] = ecosiretest.Product{SKU: SKU(i), OnHand: Start(i)}
		listings[i] = amazontest.Listing{SKU: SKU(i), Quantity: fill.shows(i), Unset: fill == Fresh}
		m.skus = append(m.skus, SKU(i))
	}
	m.ids = m.ecosire.Add(products...)
	m.seller.Add(listings...)
	client, err := amazon.New(amazon.Config{
		SellerID: "A1TESTSELLER", Region: amazon.NorthAmerica, HTTPClient: m.seller.Client(),
		Credentials: amazon.NewCredentials(amazontest.ClientID, amazontest.ClientSecret, amazontest.RefreshToken),
	})
	require.NoError(t, err)
	m.channel, err = client.Channel(amazon.ChannelConfig{MarketplaceID: "ATVPDKIKX0DER", FeedFrom: feedFrom})
	require.NoError(t, err)
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: m.ecosire.Client()})
	require.NoError(t, err)
	m.syncer, err = syncer.New(syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1, Targets: []syncer.Target{{
		Guard: fill.guard(),
		Channel: &channeltest.Intercept{Channel: m.channel, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			m.mu.Lock()
			for _, u := range updates {
				m.read[u.SKU] = u.AsOf
			}
			m.mu.Unlock()
			return next.Push(ctx, updates)
		}},
	}}})
	require.NoError(t, err)
	return m
}

func (m *market) wrong() (n int) {
	for i, sku := range m.skus {
		if got, ok := m.seller.Quantity(sku); !ok || got != Start(i) {
			n++
		}
	}
	return n
}

func (m *market) calls(operations ...string) (n int) {
	for _, id := range operations {
		calls, _ := m.seller.Calls(id)
		n += calls
	}
	return n
}

// TestAmazon is of 10,000 listings. The bound of a feed is the reading, Amazon's queue,
// and the time until what it accepted shows; on top comes the time in which
// more updates might have come.
func TestAmazon(t *testing.T) {
	long(t)
	const n = 10_000
	out := newTable("amazon", "job, for 10,000 listings", "searches", "writes", "time", "bound", "ratio")
	row := func(job string, m *market, took, bound time.Duration) {
		out.row(job, number(m.calls("searchListingsItems")), number(m.calls("patchListingsItem", "createFeedDocument", "file PUT", "createFeed")),
			span(took), span(bound), fmt.Sprintf("%.3f", took.Seconds()/bound.Seconds()))
	}
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, n, Agreed, 0, 0)
		start := time.Now()
		levels, err := m.channel.Levels(t.Context(), m.skus)
		took := time.Since(start)
		require.NoError(t, err)
		assert.Len(t, levels, n)
		row("read", m, took, amazonBound(n/amazonPage))
		assert.LessOrEqual(t, took.Seconds(), 1.05*99)
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, n, Percent, 0, 0)
		start := time.Now()
		_, err := m.syncer.Reconcile(t.Context())
		took := time.Since(start)
		require.NoError(t, err)
		assert.Zero(t, m.wrong())
		row("reconcile, 1 % drift", m, took, 100*time.Second)
		assert.LessOrEqual(t, took.Seconds(), 1.1*100)
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, n, Fresh, 0, 0)
		var updates []channel.Update
		for i, sku := range m.skus {
			updates = append(updates, channel.Update{SKU: sku, Quantity: Start(i), Seen: &channel.Level{SKU: sku, Unset: true, Ref: "DEFAULT"}})
		}
		start := time.Now()
		require.ErrorIs(t, m.channel.Push(t.Context(), updates), channel.ErrPending)
		took := time.Since(start)
		assert.Zero(t, m.wrong())
		row("first sync, one by one", m, took, amazonBound(n))
		assert.LessOrEqual(t, took.Seconds(), 1.05*33*60)
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, n, Fresh, amazonLag, 1500)
		_, _, err := m.channel.Resume(t.Context())
		require.NoError(t, err)
		start := time.Now()
		_, err = m.syncer.Reconcile(t.Context())
		require.NoError(t, err)
		compared := 0
		var took time.Duration // until all is shown
		for again := time.Second; again > 0; {
			for ; again > 0; again -= min(again, time.Minute) {
				time.Sleep(min(again, time.Minute))
				if took == 0 && m.wrong() == 0 {
					took = time.Since(start)
				}
			}
			var skus []string
			skus, again, err = m.channel.Resume(t.Context())
			require.NoError(t, err)
			compared += len(skus)
		}
		assert.Equal(t, n, compared)
		assert.Zero(t, m.wrong())
		// The reading, Amazon's queue, and until all that it accepted shows.
		row("first sync, by a feed", m, took, amazonBound(n/amazonPage)+30*time.Second+amazonFeed+amazonLag)
		writes := m.calls("patchListingsItem", "createFeedDocument", "file PUT", "createFeed", "getFeedDocument", "file GET")
		assert.LessOrEqual(t, writes, 10)
		assert.LessOrEqual(t, m.calls("getFeed"), 30)
	})
	out.done(t)
}

// accepted returns how long it takes from the source's read until Amazon has
// accepted a quantity, for events at random moments, so many a minute.
func (m *market) accepted(t *testing.T, events, perMinute int) (delays []time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { m.syncer.Run(ctx) })
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = m.syncer.Reconcile(ctx)
		}
	})
	random := rand.New(rand.NewPCG(1, 2))
	var order []int // of those that are shown rightly
	for _, i := range random.Perm(len(m.ids)) {
		if i%100 != 0 && len(order) < events {
			order = append(order, i)
		}
	}
	for _, i := range order {
		time.Sleep(time.Duration(random.ExpFloat64() / float64(perMinute) * float64(time.Minute)))
		m.ecosire.Sell(m.ids[i], 1)
		require.NoError(t, m.syncer.Notify(ctx, m.ids[i]))
	}
	time.Sleep(time.Minute)
	cancel()
	wg.Wait()
	sold := make(map[string]int)
	for _, i := range order {
		sold[m.skus[i]] = Start(i) - 1
	}
	for _, c := range m.seller.History() {
		if want, ok := sold[c.SKU]; ok && c.Quantity == want {
			delays = append(delays, c.Accepted.Sub(m.read[c.SKU]))
			delete(sold, c.SKU)
		}
	}
	require.Empty(t, sold)
	return delays
}

func TestAmazonAcceptsEventsSoonDuringAReconciliation(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, 10_000, Percent, 0, 0)
		d := m.accepted(t, 1000, 100)
		t.Logf("p50 %v, p99 %v", percentile(d, 50), percentile(d, 99))
		assert.LessOrEqual(t, percentile(d, 99), 1500*time.Millisecond)
	})
}

// The channel alone, between a read of the source and Amazon's word: a hundred
// events a minute while a reconciliation reads and mends as fast as it may.
func TestAmazonChannelAcceptsEventsSoonDuringAReconciliation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMarket(t, 10_000, Percent, 0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		show := func(ctx context.Context, skus []string, differs func(i int) bool) {
			levels, err := m.channel.Levels(ctx, skus)
			if err != nil {
				return
			}
			var updates []channel.Update
			for i, l := range levels {
				if differs(i) {
					updates = append(updates, channel.Update{SKU: l.SKU, Quantity: l.Quantity + 1, Seen: &l})
				}
			}
			_ = m.channel.Push(ctx, updates)
		}
		wg.Go(func() {
			for patient := channel.WithUrgency(ctx, channel.Background); ctx.Err() == nil; {
				for some := range slices.Chunk(m.skus, 1000) {
					show(patient, some, func(i int) bool { return i%100 == 0 })
				}
			}
		})
		var mu sync.Mutex
		var delays []time.Duration
		random := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			time.Sleep(time.Duration(random.ExpFloat64() / 100 * float64(time.Minute)))
			sku := m.skus[random.IntN(len(m.skus))]
			wg.Go(func() {
				read := time.Now()
				show(t.Context(), []string{sku}, func(int) bool { return true })
				mu.Lock()
				defer mu.Unlock()
				delays = append(delays, time.Since(read))
			})
		}
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		require.Len(t, delays, 1000)
		t.Logf("p50 %v, p99 %v", percentile(delays, 50), percentile(delays, 99))
		assert.LessOrEqual(t, percentile(delays, 99), 1500*time.Millisecond)
		_, throttled := m.seller.Calls("")
		assert.Zero(t, throttled)
	})
}
