package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// Apply writes the lines of a plan. It forces nothing: each line's product is
// read again at the source and on the channel, and the line is written only if
// the channel still shows what the plan saw and the source still wants what the
// plan wants. What has changed is in the report's Replanned. What the target's
// Filter leaves out by now is left alone. Of two lines for one SKU the last
// counts.
//
// The guards hold losses and gains that are past their limits, all or none of
// them, unless the plan is approved. What a channel turns out to have sold is taken
// off the others, whether or not they are in the plan; an undo leaves that to the
// next run, since it is made where what the source has is not to be shown. For the error see [Report.Err].
//
// On a [SharedQueue] whoever leads applies the plan; see [Syncer.SyncProducts].
func (s *Syncer) Apply(ctx context.Context, plan *Plan) (*Report, error) {
	if plan == nil {
		return nil, errors.New("syncer: Apply: the plan is nil")
	}
	if s.asks(ctx) {
		return s.ask(ctx, request{Kind: "apply", Plan: plan})
	}
	if err := s.notMidway(ctx); err != nil {
		return nil, fmt.Errorf("syncer: Apply: %w", err)
	}
	jobs := make([]*job, len(s.targets))
	for i, t := range s.targets {
		jobs[i] = &job{s: s, t: t, undo: plan.Undo, lines: make(map[string][]Line), bySKU: make(map[string]Line)}
	}
	var ids []string
	for _, l := range plan.Lines {
		if !l.Reason.Writable() {
			continue
		}
		i := slices.IndexFunc(s.targets, func(t *target) bool { return t.name == l.Channel })
		if i < 0 {
			return nil, fmt.Errorf("syncer: Apply: the plan is for a channel %q, which this Syncer does not have", l.Channel)
		}
		if s.targets[i].quiet() {
			return nil, fmt.Errorf("syncer: Apply: %s: %w", l.Channel, ErrObserving)
		}
		if !sound(l.Wanted) || l.Shown != nil && !sound(*l.Shown) {
			return nil, fmt.Errorf("syncer: Apply: %s: %w: the plan's line of %q has no quantity", l.Channel, channel.ErrInvalid, text.Clean(l.SKU))
		}
		if plan.Undo || l.ProductID == "" { // the source is not asked what it wants
			l.Wanted = max(0, l.Wanted)
		}
		jobs[i].bySKU[l.SKU] = l
		if l.ProductID != "" {
			ids = append(ids, l.ProductID)
		}
	}
	e := s.begin(ctx, WorkApply)
	failed := s.takeOver(e.ctx)
	for _, j := range jobs {
		for _, l := range j.bySKU {
			j.lines[l.ProductID] = append(j.lines[l.ProductID], l)
		}
		if !plan.Approved && failed == nil {
			failed = j.guard(e.ctx, plan)
		}
	}
	if failed != nil {
		return e.end(failed)
	}
	f := s.fanOut(e.ctx, groupsOf(len(ids), groupSize), func(ctx context.Context, i int, g *group) {
		e.accounts[i].addAll(ctx, jobs[i].apply(ctx, g))
	})
	failed = e.named(e.ctx, f, ids)
	f.wait()
	var wg sync.WaitGroup
	for i, a := range e.accounts {
		for _, c := range plan.Channels {
			if c.Channel == a.t.name { // the limits stay those of the plan
				a.compared, a.report.OnSale = c.Checked, c.OnSale
			}
		}
		wg.Go(func() {
			a.addAll(e.ctx, jobs[i].applyRetired(e.ctx))
			jobs[i].rest(e.ctx, a, e.report.Problems)
		})
	}
	wg.Wait()
	if !plan.Undo {
		failed = errors.Join(failed, e.followUp(e.ctx))
	}
	return e.end(cmp.Or(failed, s.markPaused(e.ctx, e.accounts)))
}

// A job is what a plan has for one channel.
type job struct {
	s     *Syncer
	t     *target
	undo  bool
	bySKU map[string]Line
	lines map[string][]Line // by product
	held  map[string]bool   // SKUs
	done  map[string]bool   // SKUs that a pass has seen
}

