package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// keepAlarms looks for trouble for as long as this process works.
func (s *Syncer) keepAlarms(accept context.Context) {
	began := time.Now()
	var asked time.Time // of subscriptions
	skewed := make(map[string]int)
	for n := 0; sleep(accept, alarmEvery) == nil; n++ {
		s.checkEvents(accept)
		s.checkAccess(accept)
		s.checkLanes(accept, began)
		s.checkClocks(accept, skewed)
		if n%10 == 0 {
			s.checkReconciled(accept, began)
		}
		if time.Since(asked) >= subscribedEvery {
			asked = time.Now()
			s.checkSubscriptions(accept)
		}
	}
}

// An eventWatch compares what the watch finds with what events told of.
type eventWatch struct {
	mu      sync.Mutex
	told    map[string]time.Time // products, and when the last event about them came
	missed  map[string]time.Time // those that changed without, since the last event
	last    time.Time            // event
	watched bool                 // the watch has answered once: what came while nobody ran is no sign
}

const (
	// eventFor is how long before the watch finds a change its event may have come,
	// and eventLate how long after.
	eventFor  = 15 * time.Minute
	eventLate = 5 * time.Minute
	// fewMissed is how many products must have changed without an event.
	fewMissed = 3
	maxEvents = 10_000
)

// heard notes the events that tasks of the inbox stand for.
func (w *eventWatch) heard(tasks []Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, t := range tasks {
		if t.Why != CauseEvent && t.Why != CauseOrder && t.Why != CauseNotify {
			continue
		}
		if w.told == nil || len(w.told) >= maxEvents {
			w.told = make(map[string]time.Time)
		}
		w.told[t.ID], w.last, w.missed = now, now, nil
	}
}

// noticed notes what the watch has found.
func (w *eventWatch) noticed(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.watched
	w.watched = true
	if first {
		return
	}
	now := time.Now()
	for _, id := range ids {
		if at, ok := w.told[id]; ok && now.Sub(at) < eventFor {
			continue
		}
		if w.missed == nil {
			w.missed = make(map[string]time.Time)
		}
		if _, ok := w.missed[id]; !ok && len(w.missed) < maxEvents {
			w.missed[id] = now
		}
	}
}

func (s *Syncer) checkEvents(ctx context.Context) {
	w := &s.alarms.events
	w.mu.Lock()
	n, since, last := 0, time.Time{}, w.last
	for _, at := range w.missed {
		if time.Since(at) >= eventLate {
			n++
			if since.IsZero() || at.Before(since) {
				since = at
			}
		}
	}
	expected := s.webhooks != nil || !last.IsZero()
	w.mu.Unlock()
	switch {
	case !expected:
	case n >= fewMissed:
		said := "none has come since this process began"
		if !last.IsZero() {
			said = "the last one came at " + clock(last)
		}
		s.alarm(ctx, true, Alarm{Class: EventsStopped, Since: since,
			Text: fmt.Sprintf("%d products have changed at the source, and no event told of them; %s", n, said)})
	case !last.IsZero() && n == 0:
		s.alarm(ctx, false, Alarm{Class: EventsStopped})
	}
}

// refusals are deliveries with a wrong signature, by their receiver.
type refusals struct {
	mu sync.Mutex
	by map[string]*spurned
}

type spurned struct {
	n           int
	first, last time.Time
}

const (
	fewRefused    = 3
	refusedOver   = time.Minute
	refusedWithin = time.Hour
)

// authentic notes how a delivery for a receiver, of the channel or of the source
// for "", fared. What is not signed at all is a stranger's.
func (s *Syncer) authentic(ctx context.Context, name string, header http.Header, err error) {
	unauthorized := errors.Is(err, channel.ErrUnauthorized)
	if err != nil && !unauthorized || unauthorized && !signed(header) {
		return
	}
	x := &s.alarms.refuse
	x.mu.Lock()
	r := x.by[name]
	if r == nil {
		r = new(spurned)
		if x.by == nil {
			x.by = make(map[string]*spurned)
		}
		x.by[name] = r
	}
	now := time.Now()
	if !unauthorized {
		*r = spurned{}
	} else {
		if now.Sub(r.last) > refusedWithin {
			*r = spurned{first: now}
		}
		r.n, r.last = r.n+1, now
	}
	so := *r
	x.mu.Unlock()
	a := Alarm{Class: SecretFails, Channel: name, Since: so.first}
	switch {
	case !unauthorized:
		s.alarm(ctx, false, a)
	case so.n >= fewRefused && so.last.Sub(so.first) >= refusedOver:
		a.Text = fmt.Sprintf("%d deliveries in a row were signed with another secret: %v", so.n, err)
		s.alarm(ctx, true, a)
	}
}

