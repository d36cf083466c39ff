package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ecosire/stocksync/channel"
)

// How a pass heeds pins: after the policies, before everything else.

// unknownQuantity marks the error of a listing of which a policy does not know
// the quantity.
type unknownQuantity struct{ error }

func (e unknownQuantity) Unwrap() error { return e.error }

// heedPins makes wants show what their products are pinned to. from is how many
// results there were before the wants were made: of those since, a listing whose
// quantity nobody knows is wanted all the same if it is pinned to 0.
func (p *pass) heedPins(ctx context.Context, wants []want, out *outcome, from int) []want {
	all, err := p.s.pinned(ctx)
	if p.pins, p.unpinned = all, err; err != nil || len(all) == 0 {
		return wants
	}
	wants = slices.DeleteFunc(wants, func(w want) bool { // of a recalled product none is sold without a quantity
		pin, _ := p.pinOf(ctx, &w, all)
		if pin == nil || p.unsetter == nil {
			return false
		}
		out.add(result{want: w, state: replanned, err: channel.ErrConflict})
		return true
	})
	for i := range wants {
		p.pin(ctx, &wants[i])
	}
	kept := out.results[:from]
	for _, r := range out.results[from:] {
		pin, n := p.pinOf(ctx, &r.want, all)
		if _, unknown := errors.AsType[unknownQuantity](r.err); pin == nil || n > 0 || !unknown || r.asOf.IsZero() {
			kept = append(kept, r)
			continue
		}
		w := r.want
		w.quantity, w.pin = 0, pin
		wants = append(wants, w)
	}
	out.results = kept
	return wants
}

// pin makes a want show what its products are pinned to, unless that is more
// than it would show.
func (p *pass) pin(ctx context.Context, w *want) {
	w.pin = nil
	if len(p.pins) == 0 {
		return
	}
	pin, n := p.pinOf(ctx, w, p.pins)
	if pin != nil && (n <= w.quantity || pin.Raise && !w.isKit()) {
		w.quantity, w.pin = n, pin
	}
}

// pinnedToZero reports whether a product is pinned to 0 somewhere: then its
// quantity need not be known.
func (s *Syncer) pinnedToZero(ctx context.Context, id string) bool {
	all, err := s.pinned(ctx)
	return err == nil && toZero(all[id])
}

func toZero(pins []Pin) bool {
	return slices.ContainsFunc(pins, func(p Pin) bool { return p.Quantity == 0 && p.holds() })
}

// pinOf returns the pin that counts for a listing, and how many units of it
// that makes; or nil.
func (p *pass) pinOf(ctx context.Context, w *want, all map[string][]Pin) (least *Pin, n int) {
	for _, part := range p.partsOf(ctx, w) {
		for i := range all[part.ProductID] {
			pin := &all[part.ProductID][i]
			if !pin.holds() || pin.Channel != "" && pin.Channel != p.t.name {
				continue
			}
			units := pin.Quantity / max(1, part.Units)
			if least == nil || units < n || units == n && !pin.Raise {
				least, n = pin, units
			}
		}
	}
	return least, n
}

// partsOf are what a listing takes of which products. The line of an undo does
// not say.
func (p *pass) partsOf(ctx context.Context, w *want) []Part {
	switch {
	case w.bundle != nil:
		return w.bundle.parts
	case w.stock.ProductID == "": // nobody's
		return nil
	}
	own := []Part{{w.stock.ProductID, 1}}
	if p.fixed == nil {
		return own
	}
	if p.t.Listings != nil {
		listings, _ := p.t.listingsOf(ctx, p.s, *w.stock)
		for _, l := range listings {
			if l.SKU == w.sku && len(l.Parts) == 1 {
				own = l.Parts
			}
		}
	}
	for _, k := range p.t.kits(ctx, p.s) {
		if k.SKU == w.sku {
			own = k.Parts
		}
	}
	return own
}

// senseless is why it is not known what a product of a change is pinned to.
func (p *pass) senseless(c *change) (err error) {
	for _, id := range c.products() {
		for i := range p.pins[id] {
			err = cmp.Or(err, p.pins[id][i].senseless)
		}
	}
	return err
}

// unraised takes out of changes what would raise a quantity, as long as it is
// not known what is pinned.
func (p *pass) unraised(changes []change, out *outcome) []change {
	return slices.DeleteFunc(changes, func(c change) bool {
		unpinned := cmp.Or(p.unpinned, p.senseless(&c))
		if unpinned == nil {
			return false
		}
		lowers := p.unsetter == nil && (c.quantity <= 0 ||
			c.seen != nil && c.seen.Err == nil && (c.seen.Unset && !c.seen.OffSale || onSale(c.seen) && c.quantity <= c.seen.Quantity))
		if !lowers {
			out.add(result{want: c.want, seen: c.seen, state: failed, unsent: true, err: fmt.Errorf("nothing is raised: %w", unpinned)})
		}
		return !lowers
	})
}
