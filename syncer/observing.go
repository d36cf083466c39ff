package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// A target that observes takes products through all stages of a pass but the
// last: see [Target].Observe. What would have been written leaves the pass
// before its gate, as a result of its own, so that no guard counts it and no
// memory believes it. A write that gets past that is refused where the channel
// is called (writing.push).

// ErrObserving: the channel is only observed, and nothing is written to it; see
// [Target].Observe.
var ErrObserving = errors.New("the channel is only observed, and nothing is written to it")

// quiet reports whether nothing at all is written to the channel.
func (t *target) quiet() bool { return t.Observe && t.Pilot == nil }

// observes reports whether a change is only observed: the products that it
// rests on must all be piloted. stocks are those of the pass. The error is the
// Pilot's, which does not say.
func (p *pass) observes(ctx context.Context, c *change) (bool, error) {
	t := p.t
	switch {
	case !t.Observe:
		return false, nil
	case t.Pilot == nil, c.stock.ProductID == "": // of what is retired nobody can ask
		return true, nil
	case p.fixed != nil && t.isKit(ctx, p.s, c.sku): // its parts are not known here
		return true, nil
	}
	for _, id := range c.products() {
		i := slices.IndexFunc(p.stocks, func(s channel.Stock) bool { return s.ProductID == id })
		if i < 0 { // it was not read
			return true, nil
		}
		stock := p.stocks[i]
		piloted, err := consult(ctx, p.s, t, question{"a target's Pilot", id, stock.SKU}, func() (bool, error) { return t.Pilot(stock), nil })
		if err != nil || !piloted {
			return true, err
		}
	}
	return false, nil
}

// sayObserved says that a channel is only observed: nobody shall wonder why.
func (t *target) sayObserved(ctx context.Context, s *Syncer) {
	if t.Observe {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "the channel is only observed: nothing is written to it, but for what its Pilot chooses",
			slog.String("channel", t.name), slog.Bool("pilot", t.Pilot != nil))
	}
}

// isKit reports whether one of the target's kits has the SKU.
func (t *target) isKit(ctx context.Context, s *Syncer, sku string) bool {
	return slices.ContainsFunc(t.kits(ctx, s), func(k Listing) bool { return k.SKU == sku })
}

// observe takes out of changes those that are only observed.
func (p *pass) observe(ctx context.Context, changes []change, out *outcome) []change {
	if !p.t.Observe {
		return changes
	}
	return slices.DeleteFunc(changes, func(c change) bool {
		observing, err := p.observes(ctx, &c)
		switch r := (result{want: c.want, seen: c.seen, state: observed}); {
		case !observing:
			return false
		case err != nil:
			r.state, r.err, r.unsent = failed, err, true
			out.add(r)
		case p.purpose == applying:
			r.state, r.err = failed, ErrObserving
			out.add(r)
		default:
			r.danger = p.watchGuard(&c)
			out.add(r)
		}
		return true
	})
}

// watchGuard says what the guard would make of a change that is not written. In
// real time it is harmless as long as the window has room for it, in a run over
// the catalogue all of a kind are counted at the end.
func (p *pass) watchGuard(c *change) danger {
	d := p.danger(c)
	if d == harmless || p.purpose != realtime {
		return d
	}
	p.t.keeper.mu.Lock()
	onSale, known := p.t.keeper.onSale, !p.t.keeper.read.IsZero()
	p.t.keeper.mu.Unlock()
	if !known || onSale < 0 {
		onSale = assumedOnSale
	}
	if d == loss && c.quantity > 0 || p.t.observed.count(d, c.key(), time.Now(), p.t.Guard.Window, p.t.Guard.limit(d, onSale)) {
		return harmless
	}
	return d
}

// wouldHold counts, at the end of a run over the catalogue, what the guard would
// have held of what was observed. It reports whether there was any.
func (n *night) wouldHold() (any bool) {
	for d := loss; d <= gain; d++ {
		w := &n.watched[d]
		if limit := n.t.Guard.limit(d, n.account.report.OnSale); len(w.products) > 0 && limit >= 0 && len(w.products) > limit {
			n.account.report.WouldHold += w.lines
			any = true
		}
	}
	return any
}

// watched are the changes of one kind that were only observed.
type watched struct {
	products map[string]bool
	lines    int
}

// watch notes what a pass has observed.
func (n *night) watch(o *outcome) {
	for i := range o.results {
		r := &o.results[i]
		if r.state != observed || r.danger == harmless {
			continue
		}
		w := &n.watched[r.danger]
		if w.products == nil {
			w.products = make(map[string]bool)
		}
		w.products[r.key()] = true
		w.lines++
		r.danger = harmless // counted at the end
	}
}

// observation adds what was observed to the report, and tells of it.
func (a *account) observation(ctx context.Context, res *result) {
	a.report.Observed++
	if res.danger != harmless {
		a.report.WouldHold++
	}
	a.drift(res)
	c := changeOf(res, ChangeObserved)
	if len(a.report.Observations) < maxListed {
		a.report.Observations = append(a.report.Observations, c)
	}
	a.s.hooks.observed(ctx, a.s, a.t.name, c)
}

// writeObserved writes how what the channel showed compares with what it would
// have shown.
func (c *ChannelReport) writeObserved(w io.Writer) {
	if c.Observed == 0 {
		return
	}
	over, under := 0, 0
	for i := range c.Observations {
		switch o := &c.Observations[i]; {
		case o.Shown != nil && *o.Shown > o.Wanted:
			over++
		case o.Shown != nil && *o.Shown < o.Wanted:
			under++
		}
	}
	fmt.Fprintf(w, "%s: only observed: would have written %d; it showed too much for %d and too little for %d", c.Channel, c.Observed, over, under)
	if c.Observed > len(c.Observations) {
		fmt.Fprintf(w, " of the first %d", len(c.Observations))
	}
	fmt.Fprintln(w)
	if c.WouldHold > 0 {
		fmt.Fprintf(w, "%s: the guard would have held %d of these until somebody approves\n", c.Channel, c.WouldHold)
	}
	const most = 5
	for i := range c.Observations {
		if i == most {
			fmt.Fprintf(w, "%s: … and %d more\n", c.Channel, c.Observed-most)
			break
		}
		o := &c.Observations[i]
		shown := "no quantity"
		if o.Shown != nil {
			shown = fmt.Sprint(*o.Shown)
		}
		fmt.Fprintf(w, "%s: %q%s showed %s, and would show %d\n", c.Channel, text.Clean(o.SKU), aka(o.SKU, o.ProductSKU, o.Name), shown, o.Wanted)
	}
}
