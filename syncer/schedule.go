package syncer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// A Schedule says when to reconcile. The schedules of github.com/robfig/cron
// are Schedules as they are.
type Schedule interface {
	// Next returns the first time after t, or the zero time for never.
	Next(t time.Time) time.Time
}

// Daily is every day at that time of day in a location. Where a day lacks it,
// because clocks are put forward, it is an hour or so off; where a day has it
// twice, it counts once.
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
var Never Schedule = never{}

type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// Jitter puts each time of a schedule off by up to so long, so that many
// services do not begin at once.
func Jitter(s Schedule, most time.Duration) Schedule { return jitter{s, most} }

type jitter struct {
	Schedule
	most time.Duration
}

func (j jitter) Next(t time.Time) time.Time {
	next := j.Schedule.Next(t)
	if next.IsZero() || j.most <= 0 {
		return next
	}
	return next.Add(rand.N(j.most))
}

const (
	// retryReconcile is how long after a failure the next attempt is made. It
	// doubles with each one, until the schedule's next time.
	retryReconcile = 10 * time.Minute
	// mostSleep bounds how long a scheduler sleeps without a look at the clock,
	// which may be set, or stand still while a machine sleeps.
	mostSleep = time.Minute
)

// keepSchedule reconciles when the schedule says so, and at once what was
// missed while nobody ran. One at a time: what becomes due during a run is made
// up after it.
func (s *Syncer) keepSchedule(accept context.Context) error {
	last, err := s.recall(accept)
	if err != nil {
		return ended(accept, err)
	}
	due := s.schedule.Next(time.Now())
	if missed := s.schedule.Next(last.At); !last.At.IsZero() && !missed.IsZero() {
		due = missed // which may have passed
	}
	if s.atStart {
		due = time.Now()
	}
	retry := retryReconcile
	for {
		if due.IsZero() {
			<-accept.Done()
			return nil
		}
		if wait := time.Until(due.Round(0)); wait > 0 {
			if sleep(accept, min(wait, mostSleep)) != nil {
				return nil
			}
			continue
		}
		// A reconciliation is long, and can be cut off anywhere: it gets no grace.
		r, err := s.Reconcile(accept)
		switch {
		case accept.Err() != nil:
			return nil
		case r != nil && r.complete && !r.down(): // whatever else is wrong, another attempt would find the same
			due, retry = s.schedule.Next(time.Now()), retryReconcile
		default:
			due, retry = time.Now().Add(retry), 2*retry
			if next := s.schedule.Next(time.Now()); !next.IsZero() && next.Before(due) {
				due = next
			}
		}
		if err != nil {
			s.logger.LogAttrs(accept, slog.LevelError, "reconciliation", slog.Any("err", err), slog.Time("next", due))
		}
		s.hooks.reconciled(r, err)
	}
}