// signed reports whether a delivery claims to be signed.
func signed(header http.Header) bool {
	for name := range header {
		if name = strings.ToLower(name); strings.Contains(name, "signature") || strings.Contains(name, "hmac") {
			return true
		}
	}
	return false
}

// access is whether the source takes the credentials.
type access struct {
	mu    sync.Mutex
	since time.Time // refused since
	err   error
	took  bool // it has since the process began
}

// reached notes how a read of the source fared.
func (a *access) reached(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.since, a.err, a.took = time.Time{}, nil, true
	case errors.Is(err, channel.ErrUnauthorized):
		if a.err = err; a.since.IsZero() {
			a.since = time.Now()
		}
	}
}

func (s *Syncer) checkAccess(ctx context.Context) {
	x := &s.alarms.access
	x.mu.Lock()
	since, err, took := x.since, x.err, x.took
	x.mu.Unlock()
	if err != nil || took {
		s.alarm(ctx, err != nil, Alarm{Class: CredentialsRefused, Since: since, Text: fmt.Sprintf("the source refuses the credentials: %v", err)})
	}
	for _, t := range s.targets {
		since, err := t.state.down()
		refused := errors.Is(err, channel.ErrUnauthorized)
		if refused || since.IsZero() && t.took.Load() {
			s.alarm(ctx, refused, Alarm{Class: CredentialsRefused, Channel: t.name, Since: since, Text: fmt.Sprintf("the service refuses the credentials: %v", err)})
		}
	}
}

// subscribedEvery is how often a service is asked whether it sends its webhooks.
const subscribedEvery = 10 * time.Minute

func (s *Syncer) checkSubscriptions(ctx context.Context) {
	ask := func(name string, v any, call func(f func(context.Context) error) error) {
		sub, ok := channel.As[channel.Subscriber](v)
		if !ok {
			return
		}
		err := call(sub.Subscribed)
		lost := errors.Is(err, channel.ErrUnsubscribed)
		if err == nil || lost { // else nothing is known
			s.alarm(ctx, lost, Alarm{Class: SubscriptionLost, Channel: name, Text: fmt.Sprintf("the service does not send its webhooks any more: %v", err)})
		}
	}
	ask("", s.source, func(f func(context.Context) error) error {
		_, err := bounded(channel.WithUrgency(ctx, channel.Background), s, "the source: Subscribed", s.patience, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
		return err
	})
	for _, t := range s.targets {
		if t.state.wait() > 0 || t.pause.get() != nil {
			continue
		}
		ask(t.name, t.Channel, func(f func(context.Context) error) error {
			_, err := bounded(ctx, s, t.name+": Subscribed", s.patience, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
			return err
		})
	}
}

const maxSkew = 2 * time.Minute

// checkClocks compares clocks. A single odd answer is none: skewed counts.
func (s *Syncer) checkClocks(ctx context.Context, skewed map[string]int) {
	check := func(name string, v any) {
		c, ok := channel.As[channel.Clocked](v)
		if !ok {
			return
		}
		known := false
		ahead, err := bounded(ctx, s, cmp.Or(name, "the source")+": Skew", maxCounting, func(context.Context) (ahead time.Duration, err error) {
			ahead, known = c.Skew()
			return ahead, nil
		})
		if err != nil || !known {
			return
		}
		if ahead.Abs() <= maxSkew {
			skewed[name] = 0
			s.alarm(ctx, false, Alarm{Class: ClocksDisagree, Channel: name})
			return
		}
		if skewed[name]++; skewed[name] >= 10 { // five minutes
			s.alarm(ctx, true, Alarm{Class: ClocksDisagree, Channel: name,
				Text: fmt.Sprintf("the service's clock is %s ahead of this machine's (behind, if negative)", ahead.Round(time.Second))})
		}
	}
	check("", s.source)
	for _, t := range s.targets {
		check(t.name, t.Channel)
	}
}

const (
	// reconciledWithin is how old the last complete reconciliation may be, and
	// reconciledLate how late one may be where the schedule has longer pauses.
	reconciledWithin = 26 * time.Hour
	reconciledLate   = 2 * time.Hour
)

func (s *Syncer) checkReconciled(ctx context.Context, began time.Time) {
	last, err := s.recall(ctx)
	since := last.At
	if err == nil && since.IsZero() {
		since, err = s.waitingSince(ctx)
	}
	if err != nil || s.schedule == Never() {
		return
	}
	due := s.after(ctx, since)
	if due.IsZero() {
		return
	}
	limit := slices.MaxFunc([]time.Time{since.Add(reconciledWithin), due.Add(reconciledLate)}, time.Time.Compare)
	late := time.Now().After(limit)
	if late && time.Since(began) < reconciledLate && time.Since(limit) > reconciledLate {
		return // nobody ran until now: it is being made up for
	}
	s.alarm(ctx, late, Alarm{Class: NotReconciled, Since: limit, Text: "no reconciliation was complete since " + clock(since)})
}
