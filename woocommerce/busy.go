package woocommerce

import (
	"context"
	"sync"
)

// busy knows the products that are being written. Without it two batches that
// overlap would mix their quantities item by item.
type busy struct {
	mu    sync.Mutex
	held  map[int64]bool
	freed chan struct{} // closed when products are released
}

// hold waits until none of the products is held, and takes them all at once.
func (b *busy) hold(ctx context.Context, writes []*write) (release func(), err error) {
	for {
		freed, ok := b.take(writes)
		if ok {
			return func() { b.release(writes) }, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *busy) take(writes []*write) (freed <-chan struct{}, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held, b.freed = make(map[int64]bool), make(chan struct{})
	}
	for _, w := range writes {
		if b.held[w.root()] {
			return b.freed, false
		}
	}
	for _, w := range writes {
		b.held[w.root()] = true
	}
	return nil, true
}

func (b *busy) release(writes []*write) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range writes {
		delete(b.held, w.root())
	}
	close(b.freed)
	b.freed = make(chan struct{})
}
