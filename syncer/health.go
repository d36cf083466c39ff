package syncer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Health is the state of a Syncer. It is data, and goes through
// encoding/json and back.
type Health struct {
	// Running reports whether Run runs: on a [SharedQueue], whether this process
	// leads or stands by. It is what a readiness probe needs, also of one that
	// stands by, since it takes webhooks and calls.
	Running bool `json:"running"`
	// Role is what this process does on a SharedQueue, and "" if Run does not
	// run or the queue is its own.
	Role Role `json:"role,omitempty"`
	// Leader is who leads on a SharedQueue, or nil if nobody does.
	Leader *LeaderInfo `json:"leader,omitempty"`
	// ViewAge is the age of what only the leader knows: DownSince, Err, Stuck and
	// Delays of the channels, Reconciling and Next. It is 0 in the leader itself,
	// about five seconds elsewhere, by the clocks of the two machines, and grows
	// while nobody leads. It is negative if no leader has told yet.
	ViewAge time.Duration `json:"viewAge,omitempty"`
	// Inbox is the backlog of marks that are not yet with the channels. It
	// counts among what waits for each of them, too.
	Inbox Depth `json:"inbox"`
	// Orders is the backlog of orders not yet resolved to products.
	Orders Depth `json:"orders"`
	// Channels has one entry for each target, in the order of Config.Targets.
	Channels []ChannelHealth `json:"channels"`
	// Alarms are those that are on, the oldest first.
	Alarms []Alarm `json:"alarms,omitempty"`
	// Pins are the products that are pinned, the newest first; at most 100. Pinned
	// is how many there are. See [Syncer.Pin].
	Pins   []Pin `json:"pins,omitempty"`
	Pinned int   `json:"pinned,omitempty"`
	// QueueSince is since when the queue has failed, or zero, and QueueErr why.
	// Nothing can be marked or done meanwhile; what was marked is not lost.
	QueueSince time.Time `json:"queueSince,omitzero"`
	QueueErr   error     `json:"-"`
	// Reconciled is when the last complete reconciliation began, and Next when
	// Run will make the next; zero if that is not known.
	Reconciled time.Time `json:"reconciled,omitzero"`
	Next       time.Time `json:"next,omitzero"`
	// Reconciling says how far the reconciliation under way has got; nil if there
	// is none. Where nobody listens to Hooks.Progress its Total is that of the last
	// run.
	Reconciling *Progress `json:"reconciling,omitempty"`
	// Replicas are the processes in which Run runs, on a SharedQueue. One that
	// died is gone after a minute.
	Replicas []Replica `json:"replicas,omitempty"`
	// Progress is when this process last got on with work, or zero: took products
	// through a channel, with whatever outcome, or asked the source for what
	// changed. What waits is tried at least once an hour, unless its channel is
	// paused. So a process that leads, or has a queue of its own, is stuck if it has
	// made no progress for two hours and a mark is older than that: a liveness
	// probe may restart it.
	Progress time.Time `json:"progress,omitzero"`
	// Quota is what the source has left for this process; nil if it does not tell.
	Quota *channel.Quota `json:"quota,omitempty"`
}

// A ChannelHealth is the state of one channel.
type ChannelHealth struct {
	Channel string `json:"channel"`
	// Depth is what waits for the channel, marked and not done.
	Depth
	// DownSince is when the channel began to fail as a whole, or zero, and Err
	// why.
	DownSince time.Time `json:"downSince,omitzero"`
	Err       error     `json:"-"`
	// Paused is set while the channel is paused. What waits for it then waits
	// because somebody wants it to, however old it is.
	Paused *Pause `json:"paused,omitempty"`
	// Delays says how long marked products have waited in the last hour; nil if
	// Run has written none.
	Delays *Delays `json:"delays,omitempty"`
	// Stuck is the call that has not returned, such as "Levels", if any.
	Stuck string `json:"stuck,omitempty"`
	// Observing reports that the channel is only observed, but for what a Pilot
	// chooses; see [Target].Observe.
	Observing bool `json:"observing,omitempty"`
	// Guard is set if the guard of the channel has tripped, and Held is how
	// many lines it holds then; see [Syncer.Held].
	Guard *Trip `json:"guard,omitempty"`
	Held  int   `json:"held,omitempty"`
	// InFlight is how many units the channel has sold that the source has not
	// booked; see Config.Settle.
	InFlight int `json:"inFlight,omitempty"`
	// Quota is what the service has left, as the process that leads knows it; nil
	// if its client does not tell.
	Quota *channel.Quota `json:"quota,omitempty"`
}