// guard decides what of the plan is held. A line that the plan has as held was
// held when it was made, and is until somebody approves.
func (j *job) guard(ctx context.Context, plan *Plan) error {
	if j.t.reader == nil {
		return nil // nobody knows what it loses
	}
	trip, _, err := j.t.tripped(ctx, j.s)
	if err != nil {
		return err
	}
	onSale := 0
	for _, c := range plan.Channels {
		if c.Channel == j.t.name {
			onSale = c.OnSale
		}
	}
	j.held = make(map[string]bool)
	products := make(map[danger]map[string]bool)
	dangers := make(map[string]danger)
	for _, l := range j.bySKU {
		if l.Reason == ReasonHeld {
			j.held[l.SKU] = true
			continue
		}
		if j.undo { // the run wrote it off sale, too; what it has put on sale counts
			l.OffSale = false
		}
		if d := j.t.Guard.dangerOf(l); d != harmless {
			if products[d] == nil {
				products[d] = make(map[string]bool)
			}
			products[d][l.key()] = true
			dangers[l.SKU] = d
		}
	}
	for sku, d := range dangers {
		if limit := j.t.Guard.limit(d, onSale); limit >= 0 && (trip != nil || len(products[d]) > limit) {
			j.held[sku] = true
		}
	}
	return nil
}

// dangerOf says what a line of a plan is.
func (g Guard) dangerOf(l Line) danger {
	if l.Explained || l.Reason == ReasonPutBack {
		return harmless
	}
	c := change{want: want{quantity: l.Wanted}, seen: l.level()}
	if l.Pinned {
		c.pin = new(Pin)
	}
	return g.danger(&c)
}

// level is what the channel showed when the line was made.
func (l Line) level() *channel.Level {
	level := &channel.Level{SKU: l.SKU, Unset: l.Shown == nil, OffSale: l.OffSale}
	if l.Shown != nil {
		level.Quantity = *l.Shown
	}
	return level
}

// apply writes those lines that are about the products of a group.
func (j *job) apply(ctx context.Context, g *group) []*outcome {
	if j.done == nil {
		j.done = make(map[string]bool)
	}
	out := new(outcome)
	expect, putBack := make(map[string]Line), make(map[string]Line)
	var stocks []channel.Stock
	kits := make(map[string]bool) // which no Filter leaves out
	for _, k := range j.t.kits(ctx, j.s) {
		kits[k.SKU] = true
	}
	for i := range g.stocks {
		stock := &g.stocks[i]
		ours, leftOut := false, j.leftOut(ctx, stock)
		for _, l := range j.lines[stock.ProductID] {
			if leftOut && !kits[l.SKU] {
				j.done[l.SKU] = true
				continue
			}
			switch {
			case j.held[l.SKU]:
				j.done[l.SKU] = true
				out.add(result{want: want{sku: l.SKU, stock: stock, quantity: l.Wanted}, seen: l.level(), state: held})
			case l.Reason == ReasonPutBack:
				putBack[l.SKU] = l
			default:
				expect[l.SKU] = l
				ours = true
			}
		}
		if ours {
			stocks = append(stocks, *stock)
		}
	}
	if len(stocks) > 0 && j.t.Kits != nil {
		stocks = g.stocks // a kit needs all its parts
	}
	outs := []*outcome{out}
	p := &pass{s: j.s, t: j.t, purpose: applying, expect: expect, chosen: g.chosen}
	if j.undo || len(g.stocks) == 1 && g.stocks[0].ProductID == "" {
		p.fixed = expect
	} else {
		p.reread = j.s.readNow(j.t)
	}
	if len(stocks) > 0 {
		outs = append(outs, p.take(ctx, stocks))
	}
	if len(putBack) > 0 {
		outs = append(outs, j.putBack(ctx, g, putBack))
	}
	for _, o := range outs[1:] {
		for i := range o.results {
			j.done[o.results[i].sku] = true
		}
	}
	return outs
}

// leftOut reports whether the target's Filter leaves a product out by now.
func (j *job) leftOut(ctx context.Context, stock *channel.Stock) bool {
	if j.t.Filter == nil || j.undo || stock.ProductID == "" {
		return false
	}
	keep, err := consult(ctx, j.s, j.t, question{"a target's Filter", stock.ProductID, stock.SKU}, func() (bool, error) { return j.t.Filter(*stock), nil })
	return err == nil && !keep // an error is the pass's to report
}

