package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// TestWhateverTheCatalogueTheChannelsConverge is the property test of catalogues:
// random names, packs, kits that change, warehouses, shares and retired products, on
// channels and a source that fail now and then. What a channel should show is
// calculated a second time here, from what the warehouses have. Then:
//
//   - No channel was ever told a quantity that no state of the source gives, or
//     anything for an SKU that is not a listing or retired.
//   - What was marked is shown by Run alone once nothing fails any more.
//   - After a reconciliation every listing is right, and what is retired shows 0.
//
// STOCKSYNC_WORLD=n plays world n alone.
func TestWhateverTheCatalogueTheChannelsConverge(t *testing.T) {
	t.Parallel()
	first, worlds := 0, 60
	if testing.Short() {
		worlds = 25
	}
	if text := os.Getenv("STOCKSYNC_WORLD"); text != "" {
		seed, err := strconv.Atoi(text)
		require.NoError(t, err, "STOCKSYNC_WORLD")
		first, worlds = seed, 1
	}
	for seed := first; seed < first+worlds; seed++ {
		t.Run("STOCKSYNC_WORLD="+strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newMarket(t, uint64(seed)).play() })
		})
	}
}

// A shelf is one channel of a market, and how the test reckons what it is to show.
type shelf struct {
	*channeltest.Memory
	warehouses []string // nil means all together
	share      int      // percent, rounded down; 0 means all
	buffer     int
	part       int // of a split, if the channel is one of its two
	prefix     string
	leftOut    string // a product's id
	pack       int    // units of packs of the first product; 0 means none
	kits       atomic.Pointer[[]syncer.Listing]
	retired    []string
	told       map[string]map[int]bool // what may be told, by SKU
	failing    atomic.Bool
}

// A market is one run of the property test. It is the source, too.
type market struct {
	*testing.T
	*rand.Rand
	mu      sync.Mutex
	at      map[string]map[string]int // units by product and warehouse
	odd     map[string]bool           // products that cannot be read
	lost    string                    // a warehouse that is not answered for
	fail    bool
	ids     []string
	shelves []*shelf
	split   [2]syncer.Policy
}

var depots = []string{"berlin", "hamburg", "koeln"}

func newMarket(t *testing.T, seed uint64) *market {
	c := &market{T: t, Rand: rand.New(rand.NewPCG(seed, 1)), at: make(map[string]map[string]int), odd: make(map[string]bool)}
	for i := range 3 + c.IntN(6) {
		id := fmt.Sprintf("p%d", i)
		c.ids = append(c.ids, id)
		c.at[id] = make(map[string]int)
		c.stir(id)
	}
	percent := c.IntN(101)
	copy(c.split[:], syncer.Available().Split(percent, 100-percent))
	for i := range 2 + c.IntN(3) {
		sh := &shelf{Memory: channeltest.NewMemory(fmt.Sprint("shelf-", i)), told: make(map[string]map[int]bool), part: -1}
		switch c.IntN(3) {
		case 0:
			sh.warehouses = slices.Clone(depots[c.IntN(2) : 2+c.IntN(2)])
		case 1:
			sh.share = c.IntN(101)
		}
		if sh.share == 0 && sh.warehouses == nil {
			sh.part = i % 2
		}
		sh.buffer = c.IntN(2) * c.IntN(4)
		sh.prefix = []string{"", "EU-"}[c.IntN(2)]
		sh.pack = c.IntN(2) * (2 + c.IntN(5))
		if c.IntN(2) == 0 {
			sh.leftOut = c.ids[c.IntN(len(c.ids))]
		}
		c.newKits(sh)
		for _, sku := range c.all(sh) {
			sh.Set(sku, c.IntN(60))
		}
		for j := range c.IntN(4) {
			sku := fmt.Sprint("GONE-", j)
			sh.retired = append(sh.retired, sku)
			sh.Set(sku, c.IntN(9))
			sh.told[sku] = map[int]bool{0: true}
		}
		c.shelves = append(c.shelves, sh)
	}
	c.reckon()
	return c
}

// stir changes what the warehouses have of a product.
func (c *market) stir(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range depots {
		c.at[id][w] = c.IntN(3) * c.IntN(12)
		if c.IntN(8) == 0 {
			c.at[id][w] = -c.IntN(4)
		}
	}
}

// newKits changes the kits of a shelf. The SKUs stay the same, and a kit may go.
func (c *market) newKits(sh *shelf) {
	var kits []syncer.Listing
	for k := range 2 {
		if c.IntN(4) == 0 {
			continue
		}
		kit := syncer.Listing{SKU: fmt.Sprint("KIT-", k)}
		for _, at := range c.Perm(len(c.ids))[:1+c.IntN(3)] {
			kit.Parts = append(kit.Parts, syncer.Part{ProductID: c.ids[at], Units: 1 + c.IntN(3)})
		}
		kits = append(kits, kit)
	}
	sh.kits.Store(&kits)
}

