package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// What a reconciliation's error may match, apart from the errors of package channel.
var (
	// ErrHeld: a guard holds lines. They are in the report's Held; those that
	// tripped the guard are in [Syncer.Held], too, until they are dealt with.
	ErrHeld = errors.New("held by the guard")
	// ErrReconciling: a reconciliation is under way already.
	ErrReconciling = errors.New("syncer: a reconciliation is under way already")
	// ErrEmpty: the source has no products at all. Nothing was changed.
	ErrEmpty = errors.New("the source has no products")
	// ErrShrunk: the source has less than half of the products that it had the
	// last time it was well. Nothing was changed for those that were not read.
	ErrShrunk = errors.New("the source has lost more than half of its products")
	// ErrForeign: a channel knows none of the source's SKUs.
	ErrForeign = errors.New("the channel knows none of the SKUs: is it the right shop, and does it answer well?")
	// ErrNotCompared: a channel was not compared as a whole.
	ErrNotCompared = errors.New("not all products were compared with the channel")
)

// Reconcile reads the whole catalogue at the source and makes every channel
// show it, in bounded memory: while one group of products is compared and
// mended on the channels, the next is read. What is written was read moments
// before, and an event that comes meanwhile wins over an older quantity. To
// find an SKU that comes twice, a catalogue of over 100,000 products makes use
// of a temporary file, eight bytes a product; see [os.TempDir]. Where there can
// be none it is memory.
//
// A loss or a gain, as [Guard] defines them, is put aside until everything was
// compared, read again, and then written, or held if it is more than the
// [Guard] of the channel lets pass; the run then ends with an error that
// matches [ErrHeld]. Only what was read is written: missing is never zero. A
// source that fails or is incomplete, or a catalogue that is empty or has
// shrunk to less than half, ends the run with an error that says so, after what
// was read has been dealt with.
//
// A channel that cannot keep pace with the source, or that fails for a while,
// does not delay the others: it gets its products afterwards, read anew. If it
// does not work again within ten minutes of the others' end, the run ends
// without it, with an error that matches [ErrNotCompared]. The run leaves room
// in the source's quota for more urgent work. Two runs of one Syncer, or of the
// replicas on a SharedQueue, never overlap: the second call returns
// [ErrReconciling].
//
// For the error see [Report.Err]. The report is there in any case, but for
// ErrReconciling.
//
// On a [SharedQueue] whoever leads makes the run; see [Syncer.SyncProducts].
func (s *Syncer) Reconcile(ctx context.Context) (*Report, error) {
	if s.asks(ctx) {
		return s.ask(ctx, request{Kind: "reconcile"})
	}
	if err := s.notMidway(ctx); err != nil {
		return nil, fmt.Errorf("syncer: Reconcile: %w", err)
	}
	r, _, err := s.reconcile(ctx, nil)
	return r, err
}

