package shopify

import (
	"context"
	"hash/maphash"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// parallel is how many requests of one call are under way at once.
const parallel = 4

const itemPrefix = "gid://shopify/InventoryItem/"

// An index remembers which items an SKU may stand for. It keeps numbers and no
// text, 16 bytes an item, so that a million items fit: the key is a hash of
// the SKU without case and blanks, so one entry holds the items that an SKU
// names and those that it nearly names. What it says is a hint: the SKUs of
// the items are read before they are relied on.
type index struct {
	mu   sync.RWMutex
	seed maphash.Seed
	one  map[uint64]uint64
	more map[uint64][]uint64 // further items of the same key
	run  string              // the run for which it was filled whole
}

func newIndex() *index {
	return &index{seed: maphash.MakeSeed(), one: map[uint64]uint64{}, more: map[uint64][]uint64{}}
}

// key is the hash of the folded SKU. Short SKUs of ASCII, which nearly all are,
// are folded without a copy of them on the heap.
func (x *index) key(sku string) uint64 {
	var buf [64]byte
	b := buf[:0]
	for i := range len(sku) {
		switch c := sku[i]; {
		case c >= 0x80 || len(sku) > len(buf):
			return maphash.String(x.seed, fold(sku))
		case c == ' ' || c >= '\t' && c <= '\r':
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return maphash.Bytes(x.seed, b)
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

// all yields the items that the SKU may stand for.
func (x *index) all(sku string) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		x.mu.RLock()
		key := x.key(sku)
		id, ok := x.one[key]
		more := x.more[key]
		x.mu.RUnlock()
		if !ok || !yield(id) {
			return
		}
		for _, id := range more {
			if !yield(id) {
				return
			}
		}
	}
}

// count is how many these are.
func (x *index) count(sku string) int {
	n := 0
	for range x.all(sku) {
		n++
	}
	return n
}

func (x *index) add(sku string, id uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := x.key(sku)
	first, ok := x.one[key]
	switch {
	case !ok:
		x.one[key] = id
	case first != id && !slices.Contains(x.more[key], id):
		x.more[key] = append(x.more[key], id)
	}
}

func (x *index) drop(sku string, id uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := x.key(sku)
	first, ok := x.one[key]
	if !ok {
		return
	}
	// Not in place: a reader may hold the old list.
	rest := slices.DeleteFunc(append([]uint64{first}, x.more[key]...), func(other uint64) bool { return other == id })
	delete(x.one, key)
	delete(x.more, key)
	if len(rest) > 0 {
		x.one[key] = rest[0]
	}
	if len(rest) > 1 {
		x.more[key] = rest[1:]
	} else if len(x.more) == 0 {
		x.more = map[uint64][]uint64{} // a map that was large stays so
	}
}

// whole reports whether the index was filled with every item for this very
// run, so that an SKU which it misses need not be searched for.
func (x *index) whole(run string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return run != "" && x.run == run
}

// filled tells that every item was added for the run.
func (x *index) filled(run string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.run = run
}

func itemNumber(gid string) (uint64, bool) {
	digits, ok := strings.CutPrefix(gid, itemPrefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && strconv.FormatUint(n, 10) == digits
}

func itemID(n uint64) string { return itemPrefix + strconv.FormatUint(n, 10) }

// lookup searches for the SKUs, and adds the items that they stand for, and
// those that they nearly stand for, to the index.
func (c *Client) lookup(ctx context.Context, skus []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for terms := range slices.Chunk(skus, maxTerms) {
		group.Go(func() error { return c.search(ctx, terms) })
	}
	return group.Wait()
}

func (c *Client) search(ctx context.Context, skus []string) error {
	wanted := make(map[string]bool, len(skus))
	terms := make([]string, len(skus))
	for i, sku := range skus {
		wanted[fold(sku)] = true
		terms[i] = term(sku)
	}
	vars := findItemsVars{Query: strings.Join(terms, " OR ")}
	for {
		var data findItemsData
		if err := c.do(ctx, findItems, vars, &data); err != nil {
			return err
		}
		page := data.InventoryItems
		if page == nil || page.Nodes == nil || page.PageInfo == nil {
			return unusable(findItems.name, "the answer has no list of items")
		}
		for _, n := range page.Nodes {
			id, ok := itemNumber(n.ID)
			if !ok {
				return unusable(findItems.name, "the answer has an item without an id")
			}
			// The search is not exact: prefixes, words and any case match.
			if n.SKU != nil && *n.SKU != "" && wanted[fold(*n.SKU)] {
				c.items.add(*n.SKU, id)
			}
		}
		if !page.PageInfo.HasNextPage {
			return nil
		}
		cursor := page.PageInfo.EndCursor
		if cursor == "" || vars.After != nil && cursor == *vars.After {
			return unusable(findItems.name, "the list of items does not end")
		}
		vars.After = &cursor
	}
}

var quoting = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`)

// term is a search term for one SKU.
func term(sku string) string { return "sku:'" + quoting.Replace(sku) + "'" }

// A match is what was found for one SKU.
type match struct {
	exact []*node
	near  []string // SKUs that differ in case or blanks only
}

// find reads the items of the SKUs. An SKU that no item has is absent, or has
// near misses only.
func (c *Client) find(ctx context.Context, location string, skus []string) (map[string]match, error) {
	whole := c.items.whole(channel.Run(ctx))
	searched := make(map[string]bool)
	search := func(skus []string) error {
		for _, sku := range skus {
			searched[sku] = true
		}
		return c.lookup(ctx, skus)
	}

	var cold []string
	for _, sku := range skus {
		if !whole && c.items.count(sku) == 0 {
			cold = append(cold, sku)
		}
	}
	if err := search(cold); err != nil {
		return nil, err
	}
	nodes := make(map[uint64]*node)
	for {
		var unread []uint64
		for _, sku := range skus {
			for id := range c.items.all(sku) {
				if _, ok := nodes[id]; !ok {
					nodes[id] = nil
					unread = append(unread, id)
				}
			}
		}
		if err := c.nodes(ctx, location, unread, nodes); err != nil {
			return nil, err
		}
		found := make(map[string]match, len(skus))
		var doubtful []string
		for _, sku := range skus {
			m, stale := c.sift(sku, nodes)
			if len(m.exact)+len(m.near) > 0 {
				found[sku] = m
			}
			// The shop may have items with this SKU that the index misses.
			missed := len(m.exact) == 0 && (stale || !whole) ||
				len(m.exact) == 1 && c.duplicates(m.exact[0]) > len(m.near)
			if missed && !searched[sku] {
				doubtful = append(doubtful, sku)
			}
		}
		if len(doubtful) == 0 {
			return found, nil
		}
		if err := search(doubtful); err != nil {
			return nil, err
		}
	}
}

// duplicates is how many other items have the item's SKU, as the shop counts.
// It is not documented whether its count includes the item itself, which any 0
// decides; till then it is taken to.
func (c *Client) duplicates(n *node) int {
	if c.fromZero.Load() {
		return n.DuplicateSKUCount
	}
	return n.DuplicateSKUCount - 1
}

// sift compares the items that the SKU may stand for with the SKUs that they
// have. Those that are gone or renamed leave the index: stale.
func (c *Client) sift(sku string, nodes map[uint64]*node) (m match, stale bool) {
	for id := range c.items.all(sku) {
		n, read := nodes[id]
		switch {
		case !read: // another call has just found it
		case n != nil && n.sku() == sku:
			m.exact = append(m.exact, n)
		case n != nil && fold(n.sku()) == fold(sku):
			m.near = append(m.near, n.sku())
		default:
			c.items.drop(sku, id)
			stale = true
			if n != nil && n.sku() != "" {
				c.items.add(n.sku(), id)
			}
		}
	}
	return m, stale
}

// nodes reads items by their ids into into. One that does not exist any more
// stays nil there.
func (c *Client) nodes(ctx context.Context, location string, ids []uint64, into map[uint64]*node) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for some := range slices.Chunk(ids, maxInput) {
		group.Go(func() error {
			vars := readLevelsVars{Location: location}
			for _, id := range some {
				vars.IDs = append(vars.IDs, itemID(id))
			}
			var data readLevelsData
			if err := c.do(ctx, readLevels, vars, &data); err != nil {
				return err
			}
			if len(data.Nodes) != len(some) {
				return unusable(readLevels.name, "the answer has not an entry for each item")
			}
			mu.Lock()
			defer mu.Unlock()
			for i, n := range data.Nodes {
				if n == nil {
					continue // deleted
				}
				if n.ID != vars.IDs[i] {
					return unusable(readLevels.name, "the answer has another item than the one asked for")
				}
				if n.Tracked && n.active() {
					if _, ok := n.available(); !ok {
						return unusable(readLevels.name, "the answer has an item without its quantity")
					}
				}
				if n.sku() != "" && n.DuplicateSKUCount == 0 {
					c.fromZero.Store(true)
				}
				into[some[i]] = n
			}
			return nil
		})
	}
	return group.Wait()
}
