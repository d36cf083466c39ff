package syncer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

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

// ErrRunning: Run was called while it runs.
var ErrRunning = errors.New("syncer: Run is running already")

// Run works on what is marked, until ctx is done. The host calls it once, in a
// goroutine of its own or in its main, and looks at its error.
//
// Each channel has a worker. It waits a moment to gather a burst (see
// Config.Gather), takes up to 100 marked products, or 200 if more are waiting,
// reads them at the source, or uses what another worker has just read, and makes
// the channel show them. What fails is tried again on that channel alone, with
// growing waits; a channel that fails as a whole is probed with one product until
// it works again. Products that the channel does not have, and the like, are
// given up until they are marked again or the next reconciliation. What a guard
// holds is kept in the queue's store until somebody approves or it is over.
//
// Beside that Run reconciles on Config.Schedule, and at once if it finds that
// it missed a time while it did not run, which needs a durable queue; it asks a
// source that is a [channel.Watcher] for what changed without an event; and it
// does what was approved.
//
// On a [SharedQueue] Run first waits until this process leads, and does all that
// for as long as it does. When it can no longer prove that it leads, all calls
// that it has made are cancelled at once, and it waits to lead again. Who leads
// next looks a second time at what was being written then, a minute later and
// after Config.Patience, as such a write may land late. All replicas together
// make one reconciliation at each time of the Schedule; one that its leader's
// death cut off is made up, and so is one for a channel that is new.
//
// A queue that fails is tried again until it works; meanwhile [Syncer.Health]
// says so. Run returns an error only if it runs already.
//
// When ctx is done Run takes nothing more, lets the work in flight end, and
// returns nil within Config.Grace, whatever an adapter does. What was not
// finished stays in the queue; a call that does not return is named in the log.
//
// SyncProducts, Reconcile and Notify may be called meanwhile.
func (s *Syncer) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	s.started = time.Now()
	if s.shared != nil {
		var there sync.WaitGroup
		there.Go(func() { s.beThere(ctx) })
		defer there.Wait()
	}
	defer s.tellHealth(ctx)()
	defer s.mindQueue(ctx)()

	for failures := 0; ctx.Err() == nil; {
		t := s.lead(ctx)
		if t == nil {
			break
		}
		began := time.Now()
		granted := t.Left()
		s.serve(ctx, t)
		s.leave(ctx, t)
		if granted > 0 && time.Since(began) >= granted {
			failures = 0 // lost after a lease at least, such as by a cut: no reason to stand back
			continue
		}
		_ = sleep(ctx, pause(nil, failures, maxQueueBackoff)) // a queue may be out of order in a way of its own
		failures++
	}
	for _, t := range s.targets {
		if stuck := t.calls.left(); stuck != nil {
			s.logger.ErrorContext(ctx, "Run ends, and leaves a call behind that has not returned",
				slog.String("channel", t.name), slog.String("op", stuck.op), slog.Time("since", stuck.since))
		}
	}
	return nil
}

