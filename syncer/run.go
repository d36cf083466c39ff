package syncer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ecosire/stocksync/channel"
)

// ErrRunning: Run was called while it runs.
var ErrRunning = errors.New("syncer: Run is running already")

// Run works on what is marked, until ctx is done. The host calls it once, in a
// goroutine of its own or in its main, and looks at its error.
//
// Each channel has three workers: for events, for what of them is dangerous when
// many are waiting, and for what a watch finds. A worker waits a moment to gather a
// burst (see Config.Gather), takes up to 100 marked products, or 200 if more are waiting,
// reads them at the source, or uses what another worker has just read, and makes
// the channel show them. What fails is tried again on that channel alone, with
// growing waits; a channel that fails as a whole is probed with one product until
// it works again. Products that the channel does not have, and the like, are
// given up until they are marked again or the next reconciliation. What a guard
// holds is kept in the queue's store until somebody approves or it is over.
//
// Beside that Run reconciles on Config.Schedule, and at once if it finds that
// it missed a time while it did not run, which needs a durable queue; it asks a
// source that is a [channel.ChangeSource] for what changed without an event; and it
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
		s.resign(ctx, t)
		if granted > 0 && time.Since(began) >= granted {
			failures = 0 // lost after a lease at least, such as by a cut: no reason to stand back
			continue
		}
		_ = sleep(ctx, backoff(nil, failures, maxQueueBackoff)) // a queue may be out of order in a way of its own
		failures++
	}
	for _, t := range s.targets {
		if stuck := cmp.Or(t.calls.left(), t.asked.left()); stuck != nil {
			s.logger.ErrorContext(ctx, "Run ends, and leaves a call behind that has not returned",
				slog.String("channel", t.name), slog.String("op", stuck.op), slog.Time("since", stuck.since))
		}
	}
	return nil
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
	var records []Record
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
		records = append(records, Record{Key: name})
	}
	t := tenureOf(ctx)
	for _, target := range s.targets {
		value, old := known[target.name]
		now := []byte{}
		if t.shared && len(known) > 0 && (!old || len(value) > 0) {
			now, t.newChannels = notCompared, true
		}
		records = append(records, Record{target.name, now})
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

// executeApproved does what is approved, in this process or another one.
func (s *Syncer) executeApproved(ctx, work context.Context) {
	for sleepOr(ctx, approvalEvery, s.approvals) == nil {
		s.executeNow(work)
	}
}

// executeNow is execute for whoever has something else to do: what fails is done later.
func (s *Syncer) executeNow(ctx context.Context) {
	if err := s.execute(ctx); err != nil && ctx.Err() == nil {
		s.logger.LogAttrs(ctx, slog.LevelError, "what was approved could not be done yet", slog.Any("err", err))
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
	for failures := 0; ctx.Err() == nil; {
		got, err := called(work, s, t, "Resume", func(ctx context.Context) (got resumed, err error) {
			got.skus, got.again, err = r.Resume(ctx)
			return got, err
		})
		wait := resumeEvery
		alone, rests := errors.AsType[*leftAlone](err)
		switch {
		case rests:
			wait = alone.left
		case errors.Is(err, ErrPaused):
			wait = 0
		case err != nil:
			wait = backoff(err, failures, maxProductBackoff)
			failures++
			s.logger.LogAttrs(work, slog.LevelWarn, "work that outlasts calls could not go on", slog.String("channel", t.name), slog.Any("err", err))
		case got.again > 0:
			wait, failures = min(got.again, resumeEvery), 0
		}
		_ = t.outcomes(ctx, s, got.skus) // it fails only if ctx is done
		onceOf(ctx).did("resume "+t.name, nil)
		_ = sleep(ctx, wait)
		_ = t.pause.wait(ctx)
	}
}
