package channeltest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/ecosire/stocksync/channel"
)

// Memory is a channel in memory: the reference for what package channel asks
// of one. It can be read, and it compares and sets. It is safe for concurrent
// use.
type Memory struct {
	name string

	mu     sync.Mutex
	items  map[string][]*item
	serial int
	reads  int
	writes int
}

type item struct {
	ref      string
	quantity int
	unset    bool
	err      error
}

var (
	_ channel.Channel = (*Memory)(nil)
	_ channel.Reader  = (*Memory)(nil)
	_ channel.Lister  = (*Memory)(nil)
)

// NewMemory returns an empty channel of that name.
func NewMemory(name string) *Memory {
	return &Memory{name: name, items: make(map[string][]*item)}
}

// Name implements [channel.Channel].
func (m *Memory) Name() string { return m.name }

// Add adds an item for each level, even if its SKU is there already: the SKU
// is then ambiguous. A level with an Err is an item that cannot be written.
func (m *Memory) Add(levels ...channel.Level) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range levels {
		m.serial++
		ref := l.Ref
		if ref == "" {
			ref = "item " + strconv.Itoa(m.serial)
		}
		m.items[l.SKU] = append(m.items[l.SKU], &item{ref, l.Quantity, l.Unset, l.Err})
	}
}

// Set changes what the items with an SKU show, as a sale or somebody's edit
// would. It adds the item if there is none.
func (m *Memory) Set(sku string, quantity int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.items[sku]) == 0 {
		m.serial++
		m.items[sku] = []*item{{ref: "item " + strconv.Itoa(m.serial)}}
	}
	for _, it := range m.items[sku] {
		it.quantity, it.unset = quantity, false
	}
}

// Remove takes the items with an SKU away.
func (m *Memory) Remove(sku string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, sku)
}

// Quantity returns what the channel shows for an SKU. ok is false if that is
// not exactly one item with a figure.
func (m *Memory) Quantity(sku string) (quantity int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if its := m.items[sku]; len(its) == 1 && its[0].err == nil && !its[0].unset {
		return its[0].quantity, true
	}
	return 0, false
}

// Calls returns how often Levels and Push were called.
func (m *Memory) Calls() (reads, writes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads, m.writes
}

// Levels implements [channel.Reader].
func (m *Memory) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	var levels []channel.Level
	for _, sku := range skus {
		for _, it := range m.items[sku] {
			levels = append(levels, channel.Level{SKU: sku, Quantity: it.quantity, Unset: it.unset, Ref: it.ref, Err: it.err})
		}
	}
	return levels, nil
}

// Push implements [channel.Channel].
func (m *Memory) Push(ctx context.Context, updates []channel.Update) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	errs := make(channel.Errors)
	for _, u := range updates {
		if err := m.push(u); err != nil {
			errs[u.SKU] = err
		}
	}
	return errs.Err()
}

func (m *Memory) push(u channel.Update) error {
	its := m.items[u.SKU]
	switch {
	case len(its) == 0:
		return channel.UnknownSKU(u.SKU)
	case len(its) > 1:
		return fmt.Errorf("%w %q: it stands for %d items", channel.ErrAmbiguousSKU, u.SKU, len(its))
	case its[0].err != nil:
		return its[0].err
	case u.Seen != nil && (u.Seen.Unset != its[0].unset || u.Seen.Quantity != its[0].quantity):
		return fmt.Errorf("%w: %q shows %d, not %d", channel.ErrConflict, u.SKU, its[0].quantity, u.Seen.Quantity)
	}
	its[0].quantity, its[0].unset = u.Quantity, false
	return nil
}

// SKUs implements [channel.Lister].
func (m *Memory) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		m.mu.Lock()
		skus := slices.Sorted(maps.Keys(m.items))
		m.mu.Unlock()
		for _, sku := range skus {
			if !yield(sku, nil) {
				return
			}
		}
	}
}

// Intercept is a channel that passes every call on to another one, unless the
// function for it is set. It serves to make one thing go wrong.
type Intercept struct {
	channel.Channel
	OnPush   func(ctx context.Context, next channel.Channel, updates []channel.Update) error
	OnLevels func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error)
}

// Push implements [channel.Channel].
func (i *Intercept) Push(ctx context.Context, updates []channel.Update) error {
	if i.OnPush != nil {
		return i.OnPush(ctx, i.Channel, updates)
	}
	return i.Channel.Push(ctx, updates)
}

// Levels implements [channel.Reader]. The channel inside must be one.
func (i *Intercept) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	next, ok := channel.As[channel.Reader](i.Channel)
	if !ok {
		return nil, fmt.Errorf("channeltest: %s is no channel.Reader", i.Name())
	}
	if i.OnLevels != nil {
		return i.OnLevels(ctx, next, skus)
	}
	return next.Levels(ctx, skus)
}

// Unwrap gives access to the other optional interfaces.
func (i *Intercept) Unwrap() channel.Channel { return i.Channel }