// putBack makes the channel show no quantity for SKUs again, if it can.
func (j *job) putBack(ctx context.Context, g *group, lines map[string]Line) *outcome {
	p := &pass{s: j.s, t: j.t, purpose: applying, expect: lines, fixed: lines}
	var ok bool
	if p.unsetter, ok = channel.As[channel.Unsetter](j.t.Channel); ok {
		var stocks []channel.Stock
		for i := range g.stocks {
			if slices.ContainsFunc(j.lines[g.stocks[i].ProductID], func(l Line) bool { return l.Reason == ReasonPutBack }) {
				stocks = append(stocks, g.stocks[i])
			}
		}
		return p.take(ctx, stocks)
	}
	o := new(outcome)
	for _, l := range lines {
		stock := &channel.Stock{ProductID: l.ProductID, Name: l.Name}
		o.add(result{want: want{sku: l.SKU, stock: stock}, state: failed,
			err: fmt.Errorf("%w: the channel cannot go back to showing no quantity for %q", channel.ErrInvalid, l.SKU)})
	}
	return o
}

// rest reports the lines that no pass has seen: the product shows under
// another SKU by now, or is left out. Those that could not be read are among the
// run's problems.
func (j *job) rest(ctx context.Context, a *account, problems []Problem) {
	o := new(outcome)
	unread := make(map[string]bool)
	for _, p := range problems {
		unread[p.ProductID] = true
	}
	for _, l := range j.bySKU {
		if !j.done[l.SKU] && (l.ProductID == "" || !unread[l.ProductID]) {
			o.add(result{want: want{sku: l.SKU, stock: &channel.Stock{ProductID: l.ProductID, Name: l.Name}, quantity: l.Wanted, asOf: time.Now()},
				state: replanned, err: channel.ErrConflict})
		}
	}
	a.add(ctx, o)
}

func (a *account) addAll(ctx context.Context, outs []*outcome) {
	for _, o := range outs {
		a.add(ctx, o)
	}
}

// Undo returns a plan that puts back what the channels showed before the run,
// what is not known to be applied included. Apply guards it like any other plan,
// since undoing can wipe a shop, too, and writes only where a channel still
// shows what the run made it show. What
// showed no quantity is put back to none where the channel can do that
// ([channel.Unsetter]); where it cannot, the report of Apply says so. What showed
// less than 0, as shops do that have sold more than they had, is put back to 0: no
// quantity below 0 is ever written. What somebody has taken off sale since is left
// alone, and is in the report's Replanned. The next reconciliation will want the
// source's quantities again.
//
// If the run made more changes than the report lists, the plan is for those
// that are listed, and the error says how many are not. The plan is never nil.
func (r *Report) Undo() (*Plan, error) {
	p := &Plan{Run: r.Run, Made: time.Now(), Undo: true}
	var err error
	for _, c := range r.Channels {
		if made := c.Updated + c.pendingNow() + c.Unclear; made > len(c.Changes) {
			err = errors.Join(err, fmt.Errorf("syncer: Undo: %s: only %d of %d changes are listed", c.Channel, len(c.Changes), made))
		}
		p.Channels = append(p.Channels, ChannelPlan{Channel: c.Channel, Checked: c.Checked, OnSale: c.OnSale})
		first := make(map[string]int) // by SKU: its line
		for _, ch := range c.Changes {
			at, twice := first[ch.SKU]
			if twice { // back to what it was before all of them
				ch.Shown = before(p.Lines[at])
			}
			l := Line{Channel: c.Channel, ProductID: ch.ProductID, SKU: ch.SKU, ProductSKU: ch.ProductSKU, Name: ch.Name,
				Shown: &ch.Wanted, OffSale: ch.OffSale, Reason: ReasonPutBack}
			if ch.Shown != nil {
				l.Wanted, l.Reason = max(0, *ch.Shown), ReasonUnder
				if l.delta() < 0 {
					l.Reason = ReasonOver
				}
			}
			if twice {
				p.Lines[at] = l
				continue
			}
			first[ch.SKU] = len(p.Lines)
			p.Lines = append(p.Lines, l)
		}
	}
	p.Lines = slices.DeleteFunc(p.Lines, func(l Line) bool { return l.Reason != ReasonPutBack && l.delta() == 0 })
	return p, err
}

// pendingNow is how many of the pending listings the run itself wrote. Beyond
// what is listed it may be fewer.
func (r *ChannelReport) pendingNow() (n int) {
	if len(r.Changes) >= maxListed {
		return r.Pending
	}
	for i := range r.Changes {
		if r.Changes[i].State == ChangePending {
			n++
		}
	}
	return n
}

// before is what an undo's line puts back; nil is no quantity.
func before(l Line) *int {
	if l.Reason == ReasonPutBack {
		return nil
	}
	return &l.Wanted
}
