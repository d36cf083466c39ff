package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
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
	err  error
	view error // what the leader sees cannot be read
}

func (q *leaderless) Load(ctx context.Context, set, key string) ([]byte, error) {
	if key == "view" && q.view != nil {
		return nil, q.view
	}
	return q.Client.Load(ctx, set, key)
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

		q.view = errors.New("bad block")
		_, err = s.Health(t.Context())
		require.ErrorIs(t, err, q.view)
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

// frail is a queue of which one call fails, and that knows what it was asked.
type frail struct {
	*syncer.MemoryQueue
	asked map[string]bool
	fails string
}

func (q *frail) ask(call ...string) error {
	name := strings.Join(call, " ")
	q.asked[name] = true
	if name == q.fails {
		return errSnag
	}
	return nil
}

func (q *frail) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := q.ask("Load", set, key); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

func (q *frail) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	if err := q.ask("Records", set); err != nil {
		return func(yield func(syncer.Record, error) bool) { yield(syncer.Record{}, err) }
	}
	return q.MemoryQueue.Records(ctx, set, from)
}

func (q *frail) Depth(ctx context.Context, lane string) (syncer.Depth, error) {
	d, _ := q.MemoryQueue.Depth(ctx, lane)
	return d, q.ask("Depth", lane)
}

// Whatever a queue cannot tell, Health says so.
func TestHealthSaysWhatTheQueueCannotTell(t *testing.T) {
	q := &frail{syncer.NewMemoryQueue(), map[string]bool{}, ""}
	health := func() error {
		_, err := configure(t, syncer.Config{Source: newStock(1), Queue: q}, shop("a", 1), shop("b", 1)).Health(t.Context())
		return err
	}
	require.NoError(t, health())
	calls := slices.Sorted(maps.Keys(q.asked))
	assert.Subset(t, calls, []string{"Records alarms", "Depth inbox", "Depth orders", "Depth channel/b", "Load state reconciled"})
	for _, call := range calls {
		q.fails = call
		require.ErrorIs(t, health(), errSnag, call)
	}
}

// A guard that has tripped is in Health, with what it holds, and what is pinned.
func TestHealthHasWhatIsHeldAndPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(170)
		s := configure(t, syncer.Config{Source: source}, m, shop("b", 0))
		for i := range 110 {
			require.NoError(t, s.Pin(t.Context(), syncer.Pin{ProductID: fmt.Sprint("p", i), Quantity: 10, Who: "Ana", Why: "few"}))
		}
		for i := 110; i < 170; i++ {
			source.put(fmt.Sprint("p", i), fmt.Sprint("SKU-", i), 0)
		}
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		require.NotNil(t, h.Channels[0].Guard)
		assert.Nil(t, h.Channels[1].Guard)
		assert.Equal(t, []int{60, 0, 110, 100}, []int{h.Channels[0].Held, h.Channels[1].Held, h.Pinned, len(h.Pins)})
	})
}
