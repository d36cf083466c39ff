package syncer_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A call means the same on whichever replica it is made, and leaves nothing
// behind in the store.
func TestACallOnAnyReplica(t *testing.T) {
	for _, caller := range []string{"leader", "standby", "not running"} {
		t.Run(caller, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, source := queuetest.NewServer(leaseTime), newStock(5, 100, 0)
				m, other := shop("shop", 3), shop("other", 1)
				cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(m, other)}
				lead := join(t, server, "a", cfg, nil)
				pass(2 * time.Second)
				call := lead.Syncer
				cfg.Targets = targets(untouched(t, m), untouched(t, other)) // who leads writes
				switch caller {
				case "standby":
					call = join(t, server, "b", cfg, nil).Syncer
					pass(2 * time.Second)
				case "not running":
					cfg.Queue = server.Open()
					call = configure(t, cfg)
				}
				began := time.Now()
				r, err := call.SyncProducts(t.Context(), "p0", "p1", "p0", "nobody")
				require.ErrorIs(t, err, syncer.ErrNoProduct)
				assert.Less(t, time.Since(began), 2*time.Second)
				assert.Equal(t, 2, r.Read)
				assert.Equal(t, 1, r.Unread)
				require.Len(t, r.Channels, 2)
				assert.Equal(t, 1, r.Channels[0].Updated)
				assert.Equal(t, 1, r.Channels[0].Unchanged)
				assert.Equal(t, 1, r.Channels[1].Unknown)
				shows(t, m, 5, 100, 100)

				source.put("p0", "SKU-0", 6)
				p, err := call.Plan(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 3, p.Drift(), "Plan works anywhere")
				shows(t, m, 5, 100, 100)
				r, err = call.Apply(t.Context(), p)
				require.NoError(t, err)
				assert.Equal(t, 2, r.Channels[0].Updated)
				shows(t, m, 6, 100, 0)

				m.Set("SKU-1", 107)
				r, err = call.Reconcile(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 3, r.Read)
				shows(t, m, 6, 100, 0)
				h, err := call.Health(t.Context())
				require.NoError(t, err)
				assert.False(t, h.Reconciled.IsZero())

				pass(time.Second)
				lead.stop()
				for _, set := range []string{"asked", "answers", "writing"} {
					for rec, err := range server.Open().Records(t.Context(), set, "") {
						t.Errorf("left in the set %q: %q, %v", set, rec.Key, err)
					}
				}
			})
		})
	}
}

// untouched is a channel that nobody may write to.
func untouched(t *testing.T, m *channeltest.Memory) channel.Channel {
	return &channeltest.Intercept{Channel: m, OnPush: func(_ context.Context, _ channel.Channel, updates []channel.Update) error {
		assert.Fail(t, "a write", "%v", updates)
		return channel.ErrUnavailable
	}}
}

// A slow channel is pending when the caller goes, and is done all the same.
func TestWhatIsNotDoneIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, fast, slow := queuetest.NewServer(leaseTime), newStock(5), shop("fast", 1), shop("slow", 1)
		late := &channeltest.Intercept{Channel: slow, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			time.Sleep(20 * time.Second)
			return next.Push(ctx, updates)
		}}
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(fast, late)}
		join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := b.SyncProducts(ctx, "p0")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, syncer.ErrNoLeader)
		assert.Equal(t, 1, r.Channels[0].Updated)
		assert.Equal(t, syncer.ChannelReport{Channel: "slow", Checked: 1, Pending: 1}, r.Channels[1])
		shows(t, fast, 5)
		pass(30 * time.Second)
		shows(t, slow, 5)
		pass(3 * time.Hour) // answers that nobody fetches are removed
		for rec, err := range server.Open().Records(t.Context(), "answers", "") {
			t.Errorf("an answer is left: %q, %v", rec.Key, err)
		}
	})
}

