package square

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

const (
	// allAgain is how long what was read of the catalog is kept up by reading
	// what changed, before everything is read again.
	allAgain = time.Hour
	// refreshAfter is how old it may get within a run.
	refreshAfter = time.Minute
	// overlap is how far back a reading of what changed begins: a search may
	// find changes late.
	overlap = 2 * time.Minute
	// searchLag is how long a search is taken to be late.
	searchLag = 3 * time.Minute
	// maxNames bounds the memory of which SKU an id has, and maxVain that of
	// what was not found.
	maxNames, maxVain = 200_000, 20_000
)

// A catalog remembers what was read of the seller's catalog. Whole, it holds
// each variation; it is then used for the run that read it. It always holds
// which SKU an id has, for events. It never holds quantities.
type catalog struct {
	loading chan struct{} // held by who reads everything, or what changed

	mu      sync.RWMutex
	seed    maphash.Seed
	byID    map[string]*variation
	byKey   map[uint64][]*variation // by the hash of the folded SKU
	odd     int                     // objects that could not be understood
	run     string                  // the run for which it is whole
	latest  string                  // Square's time of what was read
	loaded  time.Time               // when everything was read
	current time.Time               // when it was last brought up to date
	names   map[string]string       // further SKUs by id
	vain    map[string]time.Time    // when an SKU was first searched for in vain
	shared  map[string]string       // ids of locations, each once
}

func newCatalog() catalog {
	return catalog{
		loading: make(chan struct{}, 1), seed: maphash.MakeSeed(),
		names: map[string]string{}, vain: map[string]time.Time{}, shared: map[string]string{},
	}
}

// intern returns the one copy of an id.
func (c *catalog) intern(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.shared[id]; ok {
		return s
	}
	c.shared[id] = id
	return id
}

// fold drops what people overlook: case, and blanks anywhere.
func fold(sku string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, sku)
}

func (c *catalog) key(sku string) uint64 { return maphash.String(c.seed, fold(sku)) }

// learn remembers the SKUs of variations that a search found.
func (c *catalog) learn(variations []*variation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) > maxNames {
		clear(c.names)
	}
	for _, v := range variations {
		if c.byID[v.id] == nil || c.byID[v.id].sku != v.sku {
			c.names[v.id] = v.sku
		}
	}
}

// sku returns the SKU of an id, as far as it is known.
func (c *catalog) sku(id string) (sku string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if sku, ok = c.names[id]; ok {
		return sku, true
	}
	if v := c.byID[id]; v != nil {
		return v.sku, true
	}
	return "", false
}

// replace takes in everything.
func (c *catalog) replace(all []*variation, odd int, latest, run string, begun time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID, c.byKey = make(map[string]*variation, len(all)), make(map[uint64][]*variation, len(all))
	clear(c.names)
	c.odd, c.latest, c.run, c.loaded, c.current = odd, latest, run, begun, begun
	for _, v := range all {
		c.put(v)
	}
}

// update takes in what changed.
func (c *catalog) update(changed []*variation, gone []string, latest, run string, begun time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range changed {
		c.put(v)
	}
	if len(gone) > 0 {
		for _, v := range c.byID {
			if slices.Contains(gone, v.item) {
				c.remove(v)
			}
		}
	}
	if latest != "" {
		c.latest = latest
	}
	c.run, c.current = run, begun
}

func (c *catalog) put(v *variation) {
	if old := c.byID[v.id]; old != nil {
		c.remove(old)
	}
	delete(c.names, v.id)
	if v.deleted {
		return
	}
	c.byID[v.id] = v
	if key := c.key(v.sku); v.sku != "" {
		c.byKey[key] = append(c.byKey[key], v)
	}
}

func (c *catalog) remove(v *variation) {
	delete(c.byID, v.id)
	key := c.key(v.sku)
	// Not in place: a reader may hold the old list.
	rest := slices.DeleteFunc(slices.Clone(c.byKey[key]), func(other *variation) bool { return other.id == v.id })
	if len(rest) == 0 {
		delete(c.byKey, key)
	} else {
		c.byKey[key] = rest
	}
}

// has reports whether every variation was read for this very run, and
// whether that should be brought up to date.
func (c *catalog) has(run string) (whole, stale bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	whole = run != "" && c.run == run
	return whole, whole && time.Since(c.current) > refreshAfter
}

// A match is what was found for one SKU.
type match struct {
	exact []*variation
	near  []string // SKUs that differ in case or blanks only
	odd   int      // objects of the answer that could not be understood
	late  bool     // the search may only be late
}

// sift picks the variations that have an SKU byte for byte.
func sift(sku string, candidates []*variation, odd int) (m match) {
	for _, v := range candidates {
		switch {
		case v.sku == sku:
			m.exact = append(m.exact, v)
		case fold(v.sku) == fold(sku):
			m.near = append(m.near, v.sku)
		}
	}
	if len(m.exact) == 0 {
		m.odd = odd
	}
	return m
}

// unknown is the error for an SKU without an exact match.
func (m match) unknown(sku string) error {
	err := channel.UnknownSKU(sku, m.near...)
	if m.odd > 0 {
		err = fmt.Errorf("%w; but %d objects of Square's answer could not be understood", err, m.odd)
	}
	if m.late {
		err = channel.NotYet(err)
	}
	return err
}