// MarshalJSON writes QueueErr as its text and class.
func (h Health) MarshalJSON() ([]byte, error) {
	type plain Health
	return json.Marshal(struct {
		plain
		failure
	}{plain(h), failureOf(h.QueueErr)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Health) UnmarshalJSON(data []byte) error {
	type plain Health
	var v struct {
		plain
		failure
	}
	err := json.Unmarshal(data, &v)
	*h = Health(v.plain)
	h.QueueErr = v.failure.err()
	return err
}

// MarshalJSON writes Err as its text and class.
func (h ChannelHealth) MarshalJSON() ([]byte, error) {
	type plain ChannelHealth
	return json.Marshal(struct {
		plain
		failure
	}{plain(h), failureOf(h.Err)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *ChannelHealth) UnmarshalJSON(data []byte) error {
	type plain ChannelHealth
	var v struct {
		plain
		failure
	}
	err := json.Unmarshal(data, &v)
	*h = ChannelHealth(v.plain)
	h.Err = v.failure.err()
	return err
}

// Health returns the state of the Syncer. It asks nobody but the queue, and is
// cheap enough for a readiness probe; the first call in a process also reads what is
// in flight. The error is the queue's.
func (s *Syncer) Health(ctx context.Context) (Health, error) {
	h := Health{Running: s.running.Load(), Progress: s.lastProgress(), Quota: s.quotaOf(ctx, "", s.source)}
	h.QueueSince, h.QueueErr = s.trouble.get()
	var err error
	if s.shared == nil { // else who leads has it
		err = s.loadFlights(ctx, false)
	}
	v := s.view(ctx)
	err = cmp.Or(err, s.heed(ctx))
	if s.shared != nil && err == nil {
		if v, err = s.whoLeads(ctx, &h, v); err == nil {
			h.Replicas, err = s.replicas(ctx)
		}
	}
	h.Next, h.Reconciling = v.Next, v.Run
	depth := func(into *Depth, lanes ...string) {
		for _, lane := range lanes {
			if err != nil {
				return
			}
			var d Depth
			d, err = s.queue.Depth(ctx, lane)
			into.Tasks += d.Tasks
			if into.Oldest.IsZero() || !d.Oldest.IsZero() && d.Oldest.Before(into.Oldest) {
				into.Oldest = d.Oldest
			}
		}
	}
	var failed error
	h.Alarms, failed = s.alarmsNow(ctx)
	err = cmp.Or(err, failed)
	if err == nil {
		h.Pins, err = s.Pins(ctx)
		h.Pinned = len(h.Pins)
		h.Pins = h.Pins[:min(100, h.Pinned)]
	}
	depth(&h.Inbox, inboxLane, noticedLane)
	depth(&h.Orders, orderLane)
	for _, t := range s.targets {
		c := ChannelHealth{Channel: t.name, Paused: t.pause.get(), Observing: t.Observe}
		for _, seen := range v.Channels {
			if seen.Channel == t.name {
				c.DownSince, c.Err, c.Stuck, c.Quota = seen.DownSince, seen.Err, seen.Stuck, seen.Quota
				c.Delays, c.InFlight = seen.Delays, seen.InFlight
			}
		}
		depth(&c.Depth, append(t.lanes(), inboxLane, noticedLane)...)
		if trip, _, e := t.tripped(ctx, s); e != nil && err == nil {
			err = e
		} else if trip != nil {
			c.Guard = trip
			t.keeper.mu.Lock()
			c.Held = len(t.keeper.held)
			t.keeper.mu.Unlock()
		}
		h.Channels = append(h.Channels, c)
	}
	if err != nil {
		return h, err
	}
	last, err := s.recall(ctx)
	h.Reconciled = last.At
	return h, err
}

// whoLeads finds out who leads, and how the leader sees the channels.
func (s *Syncer) whoLeads(ctx context.Context, h *Health, own view) (view, error) {
	if h.Running {
		h.Role, _ = s.rank.get()
	}
	info, err := s.shared.Leader(ctx)
	switch {
	case err == nil:
		h.Leader = &info
	case !errors.Is(err, ErrNoLeader):
		return own, err
	}
	if h.Role == RoleLeader {
		return own, nil
	}
	v, err := s.leadersView(ctx)
	if h.ViewAge = time.Since(v.At); v.At.IsZero() {
		h.ViewAge = -1
	}
	return v, err
}
