package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// What is retired has no product, and so no id of one. Its lines have a ProductID
// of "", and are wanted as they are: nobody can ask the source for an SKU.

// key tells products apart for a guard. What is retired counts by its SKU.
func (w *want) key() string {
	if w.stock.ProductID != "" { // and no text is made for most
		return w.stock.ProductID
	}
	return "\x00" + w.sku
}

// keys are those of all products that a want rests on.
func (w *want) keys() []string {
	if w.stock.ProductID == "" {
		return []string{w.key()}
	}
	return productsOf([]want{*w})
}

func (l Line) key() string { return cmp.Or(l.ProductID, "\x00"+l.SKU) }

// leftovers are what is on a channel and in no listing of the source's products.
type leftovers struct {
	count int
	skus  []string // the first ones
}

// errBlind: nothing counts as retired.
var errBlind = errors.New("a product could not be read, and what the channel calls it is not known: nothing is compared with the channel's list")

// leftovers lists the channel. An error of [errors.ErrUnsupported] means that it
// cannot be listed; what was found before any other error is there all the same.
func (t *target) leftovers(ctx context.Context, s *Syncer, known *names, at int) (leftovers, error) {
	return t.leftoversUpTo(ctx, s, known, at, maxListed)
}

// leftoversUpTo is leftovers with a bound on the list.
func (t *target) leftoversUpTo(ctx context.Context, s *Syncer, known *names, at, most int) (leftovers, error) {
	lister, ok := channel.As[channel.Lister](t.Channel)
	switch {
	case !ok:
		return leftovers{}, errors.ErrUnsupported
	case !known.complete(ctx, at):
		return leftovers{}, errBlind
	}
	var mu sync.Mutex // known is not the call's any more when that was left behind
	over := false
	ours := func(sku string) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return false, errStuck
		}
		return known.has(at, sku)
	}
	found, err := called(ctx, s, t, "SKUs", func(ctx context.Context) (found leftovers, err error) {
		listed := make(map[string]bool)
		for sku, err := range lister.SKUs(ctx) {
			if err != nil {
				return found, err
			}
			if sku == "" || listed[sku] {
				continue
			}
			if has, err := ours(sku); err != nil {
				return found, err
			} else if has {
				continue
			}
			found.count++
			if len(found.skus) < most {
				found.skus = append(found.skus, sku)
				listed[sku] = true // several items may have it
			}
		}
		return found, nil
	})
	mu.Lock()
	over = true
	mu.Unlock()
	return found, err
}

// retired looks which of the leftovers the channel sells. SKUs that a product of
// the source has by now are not retired.
func (t *target) retired(ctx context.Context, s *Syncer, skus []string) (sold []change, rest *outcome) {
	rest = new(outcome)
	lines := make(map[string]Line)
	for some := range slices.Chunk(skus, groupSize) {
		clear(lines)
		for _, sku := range t.unclaimed(ctx, s, some) {
			lines[sku] = Line{SKU: sku}
		}
		p := &pass{s: s, t: t, purpose: surveying, fixed: lines}
		changes, out := p.survey(ctx, nobodys())
		if out.err != nil {
			rest.err = out.err
			return sold, rest
		}
		for _, c := range changes {
			if onSale(c.seen) {
				sold = append(sold, c)
			}
		}
		rest.results = append(rest.results, out.results...)
	}
	slices.SortFunc(sold, func(a, b change) int { return cmp.Compare(a.sku, b.sku) })
	return sold, rest
}

// nobodys is the stock that retired SKUs have.
func nobodys() []channel.Stock { return []channel.Stock{{AsOf: time.Now()}} }

// unclaimed leaves out the SKUs of products that the channel was lately made to
// show and that the source has: they may be newer than its catalogue was.
func (t *target) unclaimed(ctx context.Context, s *Syncer, skus []string) []string {
	wants := make([]want, len(skus))
	for i, sku := range skus {
		wants[i] = want{sku: sku, stock: new(channel.Stock)}
	}
	rivals := t.memory.rivals(wants)
	p := &pass{s: s, t: t, purpose: surveying, reread: s.readNow(t)}
	return slices.DeleteFunc(slices.Clone(skus), func(sku string) bool {
		id := rivals[sku]
		return id != "" && p.claims(ctx, id, sku)
	})
}