// What a cron job gets when no replica runs; and that it is done when one does.
func TestNoLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(5, 6), shop("shop", 2)
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(m), Queue: server.Open()}
		cron := configure(t, cfg)
		began := time.Now()
		r, err := cron.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, syncer.ErrNoLeader)
		assert.Less(t, time.Since(began), 15*time.Second)
		assert.Equal(t, 1, r.Channels[0].Pending)
		_, err = cron.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrNoLeader)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = cron.SyncProducts(ctx, "p0")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, syncer.ErrNoLeader)
		_, err = cron.Plan(t.Context())
		require.NoError(t, err, "Plan works anywhere")
		shows(t, m, 100, 100)

		join(t, server, "a", cfg, nil)
		pass(5 * time.Second)
		shows(t, m, 5, 6)

		down := server.Open()
		down.Cut()
		cfg.Queue = down
		_, err = configure(t, cfg).SyncProducts(t.Context(), "p0")
		require.Error(t, err, "the queue cannot be reached")
	})
}

// A call goes on when its leader dies in the middle.
func TestACallOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, m := queuetest.NewServer(leaseTime), shop("shop", 1)
		cfg := syncer.Config{Source: newStock(5), Schedule: syncer.Never()}
		hangs := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, _ channel.Channel, _ []channel.Update) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		cfg.Targets = targets(hangs)
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		cfg.Targets = targets(m)
		b := join(t, server, "b", cfg, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			r, err := b.SyncProducts(t.Context(), "p0")
			assert.NoError(t, err)
			assert.Equal(t, 1, r.Channels[0].Updated)
		})
		pass(3 * time.Second)
		a.die()
		wg.Wait()
		shows(t, m, 5)
	})
}

// Two reconciliations never overlap, whoever asks for them.
func TestReconcileTwiceOnTwoReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source := queuetest.NewServer(leaseTime), newStock(5)
		source.delay = 5 * time.Second
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(shop("shop", 1))}
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := a.Reconcile(t.Context())
			assert.NoError(t, err)
		})
		pass(2 * time.Second)
		_, err := b.Reconcile(t.Context())
		assert.ErrorIs(t, err, syncer.ErrReconciling)
		wg.Wait()
	})
}

// The same guard on each replica, and approvals by any.
func TestAnApprovalOnAStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stock := make([]int, 40)
		server, source, m := queuetest.NewServer(leaseTime), newStock(stock...), shop("shop", 40)
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m}}}
		join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		r, err := b.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		require.NotNil(t, r.Held)
		assert.Len(t, r.Held.Lines, 40)
		shows(t, m, 100, 100)
		held, err := b.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		_, err = b.Apply(t.Context(), r.Held)
		require.ErrorIs(t, err, syncer.ErrHeld)
		require.NoError(t, b.Approve(t.Context(), syncer.Approval{Channel: "shop", Who: "Ada", Hash: held[0].Hash}))
		pass(5 * time.Second)
		shows(t, m, stock...)
		h, err := b.Health(t.Context())
		require.NoError(t, err)
		pass(6 * time.Second)
		assert.Zero(t, h.Channels[0].Held)
	})
}

// A standby tells what the leader sees.
func TestHealthOfAStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source := queuetest.NewServer(leaseTime), newStock(5)
		down := &channeltest.Intercept{Channel: shop("shop", 1), OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			return nil, channel.ErrUnavailable
		}}
		cfg := syncer.Config{Source: source, Targets: targets(down)}
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(20 * time.Second)
		own, err := a.Health(t.Context())
		require.NoError(t, err)
		require.False(t, own.Channels[0].DownSince.IsZero())
		h, err := b.Health(t.Context())
		require.NoError(t, err)
		assert.True(t, h.Running)
		assert.Equal(t, syncer.RoleStandby, h.Role)
		assert.Equal(t, "a", h.Leader.Name)
		assert.WithinDuration(t, own.Channels[0].DownSince, h.Channels[0].DownSince, 0)
		assert.ErrorIs(t, h.Channels[0].Err, channel.ErrUnavailable)
		assert.LessOrEqual(t, h.ViewAge, 5*time.Second)
		assert.Equal(t, 1, h.Channels[0].Tasks)
		assert.WithinDuration(t, own.Next, h.Next, 0)
		assert.False(t, h.Next.IsZero())
		text, err := json.Marshal(h)
		require.NoError(t, err)
		var back syncer.Health
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, h.Leader.Number, back.Leader.Number)

		b.stop()
		a.die()
		pass(leaseTime + 5*time.Second)
		cfg.Queue = server.Open()
		h, err = configure(t, cfg).Health(t.Context())
		require.NoError(t, err)
		assert.Nil(t, h.Leader)
		assert.Empty(t, h.Role)
		assert.Greater(t, h.ViewAge, leaseTime)
	})
}
