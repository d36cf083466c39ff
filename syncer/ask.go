package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// On a shared queue, calls that write are made by whoever leads. A call asks for
// that by a record and a mark, and waits for the answer, which comes channel by
// channel as each is done. The mark is worked on like any other: what was asked
// is done, even if nobody waits for it any more.

const (
	askLane   = "asked"   // of calls, by run
	askSet    = "asked"   // the requests, by run
	answerSet = "answers" // by run, "/", and the channel, or "" for the whole
	// approvedID is what an approval marks in the lane.
	approvedID = "approvals"

	// maxAnswering bounds the calls that a leader makes for others at a time.
	maxAnswering = 16
	// leaderless is how long a call goes on waiting while no process leads. A
	// queue says that nobody does when the last lease is over, which is when the
	// next leader comes.
	leaderless = 10 * time.Second
	// answersFor is how long an answer that nobody fetched is kept, and
	// requestsFor the same of a request whose mark was lost.
	answersFor  = time.Hour
	requestsFor = 30 * 24 * time.Hour
)

// A request is a call as its record has it.
type request struct {
	Kind       string    `json:"kind"` // of Work
	ProductIDs []string  `json:"productIDs,omitempty"`
	Plan       *Plan     `json:"plan,omitempty"`
	At         time.Time `json:"at"` // for tidying up only
}

// An answered is what came of a call, or of its part on one channel.
type answered struct {
	At      time.Time      `json:"at"` // for tidying up only
	Channel *ChannelReport `json:"channel,omitempty"`
	Report  *Report        `json:"report,omitempty"`
	Error   *askedError    `json:"failure,omitempty"`
}

// An askedError is an error that went through the store. It matches what it
// matched before, as far as these are errors of this module.
type askedError struct {
	Text    string   `json:"text"`
	Matches []string `json:"matches,omitempty"`
}

// sentinels are the errors that an answer may match, by their texts.
var sentinels = []error{
	ErrHeld, ErrPaused, ErrReconciling, ErrEmpty, ErrShrunk, ErrForeign, ErrNotCompared, ErrNoProduct, ErrObserving,
	channel.ErrUnknownSKU, channel.ErrAmbiguousSKU, channel.ErrNotTracked, channel.ErrNotStocked, channel.ErrShared,
	channel.ErrInvalid, channel.ErrConflict, channel.ErrPending, channel.ErrNotApplied, channel.ErrUnclear,
	channel.ErrUnauthorized, channel.ErrUnavailable, channel.ErrIncomplete,
}

func newAskedError(err error) *askedError {
	if err == nil {
		return nil
	}
	e := &askedError{Text: err.Error()}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			e.Matches = append(e.Matches, s.Error())
		}
	}
	return e
}

func (e *askedError) Error() string { return e.Text }

func (e *askedError) Unwrap() []error {
	var errs []error
	for _, s := range sentinels {
		if slices.Contains(e.Matches, s.Error()) {
			errs = append(errs, s)
		}
	}
	return errs
}

// asks reports whether a call is for whoever leads: the queue is shared, and
// the call is not part of the leader's own work.
func (s *Syncer) asks(ctx context.Context) bool { return s.shared != nil && tenureOf(ctx) == nil }

// ask has the leader make a call, and waits for what comes of it.
func (s *Syncer) ask(ctx context.Context, req request) (*Report, error) {
	run, began := newRunName(req.Kind), time.Now()
	req.At = began
	fail := func(err error) (*Report, error) {
		r := s.partial(ctx, run, began, &req)
		return r, fmt.Errorf("syncer: %s: %w", run, err)
	}
	value, err := json.Marshal(req)
	if err != nil {
		return fail(err)
	}
	err = s.safely(ctx, "the queue: Save, Mark", func() error {
		if err := s.shared.Save(ctx, askSet, Record{run, value}); err != nil {
			return err
		}
		return s.shared.Mark(ctx, Mark{Key: Key{askLane, run}, Why: CauseCall, Trace: s.trace(ctx)})
	})
	if err != nil {
		return fail(fmt.Errorf("asking the leader: %w", err))
	}
	a, err := s.await(ctx, run)
	if err != nil {
		return fail(err)
	}
	s.fetched(ctx, run)
	if a.Error != nil {
		return a.Report, a.Error
	}
	return a.Report, nil
}

