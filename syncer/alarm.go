package syncer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/text"
)

// An Alarm is trouble that no product and no call shows, and that somebody should
// hear of. It is raised once, and ended once, whatever restarts meanwhile, where
// the queue outlives the process; see Hooks.Alarm and [Health].
type Alarm struct {
	Class AlarmClass `json:"class"`
	// Channel is the channel that it is about, or "".
	Channel string `json:"channel,omitempty"`
	// Text says in a sentence what is wrong.
	Text string `json:"text"`
	// Since is when the trouble began, as far as that is known, Raised when the
	// alarm was raised, and Ended when it was over; zero until then.
	Since  time.Time `json:"since"`
	Raised time.Time `json:"raised"`
	Ended  time.Time `json:"ended,omitzero"`
}

// An AlarmClass is the kind of an [Alarm]. It can be a metric's label.
type AlarmClass string

// The classes, and how soon Run notices.
const (
	// EventsStopped: three products have changed, as the watch found, of which no
	// event told, and no event about anything came since. Within six minutes of the
	// third. It needs Config.Webhooks, or events that came before. The first event
	// ends it.
	EventsStopped AlarmClass = "events stopped"
	// SecretFails: three or more deliveries in a row were signed with another
	// secret, never an hour apart, and the last a minute or more after the first.
	// At once with that one. A genuine delivery ends it.
	SecretFails AlarmClass = "secret fails"
	// CredentialsRefused: a service, or for "" the source, refuses the credentials.
	// Within a minute of the first refusal.
	CredentialsRefused AlarmClass = "credentials refused"
	// SubscriptionLost: a service does not send its webhooks any more
	// ([channel.Subscriber]). Within eleven minutes.
	SubscriptionLost AlarmClass = "subscription lost"
	// QueueOld: what was marked is not done for 15 minutes, because the channel is
	// down, the backlog grows, or nobody works on it. Within 21 minutes of the mark.
	// A product that is tried again and again does not count.
	QueueOld AlarmClass = "queue old"
	// ClocksDisagree: the clock of a service differs from this machine's by more
	// than two minutes ([channel.Clocked]). Within six minutes of the answers that
	// show it.
	ClocksDisagree AlarmClass = "clocks disagree"
	// NotReconciled: no reconciliation was complete for 26 hours; or, where
	// Config.Schedule has longer pauses, since two hours after its time.
	NotReconciled AlarmClass = "not reconciled"
	// QueueFails: the queue has failed for a minute. Within 90 seconds.
	QueueFails AlarmClass = "queue fails"
)

const (
	// alarmSet has the alarms that are on, by class and channel.
	alarmSet = "alarms"
	// alarmEvery is how often Run looks for trouble.
	alarmEvery = 30 * time.Second
)

func (a *Alarm) key() string { return string(a.Class) + "\x00" + a.Channel }

// alarms are what a syncer knows of alarms, and what it works them out from.
type alarms struct {
	mu     channelLock      // held while the store is asked
	on     map[string]Alarm // those that are on, as far as this process knows
	read   bool
	events eventWatch
	refuse refusals
	lanes  laneWatch
	access access
}

// alarm raises an alarm, or ends it, if that is news.
func (s *Syncer) alarm(ctx context.Context, on bool, a Alarm) {
	x := &s.alarms
	x.mu.Lock()
	told := s.alarmLocked(ctx, on, &a)
	x.mu.Unlock()
	if !told {
		return
	}
	ctx = about(ctx, a.Channel, "", "")
	e := Entry{Kind: EntryAlarm, Channel: a.Channel, Why: fmt.Sprintf("%s: %s", a.Class, a.Text)}
	if !on {
		e.Kind = EntryAlarmOver
		s.logger.LogAttrs(ctx, slog.LevelInfo, "an alarm is over",
			slog.String("class", string(a.Class)), slog.Duration("after", a.Ended.Sub(a.Since)))
	} else {
		s.logger.LogAttrs(ctx, slog.LevelError, "alarm",
			slog.String("class", string(a.Class)), slog.String("text", a.Text), slog.Time("since", a.Since))
	}
	s.journal.write(ctx, e)
	s.hooks.alarm(ctx, s, a)
}

// alarmLocked notes an alarm, and reports whether it is news.
func (s *Syncer) alarmLocked(ctx context.Context, on bool, a *Alarm) bool {
	x := &s.alarms
	if !x.read && a.Class != QueueFails { // those of an earlier process go on, or end
		if all, err := s.storedAlarms(ctx); err == nil {
			x.read = true
			for key, old := range x.on {
				if old.Class != QueueFails {
					delete(x.on, key)
				}
			}
			for _, old := range all {
				x.add(old)
			}
		}
	}
	known, was := x.on[a.key()]
	if was == on {
		return false
	}
	stored, kept := Alarm{}, false
	if a.Class != QueueFails {
		value, err := s.on(ctx).Load(ctx, alarmSet, a.key())
		kept = err == nil && value != nil && json.Unmarshal(value, &stored) == nil
		if !on && err != nil {
			return false // until the store says
		}
	}
	now := time.Now()
	if on {
		if kept { // another process has raised it
			x.add(stored)
			return false
		}
		a.Text, a.Raised, a.Since = text.Clean(a.Text), now, cmp.Or(a.Since, now)
		x.add(*a)
		value, err := json.Marshal(a)
		if err == nil && a.Class != QueueFails {
			_ = s.on(ctx).Save(ctx, alarmSet, Record{a.key(), value}) // else only this process knows
		}
		return true
	}
	if a.Class != QueueFails {
		if err := s.on(ctx).Save(ctx, alarmSet, Record{Key: a.key()}); err != nil {
			return false
		}
	}
	delete(x.on, a.key())
	*a = known
	a.Ended = now
	return kept || a.Class == QueueFails // else another process has ended it
}

func (x *alarms) add(a Alarm) {
	if x.on == nil {
		x.on = make(map[string]Alarm)
	}
	x.on[a.key()] = a
}

func (s *Syncer) storedAlarms(ctx context.Context) (all []Alarm, err error) {
	for rec, err := range s.on(ctx).Records(ctx, alarmSet, "") {
		if err != nil {
			return nil, err
		}
		var a Alarm
		if json.Unmarshal(rec.Value, &a) == nil {
			all = append(all, a)
		}
	}
	return all, nil
}

// alarmsNow returns the alarms that are on, the oldest first.
func (s *Syncer) alarmsNow(ctx context.Context) ([]Alarm, error) {
	all, err := s.storedAlarms(ctx)
	if since, failed := s.trouble.get(); failed != nil && time.Since(since) >= queueFailsAfter {
		all = append(all, queueFails(since, failed))
	}
	slices.SortFunc(all, func(a, b Alarm) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.key(), b.key()))
	})
	return all, err
}

// queueFailsAfter is how long a queue may fail before that is an alarm.
const queueFailsAfter = time.Minute

func queueFails(since time.Time, err error) Alarm {
	return Alarm{Class: QueueFails, Since: since, Text: fmt.Sprintf("the queue fails, and nothing can be marked or done: %v", err)}
}

// mindQueue watches the queue while Run runs, whoever leads.
func (s *Syncer) mindQueue(ctx context.Context) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, alarmEvery) == nil {
			since, err := s.trouble.get()
			a := queueFails(since, err)
			if err == nil || time.Since(since) >= queueFailsAfter {
				s.alarm(ctx, err != nil, a)
			}
			if s.shared != nil { // other processes raise and end alarms, too
				s.alarms.mu.Lock()
				s.alarms.read = false
				s.alarms.mu.Unlock()
			}
		}
	}()
	return func() { <-done }
}
