package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Schedule says when to reconcile. The schedules of github.com/robfig/cron
// are Schedules as they are.
type Schedule interface {
	// Next returns the first time after t, or the zero time for never.
	Next(t time.Time) time.Time
}

// Daily is every day at that time of day in a location, which must not be nil.
// A time skipped when clocks go forward runs up to an hour off; a repeated one
// runs once.
func Daily(hour, minute int, in *time.Location) Schedule {
	return daily{hour, minute, in}
}

type daily struct {
	hour, minute int
	in           *time.Location
}

func (d daily) Next(t time.Time) time.Time {
	local := t.In(d.in)
	for day := local.Day(); ; day++ {
		next := time.Date(local.Year(), local.Month(), day, d.hour, d.minute, 0, 0, d.in)
		if next.After(t) {
			return next
		}
	}
}

// Never is no schedule at all.
func Never() Schedule { return never{} }

type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// Jitter delays each time of a schedule by a random duration below max, so
// that many services do not begin at once.
func Jitter(s Schedule, max time.Duration) Schedule { return jitter{s, max} }

// checkSchedule refuses a schedule that would panic when it is asked.
func checkSchedule(s Schedule) error {
	switch s := s.(type) {
	case daily:
		if s.in == nil {
			return errors.New("Daily has no location: pass time.UTC, or that of the shop")
		}
		if s.hour < 0 || s.hour > 23 || s.minute < 0 || s.minute > 59 {
			return fmt.Errorf("Daily(%d, %d) is no time of day", s.hour, s.minute)
		}
	case between:
		return s.check()
	case jitter:
		if nothing(s.Schedule) {
			return errors.New("Jitter has no schedule")
		}
		return checkSchedule(s.Schedule)
	}
	return nil
}

type jitter struct {
	Schedule
	max time.Duration
}

func (j jitter) Next(t time.Time) time.Time {
	next := j.Schedule.Next(t)
	if next.IsZero() || j.max <= 0 {
		return next
	}
	return next.Add(rand.N(j.max))
}

const (
	// retryReconcile is how long after a failure the next attempt is made. It
	// doubles with each one, until the schedule's next time.
	retryReconcile = 10 * time.Minute
	// maxSleep bounds how long a scheduler sleeps without a look at the clock,
	// which may be set, or stand still while a machine sleeps.
	maxSleep = time.Minute
)

// nap is how long to sleep before the next look at the clock; 0 or less when it
// is time. It goes by the time of day: the monotonic clock stands still while a
// machine sleeps.
func nap(due time.Time) time.Duration { return min(time.Until(due.Round(0)), maxSleep) }

// maxYear is the last one that JSON has; what is later is never.
const maxYear = 9999

// after is the schedule's next time after t, or zero. A schedule that panics, does not
// return, or names a time that is not after t, has none for an hour.
func (s *Syncer) after(ctx context.Context, t time.Time) time.Time {
	next, err := bounded(ctx, s, "Config.Schedule", s.soonAnswered(), func(context.Context) (time.Time, error) { return s.schedule.Next(t), nil })
	if err != nil {
		return time.Now().Add(time.Hour)
	}
	if next.Year() > maxYear {
		return time.Time{}
	}
	if !next.IsZero() && !next.After(t) {
		s.once.warn(ctx, s, "the schedule's next time is not after the time that it was asked for; it is asked again in an hour",
			slog.Time("next", next), slog.Time("after", t))
		return t.Add(time.Hour)
	}
	return next
}