// labour works until accept is done; what is in flight then may go on until
// work is.
func (s *Syncer) labour(accept, work context.Context, t *tenure) {
	var group errgroup.Group
	urgent, quiet := newReader(s), newReader(s)
	defer urgent.close()
	defer quiet.close()
	unhurried := channel.WithUrgency(work, channel.Soon)
	start := func(w *worker) { group.Go(func() error { w.run(accept); return nil }) }
	for _, t := range s.targets {
		for _, lane := range []string{t.dangerLane(), t.eventLane()} {
			fed := false // the turn is for what was read for others
			pace := func(ctx context.Context, waiting int) error {
				if waiting >= backlogSize+batchSize && urgent.feeds(t) {
					return nil // what its next turn needs is read
				}
				if fed = s.pacer != nil && waiting == 0 && urgent.ahead(t, lane); fed {
					return nil
				}
				return s.pace(ctx)
			}
			start(&worker{s: s, lane: lane, gather: s.gather, open: t.pause.wait, pace: pace, do: func(tasks []Task) time.Duration {
				if fed {
					var rest []Task
					if tasks, rest = urgent.divide(work, tasks); len(rest) > 0 {
						back := &settlement{s: s, channel: t.name}
						for _, task := range rest {
							back.putBack(task, 0)
						}
						back.settle(work)
					}
					if len(tasks) == 0 {
						return 0
					}
				}
				if len(s.targets) > 1 && urgent.forgot(tasks) {
					// What one channel needs again must not make the others wait.
					return s.syncMarked(unhurried, quiet, t, tasks, false)
				}
				return s.syncMarked(work, urgent, t, tasks, false)
			}})
		}
		// What was noticed without an event must not make an event wait.
		start(&worker{s: s, lane: t.watchedLane(), gather: s.gather, open: t.pause.wait, do: func(tasks []Task) time.Duration {
			return s.syncMarked(unhurried, quiet, t, tasks, true)
		}})
	}
	start(&worker{s: s, lane: inboxLane, size: groupSize, do: func(tasks []Task) time.Duration {
		s.dispatch(work, tasks, (*target).eventLane)
		return 0
	}})
	start(&worker{s: s, lane: noticedLane, size: groupSize, do: func(tasks []Task) time.Duration {
		s.dispatch(work, tasks, (*target).watchedLane)
		return 0
	}})
	start(&worker{s: s, lane: skuLane, size: findBatch, gather: s.gather, do: func(tasks []Task) time.Duration {
		s.resolveSKUs(work, tasks)
		return 0
	}})
	if s.orders != nil {
		start(&worker{s: s, lane: orderLane, size: orderBatch, gather: s.gather, do: func(tasks []Task) time.Duration {
			s.resolve(work, tasks)
			return 0
		}})
	}
	o := onceOf(accept)
	if s.watcher != nil {
		o.await("watch")
		group.Go(func() error { s.watch(accept); return nil })
	}
	for _, r := range []*reader{urgent, quiet} {
		group.Go(func() error { r.tidy(accept); return nil })
	}
	for _, t := range s.targets {
		t.sayObserved(accept, s)
		if t.Watch.Every > 0 {
			o.await("look " + t.name)
			group.Go(func() error { s.listen(accept, t); return nil })
		}
		if r, ok := channel.As[channel.Resumer](t.Channel); ok && !t.quiet() {
			o.await("resume " + t.name)
			group.Go(func() error { s.resume(accept, work, t, r); return nil })
		}
	}
	group.Go(func() error { s.executeApproved(accept, work); return nil })
	group.Go(func() error { s.keepPins(accept); return nil })
	group.Go(func() error { s.keepAlarms(accept); return nil })
	group.Go(func() error { s.heedPauses(accept); return nil })
	group.Go(func() error { s.tendFlights(accept, work); return nil })
	o.await("schedule")
	group.Go(func() error { s.keepSchedule(accept, work, t); return nil })
	if o != nil {
		group.Go(func() error { s.untilIdle(accept, work, o); return nil })
	}
	if t.shared {
		s.shareWork(accept, work, t, &group)
	}
	_ = group.Wait()
	_ = s.keepFlights(work, nil) // what the last turns have noticed, too
}

// pace waits until the source may be read. Its trouble is none of the work's.
func (s *Syncer) pace(ctx context.Context) error {
	if s.pacer == nil {
		return nil
	}
	_, err := bounded(ctx, s, "the source: Pace", s.patience, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.pacer.Pace(ctx)
	})
	if err != nil && ctx.Err() == nil {
		s.once.warn(ctx, s, "the source cannot pace its reads; they go on without", slog.Any("err", err))
	}
	return ctx.Err()
}

// targetSet has the names of the channels that Run has worked for.
const targetSet = "targets"

// notCompared is the value of the record of a channel that came after others,
// on a shared queue, and was not compared as a whole yet.
var notCompared = []byte("new")

