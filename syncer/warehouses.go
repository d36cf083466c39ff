package syncer

import (
	"context"
	"slices"

	"github.com/ecosire/stocksync/channel"
)

// A need is what of a product the policies of all targets need to know.
type need struct {
	warehouses []string // each of these
	total      bool     // all of them together
}

func (n *need) add(p Policy) {
	for _, w := range p.warehouses {
		if !slices.Contains(n.warehouses, w) {
			n.warehouses = append(n.warehouses, w)
		}
	}
	n.total = n.total || p.total
}

// in returns a context that asks the source for it, and for what a host's
// context asks for already.
func (n *need) in(ctx context.Context) context.Context {
	if len(n.warehouses) == 0 {
		return ctx
	}
	ids, total := channel.Warehouses(ctx)
	total = n.total || total && len(ids) > 0
	return channel.WithWarehouses(ctx, total, slices.Concat(ids, n.warehouses)...)
}

// requests is how many requests a page of it costs at ECOSIRE.
func (n *need) requests() int {
	if len(n.warehouses) > 0 && (n.total || len(n.warehouses) > 1) {
		return len(n.warehouses) + 1
	}
	return 1
}
