package shopify

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// namesLife is how long the SKU of an item is believed without reading it.
	// It only says what to look at.
	namesLife = time.Hour
	// nameWait is how long deliveries wait for others to be resolved with.
	nameWait = 50 * time.Millisecond
	// nameLimit bounds the request for them: Shopify waits five seconds.
	nameLimit = 4 * time.Second
)

// names resolves items to their SKUs. What it asks the shop for it asks for all
// callers of a moment together.
type names struct {
	used  atomic.Bool // somebody asks for them
	known memory[string]

	mu   sync.Mutex
	next *naming // the batch that waits for company, or nil
}

// A naming is some items that are read in one request.
type naming struct {
	ids  []uint64
	done chan struct{} // closed when what follows is set
	skus map[uint64]string
	err  error
}

// name returns the SKU of an item, "" for one that does not exist or has none.
func (c *Client) name(ctx context.Context, location string, id uint64) (string, error) {
	if sku, ok := c.names.known.get(id); ok {
		return sku, nil
	}
	c.names.mu.Lock()
	n := c.names.next
	first := n == nil
	if first {
		n = &naming{done: make(chan struct{})}
		c.names.next = n
	}
	n.ids = append(n.ids, id)
	if len(n.ids) == maxInput {
		c.names.next = nil
	}
	c.names.mu.Unlock()
	if first {
		// Not with ctx: others wait for it, too.
		c.resolve(context.WithoutCancel(ctx), location, n)
	}
	select {
	case <-n.done:
		return n.skus[id], n.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (c *Client) resolve(ctx context.Context, location string, n *naming) {
	defer close(n.done)
	ctx, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	_ = pause(ctx, nameWait) // and ends with ctx
	c.names.mu.Lock()
	if c.names.next == n {
		c.names.next = nil
	}
	ids := make(map[uint64]bool, len(n.ids))
	unique := n.ids[:0:0]
	for _, id := range n.ids {
		if !ids[id] {
			ids[id] = true
			unique = append(unique, id)
		}
	}
	c.names.mu.Unlock()
	found := make(map[uint64]*node)
	if n.err = c.nodes(ctx, question{location: location}, unique, found); n.err != nil {
		return
	}
	n.skus = make(map[uint64]string)
	for _, id := range unique {
		node := found[id]
		if node == nil || node.sku == "" {
			if node == nil || node.err == nil {
				c.names.known.put(id, "")
			}
			continue
		}
		n.skus[id] = node.sku
		c.names.known.put(id, node.sku)
		c.items.add(node.sku, id)
	}
}
