package syncer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
)

// A want is what a channel should show of one product.
type want struct {
	channel.Stock
	quantity int
}

// wants applies a target's filter and policy to what was read. Products that
// cannot be published are problems: those without an SKU, and those that share
// one, since no channel can show two figures.
func (t *target) wants(stocks []channel.Stock) (wants []want, problems []Problem) {
	count := make(map[string]int, len(stocks))
	for _, s := range stocks {
		count[s.SKU]++
	}
	wants = make([]want, 0, len(stocks))
	for _, s := range stocks {
		var err error
		switch {
		case t.Filter != nil && !t.Filter(s):
			continue
		case strings.TrimSpace(s.SKU) == "":
			err = fmt.Errorf("%w: the product has no SKU", channel.ErrInvalid)
		case count[s.SKU] > 1:
			err = fmt.Errorf("%w: %d products have the SKU %q in the source", channel.ErrAmbiguousSKU, count[s.SKU], s.SKU)
		default:
			wants = append(wants, want{s, t.Policy(s)})
			continue
		}
		problems = append(problems, t.problem(want{Stock: s, quantity: t.Policy(s)}, err))
	}
	return wants, problems
}

// A diff is what comes of comparing wants with levels.
type diff struct {
	changes  []change  // to be written
	problems []Problem // cannot be written
	agreed   []want
	shown    int // the units shown of all that could be compared
}

// A change is an update with the product that it is for.
type change struct {
	want
	seen *channel.Level
}

// compare compares what a channel should show with what it shows. Every want
// ends up in exactly one place.
func (t *target) compare(wants []want, levels []channel.Level) diff {
	// Most SKUs have one level: that is kept where it is.
	first := make(map[string]int, len(levels))
	var several map[string][]channel.Level
	for i, l := range levels {
		n, twice := first[l.SKU]
		switch {
		case !twice:
			first[l.SKU] = i
		case several == nil:
			several = make(map[string][]channel.Level)
			fallthrough
		default:
			if several[l.SKU] == nil {
				several[l.SKU] = levels[n : n+1 : n+1]
			}
			several[l.SKU] = append(several[l.SKU], l)
		}
	}
	d := diff{agreed: make([]want, 0, len(wants))}
	for _, w := range wants {
		var err error
		var ls []channel.Level
		if i, ok := first[w.SKU]; ok {
			if ls = several[w.SKU]; ls == nil {
				ls = levels[i : i+1]
			}
		}
		if len(ls) == 1 && ls[0].Err == nil {
			d.shown += max(0, ls[0].Quantity)
		}
		switch {
		case len(ls) == 0:
			err = channel.UnknownSKU(w.SKU)
		case len(ls) > 1:
			err = ambiguous(w.SKU, ls)
		case ls[0].Err != nil:
			err = ls[0].Err
		case ls[0].Unset || ls[0].Quantity != w.quantity:
			d.changes = append(d.changes, change{w, &ls[0]})
			continue
		default:
			d.agreed = append(d.agreed, w)
			continue
		}
		d.problems = append(d.problems, t.problem(w, err))
	}
	return d
}

func ambiguous(sku string, levels []channel.Level) error {
	refs := make([]string, 0, len(levels))
	for _, l := range levels {
		refs = append(refs, cmp.Or(l.Ref, "?"))
	}
	slices.Sort(refs)
	return fmt.Errorf("%w %q: it stands for %s", channel.ErrAmbiguousSKU, sku, strings.Join(refs, " and "))
}

// inOrder sorts changes so that what could be sold twice goes first: zeros,
// then decreases and what is not known to be an increase, then increases.
func inOrder(changes []change) {
	rank := func(c change) int {
		switch {
		case c.quantity <= 0:
			return 0
		case c.seen == nil || c.seen.Unset || c.quantity < c.seen.Quantity:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(rank(a), rank(b)) })
}

func (t *target) problem(w want, err error) Problem {
	return Problem{Channel: t.name, ProductID: w.ProductID, SKU: w.SKU, Err: err, wanted: w.quantity}
}

// unknown reports whether a problem is just that the channel does not have the
// product.
func unknown(err error) bool { return errors.Is(err, channel.ErrUnknownSKU) }
