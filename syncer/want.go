package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
	"github.com/ecosire/stocksync/internal/text"
)

// A want is a listing with the quantity that the channel should show.
type want struct {
	sku      string
	stock    *channel.Stock // of the product, or of the part that limits a kit
	bundle   *bundle        // nil for one unit of the product
	quantity int
	asOf     time.Time // of the oldest stock that it rests on
	pin      *Pin      // that says so, or nil
}

// A bundle is what one of a listing takes: a pack, or a kit.
type bundle struct {
	parts []Part
	of    []*channel.Stock // the stocks of a kit's parts
}

// parts are those of a bundle, or nil for one unit of the product.
func (w *want) parts() []Part {
	if w.bundle == nil {
		return nil
	}
	return w.bundle.parts
}

// products are those that a want rests on.
func (w *want) products() []string {
	if !w.isKit() {
		return []string{w.stock.ProductID}
	}
	ids := make([]string, len(w.parts()))
	for i, part := range w.parts() {
		ids[i] = part.ProductID
	}
	return ids
}

// productSKU is what the source calls the product, if the channel calls it
// something else.
func (w *want) productSKU() string {
	if w.stock.SKU == w.sku {
		return ""
	}
	return w.stock.SKU
}

// isKit reports whether the listing takes several products. One of the target's
// Kits that has a single part is like a pack of that product.
func (w *want) isKit() bool { return len(w.parts()) > 1 }

// want makes of what was read what the channel should show. What cannot be
// published goes to out: what has no SKU, what a policy does not know, and what
// shares its SKU with another product, since no channel can show two
// quantities.
func (p *pass) want(ctx context.Context, stocks []channel.Stock, out *outcome) []want {
	p.stocks = stocks
	if p.fixed != nil {
		return p.heedPins(ctx, p.fixedWants(stocks), out, len(out.results))
	}
	from := len(out.results)
	wants := p.room.takeWants(len(stocks))
	if p.kitting != kitsAlone {
		if err := p.t.answersOf(ctx, p.s, stocks, func(s *channel.Stock, a answer, err error) {
			if err != nil {
				out.add(unsaid(s, err))
			}
			wants = p.listings(s, a, wants, out) // none of what is not answered
		}); err != nil {
			return p.speechless(ctx, stocks, err, out, from)
		}
	}
	if p.kitting != withoutKits && p.t.Kits != nil {
		wants = p.kits(ctx, stocks, wants, out, from)
	}

	if p.expect != nil && p.t.Kits != nil {
		wants = p.planned(wants, out, from)
	}
	wants = p.heedPins(ctx, wants, out, from)
	claims := claimed(wants)
	p.s.index.learn(p.t, wants)
	rivals := p.t.memory.rivals(wants)
	if claims == nil && rivals == nil && p.s.doubled.none() {
		return wants
	}
	return slices.DeleteFunc(wants, func(w want) bool {
		var err error
		switch {
		case claims[w.sku] > 1:
			err = fmt.Errorf("%w %q: %d products of the source claim it", channel.ErrAmbiguousSKU, w.sku, claims[w.sku])
		case p.s.doubled.has(p.t.name, w.sku):
			err = fmt.Errorf("%w %q: several products of the source claim it", channel.ErrAmbiguousSKU, w.sku)
		case rivals[w.sku] != "" && p.claims(ctx, rivals[w.sku], w.sku):
			p.s.doubled.add(p.t.name, w.sku)
			err = fmt.Errorf("%w %q: product %s of the source claims it, too", channel.ErrAmbiguousSKU, w.sku, rivals[w.sku])
		default:
			return false
		}
		out.add(result{want: w, state: failed, err: err})
		return true
	})
}

// planned leaves out what is no plan's: parts come along whose own listings
// nobody asked for. Nor is it news if these fail.
func (p *pass) planned(wants []want, out *outcome, from int) []want {
	products := make(map[string]bool, len(p.expect))
	for _, l := range p.expect {
		products[l.ProductID] = true
	}
	asked := func(w *want) bool { _, asked := p.expect[w.sku]; return asked }
	ours := slices.DeleteFunc(out.results[from:], func(r result) bool { return !asked(&r.want) && !products[r.stock.ProductID] })
	out.results = out.results[:from+len(ours)]
	return slices.DeleteFunc(wants, func(w want) bool { return !asked(&w) })
}

// claimed counts who wants each SKU, or returns nil if no two want the same.
func claimed(wants []want) map[string]int {
	seen := hashset.NewFor(len(wants))
	defer seen.Close()
	for i := range wants {
		isNew, err := seen.Add(wants[i].sku)
		if err == nil && isNew {
			continue
		}
		claims := make(map[string]int, len(wants)) // or two have one hash
		for i := range wants {
			claims[wants[i].sku]++
		}
		return claims
	}
	return nil
}

// unsaid is what comes of a product of which the host's functions do not say what it
// should be.
func unsaid(s *channel.Stock, err error) result {
	return result{want: want{sku: s.SKU, stock: s, asOf: s.AsOf}, state: failed, err: err}
}

// speechless ends a pass whose target's functions do not answer: that is the
// channel's trouble.
func (p *pass) speechless(ctx context.Context, stocks []channel.Stock, err error, out *outcome, from int) []want {
	p.broken(ctx, out, err, false)
	out.results = out.results[:from]
	for i := range stocks {
		r := unsaid(&stocks[i], err)
		r.unsent = true
		out.add(r)
	}
	return nil
}

