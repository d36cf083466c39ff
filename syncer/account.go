package syncer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/ecosire/stocksync/channel"
)

// An account adds up what came of a run's passes on one channel. It belongs to
// one goroutine at a time.
type account struct {
	s         *Syncer
	t         *target
	report    ChannelReport
	held      []Line
	replanned []Line
	unknowns  int // among the problems
	compared  int
	paused    []string // products that wait for the channel to be resumed
	blamed    int      // culprits looked for
	moved     []string // see outcome
}

func (s *Syncer) newAccounts() []*account {
	accounts := make([]*account, len(s.targets))
	for i, t := range s.targets {
		accounts[i] = &account{s: s, t: t, report: ChannelReport{Channel: t.name}}
	}
	return accounts
}

// add adds what came of a pass.
func (a *account) add(ctx context.Context, o *outcome) {
	r := &a.report
	if ids := o.takePaused(); len(ids) > 0 {
		a.paused, r.Paused = append(a.paused, ids...), true
	}
	if o.err != nil {
		r.Err = o.err
	}
	a.compared += o.compared.count()
	a.moved = append(a.moved, o.moved...)
	r.Sold += o.sold
	a.s.reconsider(ctx, o.soldIDs)
	r.OnSale += o.compared.onSale()
	a.blame(ctx, o)
	r.SellsAtZero += len(o.zeros)
	r.AtZero = appendSome(r.AtZero, o.atZero())
	for i := range o.results {
		a.result(ctx, &o.results[i])
	}
	a.noted(ctx, o)
	a.t.forgetHeld(ctx, a.s, o.results)
	a.t.troubles.cleared(ctx, a.s, a.t, o.results)
}

// addAgain adds what came of listings that were counted before.
func (a *account) addAgain(ctx context.Context, o *outcome) {
	r := &a.report
	checked := r.Checked
	a.add(ctx, o)
	r.Unchanged -= min(r.Unchanged, r.Checked-checked)
	r.Checked = checked
}

func (a *account) result(ctx context.Context, res *result) {
	r := &a.report
	r.Checked++
	if res.pin != nil {
		r.Pinned++
	}
	switch res.state {
	case agreed:
		r.Unchanged++
	case updated:
		r.Updated++
		a.change(ctx, res, ChangeWritten)
	case observed:
		a.observation(ctx, res)
	case pending:
		r.Pending++
		if res.err != nil { // else an earlier run wrote it
			a.change(ctx, res, ChangePending)
		}
	case unclear:
		r.Unclear++
		a.change(ctx, res, ChangeUnclear)
		a.problem(res)
	case held:
		r.Held++
		a.drift(res)
		line := lineOf(a.t, &change{res.want, res.seen})
		line.Reason = ReasonHeld
		if len(a.held) < maxListed {
			a.held = append(a.held, line)
		}
	case replanned:
		r.Replanned++
		if len(a.replanned) < maxListed {
			line, _ := (&pass{s: a.s, t: a.t}).line(&change{res.want, res.seen})
			a.replanned = append(a.replanned, line)
		}
	case superseded:
		r.Superseded++
	case failed:
		if unknown(res.err) {
			r.Unknown++
		} else {
			r.Failed++
		}
		a.problem(res)
	}
}

func (a *account) change(ctx context.Context, res *result, state ChangeState) {
	a.drift(res)
	c := changeOf(res, state)
	if len(a.report.Changes) < maxListed {
		a.report.Changes = append(a.report.Changes, c)
	}
	if state != ChangeUnclear {
		a.s.hooks.changed(ctx, a.s, a.t.name, c)
	}
}

func changeOf(res *result, state ChangeState) Change {
	return Change{
		OffSale:   res.seen != nil && res.seen.OffSale,
		ProductID: res.stock.ProductID, SKU: res.sku, ProductSKU: res.productSKU(), Name: res.stock.Name,
		Shown: shownBefore(res.seen), Wanted: res.quantity, AsOf: res.asOf, State: state, Culprit: res.culprit, Pinned: res.pin != nil,
	}
}

func (a *account) drift(res *result) {
	if was := shownBefore(res.seen); was != nil && *was > res.quantity {
		a.report.Over++
	} else if was != nil && *was < res.quantity {
		a.report.Under++
	}
}

func (a *account) problem(res *result) {
	if unknown(res.err) {
		if a.unknowns >= maxListed/2 { // they must not hide what failed
			return
		}
		a.unknowns++
	}
	if len(a.report.Problems) < maxListed {
		a.report.Problems = append(a.report.Problems, Problem{
			Channel: a.t.name, ProductID: res.stock.ProductID, SKU: res.sku, ProductSKU: res.productSKU(), Name: res.stock.Name, Err: res.err,
		})
	}
}

// unread records products that could not be read for this channel.
func (a *account) unread(ids map[string]error) {
	for id, err := range ids {
		a.result(context.Background(), &result{want: want{stock: &channel.Stock{ProductID: id}}, state: failed, err: err})
	}
}

// appendSome appends as much as a list of a report takes.
func appendSome(list, more []string) []string {
	return append(list, more[:min(len(more), max(0, maxListed-len(list)))]...)
}

// shownBefore is the quantity that a channel showed, or nil.
func shownBefore(l *channel.Level) *int {
	if l == nil || l.Unset {
		return nil
	}
	return new(l.Quantity) // a copy: the level is one of many in an array
}

// firstFailure is the first error that is not just an unknown SKU.
func firstFailure(problems []Problem) error {
	for _, p := range problems {
		if !unknown(p.Err) {
			return p.Err
		}
	}
	return nil
}

// log logs what came of a run on the channel.
func (a *account) log(ctx context.Context, r *Report) {
	c := &a.report
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("run", r.Run), slog.String("channel", c.Channel),
		slog.Int("checked", c.Checked), slog.Int("updated", c.Updated), slog.Int("unchanged", c.Unchanged),
		slog.Int("unknown", c.Unknown), slog.Int("failed", c.Failed), slog.Duration("took", r.Duration),
	}
	for _, more := range []struct {
		key string
		n   int
	}{{"observed", c.Observed}, {"wouldHold", c.WouldHold}, {"pending", c.Pending}, {"unclear", c.Unclear}, {"held", c.Held}, {"replanned", c.Replanned}, {"superseded", c.Superseded}} {
		if more.n > 0 {
			attrs = append(attrs, slog.Int(more.key, more.n))
		}
	}
	if c.Paused {
		attrs = append(attrs, slog.Bool("paused", true))
	}
	if err := cmp.Or(c.Err, firstFailure(c.Problems)); err != nil && !errors.Is(err, context.Canceled) {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("err", err))
	}
	a.s.logger.LogAttrs(ctx, level, "channel synced", attrs...)
}
