package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// calls are how often a channel was asked anything.
func calls(m *channeltest.Memory) int {
	reads, writes := m.Calls()
	return reads + writes
}

func pausedOf(t *testing.T, s *syncer.Syncer) *syncer.Pause {
	t.Helper()
	h, err := s.Health(t.Context())
	require.NoError(t, err)
	return h.Channels[0].Paused
}

func TestPauseStopsOneChannelAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(1, 2, 3), shop("a", 3), shop("b", 3)
		var told []string
		var s *syncer.Syncer
		s = unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Journal: 24 * time.Hour, Hooks: syncer.Hooks{
			Paused: func(ctx context.Context, p syncer.Pause) {
				told = append(told, "paused "+p.Channel+" by "+p.Who)
				_, err := s.Health(ctx) // a hook may ask
				assert.NoError(t, err)
			},
			Resumed: func(_ context.Context, channel string, after time.Duration) {
				told = append(told, fmt.Sprintf("resumed %s after %v", channel, after))
			},
			Down: func(context.Context, string, error) { assert.Fail(t, "a pause is no failure") },
		}}, a, b)
		defer running(t, s)()
		pass(time.Second)
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		require.NoError(t, s.Pause(t.Context(), "a", "bob"), "it stays ann's")
		p := pausedOf(t, s)
		require.NotNil(t, p)
		assert.Equal(t, "ann", p.Who)
		assert.WithinDuration(t, time.Now(), p.Since, 0)

		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Hour)
		shows(t, a, 100, 100)
		shows(t, b, 1, 2)
		assert.Zero(t, calls(a), "nothing is asked of it")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, h.Channels[0].Tasks, "its marks wait")
		assert.Zero(t, h.Channels[0].DownSince)
		assert.Nil(t, h.Channels[1].Paused)

		x, err := s.Explain(t.Context(), syncer.Question{ProductID: "p0"})
		require.NoError(t, err)
		assert.Equal(t, p.Who, x.Channels[0].Paused.Who)
		assert.Contains(t, x.String(), "The channel is paused since")
		assert.Zero(t, calls(a))

		require.NoError(t, s.Resume(t.Context(), "a", "bob"))
		require.NoError(t, s.Resume(t.Context(), "a", "bob"), "it is done")
		pass(time.Second)
		shows(t, a, 1, 2, 100)
		assert.Nil(t, pausedOf(t, s))
		assert.Equal(t, []string{"paused a by ann", "resumed a after 1h0m0s"}, told[:2])
		var entries []string
		for e, err := range s.Journal(t.Context(), "") {
			require.NoError(t, err)
			entries = append(entries, fmt.Sprint(e.Kind, " ", e.Channel, " ", e.Why))
		}
		assert.Equal(t, []string{"resumed a by bob", "paused a by ann"}, entries)
	})
}

func TestAPauseOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "queue.db")
		source, m := newStock(1, 2), shop("a", 2)
		for n := range 3 {
			q, err := boltqueue.Open(file)
			require.NoError(t, err)
			var told atomic.Int64
			s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(),
				Hooks: syncer.Hooks{Paused: func(context.Context, syncer.Pause) { told.Add(1) }}}, m)
			if n == 2 {
				require.NoError(t, s.Resume(t.Context(), "a", "ann"))
			}
			stop := running(t, s)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			if n == 0 {
				require.NoError(t, s.Pause(t.Context(), "a", "ann"))
			}
			pass(time.Minute)
			assert.EqualValues(t, 1, told.Load(), "a process that starts says so")
			assert.Equal(t, n < 2, pausedOf(t, s) != nil)
			assert.Equal(t, n < 2, calls(m) == 0)
			if n == 1 { // nobody runs, and still nothing is asked
				stop()
				r, err := s.SyncProducts(t.Context(), "p1")
				require.NoError(t, err, "somebody has decided it")
				assert.True(t, r.Channels[0].Paused)
				assert.Zero(t, r.Channels[0].Checked)
				assert.Contains(t, r.String(), "a: the channel was paused")
				assert.Zero(t, calls(m))
			}
			stop()
			require.NoError(t, q.Close())
		}
		shows(t, m, 1, 2) // what SyncProducts was asked for, too
	})
}

func TestAPauseHoldsForReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(1, 2, 3), shop("shop", 3)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never()}
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		require.NoError(t, b.Pause(t.Context(), "shop", "ann"))
		pass(6 * time.Second) // until the leader has noticed
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(time.Minute)
		r, err := b.SyncProducts(t.Context(), "p1")
		require.NoError(t, err)
		assert.True(t, r.Channels[0].Paused)
		a.stop()
		pass(time.Minute)
		assert.Equal(t, syncer.RoleLeader, b.role(t))
		for _, s := range []*syncer.Syncer{a.Syncer, b.Syncer} {
			require.NotNil(t, pausedOf(t, s))
			assert.Equal(t, "ann", pausedOf(t, s).Who)
		}
		assert.Zero(t, calls(m), "nor does the next leader ask")
		require.NoError(t, a.Resume(t.Context(), "shop", "ann"))
		pass(8 * time.Second)
		shows(t, m, 1, 2, 100)
		b.stop()
	})
}

func TestARunPassesAPausedChannelByAndIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(1, 2, 3), shop("a", 3), shop("b", 3)
		var runs []string
		cfg := syncer.Config{Source: source, ReconcileAtStart: true, Hooks: syncer.Hooks{Reconciled: func(_ context.Context, r *syncer.Report, err error) {
			runs = append(runs, fmt.Sprintf("%v %v %v", r.Channels[0].Paused, r.Channels[0].Checked, err))
		}}}
		s := unguardedly(t, cfg, a, b)
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		defer running(t, s)()
		pass(time.Hour)
		assert.Equal(t, []string{"true 0 <nil>"}, runs, "it is complete as it is, and not tried again")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.False(t, h.Reconciled.IsZero())
		assert.Zero(t, calls(a))
		shows(t, b, 1, 2, 3)
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Minute)
		shows(t, a, 1, 2, 3)
		assert.Equal(t, "false 3 <nil>", runs[len(runs)-1])
		require.Len(t, runs, 2)
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(20 * time.Minute)
		assert.Len(t, runs, 2, "no run passed it by")
	})
}

