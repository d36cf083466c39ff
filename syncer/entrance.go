package syncer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// An entrance is one call of a method that takes products through all
// channels: its name, its report, and its account with each channel.
type entrance struct {
	s        *Syncer
	ctx      context.Context // carries the run's name
	report   *Report
	accounts []*account
	done     func(WorkDone)
}

// begin begins a run of a kind.
func (s *Syncer) begin(ctx context.Context, kind WorkKind) *entrance {
	r := &Report{Run: newRunName(string(kind)), Started: time.Now()}
	if a := askedOf(ctx); a != nil {
		r.Run = a.run
	}
	work := Work{Kind: kind, Run: r.Run}
	if trace := traceOf(ctx); trace != "" {
		work.Links = []string{trace}
	}
	ctx, done := s.hooks.work(channel.WithRun(ctx, r.Run), s, work)
	r.Requests = s.meter(ctx)
	if !s.running.Load() {
		s.expireFlights(ctx)
	}
	return &entrance{s: s, ctx: ctx, report: r, accounts: s.newAccounts(), done: done}
}

// takeOver reads what the store has that every call must know which takes
// products through channels: pauses, SKUs that several products claim, and what
// is in flight. A process that does not lead reads again what the leader has
// noticed since.
func (s *Syncer) takeOver(ctx context.Context) error {
	guest := tenureOf(ctx) == nil && !s.knows()
	if guest {
		s.doubled.forget()
	}
	return cmp.Or(s.heed(ctx), s.doubled.load(ctx, s.on(ctx)), s.loadFlights(ctx, guest))
}

// channelDone tells whoever asked for the run that a channel is done.
func (e *entrance) channelDone(target int) {
	if a := askedOf(e.ctx); a != nil && e.ctx.Err() == nil {
		a.done(e.ctx, e.accounts[target].report)
	}
}

// meter is what the source and the channels have sent so far, by name. What
// does not say so at once is left out: it may wait for a call that is stuck.
func (s *Syncer) meter(ctx context.Context) map[string]int64 {
	sent := make(map[string]int64)
	count := func(name string, v any) {
		if m, ok := channel.As[channel.Meter](v); ok {
			what := cmp.Or(name, "the source") + ": Requests"
			if s.calls.left(what) != nil {
				return
			}
			if n, err := bounded(context.WithoutCancel(ctx), s, what, maxCounting, func(context.Context) (int64, error) {
				return m.Requests(), nil
			}); err == nil {
				sent[name] = n
			}
		}
	}
	count("", s.source)
	for _, t := range s.targets {
		count(t.name, t.Channel)
	}
	return sent
}

// cost is what was sent since the entrance began.
func (e *entrance) cost() map[string]int64 {
	sent := e.s.meter(e.ctx)
	for name := range sent {
		if was, ok := e.report.Requests[name]; ok {
			sent[name] -= was
		} else {
			delete(sent, name)
		}
	}
	return sent
}

// newRunName names a run so that it can be found in a shop's history.
func newRunName(kind string) string {
	return kind + "-" + time.Now().UTC().Format("20060102T150405Z") + "-" + rand.Text()[:8]
}

// unread records a product that was not read.
func (e *entrance) unread(id, sku string, err error) {
	e.report.Unread++
	if len(e.report.Problems) < maxListed {
		e.report.Problems = append(e.report.Problems, Problem{ProductID: id, SKU: sku, Err: err})
	}
}

// named reads products by their ids and sends them on. Those that the source
// does not answer become problems.
func (e *entrance) named(ctx context.Context, f *fan, productIDs []string) error {
	ids := slices.Compact(slices.Sorted(slices.Values(productIDs)))
	var failed error
	for some := range slices.Chunk(ids, groupSize) {
		if failed != nil {
			for _, id := range some {
				e.unread(id, "", failed)
			}
			continue
		}
		g := e.s.group(time.Now())
		failed = g.read(ctx, e.s.fetchFor(e.s.targets...), some, e.unread)
		e.report.Read += len(g.stocks)
		f.send(g)
	}
	return failed
}

// end ends the report, logs it, and says what the call returns.
func (e *entrance) end(failed error) (*Report, error) {
	r := e.report
	r.Duration = time.Since(r.Started)
	r.Requests = e.cost()
	for _, a := range e.accounts {
		r.Channels = append(r.Channels, a.report)
	}
	r.Held = e.plan(func(a *account) []Line { return a.held })
	r.Replanned = e.plan(func(a *account) []Line { return a.replanned })
	for _, a := range e.accounts {
		a.log(e.ctx, r)
	}
	if !e.s.running.Load() && e.s.shared == nil { // else Run does, now and then
		if err := e.s.keepFlights(context.WithoutCancel(e.ctx), nil); err != nil {
			e.s.once.warn(e.ctx, e.s, "what is in flight cannot be kept; a restart may undo sales", slog.Any("err", err))
		}
	}
	if failed == nil {
		failed = e.ctx.Err()
	}
	if failed != nil {
		e.s.logger.LogAttrs(e.ctx, slog.LevelWarn, "run not completed", slog.String("run", r.Run), slog.Any("err", failed))
	}
	err := errors.Join(failed, r.Err())
	if err != nil {
		err = fmt.Errorf("syncer: %s: %w", r.Run, err)
	}
	e.s.journal.noteRun(e.ctx, r, err)
	e.done(WorkDone{Report: r, Err: err})
	return r, err
}

// plan makes a plan of lines that were left, or nil.
func (e *entrance) plan(lines func(*account) []Line) *Plan {
	p := &Plan{Run: e.report.Run, Made: e.report.Started, Read: e.report.Read}
	for _, a := range e.accounts {
		c := &a.report
		p.Channels = append(p.Channels, ChannelPlan{Channel: c.Channel, Checked: a.compared, Agreed: c.Unchanged + c.Updated, OnSale: c.OnSale})
		p.Lines = append(p.Lines, lines(a)...)
	}
	if len(p.Lines) == 0 {
		return nil
	}
	return p
}
