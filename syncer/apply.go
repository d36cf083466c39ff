package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Apply writes the lines of a plan. It forces nothing: each line's product is
// read again at the source and on the channel, and the line is written only if
// the channel still shows what the plan saw and the source still wants what the
// plan wants. What has changed is in the report's Replanned.
//
// The guards hold what is past their limits, unless the plan is approved. Lines
// that were held when the plan was made are held again until then.
func (s *Syncer) Apply(ctx context.Context, plan *Plan) (*Report, error) {
	if plan == nil {
		return nil, errors.New("syncer: Apply: the plan is nil")
	}
	r := s.newReport("apply")
	ctx = channel.WithRun(ctx, r.Run)
	// By target, then by product: a product is read once for all its channels.
	lines := make([]map[string][]Line, len(s.targets))
	budgets := make([]*budget, len(s.targets))
	var ids []string
	for i, t := range s.targets {
		lines[i] = make(map[string][]Line)
		if !plan.Approved {
			budgets[i] = &budget{Guard: t.Guard.orDefault(), fixed: true}
			for _, c := range plan.Channels {
				if c.Channel == t.name {
					budgets[i].compared, budgets[i].shown = c.Checked, c.Shown
				}
			}
		}
	}
	for _, l := range plan.Lines {
		if !l.Reason.Writable() {
			continue
		}
		i := slices.IndexFunc(s.targets, func(t *target) bool { return t.name == l.Channel })
		if i < 0 {
			return nil, fmt.Errorf("syncer: Apply: the plan is for a channel %q, which this Syncer does not have", l.Channel)
		}
		lines[i][l.ProductID] = append(lines[i][l.ProductID], l)
		ids = append(ids, l.ProductID)
	}
	fan := s.fanOut(ctx, groups(len(ids)), func(ctx context.Context, i int, g group) {
		s.targets[i].apply(ctx, g, lines[i], budgets[i], plan.Undo, &r.Channels[i])
	})
	failed := s.named(ctx, r, fan, ids)
	fan.wait()
	for i := range r.Channels {
		for _, c := range plan.Channels {
			if c.Channel == r.Channels[i].Channel { // the shares stay those of the plan
				r.Channels[i].compared, r.Channels[i].shown = c.Checked, c.Shown
			}
		}
	}
	return s.finish(ctx, r, failed)
}

// apply writes those lines that are about the products of a group.
func (t *target) apply(ctx context.Context, g group, lines map[string][]Line, guard *budget, undo bool, r *ChannelReport) {
	var wants []want
	expect := make(map[string]Line)
	for _, s := range g.stocks {
		for _, l := range lines[s.ProductID] {
			if l.Reason == Held && guard != nil {
				r.Checked++
				r.Held++
				r.held = append(r.held, l)
				continue
			}
			w := want{s, t.Policy(s)}
			if undo {
				// As of now, since nobody has wanted it before.
				w.quantity, w.SKU, w.AsOf = l.Wanted, l.SKU, time.Now()
			}
			wants = append(wants, w)
			expect[w.SKU] = l
		}
	}
	t.make(ctx, wants, guard, expect, r)
}

// Undo returns a plan that puts back what the channels showed before the run.
// Applied, it passes the guards, and writes only where a channel still shows
// what the run made it show. The next reconciliation will want the source's
// figures again.
//
// It is an error if the run made more changes than the report lists.
func (r *Report) Undo() (*Plan, error) {
	p := &Plan{Run: r.Run, Made: time.Now(), Undo: true}
	for _, c := range r.Channels {
		if c.Updated > len(c.Changes) {
			return nil, fmt.Errorf("syncer: Undo: %s: only %d of %d changes are listed", c.Channel, len(c.Changes), c.Updated)
		}
		p.Channels = append(p.Channels, PlanChannel{Channel: c.Channel, Checked: c.Checked})
		for _, ch := range c.Changes {
			if ch.Shown == nil {
				continue // it showed no figure, and that cannot be put back
			}
			l := Line{Channel: c.Channel, ProductID: ch.ProductID, SKU: ch.SKU, Shown: &ch.Wanted, Wanted: *ch.Shown, Reason: Under}
			if l.Delta() < 0 {
				l.Reason = Over
			}
			p.Channels[len(p.Channels)-1].Shown += max(0, ch.Wanted)
			p.Lines = append(p.Lines, l)
		}
	}
	return p, nil
}