// all are all SKUs that a shelf may ever list.
func (c *market) all(sh *shelf) []string {
	skus := []string{"KIT-0", "KIT-1"}
	for _, id := range c.ids {
		skus = append(skus, sh.prefix+id)
	}
	if sh.pack > 0 {
		skus = append(skus, sh.prefix+c.ids[0]+"-PACK")
	}
	return skus
}

// quantity is what a shelf may sell of a product.
func (c *market) quantity(sh *shelf, id string) int {
	n := 0
	for _, w := range depots {
		if sh.warehouses == nil || slices.Contains(sh.warehouses, w) {
			n += c.at[id][w]
		}
	}
	n = max(0, n)
	if sh.part >= 0 { // what its parts are has a test of its own
		parts := [2]int{}
		for i, p := range c.split {
			parts[i], _ = p.Quantity(channel.Stock{ProductID: id, Available: n})
		}
		require.Equal(c, n, parts[0]+parts[1])
		n = parts[sh.part]
	}
	if sh.share > 0 {
		n = n * sh.share / 100
	}
	return max(0, n-sh.buffer)
}

// wanted is what a shelf should show now.
func (c *market) wanted(sh *shelf) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := make(map[string]int)
	for i, id := range c.ids {
		if id == sh.leftOut {
			continue
		}
		want[sh.prefix+id] = c.quantity(sh, id)
		if i == 0 && sh.pack > 0 {
			want[sh.prefix+id+"-PACK"] = c.quantity(sh, id) / sh.pack
		}
	}
	for _, k := range *sh.kits.Load() {
		least := -1
		for _, p := range k.Parts {
			if n := c.quantity(sh, p.ProductID) / p.Units; least < 0 || n < least {
				least = n
			}
		}
		want[k.SKU] = least
	}
	return want
}

// reckon notes what the shelves may be told from now on.
func (c *market) reckon() {
	for _, sh := range c.shelves {
		want := c.wanted(sh)
		c.mu.Lock()
		for sku, n := range want {
			if sh.told[sku] == nil {
				sh.told[sku] = map[int]bool{}
			}
			sh.told[sku][n] = true
		}
		for _, sku := range []string{"KIT-0", "KIT-1"} { // one that is not listed is retired
			if sh.told[sku] == nil {
				sh.told[sku] = map[int]bool{}
			}
			if _, listed := want[sku]; !listed {
				sh.told[sku][0] = true
			}
		}
		c.mu.Unlock()
	}
}

// Stock implements [channel.Source]: each answer is of one moment.
func (c *market) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		asOf := time.Now()
		time.Sleep(100 * time.Millisecond)
		warehouses, _ := channel.Warehouses(ctx)
		c.mu.Lock()
		fail := c.fail
		var found []channel.Stock
		for _, id := range c.ids {
			if len(ids) > 0 && !slices.Contains(ids, id) {
				continue
			}
			s := channel.Stock{ProductID: id, SKU: id, Name: "Name of " + id, AsOf: asOf, Warehouses: make(map[string]channel.Quantity)}
			for w, n := range c.at[id] {
				s.OnHand, s.Available = s.OnHand+n, s.Available+n
				if slices.Contains(warehouses, w) && w != c.lost {
					s.Warehouses[w] = channel.Quantity{OnHand: n, Available: n}
				}
			}
			if c.odd[id] {
				s = channel.Stock{ProductID: id, SKU: id, AsOf: asOf, Err: errors.New("no number")}
			}
			found = append(found, s)
		}
		c.mu.Unlock()
		for _, s := range found {
			if !yield(s, nil) {
				return
			}
		}
		if fail {
			yield(channel.Stock{}, channel.ErrUnavailable)
		}
	}
}

// may reports whether the shelf may be told to show n: what is in flight may be
// taken off.
func (sh *shelf) may(sku string, n int) bool {
	for told := range sh.told[sku] {
		if n <= told {
			return true
		}
	}
	return false
}

