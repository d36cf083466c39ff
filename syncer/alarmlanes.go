package syncer

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A laneWatch watches whether what was marked is done.
type laneWatch struct {
	mu sync.Mutex
	by map[string]*laneState
}

type laneState struct {
	leased time.Time     // when tasks were leased last
	oldest time.Duration // of a first attempt among them
	waits  bool          // its worker waits until something is due
	due    int           // looks in a row at which it does not, and has leased nothing since the last one
	behind int           // looks in a row at which the backlog was old
}

const (
	// oldAfter is how old a mark may become.
	oldAfter = 15 * time.Minute
	// stalledFor and behindFor are looks.
	stalledFor = 10
	behindFor  = 3
)

func (w *laneWatch) lane(name string) *laneState {
	if w.by == nil {
		w.by = make(map[string]*laneState)
	}
	if w.by[name] == nil {
		w.by[name] = new(laneState)
	}
	return w.by[name]
}

// waiting notes that a lane's worker waits until something is due, or no longer.
func (w *laneWatch) waiting(lane string, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane(lane).waits = waits
}

// leased notes that tasks of a lane were leased.
func (w *laneWatch) leased(lane string, tasks []Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lane(lane)
	l.leased, l.due, l.oldest = time.Now(), 0, 0
	for _, t := range tasks {
		if t.Attempt == 0 {
			l.oldest = max(l.oldest, time.Since(t.First))
		}
	}
}

// checkLanes looks whether anything waits for too long.
func (s *Syncer) checkLanes(ctx context.Context, began time.Time) {
	check := func(name string, t *target, lanes ...string) {
		var oldest time.Time
		tasks, why, old := 0, "", false
		for _, lane := range lanes {
			d, err := s.queue.Depth(ctx, lane)
			if err != nil {
				return
			}
			tasks += d.Tasks
			old = old || d.Tasks > 0 && time.Since(d.Oldest) >= oldAfter
			said := s.oldIn(lane, d)
			if said != "" && why == "" {
				why, oldest = said, d.Oldest
			}
			if t != nil && d.Tasks > 0 && why == "" {
				if since, err := t.state.down(); !since.IsZero() && time.Since(since) >= oldAfter && time.Since(d.Oldest) >= oldAfter {
					why, oldest = fmt.Sprintf("the channel fails since %s: %v", clock(since), err), d.Oldest
				}
			}
		}
		a := Alarm{Class: QueueOld, Channel: name, Since: oldest}
		if why != "" {
			a.Text = fmt.Sprintf("what was marked at %s is not done yet, and %d products wait: %s", clock(oldest), tasks, why)
		}
		if why != "" || !old || time.Since(began) > (stalledFor+1)*alarmEvery { // before that an alarm of an earlier process is not over
			s.alarm(ctx, why != "", a)
		}
	}
	check("", nil, inboxLane, orderLane)
	for _, t := range s.targets {
		if t.pause.get() == nil {
			check(t.name, t, t.dangerLane(), t.eventLane())
		}
	}
}

// oldIn says why what waits in a lane is too old, or "".
func (s *Syncer) oldIn(lane string, d Depth) string {
	w := &s.alarms.lanes
	old := d.Tasks > 0 && time.Since(d.Oldest) >= oldAfter
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lane(lane)
	if old && !l.waits { // of those that are old some may only be tried again: then the worker waits
		l.due++
	} else {
		l.due = 0
	}
	if old && d.Tasks >= backlogSize && l.oldest >= oldAfter && time.Since(l.leased) < 2*alarmEvery {
		l.behind++
	} else {
		l.behind = 0
	}
	switch {
	case l.due >= stalledFor:
		return "nobody works on it"
	case l.behind >= behindFor:
		return "more is marked than can be done"
	}
	return ""
}