// adopt empties the lanes of channels that are no longer there, and notes those
// that are new.
func (s *Syncer) adopt(ctx context.Context) error {
	var gone []string
	have := make(map[string]bool)
	known := make(map[string][]byte)
	for _, t := range s.targets {
		have[t.name] = true
	}
	for rec, err := range s.on(ctx).Records(ctx, targetSet, "") {
		if err != nil {
			return err
		}
		known[rec.Key] = rec.Value
		if !have[rec.Key] {
			gone = append(gone, rec.Key)
		}
	}
	for _, name := range gone {
		old := &target{name: name}
		dropped := 0
		for _, lane := range old.lanes() {
			for {
				tasks, err := s.on(ctx).Lease(ctx, lane, groupSize)
				if err != nil {
					return err
				}
				if len(tasks) == 0 {
					break
				}
				dropped += len(tasks)
				if err := s.on(ctx).Ack(ctx, tasks...); err != nil {
					return err
				}
			}
		}
		s.logger.LogAttrs(ctx, slog.LevelInfo, "a channel is no longer configured; what waited for it is dropped",
			slog.String("channel", name), slog.Int("products", dropped))
		if d, err := s.on(ctx).Depth(ctx, old.eventLane()); err != nil || d.Tasks > 0 { // some wait for a retry: at the next start
			continue
		}
		if err := s.on(ctx).Save(ctx, targetSet, Record{Key: name}); err != nil {
			return err
		}
	}
	t := tenureOf(ctx)
	t.newChannels = false
	records := make([]Record, len(s.targets))
	for i, target := range s.targets {
		value, old := known[target.name]
		records[i] = Record{target.name, []byte{}}
		if t.shared && len(known) > 0 && (!old || len(value) > 0) {
			records[i].Value, t.newChannels = notCompared, true
		}
	}
	return s.on(ctx).Save(ctx, targetSet, records...)
}

// compared notes that all channels were compared as a whole.
func (s *Syncer) compared(ctx context.Context) error {
	t := tenureOf(ctx)
	if t == nil || !t.shared {
		return nil
	}
	records := make([]Record, len(s.targets))
	for i, target := range s.targets {
		records[i] = Record{target.name, []byte{}}
	}
	return t.Save(ctx, targetSet, records...)
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

func (w *worker) run(ctx context.Context) {
	for full := false; ; {
		w.s.alarms.lanes.waiting(w.lane, true)
		err := w.s.insist(ctx, "Wait", func() error { return w.s.on(ctx).Wait(ctx, w.lane) })
		w.s.alarms.lanes.waiting(w.lane, false)
		if err != nil {
			return
		}
		if w.open != nil && w.open(ctx) != nil {
			return
		}
		waiting := 0
		if full { // more is waiting already
			d, _ := w.s.queue.Depth(ctx, w.lane) // if that fails Lease says so
			waiting = d.Tasks
		} else if w.gather > 0 && sleep(ctx, w.gather) != nil {
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
		if len(tasks) > 0 {
			onceOf(ctx).works(1)
		}
		if len(tasks) == 0 {
			continue
		}
		wait := w.do(tasks)
		onceOf(ctx).works(-1)
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// executeApproved does what is approved, in this process or another one.
func (s *Syncer) executeApproved(ctx, work context.Context) {
	for {
		timer := time.NewTimer(approvalEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.approvals:
		case <-timer.C:
		}
		timer.Stop()
		if err := s.execute(work); err != nil && ctx.Err() == nil {
			s.logger.LogAttrs(ctx, slog.LevelError, "what was approved could not be done yet", slog.Any("err", err))
		}
	}
}

// orderLimit lets a few orders use the quota like events; the rest leave room
// for these.
var orderEvery = rate.Every(6 * time.Second)

const orderBurst = 10

func (s *Syncer) urgentOrders(ctx context.Context) context.Context {
	if s.orderRate.Allow() {
		return ctx
	}
	return channel.WithUrgency(ctx, channel.Soon)
}

// resumeEvery is how often a channel is asked for work that outlasts calls
// when it last had none.
const resumeEvery = time.Minute

// resumed is the answer of a [channel.Resumer].
type resumed struct {
	skus  []string
	again time.Duration
}

// resume lets a channel go on with work that outlasts its calls, and marks the
// products whose outcome is known by then.
func (s *Syncer) resume(ctx, work context.Context, t *target, r channel.Resumer) {
	for failures := 0; ; {
		if t.pause.wait(ctx) != nil {
			return
		}
		got, err := called(work, s, t, "Resume", func(ctx context.Context) (got resumed, err error) {
			got.skus, got.again, err = r.Resume(ctx)
			return got, err
		})
		wait := resumeEvery
		switch {
		case errors.Is(err, ErrPaused):
			wait = 0
		case err != nil:
			wait = pause(err, failures, maxProductBackoff)
			failures++
			s.logger.LogAttrs(work, slog.LevelWarn, "work that outlasts calls could not go on", slog.String("channel", t.name), slog.Any("err", err))
		case got.again > 0:
			wait, failures = min(got.again, resumeEvery), 0
		}
		if t.outcomes(ctx, s, got.skus) != nil {
			return
		}
		onceOf(ctx).did("resume "+t.name, nil)
		if sleep(ctx, wait) != nil {
			return
		}
	}
}
