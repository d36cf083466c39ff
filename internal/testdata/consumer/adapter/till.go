// Package till is an adapter of somebody else's, in a module of its own: a
// channel that nobody else has. It needs package channel to be written, and
// channel/channeltest to be tested.
package till

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/ecosire/stocksync/channel"
)

// A Till knows how many of each article may be rung up.
type Till struct {
	mu       sync.Mutex
	articles map[string]int
}

var (
	_ channel.Channel = (*Till)(nil)
	_ channel.Reader  = (*Till)(nil)
	_ channel.Lister  = (*Till)(nil)
)

// New returns a till with some articles.
func New(articles map[string]int) *Till {
	t := &Till{articles: make(map[string]int)}
	for sku, n := range articles {
		t.articles[sku] = n
	}
	return t
}

// Name implements channel.Channel.
func (*Till) Name() string { return "till:front" }

// Push implements channel.Channel.
func (t *Till) Push(ctx context.Context, updates []channel.Update) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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
func (t *Till) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
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

// SKUs implements channel.Lister.
func (t *Till) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		t.mu.Lock()
		var all []string
		for sku := range t.articles {
			all = append(all, sku)
		}
		t.mu.Unlock()
		for _, sku := range all {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if !yield(sku, nil) {
				return
			}
		}
	}
}

// Shows returns what may be rung up.
func (t *Till) Shows(sku string) (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.articles[sku]
	return n, ok
}

// Set is what a cashier does.
func (t *Till) Set(sku string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.articles[sku] = n
}
