package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// What waits is counted where it waits, with the time of the oldest mark.
func TestHealthCountsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		s := unguardedly(t, syncer.Config{Source: newStock(1), Queue: q}, shop("a", 1), shop("b", 1))
		start := time.Now()
		for _, lane := range []string{"orders", "inbox", "inbox/watched", "channel/a", "danger/a", "watched/b", "orders"} {
			require.NoError(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: lane, ID: time.Since(start).String()}}))
			time.Sleep(time.Minute)
		}
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		depth := func(tasks, minute int) syncer.Depth {
			return syncer.Depth{Tasks: tasks, Oldest: start.Add(time.Duration(minute) * time.Minute)}
		}
		assert.Equal(t, []syncer.Depth{depth(2, 0), depth(2, 1), depth(4, 1), depth(3, 1)},
			[]syncer.Depth{h.Orders, h.Inbox, h.Channels[0].Depth, h.Channels[1].Depth})
	})
}

// leaderless is a shared queue that cannot say who leads.
type leaderless struct {
	*queuetest.Client
	err error
}

func (q *leaderless) Leader(ctx context.Context) (syncer.LeaderInfo, error) {
	if q.err != nil {
		return syncer.LeaderInfo{}, q.err
	}
	return q.Client.Leader(ctx)
}

func TestHealthOfReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := queuetest.NewServer(leaseTime)
		q := &leaderless{Client: server.Open()}
		cfg := syncer.Config{Source: newStock(1), Queue: q, Targets: targets(shop("shop", 1)), Schedule: syncer.Never()}
		s := configure(t, cfg)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Nil(t, h.Leader)
		assert.Negative(t, h.ViewAge, "no leader has told yet")

		stop := running(t, s)
		pass(2 * time.Second)
		standby := join(t, server, "standby", cfg, nil)
		pass(6 * time.Second)
		h, err = s.Health(t.Context())
		require.NoError(t, err)
		require.Equal(t, syncer.RoleLeader, h.Role)
		assert.Zero(t, h.ViewAge, "the leader itself knows")
		h, err = standby.Health(t.Context())
		require.NoError(t, err)
		require.Equal(t, syncer.RoleStandby, h.Role)
		assert.Positive(t, h.ViewAge)

		q.err = errors.New("connection refused")
		_, err = s.Health(t.Context())
		require.ErrorIs(t, err, q.err)
		q.err = nil
		standby.stop()
		stop()
	})
}

// A Health goes through JSON and back with its errors and their classes.
func TestHealthGoesThroughJSON(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, was := range []syncer.Health{
		{Running: true, Channels: []syncer.ChannelHealth{{Channel: "a"}}},
		{QueueSince: since, QueueErr: fmt.Errorf("disk full: %w", channel.ErrUnavailable), Channels: []syncer.ChannelHealth{
			{Channel: "a", DownSince: since, Err: fmt.Errorf("key expired: %w", channel.ErrUnauthorized), Stuck: "Levels"}}},
	} {
		text, err := json.Marshal(was)
		require.NoError(t, err)
		var is syncer.Health
		require.NoError(t, json.Unmarshal(text, &is))
		if was.QueueErr == nil {
			assert.Equal(t, was, is)
			continue
		}
		require.ErrorIs(t, is.QueueErr, channel.ErrUnavailable)
		assert.ErrorContains(t, is.QueueErr, "disk full")
		require.ErrorIs(t, is.Channels[0].Err, channel.ErrUnauthorized)
		assert.ErrorContains(t, is.Channels[0].Err, "key expired")
		assert.Equal(t, []any{since, since, "Levels"}, []any{is.QueueSince, is.Channels[0].DownSince, is.Channels[0].Stuck})
	}
}
