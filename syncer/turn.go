package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// syncMarked makes one channel show the products of tasks, and settles each
// task. noticed says that they are a watch's: those are left out that the channel
// is remembered to show right. It returns how long the worker of this lane leaves the
// source alone; where the channel is down all of its workers sleep by themselves
// (target.open), until it may be up, or somebody's call finds that it is.
func (s *Syncer) syncMarked(ctx context.Context, r *stockReader, t *target, tasks []Task, noticed bool) time.Duration {
	if t.pause.get() != nil {
		s.putBack(ctx, t, tasks)
		return 0
	}
	run := newRunName("event")
	ctx, done := s.hooks.work(channel.WithRun(ctx, run), s, Work{Kind: WorkTurn, Run: run, Channel: t.name, Products: len(tasks), Links: linksOf(tasks)})
	if s.journal.on() {
		ctx = withReasons(ctx, reasons{by: causesOf(tasks)})
	}
	o := &settlement{s: s, channel: t.name, run: run, t: t}
	read, err := r.read(ctx, t, tasks)
	if err != nil {
		// The source's trouble: nothing is known of any product.
		wait := r.backoff(err)
		if r.convicted(tasks) {
			o.countAndRetry(tasks[0], fmt.Errorf("reading the source: %w", err), maxUnreadBackoff)
			tasks, wait = nil, 0
		}
		for _, task := range tasks {
			o.retry(task, wait, fmt.Errorf("reading the source: %w", err))
		}
		o.settle(ctx)
		done(WorkDone{Err: err})
		return wait
	}

	known, marked := s.worthAPass(ctx, t, tasks, read, noticed)
	p := s.realtime(ctx, t, marked, r.reread(t))
	p.leased = true
	p.chosen = withPart(idsOf(tasks))
	p.told = toldOf(tasks)
	out := p.take(ctx, known)
	s.spread(ctx, out.moved, marked)

	a := &account{s: s, t: t, report: ChannelReport{Channel: t.name}}
	paused := out.pausedProducts() // before add, which takes their results out of out
	a.add(ctx, out)
	shown := s.newDelays()
	wait := t.state.wait()
	v := verdicts{p: p, out: out, read: read, results: worst(out.results), paused: paused, wait: wait, settlement: o, delays: shown}
	for _, task := range tasks {
		v.settle(ctx, task)
	}
	if len(known) > 0 {
		s.tellPushed(ctx, Pushed{a.report, time.Since(oldest(tasks)), shown.get()})
	}
	o.sku = read.found[o.product].SKU
	o.settle(ctx)
	done(WorkDone{Channel: &a.report, Err: out.err})
	return 0
}

// putBack leaves tasks for a later turn, as they are.
func (s *Syncer) putBack(ctx context.Context, t *target, tasks []Task) {
	if len(tasks) == 0 {
		return
	}
	o := &settlement{s: s, channel: t.name, t: t}
	for _, task := range tasks {
		o.putBack(task, 0)
	}
	o.settle(ctx)
}

// worthAPass returns the products to take through a pass, the parts of kits
// among them, and when each of the tasks' was last marked.
func (s *Syncer) worthAPass(ctx context.Context, t *target, tasks []Task, read reading, noticed bool) ([]channel.Stock, map[string]time.Time) {
	known := make([]channel.Stock, 0, len(read.found))
	marked := make(map[string]time.Time, len(tasks))
	for _, task := range tasks {
		stock, ok := read.found[task.ID]
		if !ok || stock.Err != nil && !s.pinnedToZero(ctx, task.ID) || stock.Err == nil && noticed && s.shown(ctx, t, &stock) {
			continue
		}
		known = append(known, stock)
		marked[task.ID] = task.Last
	}
	if t.Kits != nil {
		for id, stock := range read.found {
			if _, own := marked[id]; !own && stock.Err == nil {
				known = append(known, stock) // a part of a kit
			}
		}
	}
	return known, marked
}

// verdicts say what becomes of each task of a turn.
type verdicts struct {
	p          *pass
	out        *outcome
	read       reading
	results    map[string]*result // by product, of the listing that fared worst
	paused     map[string]bool
	wait       time.Duration // how long the channel is left alone
	settlement *settlement
	delays     *delays
}

