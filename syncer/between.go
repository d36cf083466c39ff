package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Between keeps the runs of a schedule within hours of the day, so that they
// never meet a shop's busy time: from and to are the time since midnight in a
// location, and to may be on the next day, as from 22 to 5 o'clock. A time of the
// schedule outside the hours is made up for when they begin.
//
// A run that is not done when the hours end rests: it finishes what it has read,
// reports that ([Report].Rested), and goes on when they begin again, if the source
// is a [channel.Continuer]; otherwise it starts anew then. Only reading the
// catalogue rests: what is left for its end may take longer. A call of
// [Syncer.Reconcile] is not bound by the hours.
//
// Put a [Jitter] inside: Between(Jitter(…), …).
func Between(s Schedule, from, to time.Duration, in *time.Location) Schedule {
	return between{s, from, to, in}
}

type between struct {
	Schedule
	from, to time.Duration
	in       *time.Location
}

func (b between) check() error {
	day := 24 * time.Hour
	switch {
	case nothing(b.Schedule):
		return errors.New("Between has no schedule")
	case b.in == nil:
		return errors.New("Between has no location: pass time.UTC, or that of the shop")
	case b.from < 0 || b.from >= day || b.to < 0 || b.to > day || b.from == b.to:
		return fmt.Errorf("Between(%s, %s) are no hours of a day", b.from, b.to)
	}
	return checkSchedule(b.Schedule)
}

// Next implements [Schedule].
func (b between) Next(t time.Time) time.Time {
	next := b.Schedule.Next(t)
	if next.IsZero() {
		return next
	}
	return b.opens(next)
}

// at is a time of the day, a number of days after t's.
func (b between) at(t time.Time, days int, of time.Duration) time.Time {
	t = t.In(b.in)
	return time.Date(t.Year(), t.Month(), t.Day()+days, 0, 0, int(of/time.Second), 0, b.in)
}

// closes is when the hours end in which t is, or zero if it is in none.
func (b between) closes(t time.Time) time.Time {
	for days := -1; days <= 0; days++ {
		from, to := b.at(t, days, b.from), b.at(t, days, b.to)
		if b.to < b.from {
			to = b.at(t, days+1, b.to)
		}
		if !t.Before(from) && t.Before(to) {
			return to
		}
	}
	return time.Time{}
}

// opens is t, or when the next hours begin if it is in none.
func (b between) opens(t time.Time) time.Time {
	if !b.closes(t).IsZero() {
		return t
	}
	for days := 0; ; days++ {
		if from := b.at(t, days, b.from); from.After(t) {
			return from
		}
	}
}

// hours are those of the schedule, if it has any.
func (s *Syncer) hours() (b between, ok bool) {
	switch x := s.schedule.(type) {
	case between:
		return x, true
	case jitter:
		b, ok = x.Schedule.(between)
	}
	return b, ok
}

// closed reports whether the hours have ended.
func (s *Syncer) closed() bool {
	b, ok := s.hours()
	return ok && b.closes(time.Now()).IsZero()
}

// within is a time, or the first one after it at which Run may reconcile.
func (s *Syncer) within(t time.Time) time.Time {
	if b, ok := s.hours(); ok && !t.IsZero() {
		return b.opens(t)
	}
	return t
}

// untilClosed is ctx until the hours end.
func (s *Syncer) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	b, ok := s.hours()
	if !ok {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	closes := b.closes(time.Now())
	go func() { // in steps: clocks are set, and machines sleep
		for {
			wait := nap(closes)
			if wait <= 0 {
				cancel()
				return
			}
			if sleep(ctx, wait) != nil {
				return
			}
		}
	}()
	return ctx, cancel
}
