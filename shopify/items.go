package shopify

import (
	"context"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// parallel is how many requests of one call are under way at once.
const parallel = 4

// maxSKU is how long an SKU can be at Shopify, in characters. What is longer
// is not printed whole.
const maxSKU = 255

// clip bounds an SKU for a text in which it is quoted: that it is the exact one
// matters more than what it looks like.
func clip(sku string) string {
	if len(sku) <= 4*maxSKU {
		return sku
	}
	return text.Cut(sku, maxSKU)
}

// A match is what was found for one SKU.
type match struct {
	exact []*node
	near  []string // SKUs that differ in case or blanks only
	// err says that there may be more or other items, because the search did
	// not tell all.
	err error
	// late says that the search may only be late.
	late bool
}

// nothing reports whether the SKU is on no item, and not for lack of an answer.
func (m *match) nothing() bool {
	return len(m.exact)+len(m.near) == 0 && m.err == nil && !m.late
}

// unknown is the error for an SKU that no item has.
func (m match) unknown(sku string) error {
	err := m.err
	if err == nil {
		err = channel.UnknownSKU(clip(sku), m.near...)
		if m.late {
			err = channel.NotYet(err)
		}
	}
	return err
}

// find reads the items of the SKUs, in their order. One that no item has has
// near misses or an error at most.
func (c *Client) find(ctx context.Context, ask question, skus []string) ([]match, error) {
	run := channel.Run(ctx)
	whole := c.load.whole(run)
	searched := make(map[string]bool)
	problems := make(map[string]error)
	search := func(skus []string) error {
		for _, sku := range skus {
			searched[sku] = true
		}
		some, err := c.lookup(ctx, skus)
		for sku, err := range some {
			problems[sku] = err
		}
		return err
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
	nodes := make(map[uint64]*node, len(skus))
	var ids, unread []uint64
	for {
		unread = unread[:0]
		for _, sku := range skus {
			ids = c.items.find(ids[:0], sku)
			for _, id := range ids {
				if _, ok := nodes[id]; !ok {
					nodes[id] = nil
					unread = append(unread, id)
				}
			}
		}
		if err := c.nodes(ctx, ask, unread, nodes); err != nil {
			return nil, err
		}
		found := make([]match, len(skus))
		exact := make([]*node, 0, len(skus))
		missed := 0
		var doubtful []string
		for i, sku := range skus {
			ids = c.items.find(ids[:0], sku)
			m := &found[i]
			var stale bool
			*m, stale, exact = c.sift(sku, ids, nodes, exact)
			if len(m.exact) == 0 {
				missed++
			}
			// The shop may have items with this SKU that the index misses.
			incomplete := len(m.exact) == 0 && (stale || !whole) ||
				len(m.exact) == 1 && m.exact[0].err == nil && c.duplicates(m.exact[0]) > len(m.near)
			switch {
			case incomplete && !searched[sku]:
				doubtful = append(doubtful, sku)
			case incomplete:
				m.err = problems[sku]
				m.late = len(m.exact) == 0 && m.err == nil && c.late(sku)
			}
		}
		if len(doubtful) == 0 {
			c.load.miss(run, missed)
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
		return n.duplicates
	}
	return n.duplicates - 1
}

// sift compares the items that the SKU may stand for with the SKUs that they
// have. Those that are gone or renamed leave the index: stale. room has place
// for what is found, and is returned without that.
func (c *Client) sift(sku string, ids []uint64, nodes map[uint64]*node, room []*node) (m match, stale bool, left []*node) {
	for _, id := range ids {
		n, read := nodes[id]
		switch {
		case !read: // another call has just found it
		case n != nil && (n.sku == sku || n.sku == "" && n.err != nil):
			room = append(room, n)
			m.exact = room[:len(m.exact)+1]
		case n != nil && fold(n.sku) == fold(sku):
			if len(n.sku) <= 4*maxSKU {
				m.near = append(m.near, n.sku)
			}
		default:
			c.items.drop(sku, id)
			stale = true
			if n != nil && n.sku != "" {
				c.items.add(n.sku, id)
			}
		}
	}
	left = room[len(m.exact):]
	m.exact = m.exact[:len(m.exact):len(m.exact)]
	return m, stale, left
}

// A vain is an SKU that was searched for in vain, again and again.
type vain struct {
	start, last time.Time
	window      time.Duration
}

// late reports whether an SKU that was searched for in vain may be one that the
// search does not find yet: it was first asked for a short time ago, or again
// after a while, when the item may have been made meanwhile.
func (c *Client) late(sku string) bool {
	now := time.Now()
	key := hashOf(sku)
	v, known := c.vain.get(key)
	switch {
	case !known:
		v = vain{start: now, window: indexLag}
	case now.Sub(v.last) > 15*time.Minute:
		v = vain{start: now, window: indexLagAgain}
	}
	v.last = now
	c.vain.put(key, v)
	return now.Sub(v.start) < v.window
}