// reconcile makes a run. reading is nil for a call of Reconcile. For the
// schedule's runs it ends the reading, and what was read is finished; such a run
// keeps a checkpoint, and goes on from one that it finds. complete reports that
// all was read, and compared with every channel that is not paused.
func (s *Syncer) reconcile(ctx, reading context.Context) (r *Report, complete bool, err error) {
	if !s.reconciling.CompareAndSwap(false, true) {
		return nil, false, ErrReconciling
	}
	defer s.reconciling.Store(false)
	e := s.begin(channel.WithUrgency(ctx, channel.Background), WorkReconcile)
	failed := s.ready(e.ctx)
	if failed != nil {
		r, err := e.end(failed)
		return r, false, err
	}
	s.recollect(e.ctx)
	e.ctx = s.expecting(e.ctx)
	ctx = e.ctx
	preloaded := s.preload(ctx)
	progress := s.newProgress(ctx, e.report)
	defer progress.end()
	nights := make([]*night, len(s.targets))
	for i, t := range s.targets {
		nights[i] = &night{s: s, t: t, kitting: withoutKits, account: e.accounts[i], tell: func(a *account) { progress.did(i, &a.report) }}
	}
	known := s.newNames(ctx)
	defer known.close()
	var f *fan
	f = s.fanBeside(ctx, windowGroups, func(ctx context.Context, i int, g *group) func() {
		did := nights[i].work(ctx, g)
		return func() {
			if st := nights[i].stride(ctx, g, did); ctx.Err() == nil { // else it was cut off
				f.track.did(i, g.number, st)
			}
		}
	}, preloaded...)
	f.spill, f.beside = true, s.besides()
	var cp *checkpoint
	if reading != nil {
		if cp, failed = s.goOn(ctx); failed != nil {
			f.wait()
			r, err := e.end(failed)
			return r, false, err
		}
		f.track = e.track(cp)
	}
	failed = e.readAll(reading, f, known, progress, cp, nights)
	f.wait()

	rested := reading != nil && reading.Err() != nil && ctx.Err() == nil && failed != nil
	whole := failed == nil && ctx.Err() == nil
	f.track.ended(whole, rested && s.closed())
	if rested {
		e.report.Rested = true
		r, err = e.end(e.followUp(ctx))
		return r, false, err
	}
	plausible := whole && s.plausible(ctx, e.report) && e.report.Resumed.IsZero()
	var wg sync.WaitGroup
	for i, n := range nights {
		n.missAll(&f.behind[i], f.lost[i])
		wg.Go(func() {
			n.catchUp(ctx)
			n.kits(ctx)
			n.retire(ctx, known, i, plausible)
			n.finish(ctx, whole)
		})
	}
	wg.Wait()
	failed = errors.Join(failed, e.followUp(ctx))
	complete, failed = e.keepRun(ctx, nights, whole, failed)
	r, err = e.end(failed)
	return r, complete, err
}

// keepRun keeps what the queue shall know of a run when it is over. It reports
// whether the run was complete: all of the source was read, and compared with
// each channel that is not paused.
func (e *entrance) keepRun(ctx context.Context, nights []*night, whole bool, failed error) (complete bool, err error) {
	s := e.s
	if whole && ctx.Err() == nil {
		if e.report.Resumed.IsZero() {
			s.index.ran()
		}
		failed = errors.Join(failed, s.conclude(ctx, e))
		complete = true
	}
	for _, n := range nights {
		complete = complete && (n.whole || n.account.report.Paused)
	}
	if ctx.Err() == nil {
		failed = errors.Join(failed, s.notePassed(ctx, nights))
	}
	if complete {
		s.keep(ctx)
	}
	if ctx.Err() == nil { // what is left of this run, or of an older one, is nothing to go on from
		failed = errors.Join(failed, s.on(ctx).Save(ctx, stateSet, Record{Key: checkpointName}))
	}
	s.journal.prune(ctx)
	if complete {
		failed = errors.Join(failed, s.compared(ctx))
	}
	return complete, failed
}

// ready reads what earlier runs left in the store, and does what was approved
// since.
func (s *Syncer) ready(ctx context.Context) error {
	if err := s.checkFormat(ctx); err != nil {
		return err
	}
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	if s.running.Load() {
		return nil // Run does
	}
	s.executeNow(ctx)
	return ctx.Err()
}

// expecting returns a context with which channels may ask how many products
// the catalogue has: as many as in the last run, until the source tells.
func (s *Syncer) expecting(ctx context.Context) context.Context {
	last, _ := s.recall(ctx) // without it nothing is expected yet
	return channel.WithExpected(ctx, last.Products)
}

// preload lets the channels prepare, side by side. Each target's channel in
// the answer is closed when its channel is ready.
func (s *Syncer) preload(ctx context.Context) (ready []<-chan struct{}) {
	for _, t := range s.targets {
		done := make(chan struct{})
		ready = append(ready, done)
		p, ok := channel.As[channel.Preloader](t.Channel)
		if !ok || t.pause.get() != nil || t.state.leftAlone() != nil {
			close(done)
			continue
		}
		go func() { // whoever called waits for it
			defer close(done)
			if err := t.prepare(ctx, s, p); err != nil && ctx.Err() == nil {
				s.logger.LogAttrs(ctx, slog.LevelWarn, "preloading failed; the run is slower for it",
					slog.String("channel", t.name), slog.Any("err", err))
			}
		}()
	}
	return ready
}

// plausible reports whether the source has about as many products as it had: if
// not, what is missing is not retired.
func (s *Syncer) plausible(ctx context.Context, r *Report) bool {
	last, err := s.recall(ctx)
	read := r.Read + r.Unread
	return err == nil && read > 0 && 2*read >= last.Products
}