// A run that has passed a channel by is made up for when that is resumed, by whichever
// process runs next; and once.
func TestARunIsMadeUpForByTheNextProcess(t *testing.T) {
	for _, meanwhile := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			source, m, q := newStock(1, 2, 3), shop("a", 3), syncer.NewMemoryQueue()
			var runs []string
			process := func(atStart bool) *syncer.Syncer {
				return unguardedly(t, syncer.Config{Source: source, Queue: q, ReconcileAtStart: atStart, Hooks: syncer.Hooks{Reconciled: func(_ context.Context, r *syncer.Report, err error) {
					runs = append(runs, fmt.Sprintf("%v %v %v", r.Channels[0].Paused, r.Channels[0].Checked, err))
				}}}, m)
			}
			s := process(true)
			require.NoError(t, s.Pause(t.Context(), "a", "ann"))
			stop := running(t, s)
			pass(time.Minute)
			stop()
			s = process(false)
			stop = running(t, s)
			pass(time.Minute)
			require.Equal(t, []string{"true 0 <nil>"}, runs, "it is paused yet")
			if meanwhile {
				require.NoError(t, s.Resume(t.Context(), "a", "ann"))
				pass(time.Minute)
				require.Len(t, runs, 2)
			}
			stop()
			if !meanwhile {
				require.NoError(t, s.Resume(t.Context(), "a", "ann"))
			}
			stop = running(t, process(false))
			pass(20 * time.Minute)
			assert.Equal(t, []string{"true 0 <nil>", "false 3 <nil>"}, runs)
			shows(t, m, 1, 2, 3)
			stop()
		})
	}
}

// The channel is paused in the middle of a run, of a turn, and of halving.
func TestAPauseInTheMiddle(t *testing.T) {
	for name, work := range map[string]func(context.Context, *syncer.Syncer) error{
		"of a reconciliation": func(ctx context.Context, s *syncer.Syncer) error {
			r, err := s.Reconcile(ctx)
			return errors.Join(err, r.Channels[0].Err)
		},
		"of a turn": func(ctx context.Context, s *syncer.Syncer) error {
			return s.Notify(ctx, "p0", "p1", "p2", "p3", "p4", "p5")
		},
		"of a call": func(ctx context.Context, s *syncer.Syncer) error {
			_, err := s.SyncProducts(ctx, "p0", "p1", "p2", "p3", "p4", "p5")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := newStock(1, 2, 3, 4, 5, 6), shop("a", 6)
				var s *syncer.Syncer
				var once atomic.Bool
				var mu sync.Mutex
				c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					mu.Lock() // a reconciliation has two batches under way
					defer mu.Unlock()
					err := next.Push(ctx, updates)
					if once.CompareAndSwap(false, true) {
						assert.NoError(t, s.Pause(ctx, "a", "ann"))
					}
					return err
				}}
				s = unguardedly(t, syncer.Config{Source: source, Hooks: syncer.Hooks{
					Down:  func(_ context.Context, _ string, err error) { assert.Fail(t, "down", err) },
					Retry: func(_ context.Context, r syncer.Retry) { assert.Fail(t, "retried", r.Err) },
				}}, inPairs{c})
				defer running(t, s)()
				require.NoError(t, work(t.Context(), s))
				pass(10 * time.Minute)
				written := 0
				for i := range 6 {
					if n, _ := m.Quantity(fmt.Sprintf("SKU-%d", i)); n != 100 {
						written++
					}
				}
				if name == "of a reconciliation" {
					assert.Contains(t, []int{2, 4}, written, "one or both of the batches under way")
				} else {
					assert.Equal(t, 2, written, "the batch under way")
				}
				require.NoError(t, s.Resume(t.Context(), "a", "ann"))
				pass(time.Minute)
				shows(t, m, 1, 2, 3, 4, 5, 6)
				assert.True(t, drained(t, s))
			})
		})
	}
}

// inPairs takes two updates at a time.
type inPairs struct{ *channeltest.Intercept }

func (inPairs) BatchSize() int            { return 2 }
func (s inPairs) Unwrap() channel.Channel { return s.Intercept }

func TestWhatAGuardHoldsWaitsForAPausedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m, s, h := tripped(t, syncer.NewMemoryQueue())
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		defer running(t, s)()
		pass(time.Hour)
		assert.Zero(t, gone(m, 100))
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Minute)
		assert.Equal(t, 50, gone(m, 100))
	})
}

func TestPauseRefuses(t *testing.T) {
	source, m := newStock(1), shop("a", 1)
	s := unguardedly(t, syncer.Config{Source: source}, m)
	assert.ErrorContains(t, s.Pause(t.Context(), "b", "ann"), `there is no channel "b"`)
	assert.ErrorContains(t, s.Pause(t.Context(), "a", " "), "who is empty")
	assert.ErrorContains(t, s.Resume(t.Context(), "a", ""), "who is empty")
	require.NoError(t, s.Pause(t.Context(), "a", "ann"))
	_, err := s.Plan(t.Context())
	require.ErrorIs(t, err, syncer.ErrPaused, "a plan of what is not known is none")
	require.NoError(t, s.Resume(t.Context(), "a", "ann"))
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Len(t, plan.Lines, 1)
}