func (c *market) targets() (targets []syncer.Target) {
	for _, sh := range c.shelves {
		policy := syncer.Available()
		switch {
		case sh.warehouses != nil:
			policy = syncer.In(sh.warehouses...)
		case sh.part >= 0:
			policy = c.split[sh.part]
		case sh.share > 0:
			policy = policy.Share(sh.share)
		}
		targets = append(targets, syncer.Target{
			Channel: &channeltest.Intercept{Channel: sh.Memory,
				OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					c.mu.Lock()
					for _, u := range updates {
						assert.True(c, sh.may(u.SKU, u.Quantity), "%s was told %d of %s", sh.Name(), u.Quantity, u.SKU)
					}
					c.mu.Unlock()
					if sh.failing.Load() {
						return channel.ErrUnavailable
					}
					return next.Push(ctx, updates)
				},
				OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
					if sh.failing.Load() {
						return nil, channel.ErrUnavailable
					}
					return next.Levels(ctx, skus)
				}},
			Policy: policy.Buffer(sh.buffer), Guard: unguarded,
			Filter: func(s channel.Stock) bool { return s.ProductID != sh.leftOut },
			Listings: func(s channel.Stock) []syncer.Listing {
				listings := []syncer.Listing{{SKU: sh.prefix + s.SKU}}
				if s.ProductID == c.ids[0] && sh.pack > 0 {
					listings = append(listings, syncer.Pack(sh.prefix+s.SKU+"-PACK", s, sh.pack))
				}
				return listings
			},
			Kits:   func() []syncer.Listing { return *sh.kits.Load() },
			Retire: always,
		})
	}
	return targets
}

func (c *market) play() {
	s, err := syncer.New(syncer.Config{Source: c, Targets: c.targets(), Schedule: syncer.Never(), WatchEvery: -1})
	require.NoError(c, err)
	_, err = s.Reconcile(c.Context())
	require.NoError(c, err)
	c.right("it was reconciled for the first time")
	stop := running(c.T, s)
	for range 30 {
		id := c.ids[c.IntN(len(c.ids))]
		sh := c.shelves[c.IntN(len(c.shelves))]
		switch c.IntN(10) {
		case 0: // somebody edits the shop
			sku := c.all(sh)[c.IntN(len(c.all(sh)))]
			sh.Set(sku, c.IntN(60))
			require.NoError(c, s.Notify(c.Context(), c.ids...))
		case 1:
			sh.failing.Store(c.IntN(2) == 0)
		case 2:
			c.mu.Lock()
			c.fail, c.lost, c.odd[id] = c.IntN(3) == 0, []string{"", "", "berlin", "koeln"}[c.IntN(4)], c.IntN(2) == 0
			c.mu.Unlock()
		case 3:
			c.newKits(sh)
			c.reckon()
			require.NoError(c, s.Notify(c.Context(), c.ids...))
		case 4:
			_, _ = s.Reconcile(c.Context())
		default:
			c.stir(id)
			c.reckon()
			require.NoError(c, s.Notify(c.Context(), id))
		}
		time.Sleep(time.Duration(c.IntN(3_000)) * time.Millisecond)
	}
	c.mu.Lock()
	c.fail, c.lost = false, ""
	clear(c.odd)
	c.mu.Unlock()
	for _, sh := range c.shelves {
		sh.failing.Store(false)
	}
	for deadline := time.Now().Add(time.Hour); !drained(c.T, s); time.Sleep(time.Second) {
		require.True(c, time.Now().Before(deadline), "nothing fails any more, and marks are left")
	}
	require.NoError(c, s.Notify(c.Context(), c.ids...)) // what was given up as odd changes
	pass(32 * time.Minute)                              // what looks sold is in flight until then
	c.right("it was marked")
	r, err := s.Reconcile(c.Context())
	require.NoError(c, err)
	pass(32 * time.Minute)
	c.right("it was reconciled")
	for i, sh := range c.shelves {
		for _, sku := range c.gone(sh) {
			n, _ := sh.Quantity(sku)
			assert.Zero(c, n, "%s of %s is retired", sku, sh.Name())
		}
		assert.Zero(c, r.Channels[i].Updated-len(r.Channels[i].Retired), "what was marked was right")
	}
	stop()
}

// gone are the SKUs of a shelf that no listing has.
func (c *market) gone(sh *shelf) []string {
	gone := slices.Clone(sh.retired)
	want := c.wanted(sh)
	for _, sku := range []string{"KIT-0", "KIT-1"} {
		if _, listed := want[sku]; !listed {
			gone = append(gone, sku)
		}
	}
	return gone
}

func (c *market) right(why string) {
	c.Helper()
	for _, sh := range c.shelves {
		want := c.wanted(sh)
		for _, sku := range slices.Sorted(maps.Keys(want)) {
			n, ok := sh.Quantity(sku)
			assert.True(c, ok && n == want[sku], "%s shows %d of %s, and not %d: %s", sh.Name(), n, sku, want[sku], why)
		}
		for _, sku := range c.all(sh) {
			if _, listed := want[sku]; listed || strings.HasPrefix(sku, "KIT-") {
				continue
			}
			assert.Nil(c, sh.told[sku], "%s of %s is nobody's business", sku, sh.Name())
		}
	}
}