// conclude remembers a run over the whole catalogue, and returns what in it
// looks like trouble all the same.
func (s *Syncer) conclude(ctx context.Context, e *entrance) error {
	var errs []error
	read := e.report.Read + e.report.Unread
	last, err := s.recall(ctx)
	errs = append(errs, err)
	now := reconciled{At: e.report.Started, Products: read}
	if began := e.report.Resumed; !began.IsZero() {
		now.At = began // of what was compared first
	}
	switch {
	case read == 0:
		errs = append(errs, ErrEmpty)
	case 2*read < last.Products:
		errs = append(errs, fmt.Errorf("%w: %d, and %d before", ErrShrunk, read, last.Products))
	}
	if read == 0 || 2*read < last.Products {
		// What it had when it was well stays the measure, until it has stayed as
		// small for a week.
		now.Products, now.Small, now.SmallSince = last.Products, read, last.SmallSince
		if last.SmallSince.IsZero() || read == 0 || abs(read-last.Small) > read/10 {
			now.SmallSince = now.At
		}
		if now.At.Sub(now.SmallSince) >= 7*24*time.Hour {
			now.Products, now.SmallSince = read, time.Time{}
		}
	}
	errs = append(errs, s.remember(ctx, now), s.doubled.keep(ctx, s.on(ctx), e.report.Resumed.IsZero()))
	for _, a := range e.accounts {
		if c := &a.report; c.Checked >= 20 && c.Unknown == c.Checked {
			errs = append(errs, fmt.Errorf("%s: %w", c.Channel, ErrForeign))
		}
	}
	return errors.Join(errs...)
}

// reconciled is what is remembered of the last complete run.
type reconciled struct {
	At time.Time `json:"at"`
	// Products is how many the source had when it was last well.
	Products int `json:"products"`
	// Small is how many it has since SmallSince, if that is suspiciously few.
	Small      int       `json:"small,omitempty"`
	SmallSince time.Time `json:"smallSince,omitzero"`
}

// stateSet has what the syncer remembers of itself.
const (
	stateSet       = "state"
	reconciledName = "reconciled"
	waitingName    = "waiting" // since when the first run has been waited for
)

// waitingSince is when the first leader of the queue began to wait for the
// first complete run.
func (s *Syncer) waitingSince(ctx context.Context) (since time.Time, err error) {
	value, err := s.on(ctx).Load(ctx, stateSet, waitingName)
	if err != nil {
		return since, err
	}
	if value != nil && since.UnmarshalText(value) == nil && !since.After(time.Now()) {
		return since, nil
	}
	since = time.Now()
	value, _ = since.MarshalText() // no year has five digits
	return since, s.on(ctx).Save(ctx, stateSet, Record{waitingName, value})
}

func (s *Syncer) remember(ctx context.Context, run reconciled) error {
	value, _ := json.Marshal(run) // numbers and times
	return s.on(ctx).Save(ctx, stateSet, Record{reconciledName, value})
}

var errSenseless = errors.New("makes no sense")

func (s *Syncer) recall(ctx context.Context) (run reconciled, err error) {
	value, err := s.on(ctx).Load(ctx, stateSet, reconciledName)
	if err != nil || value == nil {
		return run, err
	}
	if err := json.Unmarshal(value, &run); err != nil {
		return reconciled{}, fmt.Errorf("what was remembered of the last reconciliation %w: %w", errSenseless, err)
	}
	if now := time.Now(); run.At.After(now) || run.SmallSince.After(now) { // the clock was set back since
		run.At = now
		if run.SmallSince.After(now) {
			run.SmallSince = now
		}
	}
	return run, nil
}

// readAll reads the catalogue, or what is left of it behind a checkpoint. A source
// that does not find the place again is read from the beginning.
func (e *entrance) readAll(reading context.Context, f *fan, known *names, p *progress, cp *checkpoint, nights []*night) error {
	if reading == nil {
		return e.catalogue(e.ctx, f, known, p)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	defer context.AfterFunc(reading, cancel)()
	if cp == nil {
		return e.catalogue(ctx, f, known, p)
	}
	e.resume(cp, nights)
	if cp.All {
		return nil
	}
	return e.catalogue(context.WithValue(ctx, placeKey{}, cp), f, known, p)
}