// keepSchedule reconciles when the schedule says so, and at once what was
// missed while nobody ran or the last leader died. One at a time: what becomes
// due during a run is made up after it.
func (s *Syncer) keepSchedule(accept, work context.Context, t *tenure) {
	due, looked, o := s.firstDue(accept, t), time.Now(), onceOf(accept)
	for retry := retryReconcile; accept.Err() == nil; {
		due, looked = s.sooner(accept, due, looked, time.Now()), time.Now()
		if !due.IsZero() && s.owesRun() { // a channel was resumed that runs have passed by
			due = time.Now()
		}
		if !due.IsZero() && !time.Now().Before(due) {
			due = s.within(time.Now())
		}
		told := due // others read it
		s.next.Store(&told)
		if due.IsZero() || nap(due) > 0 {
			o.did("schedule", nil)
		}
		if due.IsZero() {
			return
		}
		if wait := nap(due); wait > 0 {
			_ = sleepOr(accept, wait, s.pauses.due)
			continue
		}
		// A reconciliation is long, and can be cut off anywhere: only what it has
		// read gets a grace.
		reading, cancel := s.untilClosed(accept)
		r, complete, err := s.reconcile(work, reading)
		cancel()
		if accept.Err() != nil {
			return
		}
		if r != nil && !r.Resumed.IsZero() && errors.Is(err, errors.ErrUnsupported) {
			continue // the source does not find the place again: from the beginning
		}
		rested := r != nil && r.Rested
		if o != nil {
			s.attempted(accept, complete || rested)
			o.did("schedule", err)
		}
		switch next := s.after(accept, time.Now()); {
		case rested:
			due, retry = s.within(time.Now()), retryReconcile
		case complete: // whatever else is wrong, another attempt would find the same
			due, retry = next, retryReconcile
		default:
			due, retry = time.Now().Add(retry), 2*retry
			if !next.IsZero() && next.Before(due) {
				due = next
			}
		}
		s.tellRun(accept, r, err, due)
	}
}

// sooner is when the next run is due, if the clock was set back since it was looked
// at: what was worked out before may be years away.
func (s *Syncer) sooner(ctx context.Context, due, looked, now time.Time) time.Time {
	if now = now.Round(0); due.IsZero() || !now.Before(looked.Round(0)) {
		return due
	}
	if next := s.after(ctx, now); !next.IsZero() && next.Before(due.Round(0)) {
		return next
	}
	return due
}

// firstDue is when the first run is due after a start. That may have passed: a
// run may have been missed, or cut off. It means nothing once accept is done.
func (s *Syncer) firstDue(accept context.Context, t *tenure) (due time.Time) {
	var last reconciled
	_ = s.insist(accept, "Load", func() (err error) {
		if last, err = s.recall(accept); errors.Is(err, errSenseless) { // the next complete run replaces it
			err = nil
		}
		return err
	})
	due = s.after(accept, time.Now())
	since := last.At
	o := onceOf(accept)
	if (t.shared || o != nil || !s.forgets()) && since.IsZero() { // the first run may be missed, too: its leader may have died
		_ = s.insist(accept, "Load, Save", func() (err error) { since, err = s.waitingSince(accept); return err })
	}
	if !since.IsZero() {
		if missed := s.after(accept, since); !missed.IsZero() {
			due = missed
		}
	}
	if s.atStart && (!t.shared && o == nil || last.At.Before(s.started) && (o == nil || last.At.IsZero())) || t.newChannels {
		due = time.Now()
	}
	if cp, _ := s.goOn(accept); cp != nil { // a run was cut off moments ago, or rests
		due = time.Now()
	}
	if o != nil {
		due = s.notBefore(accept, due)
	}
	return due
}

// tellRun tells the host, and the log, of a run, and when the next one is due.
func (s *Syncer) tellRun(ctx context.Context, r *Report, err error, next time.Time) {
	of := ctx
	if r != nil {
		of = channel.WithRun(ctx, r.Run)
	}
	switch {
	case r != nil && r.Rested:
		s.logger.LogAttrs(of, slog.LevelInfo, "the run rests until its hours begin again", slog.Time("next", next))
	case err != nil:
		s.logger.LogAttrs(of, slog.LevelError, "reconciliation", slog.Any("err", err), slog.Time("next", next))
	}
	s.hooks.reconciled(ctx, s, r, err)
}
