package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A tradeShop is one channel of a trade.
type tradeShop struct {
	*channeltest.Memory
	target   syncer.Target
	pack     int // units of each listing
	blind    bool
	noReads  atomic.Bool
	doubtful atomic.Int32 // 1: writes fail and are applied; 2: writes fail
	latency  time.Duration
	looked   map[string][]time.Time // by SKU
}

// A tradeOrder is one that a shop took.
type tradeOrder struct {
	product, shop, units, booked int
	at                           time.Time
}

func (o *tradeOrder) left() int { return o.units - o.booked }

// A tradeBooking is what became of a part of an order at the source.
type tradeBooking struct {
	product, shop, units int
	at, sold             time.Time
}

type trade struct {
	*testing.T
	*rand.Rand
	wild   bool
	ships  bool // orders leave the warehouse, and but in a wild trade nothing comes in
	erp    *promises
	down   atomic.Bool // the source
	shops  []*tradeShop
	queue  syncer.Queue
	syncer *syncer.Syncer
	stop   func()
	owed   []string // products of which events are still to come

	start    time.Time
	mu       sync.Mutex // over sales, bookings and writes
	orders   []*tradeOrder
	bookings []tradeBooking
}

func newTrade(t *testing.T, seed uint64) *trade {
	d := &trade{T: t, Rand: rand.New(rand.NewPCG(seed, 2)), wild: seed%2 == 1, ships: seed%3 == 0, queue: keptQueue{syncer.NewMemoryQueue()}, start: time.Now()}
	var onHand []int
	for range tradeProducts {
		onHand = append(onHand, 40+d.IntN(80))
	}
	d.erp = newPromises(onHand...)
	for i := range 2 + d.IntN(2) {
		d.open(i)
	}
	return d
}

// note notes what happens, for whoever looks into a trade that failed.
func (d *trade) note(format string, args ...any) {
	d.Logf("%12v "+format, append([]any{time.Since(d.start).Round(time.Millisecond)}, args...)...)
}

// open opens the shop number i.
func (d *trade) open(i int) {
	name := fmt.Sprint("shop-", i)
	sh := &tradeShop{Memory: channeltest.NewMemory(name), pack: 1, blind: d.IntN(3) == 0, looked: make(map[string][]time.Time)}
	var inner channel.Channel = sh.Memory
	if d.wild && !sh.blind && d.IntN(4) == 0 {
		lagging := channeltest.NewLagging(name, time.Duration(1+d.IntN(40))*time.Second)
		sh.Memory, inner = lagging.Memory, lagging
	}
	if !sh.blind || d.wild {
		sh.latency = time.Duration(d.IntN(300)) * time.Millisecond
	}
	policy := syncer.Available()
	switch d.IntN(4) {
	case 0:
		policy = policy.Buffer(1 + d.IntN(3))
	case 1:
		policy = policy.Share(20 + d.IntN(80))
	}
	sh.target = syncer.Target{Policy: policy, Guard: unguarded}
	if d.IntN(4) == 0 {
		sh.pack = 2 + d.IntN(3)
		sh.target.Listings = func(s channel.Stock) []syncer.Listing { return []syncer.Listing{syncer.Pack(s.SKU, s, sh.pack)} }
	}
	for p := range tradeProducts {
		sh.Set(fmt.Sprint("SKU-", p), d.IntN(60))
	}
	reached := &channeltest.Intercept{
		Channel: inner,
		OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			time.Sleep(sh.latency)
			if sh.noReads.Load() {
				return nil, channel.ErrUnavailable
			}
			defer time.Sleep(sh.latency)
			d.mu.Lock()
			defer d.mu.Unlock()
			for _, sku := range skus {
				sh.looked[sku] = append(sh.looked[sku], time.Now())
			}
			return next.Levels(ctx, skus)
		},
		OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			time.Sleep(sh.latency)
			defer time.Sleep(sh.latency)
			return d.push(ctx, i, next, updates)
		},
	}
	sh.target.Channel = reached
	if sh.blind {
		sh.target.Channel = blindChannel{reached, reached}
	}
	d.shops = append(d.shops, sh)
}

// push passes on what a shop is told, and checks increases.
func (d *trade) push(ctx context.Context, shop int, next channel.Channel, updates []channel.Update) error {
	sh := d.shops[shop]
	d.mu.Lock()
	defer d.mu.Unlock()
	doubt := sh.doubtful.Load()
	if doubt == 2 {
		return channel.ErrUnavailable
	}
	before := make(map[string]int)
	for i := range updates {
		before[updates[i].SKU], _ = sh.Quantity(updates[i].SKU)
	}
	told := append([]channel.Update(nil), updates...)
	for i := range told {
		if sh.blind {
			told[i].Seen = nil
		}
	}
	err := next.Push(ctx, told)
	for _, u := range updates {
		d.note("%s is told %d of %s, which showed %d: %v", sh.Name(), u.Quantity, u.SKU, before[u.SKU], err)
	}
	if doubt == 1 {
		return channel.ErrUnavailable
	}
	refused, _ := err.(channel.Errors)
	for _, u := range updates {
		if refused[u.SKU] == nil && u.Quantity > before[u.SKU] && !d.wild {
			product := int(u.SKU[len("SKU-")] - '0')
			limit := d.limit(shop, product, u.AsOf)
			assert.LessOrEqual(d, u.Quantity, sh.quantity(limit), "%s was told to raise %s from %d", sh.Name(), u.SKU, before[u.SKU])
		}
	}
	return err
}

// limit is what there can be at most, by a reading of the source at a time,
// without the shop's own sales that are not booked. d is locked.
func (d *trade) limit(shop, product int, asOf time.Time) int {
	d.erp.mu.Lock()
	n := d.erp.products[product].OnHand + d.shipped(product)
	d.erp.mu.Unlock()
	for _, o := range d.orders {
		if o.shop == shop && o.product == product {
			n -= o.units
		}
	}
	for _, b := range d.bookings {
		noticed := slices.ContainsFunc(d.shops[b.shop].looked[fmt.Sprint("SKU-", product)], func(at time.Time) bool {
			return at.After(b.sold) && at.Before(asOf)
		})
		if b.shop != shop && b.product == product && b.at.Before(asOf) && noticed {
			n -= b.units
		}
	}
	return n
}

// shipped is what has left the warehouse for orders: it is booked and gone.
func (d *trade) shipped(product int) (n int) {
	for _, b := range d.bookings {
		if b.product == product {
			n += b.units
		}
	}
	return n - d.erp.products[product].Reserved
}

// quantity is what the shop shows of a product of which so much is available.
func (sh *tradeShop) quantity(available int) int {
	n, _ := sh.target.Policy.Quantity(channel.Stock{OnHand: available, Available: available})
	return n / sh.pack
}

// Stock implements [channel.Source].
func (d *trade) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if d.down.Load() {
		return func(yield func(channel.Stock, error) bool) { yield(channel.Stock{}, channel.ErrUnavailable) }
	}
	return d.erp.Stock(ctx, ids...)
}

func (d *trade) begin() {
	cfg := syncer.Config{Source: d, Queue: d.queue, Schedule: syncer.Never(), WatchEvery: -1}
	for _, sh := range d.shops {
		cfg.Targets = append(cfg.Targets, sh.target)
	}
	d.syncer = configure(d.T, cfg)
	d.stop = running(d.T, d.syncer)
}
