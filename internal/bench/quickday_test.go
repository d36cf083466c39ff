package bench

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A quickTrade is a day's trade with the whole engine, between a source and
// shops in memory that take the time of ECOSIRE, Shopify and WooCommerce, and
// grant what these grant, but speak no HTTP: their JSON would take five sixths
// of a day's computing. TestOversellOnTheFakes compares the two.
type quickTrade struct {
	midnight time.Time
	source   *quickSource
	shops    [2]*quickShop
	syncer   *syncer.Syncer
	ctx      context.Context
}

// A dayWay is how a day is lived through with the engine.
type dayWay struct {
	name      string
	comparing bool // both shops compare and set
	edit      func(*syncer.Config)
	// delivers says how long after a change the shops deliver it: each change of
	// its own, or those of the second shop, which has cron, together.
	delivers, cron time.Duration
}

// quickly lives through a day.
func quickly(t *testing.T, stock []int, script []incident, delay time.Duration, way dayWay) (d dayResult) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := &quickTrade{source: newQuickSource(stock), ctx: ctx}
		q.shops[0] = &quickShop{name: "shopify", compares: true, request: shopifyTime, delivers: way.delivers}
		q.shops[1] = &quickShop{name: "woocommerce", request: wooTime, read: wooRead, write: wooWrite, delivers: way.delivers, cron: way.cron}
		if way.comparing {
			q.shops[1] = &quickShop{name: "shopify-2", compares: true, request: shopifyTime, delivers: way.delivers}
		}
		cfg := syncer.Config{Source: q.source, Schedule: syncer.Never(), WatchEvery: -1}
		for _, sh := range q.shops {
			sh.quantities, sh.waits = slices.Clone(stock), make(map[int]bool)
			if sh.compares {
				cfg.Targets = append(cfg.Targets, syncer.Target{Channel: comparingShop{sh}})
			} else {
				cfg.Targets = append(cfg.Targets, syncer.Target{Channel: sh})
			}
		}
		if way.edit != nil {
			way.edit(&cfg)
		}
		var err error
		q.syncer, err = syncer.New(cfg)
		require.NoError(t, err)
		for _, sh := range q.shops {
			sh.handler, err = q.syncer.ChannelHandler(sh.name)
			require.NoError(t, err)
		}
		_, err = q.syncer.Reconcile(ctx)
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { _ = q.syncer.Run(ctx) })
		q.midnight = time.Now()
		d = live(q, stock, script, delay)
		time.Sleep(time.Hour)
		cancel()
		wg.Wait()
		d.asked = q.source.requests
		for _, sh := range q.shops {
			d.reads, d.writes = d.reads+sh.reads, d.writes+sh.writes
		}
	})
	return d
}

func (q *quickTrade) until(at time.Duration) { time.Sleep(time.Until(q.midnight.Add(at))) }

func (q *quickTrade) shows(shop, product int) int {
	sh := q.shops[shop]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.quantities[product]
}

func (q *quickTrade) set(shop, product, units int, _ bool) {
	sh := q.shops[shop]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.set(product, units)
}

func (q *quickTrade) change(product, onHand, reserved int) {
	s := q.source
	s.mu.Lock()
	s.stocks[product].OnHand += onHand
	s.stocks[product].Reserved += reserved
	s.mu.Unlock()
	_ = q.syncer.Notify(q.ctx, s.stocks[product].ProductID)
}

// A quickSource is a source with ECOSIRE's time and quota.
type quickSource struct {
	mu       sync.Mutex
	stocks   []channel.Stock
	index    map[string]int
	requests int
}

func newQuickSource(stock []int) *quickSource {
	s := &quickSource{index: make(map[string]int)}
	for i, n := range stock {
		s.stocks = append(s.stocks, channel.Stock{ProductID: fmt.Sprintf("p%d", i), SKU: SKU(i), OnHand: n})
		s.index[s.stocks[i].ProductID], s.index[SKU(i)] = i, i
	}
	return s
}

