package syncer

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"time"
)

const (
	viewName = "view"
	// viewEvery is how often a leader shows its view of the channels to others.
	viewEvery = 5 * time.Second
)

// A view is what only the leader knows of the channels.
type view struct {
	At       time.Time       `json:"at"`
	Term     uint64          `json:"term"`
	Next     time.Time       `json:"next,omitzero"`
	Channels []ChannelHealth `json:"channels"`
	Run      *Progress       `json:"run,omitempty"`
}

// view is this process's.
func (s *Syncer) view(ctx context.Context) view {
	v := view{At: time.Now()}
	if next := s.next.Load(); next != nil {
		v.Next = *next
	}
	v.Run = s.underWay.Load()
	for _, t := range s.targets {
		c := ChannelHealth{Channel: t.name, Quota: s.quotaOf(ctx, t.name, t.Channel)}
		c.DownSince, c.Err = t.state.down()
		c.InFlight = s.ledger.soldBy(t.name)
		c.Delays = t.late.lastHour(v.At)
		if stuck := t.calls.left(); stuck != nil {
			c.Stuck = stuck.op
		}
		v.Channels = append(v.Channels, c)
	}
	return v
}

// showView keeps the view in the store up to date, for as long as the term goes on.
func (s *Syncer) showView(accept context.Context, t *tenure) {
	for failed := false; ; {
		v := s.view(accept)
		v.Term = t.Number()
		value, err := json.Marshal(v)
		if err == nil {
			err = s.safely(accept, "the queue: Save", func() error { return t.Save(accept, stateSet, Record{viewName, value}) })
		}
		if err != nil && accept.Err() == nil && !failed {
			s.logger.LogAttrs(accept, slog.LevelWarn, "other replicas cannot see how the channels are", slog.Any("err", err))
		}
		failed = err != nil
		if sleep(accept, viewEvery) != nil {
			return
		}
	}
}

// leadersView reads the leader's view.
func (s *Syncer) leadersView(ctx context.Context) (v view, err error) {
	value, err := s.shared.Load(ctx, stateSet, viewName)
	if err != nil || len(bytes.TrimSpace(value)) == 0 {
		return v, err
	}
	return v, json.Unmarshal(value, &v)
}

// downOf tells since when a channel is down and why, as who leads sees it. failed is
// the queue's error.
func (s *Syncer) downOf(ctx context.Context, t *target) (since time.Time, err, failed error) {
	if s.knows() {
		since, err = t.state.down()
		return since, err, nil
	}
	v, failed := s.leadersView(ctx)
	for _, c := range v.Channels {
		if c.Channel == t.name {
			since, err = c.DownSince, c.Err
		}
	}
	return since, err, failed
}
