package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/ecosire/stocksync/channel"
)

// A till is the channel that nobody else has: it knows how many of each
// article may be rung up.
type till struct {
	mu       sync.Mutex
	articles map[string]int
}

var _ channel.Reader = (*till)(nil)

func (*till) Name() string { return "till:front" }

// Push implements channel.Channel.
func (t *till) Push(_ context.Context, updates []channel.Update) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	errs := make(channel.Errors)
	for _, u := range updates {
		shown, ok := t.articles[u.SKU]
		switch {
		case !ok:
			errs[u.SKU] = channel.UnknownSKU(u.SKU)
		case u.Seen != nil && u.Seen.Quantity != shown:
			errs[u.SKU] = fmt.Errorf("%w: %d was seen, %d is shown", channel.ErrConflict, u.Seen.Quantity, shown)
		default:
			t.articles[u.SKU] = u.Quantity
		}
	}
	return errs.Err()
}

// Levels implements channel.Reader.
func (t *till) Levels(_ context.Context, skus []string) ([]channel.Level, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var levels []channel.Level
	for _, sku := range skus {
		if n, ok := t.articles[sku]; ok {
			levels = append(levels, channel.Level{SKU: sku, Quantity: n})
		}
	}
	return levels, nil
}

// shows returns what may be rung up.
func (t *till) shows(sku string) (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.articles[sku]
	return n, ok
}