// late reports whether an SKU was first searched for in vain a moment ago, so
// that its variation may have been made a moment ago, too.
func (c *catalog) late(sku string, found bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, again := c.vain[sku]
	switch {
	case found:
		delete(c.vain, sku)
		return false
	case again:
		return time.Since(first) < searchLag
	case len(c.vain) >= maxVain:
		clear(c.vain)
	}
	c.vain[sku] = time.Now()
	return true
}

// askable reports whether an SKU may be looked up. A search for a blank one
// finds every variation without an SKU.
func askable(sku string) error {
	switch {
	case strings.TrimSpace(sku) == "":
		return channel.UnknownSKU(sku)
	case !utf8.ValidString(sku):
		return fmt.Errorf("%w: the SKU %q is not UTF-8", channel.ErrInvalid, sku)
	}
	return nil
}

// find looks up SKUs, each of which is askable and comes once: in what was read
// for the run, or else at Square.
func (c *Client) find(ctx context.Context, skus []string) (map[string]match, error) {
	found := make(map[string]match, len(skus))
	if whole, stale := c.catalog.has(channel.Run(ctx)); whole {
		if stale {
			c.refresh(ctx)
		}
		c.catalog.mu.RLock()
		defer c.catalog.mu.RUnlock()
		for _, sku := range skus {
			found[sku] = sift(sku, c.catalog.byKey[c.catalog.key(sku)], c.catalog.odd)
		}
		return found, ctx.Err()
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.parallel)
	for some := range slices.Chunk(skus, maxValues) {
		group.Go(func() error {
			variations, odd, err := c.searchSKUs(ctx, some)
			if err != nil {
				return whole(err)
			}
			byFold := make(map[string][]*variation, len(variations))
			for _, v := range variations {
				byFold[fold(v.sku)] = append(byFold[fold(v.sku)], v)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, sku := range some {
				m := sift(sku, byFold[fold(sku)], odd)
				m.late = c.catalog.late(sku, len(m.exact) > 0) && m.odd == 0
				found[sku] = m
			}
			return nil
		})
	}
	return found, group.Wait()
}

// load prepares for a run: it reads every variation, or what changed if
// everything was read lately.
func (c *Client) load(ctx context.Context, run string) error {
	release, err := c.catalog.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	if whole, _ := c.catalog.has(run); whole {
		return nil // another location's channel has done it
	}
	c.catalog.mu.RLock()
	loaded, latest := c.catalog.loaded, c.catalog.latest
	c.catalog.mu.RUnlock()
	if latest != "" && time.Since(loaded) < allAgain && c.changes(ctx, run) == nil {
		return nil
	}
	begun := time.Now()
	var all []*variation
	odd, first := 0, ""
	err = c.pages(ctx, searchBody{Types: []string{"ITEM_VARIATION"}, Related: true, Limit: pageSize}, func(p *page) error {
		if len(all) == 0 {
			first = p.latest
		}
		all, odd = append(all, p.variations...), odd+p.odd
		return nil
	})
	if err != nil {
		return whole(err)
	}
	if odd > 0 {
		c.log.LogAttrs(ctx, slog.LevelWarn, "objects of Square's catalog could not be understood", slog.Int("objects", odd))
	}
	c.catalog.replace(all, odd, first, run, begun)
	return nil
}

// hold waits until nobody else reads the catalog.
func (c *catalog) hold(ctx context.Context) (release func(), err error) {
	select {
	case c.loading <- struct{}{}:
		return func() { <-c.loading }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refresh brings what was read for a run up to date. What it cannot read stays
// as it was: that is some minutes old at most, or Square is down, and what
// follows says so.
func (c *Client) refresh(ctx context.Context) {
	release, err := c.catalog.hold(ctx)
	if err != nil {
		return
	}
	defer release()
	run := channel.Run(ctx)
	if whole, stale := c.catalog.has(run); !whole || !stale {
		return // somebody else was faster
	}
	if err := c.changes(ctx, run); err != nil {
		c.log.LogAttrs(ctx, slog.LevelWarn, "what changed in Square's catalog could not be read", slog.Any("err", err))
		c.catalog.update(nil, nil, "", run, time.Now())
	}
}

// changes reads what changed in the catalog since it was read last. The caller
// holds it.
func (c *Client) changes(ctx context.Context, run string) error {
	c.catalog.mu.RLock()
	latest := c.catalog.latest
	c.catalog.mu.RUnlock()
	since, err := time.Parse(time.RFC3339, latest)
	if err != nil {
		return fmt.Errorf("square: latest_time: %w", err)
	}
	ask := searchBody{
		// Deleted objects come in any case.
		Types: []string{"ITEM", "ITEM_VARIATION"}, Related: true, Deleted: true, Limit: pageSize,
		BeginTime: since.Add(-overlap).UTC().Format(timeFormat),
	}
	begun, first, pages := time.Now(), "", 0
	var changed []*variation
	var gone []string
	err = c.pages(ctx, ask, func(p *page) error {
		if pages++; pages == 1 {
			first = p.latest
		}
		// What came for its own sake is put last, and so stays.
		changed = append(append(p.nested, changed...), p.variations...)
		gone = append(gone, p.gone...)
		return nil
	})
	if err != nil {
		return whole(err)
	}
	c.catalog.update(changed, gone, first, run, begun)
	return nil
}