// await waits for the answer to a call.
func (s *Syncer) await(ctx context.Context, run string) (*answered, error) {
	var nobody, failing, asked time.Time // since when; when it was asked who leads
	wait := 30 * time.Millisecond
	for {
		a, err := s.answerTo(ctx, run)
		if a != nil {
			return a, nil
		}
		if err == nil && time.Since(asked) > time.Second {
			_, err = s.shared.Leader(ctx)
			asked = time.Now()
			switch {
			case !errors.Is(err, ErrNoLeader):
				nobody = time.Time{}
			case nobody.IsZero():
				nobody, err = time.Now(), nil
			default:
				err = nil
			}
		}
		switch {
		case ctx.Err() != nil && !nobody.IsZero():
			return nil, errors.Join(ctx.Err(), ErrNoLeader)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !nobody.IsZero() && time.Since(nobody) >= leaderless:
			return nil, ErrNoLeader
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) >= leaderless:
			return nil, fmt.Errorf("waiting for the leader: %w", err)
		}
		_ = sleep(ctx, wait)
		wait = min(wait*5/4, 500*time.Millisecond)
	}
}

func (s *Syncer) answerTo(ctx context.Context, run string) (*answered, error) {
	value, err := s.shared.Load(ctx, answerSet, run+"/")
	if err != nil || value == nil {
		return nil, err
	}
	a := new(answered)
	return a, json.Unmarshal(value, a)
}

// fetched removes an answer that has arrived.
func (s *Syncer) fetched(ctx context.Context, run string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resigning)
	defer cancel()
	var gone []Record
	for rec, err := range s.shared.Records(ctx, answerSet, run+"/") {
		if err != nil || !strings.HasPrefix(rec.Key, run+"/") {
			break
		}
		gone = append(gone, Record{Key: rec.Key})
	}
	_ = s.shared.Save(ctx, answerSet, gone...) // else it is tidied up later
}

// partial is the report of a call that has no answer yet. What channels have
// answered is in it, and the rest is pending.
func (s *Syncer) partial(ctx context.Context, run string, began time.Time, req *request) *Report {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	r := &Report{Run: run, Started: began, Duration: time.Since(began)}
	for _, t := range s.targets {
		c := ChannelReport{Channel: t.name, Pending: len(req.products(t.name))}
		c.Checked = c.Pending
		value, err := s.shared.Load(ctx, answerSet, run+"/"+t.name)
		var a answered
		if err == nil && value != nil && json.Unmarshal(value, &a) == nil && a.Channel != nil {
			c = *a.Channel
		}
		r.Channels = append(r.Channels, c)
	}
	return r
}

