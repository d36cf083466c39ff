package syncer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Health is the state of a Syncer.
type Health struct {
	// Running tells whether Run runs.
	Running bool
	// Orders are those whose products are still to be found.
	Orders Depth
	// Channels has one entry for each target, in the order of Config.Targets.
	Channels []ChannelHealth
}

// A ChannelHealth is the state of one channel.
type ChannelHealth struct {
	Channel string
	// Depth is what waits for the channel, marked and not done.
	Depth
	// DownSince is when the channel began to fail as a whole, or zero, and Err
	// why. It is found out by Run alone.
	DownSince time.Time
	Err       error
}

// Health returns the state of the Syncer. It asks nobody but the queue, and is
// cheap enough for a readiness probe. The error is the queue's.
func (s *Syncer) Health(ctx context.Context) (Health, error) {
	h := Health{Running: s.running.Load()}
	var err error
	if h.Orders, err = s.queue.Depth(ctx, orderLane); err != nil {
		return h, err
	}
	for _, t := range s.targets {
		c := ChannelHealth{Channel: t.name}
		if c.Depth, err = s.queue.Depth(ctx, t.name); err != nil {
			return h, err
		}
		watched, err := s.queue.Depth(ctx, quietLane(t.name))
		if err != nil {
			return h, err
		}
		c.Tasks += watched.Tasks
		if c.Oldest.IsZero() || !watched.Oldest.IsZero() && watched.Oldest.Before(c.Oldest) {
			c.Oldest = watched.Oldest
		}
		c.DownSince, c.Err = t.health.state()
		h.Channels = append(h.Channels, c)
	}
	return h, nil
}

// health is whether a channel works, as far as Run knows.
type health struct {
	mu       sync.Mutex
	since    time.Time // when the channel went down; zero while it is up
	failures int
	err      error
}

func (h *health) state() (since time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since, h.err
}

// record learns from a batch, whose err is the channel's as a whole or nil, and
// returns how long to leave the channel alone.
func (h *health) record(s *Syncer, channel string, err error) time.Duration {
	h.mu.Lock()
	since := h.since
	if err != nil {
		if since.IsZero() {
			h.since = time.Now()
		}
		h.err = err
		wait := pause(err, h.failures, mostChannelBackoff)
		h.failures++
		h.mu.Unlock()
		if since.IsZero() {
			s.logger.Warn("channel down", slog.String("channel", channel), slog.Any("err", err))
			s.hooks.down(channel, err)
		}
		return wait
	}
	h.since, h.failures, h.err = time.Time{}, 0, nil
	h.mu.Unlock()
	if !since.IsZero() {
		s.logger.Info("channel up", slog.String("channel", channel), slog.Duration("after", time.Since(since)))
		s.hooks.up(channel, time.Since(since))
	}
	return 0
}
