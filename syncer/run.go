package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// How marked products are worked on.
const (
	// batchSize is how many products a turn takes: a request to ECOSIRE
	// carries so many.
	batchSize = 100
	// backlogSize is the same when more than that is waiting, so that a channel
	// that takes two requests at a time gets them.
	backlogSize = 200
	// firstBackoff doubles with each failure.
	firstBackoff = time.Second
	// mostChannelBackoff is how long a channel that is down stays unasked, and
	// so how late it may be found up again.
	mostChannelBackoff = 15 * time.Second
	// mostProductBackoff is the same for a single product.
	mostProductBackoff = 5 * time.Minute
	// mostMisses is how often a product is asked for that the source does not
	// answer.
	mostMisses = 3
)

// ErrRunning: Run was called while it runs.
var ErrRunning = errors.New("syncer: Run is running already")

// Run works on what is marked, until ctx is done. The host calls it once, in a
// goroutine of its own or in its main.
//
// Each channel has a worker. It waits a moment to gather a burst (see
// Config.Gather), takes up to 100 marked products, or 200 if more are waiting,
// reads them at the source, or uses what another worker has just read, and makes
// the channel show them. What fails is tried again on that channel alone, with
// growing waits; a channel that fails as a whole is probed with one product until
// it works again.
// Products that the channel does not have, and the like, are given up until
// they are marked again.
//
// Beside that Run reconciles on Config.Schedule, and at once if it finds that
// it missed a time while it did not run, which needs a durable queue; and it
// asks a source that is a [channel.Watcher] for what changed without an event.
//
// When ctx is done Run takes nothing more, lets the work in flight end for as
// long as Config.Grace, and returns nil. What was not finished stays in the
// queue. Run returns an error if it runs already, or if the queue fails.
//
// SyncProducts, Reconcile and Notify may be called meanwhile.
func (s *Syncer) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)

	group, accept := errgroup.WithContext(ctx) // ends with ctx, or with a failing queue
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	graceEnds := context.AfterFunc(accept, func() {
		timer := time.AfterFunc(s.grace, cancel)
		context.AfterFunc(work, func() { timer.Stop() })
	})
	defer graceEnds()

	urgent, quiet := newFresh(s), newFresh(s)
	defer urgent.close()
	defer quiet.close()
	for _, t := range s.targets {
		marked := &worker{s: s, lane: t.name, small: t.isDown, do: func(tasks []Task) (time.Duration, error) {
			return s.push(work, urgent, t, tasks, false)
		}}
		if p, ok := channel.As[channel.Pacer](s.source); ok {
			marked.pace = p.Pace
		}
		group.Go(func() error { return marked.run(accept) })
		// What was noticed without an event must not make an event wait.
		noticed := &worker{s: s, lane: quietLane(t.name), small: t.isDown, do: func(tasks []Task) (time.Duration, error) {
			return s.push(channel.WithReserve(work, s.reserve*2/3), quiet, t, tasks, true)
		}}
		group.Go(func() error { return noticed.run(accept) })
	}
	if s.orders != nil {
		w := &worker{s: s, lane: orderLane, do: func(tasks []Task) (time.Duration, error) { return s.resolve(work, tasks) }}
		group.Go(func() error { return w.run(accept) })
	}
	if s.watcher != nil {
		group.Go(func() error { return s.watch(accept) })
	}
	for _, f := range []*fresh{urgent, quiet} {
		group.Go(func() error { f.tidy(accept); return nil })
	}
	group.Go(func() error { return s.keepSchedule(accept) })
	err := group.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return nil
	}
	return err
}

// A worker works on one lane.
type worker struct {
	s     *Syncer
	lane  string
	small func() bool                 // whether to take one task only; nil means never
	pace  func(context.Context) error // waits for the source; may be nil
	// do works on tasks, and acknowledges or puts back every one. It returns
	// how long to leave the lane alone.
	do func(tasks []Task) (time.Duration, error)
}

