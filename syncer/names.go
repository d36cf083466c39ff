package syncer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
)

// names finds which SKUs of a catalogue several products claim, and which SKUs no
// product does. Targets that list every product under its own SKU share one set.
type names struct {
	s    *Syncer
	mu   sync.Mutex
	sets []*hashset.Set // by target
	// spared are what channels may call the products that are not among their
	// listings: those that were left out or could not be read. nil where there
	// are none.
	spared []*hashset.Set
	// blind is whether there are such products of which that is not known.
	blind []bool
}

func (s *Syncer) newNames(ctx context.Context) *names {
	n := &names{s: s, sets: make([]*hashset.Set, len(s.targets)), spared: make([]*hashset.Set, len(s.targets)), blind: make([]bool, len(s.targets))}
	var shared *hashset.Set
	for i, t := range s.targets {
		if !t.plain() {
			n.sets[i], n.spared[i] = hashset.New(), hashset.New()
			kits, twice, _ := t.kitList(ctx, s)
			for _, k := range kits { // no product may have their SKUs
				_, _ = n.sets[i].Add(k.SKU)
			}
			for _, sku := range twice {
				s.doubled.found(t.name, sku)
			}
			continue
		}
		if shared == nil {
			shared = hashset.New()
		}
		n.sets[i] = shared
	}
	return n
}

func (n *names) close() {
	for i, set := range n.sets {
		if !slices.Contains(n.sets[:i], set) {
			set.Close()
		}
		if n.spared[i] != nil {
			n.spared[i].Close()
		}
	}
}

// claim records that a product claims its SKUs. It returns the SKUs that an
// earlier product has claimed, by target.
func (n *names) claim(ctx context.Context, stock *channel.Stock) (taken map[int]string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, t := range n.s.targets {
		if stock.Err != nil && stock.SKU == "" && !errors.Is(stock.Err, channel.ErrInvalid) { // which says that it has none
			n.blind[i] = true
		}
		if first := slices.Index(n.sets, n.sets[i]); first < i { // shared: claimed already
			if sku, ok := taken[first]; ok {
				taken[i] = sku
			}
			continue
		}
		claim := func(sku string) error {
			isNew, err := n.sets[i].Add(sku)
			if err == nil && !isNew && sku != "" {
				if taken == nil {
					taken = make(map[int]string)
				}
				taken[i] = sku
			}
			return err
		}
		if t.plain() {
			if err := claim(stock.SKU); err != nil {
				return nil, err
			}
			continue
		}
		var wants []want
		own := *stock // a copy: plain targets' stocks need not be on the heap
		out := new(outcome)
		if stock.Err == nil {
			p := &pass{s: n.s, t: t, purpose: surveying}
			if a, err := t.answerOf(ctx, n.s, own); err == nil { // else the pass says so, too
				wants = p.listings(&own, a, nil, out)
			}
		}
		for i := range wants {
			if err := claim(wants[i].sku); err != nil {
				return nil, err
			}
		}
		if len(wants) == 0 || len(out.results) > 0 {
			if err := n.spare(ctx, i, &own); err != nil {
				return nil, err
			}
		}
	}
	return taken, nil
}

// spare records what a channel may call a product that is not among its listings:
// the names that it would have there, and its own.
func (n *names) spare(ctx context.Context, i int, stock *channel.Stock) error {
	skus := []string{stock.SKU}
	if t := n.s.targets[i]; t.Listings != nil {
		listings, err := t.listingsOf(ctx, n.s, *stock)
		for _, l := range listings {
			skus = append(skus, l.SKU)
		}
		n.blind[i] = n.blind[i] || err != nil || len(listings) == 0 && stock.Err != nil
	}
	for _, sku := range skus {
		if strings.TrimSpace(sku) == "" {
			continue
		}
		if _, err := n.spared[i].Add(sku); err != nil {
			return err
		}
	}
	return nil
}

// complete reports whether has knows all names that the products may have on a
// target's channel, those of its kits included.
func (n *names) complete(ctx context.Context, i int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.s.targets[i]
	if t.Kits == nil || n.blind[i] {
		return !n.blind[i]
	}
	kits, err := t.askKits(ctx, n.s)
	for _, k := range kits { // those that make no sense, too
		if err == nil {
			_, err = n.spared[i].Add(k.SKU)
		}
	}
	return err == nil
}

// has reports whether a product, or a kit, may have an SKU on a target's channel.
func (n *names) has(i int, sku string) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	has, err := n.sets[i].Has(sku)
	if err == nil && !has && n.spared[i] != nil {
		has, err = n.spared[i].Has(sku)
	}
	return has, err
}