// products are those that a request is about on a channel, as far as whoever
// asks can know.
func (r *request) products(name string) []string {
	ids := slices.Clone(r.ProductIDs)
	if r.Plan != nil {
		for _, l := range r.Plan.Lines {
			if l.Channel == name && l.Reason.Writable() {
				ids = append(ids, l.ProductID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

type runKey struct{}

// asked is a call that this process makes for another.
type asked struct {
	run string
	// done is told when the call has done all that it does on one channel.
	done func(context.Context, ChannelReport)
}

func askedOf(ctx context.Context) *asked {
	a, _ := ctx.Value(runKey{}).(*asked)
	return a
}

// shareWork starts what only the leader of a shared queue does.
func (s *Syncer) shareWork(accept, work context.Context, t *tenure, group *errgroup.Group) {
	slots := make(chan struct{}, maxAnswering)
	w := &worker{s: s, lane: askLane, size: maxAnswering, do: func(tasks []Task) time.Duration {
		for _, task := range tasks {
			select {
			case slots <- struct{}{}:
			case <-work.Done():
				return 0
			}
			group.Go(func() error {
				defer func() { <-slots }()
				s.answer(accept, work, task)
				return nil
			})
		}
		return 0
	}}
	group.Go(func() error { w.run(accept); return nil })
	group.Go(func() error { s.lookAgain(accept, t); return nil })
	group.Go(func() error { s.showView(accept, t); return nil })
	group.Go(func() error {
		for sleep(accept, answersFor) == nil {
			if err := s.tidyAnswers(accept); err != nil && accept.Err() == nil {
				s.logger.LogAttrs(accept, slog.LevelWarn, "old answers could not be removed", slog.Any("err", err))
			}
		}
		return nil
	})
}

// answer makes a call that another process has asked for. A reconciliation
// gets no grace, like one of the schedule.
func (s *Syncer) answer(accept, work context.Context, task Task) {
	o := &settlement{s: s}
	defer o.settle(work)
	if task.ID == approvedID {
		s.approved()
		o.done(task)
		return
	}
	var value []byte
	if s.insist(work, "Load", func() (err error) { value, err = s.on(work).Load(work, askSet, task.ID); return err }) != nil {
		o.putBack(task, 0)
		return
	}
	var req request
	if value == nil || json.Unmarshal(value, &req) != nil { // it was answered under an earlier term
		o.done(task)
		return
	}
	ctx := work
	if req.Kind == "reconcile" {
		ctx = accept
	}
	save := func(part string, a answered) error {
		a.At = time.Now()
		value, err := json.Marshal(a)
		if err != nil {
			return err
		}
		return s.insist(work, "Save", func() error {
			return s.on(work).Save(work, answerSet, Record{task.ID + "/" + part, value})
		})
	}
	ctx = context.WithValue(ctx, runKey{}, &asked{run: task.ID, done: func(_ context.Context, c ChannelReport) {
		_ = save(c.Channel, answered{Channel: &c})
	}})
	if task.Trace != "" {
		ctx = WithTrace(ctx, task.Trace)
	}
	var r *Report
	err := s.safely(ctx, "a call", func() (err error) { r, err = s.perform(ctx, &req); return err })
	if ctx.Err() != nil { // whoever leads next makes it
		o.putBack(task, 0)
		return
	}
	if save("", answered{Report: r, Error: newAskedError(err)}) != nil {
		o.putBack(task, 0)
		return
	}
	_ = s.insist(work, "Save", func() error { return s.on(work).Save(work, askSet, Record{Key: task.ID}) })
	o.done(task)
}

func (s *Syncer) perform(ctx context.Context, req *request) (*Report, error) {
	switch req.Kind {
	case "sync":
		return s.SyncProducts(ctx, req.ProductIDs...)
	case "reconcile":
		return s.Reconcile(ctx)
	case "once": // the rest is what the leader does anyway
		if s.watcher == nil {
			return nil, nil
		}
		return nil, s.askChanges(ctx)
	case "apply":
		return s.Apply(ctx, req.Plan)
	}
	return nil, fmt.Errorf("syncer: the leader does not know what %q is", req.Kind)
}

// tidyAnswers removes what nobody has fetched.
func (s *Syncer) tidyAnswers(ctx context.Context) error {
	for set, age := range map[string]time.Duration{answerSet: answersFor, askSet: requestsFor} {
		var gone []Record
		for rec, err := range s.on(ctx).Records(ctx, set, "") {
			if err != nil {
				return err
			}
			var at struct {
				At time.Time `json:"at"`
			}
			if json.Unmarshal(rec.Value, &at) != nil || time.Since(at.At) > age {
				gone = append(gone, Record{Key: rec.Key})
			}
		}
		if len(gone) > 0 {
			if err := s.on(ctx).Save(ctx, set, gone...); err != nil {
				return err
			}
		}
	}
	return nil
}