func (s *quickSource) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		asOf := time.Now()
		time.Sleep(ecosireTime / 2)
		s.mu.Lock()
		s.requests++
		found := make([]channel.Stock, 0, len(ids))
		for _, id := range ids {
			found = append(found, s.stocks[s.index[id]])
		}
		if len(ids) == 0 {
			found = slices.Clone(s.stocks)
		}
		s.mu.Unlock()
		time.Sleep(ecosireTime / 2)
		for _, f := range found {
			f.AsOf, f.Available = asOf, f.OnHand-f.Reserved
			if !yield(f, nil) {
				return
			}
		}
	}
}

// A quickShop is a channel that takes a shop's time.
type quickShop struct {
	name                 string
	compares             bool // and sets
	request, read, write time.Duration
	delivers, cron       time.Duration
	handler              http.Handler

	mu            sync.Mutex
	quantities    []int
	reads, writes int
	waits         map[int]bool // products for cron
}

// A comparingShop is one that compares and sets.
type comparingShop struct{ *quickShop }

var _ channel.Comparer = comparingShop{}

func (comparingShop) ComparesAndSets() {}

// set sets what a product shows, and delivers that in time. sh is locked.
func (sh *quickShop) set(product, units int) {
	sh.quantities[product] = units
	switch {
	case sh.cron > 0:
		if sh.waits[product] = true; len(sh.waits) == 1 {
			time.AfterFunc(sh.cron, sh.runCron)
		}
	case sh.delivers > 0:
		time.AfterFunc(sh.delivers, func() { sh.deliver(product, units) })
	}
}

func (sh *quickShop) runCron() {
	sh.mu.Lock()
	due := make(map[int]int)
	for product := range sh.waits {
		due[product] = sh.quantities[product]
	}
	clear(sh.waits)
	sh.mu.Unlock()
	for _, product := range slices.Sorted(maps.Keys(due)) {
		sh.deliver(product, due[product])
	}
}

func (sh *quickShop) deliver(product, units int) {
	channeltest.Deliver(sh.handler, http.Header{}, fmt.Appendf(nil, "%s %d", SKU(product), units), 5*time.Second)
}

// Receive implements [channel.Receiver].
func (sh *quickShop) Receive(_ context.Context, _ http.Header, body []byte) (channel.Event, error) {
	var sku string
	var units int
	if _, err := fmt.Sscan(string(body), &sku, &units); err != nil {
		return channel.Event{}, err
	}
	return channel.Event{SKUs: []string{sku}, Shows: map[string]int{sku: units}}, nil
}

func (sh *quickShop) Name() string { return sh.name }

func (sh *quickShop) Levels(_ context.Context, skus []string) ([]channel.Level, error) {
	d := sh.request + sh.read*time.Duration(len(skus))
	time.Sleep(d / 2)
	sh.mu.Lock()
	sh.reads++
	levels := make([]channel.Level, len(skus))
	for i, sku := range skus {
		levels[i] = channel.Level{SKU: sku, Quantity: sh.quantities[numberOf(sku)]}
	}
	sh.mu.Unlock()
	time.Sleep(d - d/2)
	return levels, nil
}

func (sh *quickShop) Push(_ context.Context, updates []channel.Update) error {
	d := sh.request + sh.write*time.Duration(len(updates))
	time.Sleep(d / 2)
	sh.mu.Lock()
	sh.writes++
	errs := make(channel.Errors)
	for _, u := range updates {
		at := numberOf(u.SKU)
		if sh.compares && u.Seen != nil && u.Seen.Quantity != sh.quantities[at] {
			errs[u.SKU] = channel.ErrConflict
			continue
		}
		sh.set(at, u.Quantity)
	}
	sh.mu.Unlock()
	time.Sleep(d - d/2)
	return errs.Err()
}

// numberOf is the product's number in an SKU.
func numberOf(sku string) (n int) {
	for _, c := range sku[len("SKU-"):] {
		n = 10*n + int(c-'0')
	}
	return n
}
