package syncer

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// How marked products are worked on.
const (
	// batchSize is the number of products leased per turn: a request to ECOSIRE
	// carries as many.
	batchSize = 100
	// backlogSize is the same when more than that is waiting, so that a channel
	// that takes two requests at a time gets them.
	backlogSize = 200
	// orderBatch is the number of orders leased per turn: each costs a request.
	orderBatch = 5
)

// labour works until accept is done; what is in flight then may go on until
// work is.
func (s *Syncer) labour(accept, work context.Context, t *tenure) {
	c := &crew{s: s, accept: accept, work: work, once: onceOf(accept)}
	urgent, quiet := newStockReader(s), newStockReader(s)
	defer urgent.close()
	defer quiet.close()
	for _, r := range []*stockReader{urgent, quiet} {
		c.keep(r.tidy)
	}
	for _, t := range s.targets {
		c.serveChannel(t, urgent, quiet)
	}
	c.sortMarks()
	if s.watcher != nil {
		c.start("watch", s.watch)
	}
	c.keep(func(ctx context.Context) { s.executeApproved(ctx, work) })
	c.keep(s.keepPins)
	c.keep(s.keepAlarms)
	c.keep(s.heedPauses)
	c.keep(func(ctx context.Context) { s.tendFlights(ctx, work) })
	c.start("schedule", func(ctx context.Context) { s.keepSchedule(ctx, work, t) })
	if c.once != nil {
		c.keep(func(ctx context.Context) { s.untilIdle(ctx, work, c.once) })
	}
	if t.shared {
		s.shareWork(accept, work, t, &c.group)
	}
	_ = c.group.Wait()
	_ = s.keepFlights(work, nil) // what the last turns have noticed, too
}

// A crew is the goroutines that work while this process leads: one for each lane
// of the queue, and some that keep house.
type crew struct {
	s            *Syncer
	accept, work context.Context
	once         *visit // nil unless Once runs
	group        errgroup.Group
}

// keep does something until accept is done.
func (c *crew) keep(do func(accept context.Context)) {
	c.group.Go(func() error { do(c.accept); return nil })
}

// start is keep for what Once waits for.
func (c *crew) start(name string, do func(accept context.Context)) {
	c.once.await(name)
	c.keep(do)
}

// serveChannel works on a channel's lanes, and watches it.
func (c *crew) serveChannel(t *target, urgent, quiet *stockReader) {
	s, work := c.s, c.work
	unhurried := channel.WithUrgency(work, channel.Soon)
	for _, lane := range []string{t.dangerLane(), t.eventLane()} {
		c.keep(c.eventWorker(t, lane, urgent, func(tasks []Task) time.Duration {
			if len(s.targets) > 1 && urgent.forgot(tasks) {
				// What one channel needs again must not make the others wait.
				return s.syncApart(unhurried, quiet, t, tasks, false)
			}
			return s.syncApart(work, urgent, t, tasks, false)
		}).run)
	}
	// What was noticed without an event must not make an event wait.
	c.keep((&worker{s: s, lane: t.watchedLane(), gather: s.gather, open: t.open, do: func(tasks []Task) time.Duration {
		return s.syncApart(unhurried, quiet, t, tasks, true)
	}}).run)
	t.sayObserved(c.accept, s)
	if t.Watch.Every > 0 {
		c.start("look "+t.name, func(ctx context.Context) { s.listen(ctx, t) })
	}
	if r, ok := channel.As[channel.Resumer](t.Channel); ok && !t.quiet() {
		c.start("resume "+t.name, func(ctx context.Context) { s.resume(ctx, work, t, r) })
	}
}

// eventWorker works on a lane of events. A turn that another channel's read
// feeds does not wait for the source's pace, and takes only what was read.
func (c *crew) eventWorker(t *target, lane string, r *stockReader, do func([]Task) time.Duration) *worker {
	s, fed := c.s, false
	pace := func(ctx context.Context, waiting int) error {
		fed = s.pacer != nil && waiting == 0 && r.ahead(t, lane)
		if fed || waiting >= backlogSize+batchSize && r.feeds(t) {
			return nil // what its next turn needs is read
		}
		return s.pace(ctx)
	}
	return &worker{s: s, lane: lane, gather: s.gather, open: t.open, pace: pace, do: func(tasks []Task) time.Duration {
		if fed {
			var rest []Task
			tasks, rest = r.divide(c.work, t, tasks)
			s.putBack(c.work, t, rest)
			if len(tasks) == 0 {
				return 0
			}
		}
		return do(tasks)
	}}
}

