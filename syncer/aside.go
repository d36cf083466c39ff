package syncer

import (
	"context"
	"iter"
	"maps"
	"slices"
)

// aside are the changes of one kind that wait for the end of a run. Products
// are counted, lines are kept.
type aside struct {
	products map[string]bool
	skus     map[string]bool
	changes  []change
}

// divide lets pass what is harmless or explained, and adds the rest to put.
func (n *night) divide(put *[]change) gate {
	p := &pass{s: n.s, t: n.t}
	return func(changes []change) (open, shut []change) {
		for _, c := range changes {
			if p.danger(&c) == harmless {
				open = append(open, c)
				continue
			}
			stock, seen := *c.stock, *c.seen // the group that they are in shall not stay
			c.stock, c.seen = &stock, &seen
			*put = append(*put, c)
		}
		return open, nil
	}
}

// putAside puts changes aside.
func (n *night) putAside(changes []change) {
	for _, c := range changes {
		delete(n.unsure, c.sku)
		delete(n.left, c.sku)
		a := &n.aside[n.t.Guard.danger(&c)]
		if a.products == nil {
			a.products, a.skus = make(map[string]bool), make(map[string]bool)
		}
		a.products[c.key()], a.skus[c.sku] = true, true
		n.put = append(n.put, c.products()...)
		if len(a.changes) < maxListed {
			a.changes = append(a.changes, c)
		}
	}
}

// forget takes back what was put aside of products that are compared again. When
// the kits' turn has come nothing is: a kit that was put aside is not among those
// that are left. Before, each listing is of one product.
func (n *night) forget(ids iter.Seq[string]) {
	if n.kitting == kitsAlone {
		return
	}
	again := make(map[string]bool) // those of which anything was put aside
	for id := range ids {
		if n.aside[loss].products[id] || n.aside[gain].products[id] {
			again[id] = true
		}
	}
	for d := loss; d <= gain; d++ {
		a := &n.aside[d]
		a.changes = slices.DeleteFunc(a.changes, func(c change) bool {
			if again[c.key()] {
				delete(a.skus, c.sku)
			}
			return again[c.key()]
		})
		maps.DeleteFunc(a.products, func(id string, _ bool) bool { return again[id] })
	}
}

// recount takes what is compared again out of what was compared.
func (o *outcome) recount(again []string) {
	for _, id := range again {
		o.compared.remove(id)
	}
	o.zeros = slices.DeleteFunc(o.zeros, func(z zeroListing) bool { return slices.Contains(again, z.productID) })
}

// decide writes what was put aside of one danger, or holds it. It reports
// whether there was more of it than the guard lets pass.
func (n *night) decide(ctx context.Context, d danger) (over bool) {
	count := len(n.aside[d].products)
	if count == 0 {
		return false
	}
	limit := n.t.Guard.limit(d, n.account.report.OnSale)
	switch {
	case !n.whole:
		n.hold(ctx, d, nil)
	case count > limit && !n.s.covered(ctx, n.t, count):
		n.hold(ctx, d, tripOf(ctx, d, count, limit, n.account.report.OnSale))
		return true
	default:
		n.writeAside(ctx, d)
		n.written[d] = true
	}
	return false
}