// settle says what becomes of one task. The first case that fits decides.
func (v *verdicts) settle(ctx context.Context, task Task) {
	o, t := v.settlement, v.p.t
	stock, ok := v.read.found[task.ID]
	res := v.results[task.ID]
	if res != nil && (res.state == updated || res.landed) {
		t.late.add(task.First, time.Now())
	}
	switch {
	case v.paused[task.ID]:
		o.putBack(task, 0)
	case !ok && v.read.wait > 0:
		o.putBack(task, v.read.wait)
	case !ok:
		o.missing(ctx, task)
	case stock.Err != nil && channel.Permanent(stock.Err):
		o.giveUp(ctx, task, Problem{Channel: t.name, ProductID: task.ID, SKU: stock.SKU, Name: stock.Name, Err: stock.Err})
	case stock.Err != nil:
		o.countAndRetry(task, stock.Err, maxUnreadBackoff)
	case (res == nil || res.state <= observed) && slices.Contains(v.read.stale, task.ID): // shown, but it may not be what the mark is about
		o.countAndRetry(task, errStale, maxProductBackoff)
	case res != nil && res.state <= pending && res.settles > 0: // compared once more when it should have settled
		o.putBack(task, t.lookAgainIn(res))
	case res == nil || res.state <= observed:
		o.done(task)
		v.delays.shown(task)
	case res.state == held && res.err == nil && res.quantity < res.seen.Quantity && v.p.explained(&change{res.want, res.seen}): // by a sale that was noticed since
		o.putBack(task, time.Second)
	case res.state == held && res.err == nil: // it is kept among what the guard holds
		o.done(task)
	case v.out.err != nil && (res.unsent || res.state == unclear || errors.Is(res.err, channel.ErrUnauthorized)): // the channel's trouble
		o.retry(task, max(v.wait, time.Second), res.err)
	case channel.Permanent(res.err) || task.Attempt >= maxMisses && lacks(v.read.found, res.parts()):
		o.giveUp(ctx, task, Problem{Channel: t.name, ProductID: task.ID, SKU: res.sku, ProductSKU: res.productSKU(), Name: stock.Name, Err: res.err})
	default:
		o.countAndRetry(task, res.err, maxProductBackoff)
	}
}

// tellPushed tells the host, and the log, what a turn has pushed.
func (s *Syncer) tellPushed(ctx context.Context, pushed Pushed) {
	s.hooks.pushed(ctx, s, pushed)
	c := &pushed.ChannelReport
	s.logger.LogAttrs(ctx, slog.LevelInfo, "batch pushed", slog.String("channel", c.Channel),
		slog.Int("updated", c.Updated), slog.Int("unchanged", c.Unchanged), slog.Int("held", c.Held),
		slog.Int("unknown", c.Unknown), slog.Int("failed", c.Failed+c.Unclear), slog.Duration("delay", pushed.Delay))
}

// lookAgainIn is how long to wait before a listing is compared again that was
// written and has not settled. What is accepted and shows later is looked at
// four times, since it most often shows earlier.
func (t *target) lookAgainIn(r *result) time.Duration {
	if r.state == pending && t.lag > 0 {
		return max(t.lag/4, time.Second)
	}
	// Those of different times are looked at together: it costs one request.
	wait := min(r.settles, maxSettling) + time.Second
	grid := max(wait/16, time.Second)
	now := time.Now()
	return now.Add(wait).Truncate(grid).Add(grid).Sub(now)
}

// maxSettling is how long a listing that has not settled is left alone at most.
const maxSettling = time.Hour

// errStale: the source's answer is from before the question.
var errStale = errors.New("the source answered with a state from before it was asked")

// shown reports whether the channel lately showed a product as it should.
func (s *Syncer) shown(ctx context.Context, t *target, stock *channel.Stock) bool {
	if !t.plain() {
		return false
	}
	n, err := t.quantityOf(ctx, s, *takeOff(stock, s.ledger.inFlight(stock.ProductID)))
	return err == nil && t.memory.shows(stock.SKU, n)
}

// worst is, for each product, the result of the listing that fared worst.
func worst(results []result) map[string]*result {
	by := make(map[string]*result, len(results))
	for i := range results {
		r := &results[i]
		ids := []string{r.stock.ProductID}
		if r.isKit() {
			ids = productsOf([]want{r.want})
		}
		for _, id := range ids {
			if old := by[id]; old == nil || r.state > old.state || r.state == old.state && r.settles > old.settles {
				by[id] = r
			}
		}
	}
	return by
}

// lacks reports whether the source did not answer a part of a kit.
func lacks(stocks map[string]channel.Stock, parts []Part) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { _, ok := stocks[p.ProductID]; return !ok })
}

func causesOf(tasks []Task) map[string]Cause {
	by := make(map[string]Cause, len(tasks))
	for _, t := range tasks {
		by[t.ID] = t.Why
	}
	return by
}

// tellings are the marks that a product's task stands for. If the newest is a
// channel's delivery they are taken for that.
type tellings struct {
	marks int
	told  bool
}

// toldOf says how often channels may have told of each product.
func toldOf(tasks []Task) (told map[string]tellings) {
	for _, t := range tasks {
		if t.Why == CauseChannel || t.Marks > 1 {
			if told == nil {
				told = make(map[string]tellings)
			}
			told[t.ID] = tellings{t.Marks, t.Why == CauseChannel}
		}
	}
	return told
}

func oldest(tasks []Task) time.Time {
	first := tasks[0].First
	for _, t := range tasks {
		if t.First.Before(first) {
			first = t.First
		}
	}
	return first
}

// linksOf are the trace contexts of the marks, each once, and a few of them.
func linksOf(tasks []Task) []string {
	var links []string
	for _, t := range tasks {
		if t.Trace != "" && len(links) < maxLinks && !slices.Contains(links, t.Trace) {
			links = append(links, t.Trace)
		}
	}
	return links
}

const maxLinks = 32