// sortMarks moves what is marked from the inboxes to the channels' lanes.
func (c *crew) sortMarks() {
	s, work := c.s, c.work
	sort := func(w *worker, do func(tasks []Task)) {
		w.s, w.do = s, func(tasks []Task) time.Duration { do(tasks); return 0 }
		c.keep(w.run)
	}
	sort(&worker{lane: inboxLane, size: groupSize}, func(tasks []Task) { s.dispatch(work, tasks, (*target).eventLane) })
	sort(&worker{lane: noticedLane, size: groupSize}, func(tasks []Task) { s.dispatch(work, tasks, (*target).watchedLane) })
	sort(&worker{lane: skuLane, size: findBatch, gather: s.gather}, func(tasks []Task) { s.resolveSKUs(work, tasks) })
	if s.orders != nil {
		sort(&worker{lane: orderLane, size: orderBatch, gather: s.gather}, func(tasks []Task) { s.resolve(work, tasks) })
	}
}

// A worker works on one lane.
type worker struct {
	s      *Syncer
	lane   string
	size   int // tasks per turn; 0 means batchSize, or more under a backlog
	gather time.Duration
	// open waits until the lane may be worked on; nil means always.
	open func(ctx context.Context) error
	// pace waits for the source; it may be nil. It is told how many tasks are
	// waiting, if they are more than a turn takes.
	pace func(ctx context.Context, waiting int) error
	// do works on tasks, and settles every one. It returns how long to leave
	// the lane alone.
	do func(tasks []Task) time.Duration
}

// nothingDue is how long a lane is left alone in which nothing is due although its
// Wait has returned: a queue of which Wait always returns must not be asked without
// a pause.
const nothingDue = 10 * time.Millisecond

func (w *worker) run(ctx context.Context) {
	for full := false; ctx.Err() == nil; {
		w.s.alarms.lanes.waiting(w.lane, true)
		err := w.s.insist(ctx, "Wait", func() error { return w.s.on(ctx).Wait(ctx, w.lane) })
		if err == nil && w.open != nil {
			err = w.open(ctx)
		}
		w.s.alarms.lanes.waiting(w.lane, false)
		if err != nil {
			return
		}
		waiting := 0
		if full { // more is waiting already
			d, _ := w.s.queue.Depth(ctx, w.lane) // if that fails Lease says so
			waiting = d.Tasks
		} else if sleep(ctx, w.gather) != nil {
			return
		}
		if w.pace != nil && w.pace(ctx, waiting) != nil {
			return
		}
		n := w.size
		switch {
		case n > 0:
		case waiting >= backlogSize:
			n = backlogSize
		default:
			n = batchSize
		}
		var tasks []Task
		if w.s.insist(ctx, "Lease", func() (err error) { tasks, err = w.s.on(ctx).Lease(ctx, w.lane, n); return err }) != nil {
			return
		}
		full = len(tasks) == n
		w.s.alarms.lanes.leased(w.lane, tasks)
		wait := nothingDue
		if len(tasks) > 0 {
			onceOf(ctx).works(1)
			wait = w.do(tasks)
			onceOf(ctx).works(-1)
		}
		_ = sleep(ctx, wait)
	}
}

// pace waits until the source may be read. Its trouble is none of the work's.
func (s *Syncer) pace(ctx context.Context) error {
	if s.pacer == nil {
		return nil
	}
	_, err := bounded(ctx, s, "the source: Pace", s.patience, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.pacer.Pace(s.need.in(ctx))
	})
	if err != nil && ctx.Err() == nil {
		s.once.warn(ctx, s, "the source cannot pace its reads; they go on without", slog.Any("err", err))
	}
	return ctx.Err()
}