// listings appends what the channel should show of one product.
func (p *pass) listings(s *channel.Stock, a answer, wants []want, out *outcome) []want {
	if !a.keep {
		return wants
	}
	err := cmp.Or(s.Err, a.err)
	if p.t.Listings == nil {
		return p.listing(Listing{SKU: s.SKU}, s, a.quantity, err, wants, out)
	}
	for _, l := range a.listings {
		wants = p.listing(l, s, a.quantity, err, wants, out)
	}
	return wants
}

func (p *pass) listing(l Listing, s *channel.Stock, n int, err error, wants []want, out *outcome) []want {
	w := want{sku: l.SKU, stock: s, quantity: n, asOf: s.AsOf}
	if len(l.Parts) > 0 {
		w.bundle = &bundle{parts: l.Parts}
	}
	switch {
	case err != nil:
		err = unknownQuantity{err}
	case strings.TrimSpace(l.SKU) == "":
		err = fmt.Errorf("%w: the product has no SKU", channel.ErrInvalid)
	case len(l.SKU) > maxID || !utf8.ValidString(l.SKU):
		err = fmt.Errorf("%w: the SKU %q is no UTF-8, or longer than %d bytes", channel.ErrInvalid, text.Clean(l.SKU), maxID)
	case len(l.Parts) > 1 || len(l.Parts) == 1 && (l.Parts[0].ProductID != s.ProductID || !l.Parts[0].sound()):
		err = fmt.Errorf("%w: Listings may list units of the product alone; a kit belongs to Kits", channel.ErrInvalid)
	default:
		if len(l.Parts) == 1 {
			w.quantity = n / l.Parts[0].Units
		}
		return append(wants, w)
	}
	out.add(result{want: w, state: failed, err: err})
	return wants
}

// kits appends the kits that the pass is about: those that were chosen, or that
// have a part among the stocks. A part that comes along for the sake of another
// kit brings none of its own.
func (p *pass) kits(ctx context.Context, stocks []channel.Stock, wants []want, out *outcome, from int) []want {
	chosen := p.chosen
	if chosen == nil {
		chosen = withPart(idsOfStocks(stocks))
	}
	kits, _, err := p.t.kitList(ctx, p.s)
	if errors.Is(err, errStuck) || isContext(ctx, err) { // the channel's trouble
		return p.speechless(ctx, stocks, err, out, from)
	}
	if err != nil { // any of the products may be in a kit
		for i := range stocks {
			out.add(unsaid(&stocks[i], err))
		}
		return wants
	}
	p.contested(kits, wants)
	kits = slices.DeleteFunc(kits, func(k Listing) bool { return !chosen(k) })
	if len(kits) == 0 {
		return wants
	}
	byID := make(map[string]*channel.Stock, len(stocks))
	for i := range stocks {
		byID[stocks[i].ProductID] = &stocks[i]
	}
	for _, k := range kits {
		if _, asked := p.expect[k.SKU]; p.expect != nil && !asked {
			continue
		}
		made := &bundle{parts: k.Parts}
		w := want{sku: k.SKU, bundle: made, quantity: -1, stock: byID[k.Parts[0].ProductID]}
		var err error // the first; a pin to 0 counts whatever else is unknown
		for _, part := range k.Parts {
			s := byID[part.ProductID]
			if s == nil {
				err = cmp.Or(err, fmt.Errorf("%w: part %s of the kit was not read", channel.ErrIncomplete, part.ProductID))
				made.of = append(made.of, &channel.Stock{ProductID: part.ProductID})
				continue
			}
			made.of = append(made.of, s)
			if w.asOf.IsZero() || s.AsOf.Before(w.asOf) {
				w.asOf = s.AsOf
			}
			n, unknown := p.t.quantityOf(ctx, p.s, *s)
			if unknown = cmp.Or(s.Err, unknown); unknown != nil {
				err = cmp.Or(err, fmt.Errorf("part %s of the kit: %w", part.ProductID, unknown))
				continue
			}
			if n /= part.Units; w.quantity < 0 || n < w.quantity {
				w.quantity, w.stock = n, s
			}
		}
		if err != nil {
			if w.stock == nil {
				w.stock = &channel.Stock{ProductID: k.Parts[0].ProductID}
			}
			out.add(result{want: w, state: failed, err: unknownQuantity{err}})
			continue
		}
		wants = append(wants, w)
	}
	return wants
}

// contested remembers SKUs that both a product and a kit have.
func (p *pass) contested(kits []Listing, wants []want) {
	listed := setOf(skusOf(wants))
	for _, k := range kits {
		if listed[k.SKU] {
			p.s.doubled.add(p.t.name, k.SKU)
		}
	}
}

// fixedWants makes wants of lines that say what is wanted. They are as of now,
// since nobody has wanted that before.
func (p *pass) fixedWants(stocks []channel.Stock) []want {
	byID := make(map[string]*channel.Stock, len(stocks))
	for i := range stocks {
		byID[stocks[i].ProductID] = &stocks[i]
	}
	var wants []want
	for sku, l := range p.fixed {
		if s := byID[l.ProductID]; s != nil {
			wants = append(wants, want{sku: sku, stock: s, quantity: l.Wanted, asOf: time.Now()})
		}
	}
	return wants
}