func (w *worker) run(ctx context.Context) error {
	for full := false; ; {
		if err := w.s.queue.Wait(ctx, w.lane); err != nil {
			return ended(ctx, err)
		}
		if !full { // else more is waiting already than a turn takes
			if err := sleep(ctx, w.s.gather); err != nil {
				return nil
			}
			if w.pace != nil && w.pace(ctx) != nil {
				return nil
			}
		}
		n := batchSize
		switch {
		case w.small != nil && w.small():
			n = 1
		case full:
			n = backlogSize
		}
		tasks, err := w.s.queue.Lease(ctx, w.lane, n)
		if err != nil {
			return ended(ctx, err)
		}
		full = len(tasks) == n
		if len(tasks) == 0 {
			continue
		}
		wait, err := w.do(tasks)
		if err != nil {
			return err
		}
		if sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// ended tells the end of a worker that was to end from that of a queue.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("syncer: the queue failed: %w", err)
}

// push makes one channel show the products of tasks. If they were only noticed,
// those are left out that the channel showed lately as it should.
func (s *Syncer) push(ctx context.Context, f *fresh, t *target, tasks []Task, noticed bool) (time.Duration, error) {
	out := outcome{s: s, channel: t.name}
	stocks, err := f.read(ctx, tasks)
	if err != nil {
		// The source's trouble: nothing is known of any product.
		wait := pause(err, int(t.sourceFailures.Add(1)-1), mostChannelBackoff)
		for _, task := range tasks {
			out.retry(task, wait, err)
		}
		return wait, out.settle(ctx)
	}
	t.sourceFailures.Store(0)

	var known []channel.Stock
	for _, task := range tasks {
		stock, ok := stocks[task.ID]
		if ok && stock.Err == nil && !(noticed && t.lately.shows(stock.SKU, t.Policy(stock))) {
			known = append(known, stock)
		}
	}
	report := ChannelReport{Channel: t.name, observe: s.hooks.Changed}
	t.show(channel.WithRun(ctx, newRunName("event")), known, nil, &report)

	failed := make(map[string]error, len(report.Problems))
	for _, p := range report.Problems {
		failed[p.ProductID] = p.Err
	}
	f.drop(report.superseded)
	var wait time.Duration
	if report.Checked > 0 && ctx.Err() == nil { // else nothing was learned of the channel
		wait = t.health.record(s, t.name, report.Err)
	}
	for _, task := range tasks {
		stock, ok := stocks[task.ID]
		err := failed[task.ID]
		switch {
		case !ok:
			out.missing(task)
		case stock.Err != nil:
			out.later(task, stock.Err)
		case slices.Contains(report.superseded, task.ID):
			// Another run had a newer figure. Whether that is shown, only another
			// look can tell: the other run may have failed.
			out.again(task)
		case err == nil:
			out.done(task)
		case wait > 0 && errors.Is(err, report.Err): // the channel's trouble
			out.retry(task, wait, err)
		case channel.Permanent(err):
			out.giveUp(task, Problem{Channel: t.name, ProductID: task.ID, SKU: stock.SKU, Err: err})
		default:
			out.later(task, err)
		}
	}
	if len(known) > 0 {
		pushed := Pushed{report, time.Since(oldest(tasks))}
		s.hooks.pushed(pushed)
		s.logger.LogAttrs(ctx, slog.LevelInfo, "batch pushed", slog.String("channel", t.name),
			slog.Int("updated", report.Updated), slog.Int("unchanged", report.Unchanged),
			slog.Int("unknown", report.Unknown), slog.Int("failed", report.Failed), slog.Duration("delay", pushed.Delay))
	}
	return wait, out.settle(ctx)
}

// resolve marks the products of orders.
func (s *Syncer) resolve(ctx context.Context, tasks []Task) (time.Duration, error) {
	out := outcome{s: s}
	for _, task := range tasks {
		ids, err := s.orders.OrderProducts(ctx, task.ID)
		if err == nil {
			err = s.Notify(ctx, ids...)
		}
		switch {
		case err == nil:
			out.done(task)
		case channel.Permanent(err):
			out.giveUp(task, Problem{Err: fmt.Errorf("order %q: %w", task.ID, err)})
		default:
			out.later(task, err)
		}
	}
	return 0, out.settle(ctx)
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

// An outcome gathers what becomes of the tasks of one turn.
type outcome struct {
	s       *Syncer
	channel string
	acked   []Task
	due     []Task // at once
	waits   map[time.Duration][]Task
	failed  int
	longest time.Duration
	err     error // the first one
}

func (o *outcome) done(t Task) { o.acked = append(o.acked, t) }

func (o *outcome) giveUp(t Task, p Problem) {
	o.acked = append(o.acked, t)
	o.s.hooks.gaveUp(p)
	o.s.logger.Warn("given up until it changes", slog.String("channel", p.Channel),
		slog.String("product", p.ProductID), slog.String("sku", p.SKU), slog.Any("err", p.Err))
}

// missing deals with a product that the source did not answer. That is most
// often one that does not exist, but it may be a list that came short.
func (o *outcome) missing(t Task) {
	if t.Attempt >= mostMisses {
		o.giveUp(t, Problem{Channel: o.channel, ProductID: t.ID, Err: ErrNoProduct})
		return
	}
	o.later(t, ErrNoProduct)
}

// later puts a task back for as long as its own failures call for.
func (o *outcome) later(t Task, err error) {
	o.retry(t, pause(err, t.Attempt, mostProductBackoff), err)
}

// again puts a task back that did not fail.
func (o *outcome) again(t Task) { o.due = append(o.due, t) }

func (o *outcome) retry(t Task, wait time.Duration, err error) {
	if o.waits == nil {
		o.waits = make(map[time.Duration][]Task)
		o.err = err
	}
	// Tasks that failed together are tried together.
	wait = wait.Round(100 * time.Millisecond)
	o.waits[wait] = append(o.waits[wait], t)
	o.failed++
	o.longest = max(o.longest, wait)
}

// settle tells the queue. It does so even after the grace has ended: what was
// done is done.
func (o *outcome) settle(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if len(o.acked) > 0 {
		if err := o.s.queue.Ack(ctx, o.acked...); err != nil {
			return fmt.Errorf("syncer: the queue failed: %w", err)
		}
	}
	for i := range o.due {
		o.due[i].Attempt++
	}
	if len(o.due) > 0 {
		if err := o.s.queue.Retry(ctx, time.Now(), o.due...); err != nil {
			return fmt.Errorf("syncer: the queue failed: %w", err)
		}
	}
	for wait, tasks := range o.waits {
		for i := range tasks {
			tasks[i].Attempt++
		}
		if err := o.s.queue.Retry(ctx, time.Now().Add(wait), tasks...); err != nil {
			return fmt.Errorf("syncer: the queue failed: %w", err)
		}
	}
	if o.failed > 0 {
		o.s.hooks.retry(Retry{Channel: o.channel, Products: o.failed, Wait: o.longest, Err: o.err})
		o.s.logger.LogAttrs(ctx, slog.LevelWarn, "will be tried again", slog.String("channel", o.channel),
			slog.Int("products", o.failed), slog.Duration("wait", o.longest), slog.Any("err", o.err))
	}
	return nil
}

// pause is how long to wait after so many failures before this one, or as long
// as the service asked for. It spreads by a quarter.
func pause(err error, failures int, most time.Duration) time.Duration {
	wait := min(firstBackoff<<min(failures, 20), most)
	wait -= rand.N(wait / 4)
	if asked, ok := channel.RetryAfter(err); ok {
		wait = max(wait, min(asked, mostProductBackoff))
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
