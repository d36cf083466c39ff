package channeltest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Memory is a channel in memory: the reference for what package channel asks
// of one. It can be read, compares and sets, lists its SKUs, and can take a
// quantity back. It is safe for concurrent use. For one whose updates take time
// to show see [Lagging].
type Memory struct {
	name string

	mu      sync.Mutex
	items   map[string][]*item
	pending []late // in the order in which they are due
	serial  int
	reads   int
	writes  int
}

type item struct {
	channel.Level // without SKU
	sold          int
}

// A late update is one that was accepted and does not show yet.
type late struct {
	channel.Update
	due time.Time
}

var (
	_ channel.Channel  = (*Memory)(nil)
	_ channel.Reader   = (*Memory)(nil)
	_ channel.Lister   = (*Memory)(nil)
	_ channel.Comparer = (*Memory)(nil)
	_ channel.Unsetter = (*Memory)(nil)
)

// NewMemory returns an empty channel of that name.
func NewMemory(name string) *Memory {
	return &Memory{name: name, items: make(map[string][]*item)}
}

// Name implements [channel.Channel].
func (m *Memory) Name() string { return m.name }

// ComparesAndSets implements [channel.Comparer].
func (m *Memory) ComparesAndSets() {}

// lock locks m, and shows what is due by now.
func (m *Memory) lock() {
	m.mu.Lock()
	now := time.Now()
	for len(m.pending) > 0 && !m.pending[0].due.After(now) {
		u := m.pending[0]
		m.pending = m.pending[1:]
		for _, it := range m.items[u.SKU] {
			it.Quantity, it.Unset = u.Quantity, false
		}
	}
}

// Add adds an item for each level, even if its SKU is there already: the SKU
// is then ambiguous. A level with an Err is an item that cannot be written. An
// item keeps what else its level says, such as OffSale.
func (m *Memory) Add(levels ...channel.Level) {
	m.lock()
	defer m.mu.Unlock()
	for _, l := range levels {
		m.add(l)
	}
}

func (m *Memory) add(l channel.Level) {
	m.serial++
	if l.Ref == "" {
		l.Ref = "item " + strconv.Itoa(m.serial)
	}
	m.items[l.SKU] = append(m.items[l.SKU], &item{Level: l})
}

// Set changes what the items with an SKU show, as a sale or somebody's edit
// would. It adds the item if there is none.
func (m *Memory) Set(sku string, quantity int) {
	m.lock()
	defer m.mu.Unlock()
	if len(m.items[sku]) == 0 {
		m.add(channel.Level{SKU: sku})
	}
	for _, it := range m.items[sku] {
		it.Quantity, it.Unset = quantity, false
	}
}

// SetOffSale takes the items with an SKU off sale, or puts them back on.
func (m *Memory) SetOffSale(sku string, off bool) {
	m.lock()
	defer m.mu.Unlock()
	for _, it := range m.items[sku] {
		it.OffSale = off
	}
}

// Sell sells units of an SKU to a customer, and reports whether it did: it
// does not where the SKU is not exactly one item, which is on sale and shows as
// many units, or sells without a limit: it shows no quantity, or SellsAtZero.
// What is shown falls by the units.
func (m *Memory) Sell(sku string, units int) bool {
	m.lock()
	defer m.mu.Unlock()
	its := m.items[sku]
	if len(its) != 1 || its[0].OffSale {
		return false
	}
	it := its[0]
	switch {
	case it.Unset || it.Err != nil: // has no quantity
	case it.Quantity >= units || it.SellsAtZero:
		it.Quantity -= units
	default:
		return false
	}
	it.sold += units
	return true
}

// Sold returns how many units of an SKU Sell has sold.
func (m *Memory) Sold(sku string) (units int) {
	m.lock()
	defer m.mu.Unlock()
	for _, it := range m.items[sku] {
		units += it.sold
	}
	return units
}

// Remove takes the items with an SKU away.
func (m *Memory) Remove(sku string) {
	m.lock()
	defer m.mu.Unlock()
	delete(m.items, sku)
}

// Quantity returns what the channel shows for an SKU. ok is false if that is
// not exactly one item with a quantity.
func (m *Memory) Quantity(sku string) (quantity int, ok bool) {
	m.lock()
	defer m.mu.Unlock()
	if its := m.items[sku]; len(its) == 1 && its[0].Err == nil && !its[0].Unset {
		return its[0].Quantity, true
	}
	return 0, false
}

// Calls returns how often Levels was called, and how often Push and Unset were.
func (m *Memory) Calls() (reads, writes int) {
	m.lock()
	defer m.mu.Unlock()
	return m.reads, m.writes
}

// Levels implements [channel.Reader].
func (m *Memory) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.lock()
	defer m.mu.Unlock()
	m.reads++
	var levels []channel.Level
	for _, sku := range skus {
		for _, it := range m.items[sku] {
			l := it.Level
			l.SKU = sku
			levels = append(levels, l)
		}
	}
	return levels, nil
}

// Push implements [channel.Channel].
func (m *Memory) Push(ctx context.Context, updates []channel.Update) error {
	return m.write(ctx, updates, func(u channel.Update, it *item) error {
		it.Quantity, it.Unset = u.Quantity, false
		return nil
	})
}

// Unset implements [channel.Unsetter].
func (m *Memory) Unset(ctx context.Context, updates []channel.Update) error {
	return m.write(ctx, updates, func(_ channel.Update, it *item) error {
		it.Quantity, it.Unset = 0, true
		return nil
	})
}

// write calls set, with m locked, for each update that can be done.
func (m *Memory) write(ctx context.Context, updates []channel.Update, set func(channel.Update, *item) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.lock()
	defer m.mu.Unlock()
	m.writes++
	errs := make(channel.Errors)
	for _, u := range updates {
		it, err := m.writable(u)
		if err == nil {
			err = set(u, it)
		}
		if err != nil {
			errs[u.SKU] = err
		}
	}
	return errs.Err()
}

func (m *Memory) writable(u channel.Update) (*item, error) {
	its := m.items[u.SKU]
	switch {
	case len(its) == 0:
		return nil, channel.UnknownSKU(u.SKU)
	case len(its) > 1:
		return nil, fmt.Errorf("%w %q: it stands for %d items", channel.ErrAmbiguousSKU, u.SKU, len(its))
	case its[0].Err != nil:
		return nil, its[0].Err
	case u.Seen != nil && (u.Seen.Unset != its[0].Unset || u.Seen.Quantity != its[0].Quantity):
		return nil, fmt.Errorf("%w: %q shows %d, not %d", channel.ErrConflict, u.SKU, its[0].Quantity, u.Seen.Quantity)
	}
	return its[0], nil
}

// SKUs implements [channel.Lister].
func (m *Memory) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		m.lock()
		skus := slices.Sorted(maps.Keys(m.items))
		m.mu.Unlock()
		for _, sku := range skus {
			if !yield(sku, nil) {
				return
			}
		}
	}
}
