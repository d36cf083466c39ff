package syncer

import (
	"context"
	"errors"
	"slices"
	"time"
)

// What a pause keeps from being done waits: marked products in the lanes of the
// queue, and a run over the catalogue that has passed the channel by as a record.

// forgetPassed forgets which channels runs have passed by: another process may
// have made such runs since, or made up for them.
func (s *Syncer) forgetPassed() {
	s.pauses.owed.Store(false)
	for _, t := range s.targets {
		t.pause.mu.Lock()
		t.pause.passed = false
		t.pause.mu.Unlock()
	}
}

// notePassed remembers which channels a run over the catalogue has passed by,
// and forgets those that it has compared as a whole.
func (s *Syncer) notePassed(ctx context.Context, nights []*night) error {
	var records []Record
	for _, n := range nights {
		p := &n.t.pause
		p.mu.Lock()
		switch {
		case n.account.report.Paused:
			p.passed = true
			records = append(records, Record{passedKey + n.t.name, []byte(time.Now().UTC().Format(time.RFC3339))})
		case n.whole && p.passed:
			p.passed = false
			records = append(records, Record{Key: passedKey + n.t.name})
		}
		p.mu.Unlock()
	}
	if len(records) == 0 {
		return nil
	}
	if err := s.on(ctx).Save(ctx, pauseSet, records...); err != nil {
		return err
	}
	for _, n := range nights {
		if n.account.report.Paused && n.t.pause.get() == nil { // resumed during the run
			s.oweRun()
		}
	}
	return nil
}

// paused reports whether the run passes the channel by: it is paused, or was
// when the run came to it.
func (n *night) paused() bool {
	r := &n.account.report
	if r.Paused = r.Paused || n.t.pause.get() != nil; r.Paused {
		n.stopped.Store(true)
	}
	return r.Paused
}

// passBy ends the night of a channel that is paused. What was put aside is
// neither written nor held: the run that makes up for this one finds it again.
func (n *night) passBy(ctx context.Context) {
	o := new(outcome)
	for _, res := range n.unsure {
		o.add(res)
	}
	n.account.add(ctx, o)
	n.tell(n.account)
}

// takePaused takes out what a pause has kept from being done, and returns the
// products that this is about.
func (o *outcome) takePaused() (ids []string) {
	if errors.Is(o.err, ErrPaused) {
		o.err = nil
	}
	o.results = slices.DeleteFunc(o.results, func(r result) bool {
		if !errors.Is(r.err, ErrPaused) {
			return false
		}
		ids = append(ids, r.products()...)
		return true
	})
	return ids
}

// pausedProducts are those of which a pause has kept a part from being done.
func (o *outcome) pausedProducts() map[string]bool {
	var ids map[string]bool
	for i := range o.results {
		if !errors.Is(o.results[i].err, ErrPaused) {
			continue
		}
		if ids == nil {
			ids = make(map[string]bool)
		}
		for _, id := range o.results[i].products() {
			ids[id] = true
		}
	}
	return ids
}

// markPaused marks what a call would have done on channels that are paused.
func (s *Syncer) markPaused(ctx context.Context, accounts []*account) error {
	var marks []Mark
	for _, a := range accounts {
		slices.Sort(a.paused)
		for _, id := range slices.Compact(a.paused) {
			if id != "" {
				marks = append(marks, Mark{Key: Key{a.t.eventLane(), id}, Why: CauseRetry, Trace: traceOf(ctx)})
			}
		}
	}
	if len(marks) == 0 {
		return nil
	}
	return wrapped("marking what waits for a paused channel", s.on(ctx).Mark(ctx, marks...))
}