// retires reports whether the host wants an SKU set to 0.
func (t *target) retires(ctx context.Context, s *Syncer, sku string) bool {
	if t.Retire == nil {
		return false
	}
	yes, err := consult(ctx, s, t, question{"a target's Retire", "", sku}, func() (bool, error) { return t.Retire(sku), nil })
	return yes && err == nil
}

// retire looks for what is retired, when everything was compared, and puts aside
// what the host wants set to 0.
func (n *night) retire(ctx context.Context, known *names, at int, whole bool) {
	if n.t.Retire == nil || n.t.reader == nil || !whole || n.missed.count > 0 || n.lost > 0 || ctx.Err() != nil || n.paused() {
		return
	}
	left, err := n.t.leftovers(ctx, n.s, known, at)
	r := &n.account.report
	if err != nil && !isContext(ctx, err) {
		r.Unlisted = err.Error()
		n.s.logger.LogAttrs(ctx, slog.LevelWarn, "what is retired was not found out as a whole",
			slog.String("channel", n.t.name), slog.Any("err", err))
	}
	r.Extra, r.ExtraSKUs = left.count, left.skus
	sold, rest := n.t.retired(ctx, n.s, left.skus)
	n.t.forgetHeld(ctx, n.s, rest.results) // held lines of what is not sold any more
	if rest.err != nil {
		r.Unlisted = rest.err.Error()
	}
	n.retiring = make(map[string]Line)
	for i := range sold {
		c := &sold[i]
		line := lineOf(n.t, c)
		if n.t.retires(ctx, n.s, c.sku) {
			n.retiring[c.sku] = line
		}
		line.Reason = ReasonRetired
		r.Retired = append(r.Retired, line)
	}
	var put []change
	n.writeRetired(ctx, n.divide(&put))
	n.putAside(put)
}

// writeRetired takes what is to be set to 0 through a gate.
func (n *night) writeRetired(ctx context.Context, g gate) {
	lines := make(map[string]Line, len(n.retiring))
	skus := make([]string, 0, len(n.retiring))
	for sku := range n.retiring {
		skus = append(skus, sku)
	}
	for _, sku := range n.t.unclaimed(ctx, n.s, skus) {
		lines[sku] = n.retiring[sku]
	}
	p := &pass{s: n.s, t: n.t, purpose: finishing, fixed: lines, gate: g}
	n.account.add(ctx, p.take(ctx, nobodys()).uncounted())
}

// applyRetired writes the lines of a plan that are about no product.
func (j *job) applyRetired(ctx context.Context) []*outcome {
	var skus []string
	for _, l := range j.lines[""] {
		if j.undo || j.t.retires(ctx, j.s, l.SKU) {
			skus = append(skus, l.SKU)
		}
	}
	if !j.undo {
		skus = j.t.unclaimed(ctx, j.s, skus)
	}
	j.lines[""] = slices.DeleteFunc(j.lines[""], func(l Line) bool { return !slices.Contains(skus, l.SKU) })
	if len(j.lines[""]) == 0 {
		return nil
	}
	return j.apply(ctx, &group{stocks: nobodys()})
}

// list finds what is on the channel and not in the source. What the host wants
// set to 0 are lines of the plan.
func (sv *survey) list(ctx context.Context, known *names, at int) {
	if sv.err != nil {
		return
	}
	left, err := sv.target.leftovers(ctx, sv.s, known, at)
	sv.Extra, sv.ExtraSKUs = left.count, left.skus
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		sv.Error = "listing: " + err.Error() // what was compared holds
	}
	sold, rest := sv.target.retired(ctx, sv.s, left.skus)
	if rest.err != nil {
		sv.Error = fmt.Sprintf("what is not in the source: %v", rest.err)
	}
	for i := range sold {
		line := lineOf(sv.target, &sold[i])
		if sv.target.retires(ctx, sv.s, line.SKU) {
			sv.lines = append(sv.lines, line)
			sv.danger = append(sv.danger, loss)
		}
		line.Reason = ReasonRetired
		sv.Retired = append(sv.Retired, line)
	}
}
