package syncer_test

import (
	"context"
	"fmt"
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

func TestHealthTellsTheLastHoursDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1, 2), shop("a", 2)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		delays := func() *syncer.Delays {
			h, err := s.Health(t.Context())
			require.NoError(t, err)
			return h.Channels[0].Delays
		}
		assert.Nil(t, delays())
		defer running(t, s)()
		for i := range 99 {
			source.put("p0", "SKU-0", i%2)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(time.Second)
		}
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(10 * time.Second)
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Second)
		require.NoError(t, s.Notify(t.Context(), "p1")) // it shows that already
		pass(time.Second)
		d := delays()
		require.NotNil(t, d)
		assert.Equal(t, 100, d.Count)
		assert.InEpsilon(t, 100*time.Millisecond, d.P50, 0.13)
		assert.InEpsilon(t, 100*time.Millisecond, d.P99, 0.13)
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		source.put("p1", "SKU-1", 7)
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(10 * time.Second)
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Second)
		assert.InEpsilon(t, 10*time.Second, delays().P99, 0.13, "two in a hundred and one")
		pass(61 * time.Minute)
		assert.Nil(t, delays())
	})
}

func TestHealthTellsTheReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(1), shop("shop", 1)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never()}
		a := join(t, server, "a", cfg, nil)
		pass(time.Second)
		b := join(t, server, "b", cfg, nil)
		c := join(t, server, "c", cfg, nil)
		names := func() (all []string) {
			h, err := c.Health(t.Context())
			require.NoError(t, err)
			for _, r := range h.Replicas {
				assert.Less(t, time.Since(r.Seen), time.Minute)
				all = append(all, r.Name)
			}
			return all
		}
		pass(time.Minute)
		assert.Equal(t, []string{"a", "b", "c"}, names())
		source.put("p0", "SKU-0", 7)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(10 * time.Second)
		h, err := c.Health(t.Context())
		require.NoError(t, err)
		require.NotNil(t, h.Channels[0].Delays, "what the leader has seen")
		assert.Equal(t, 1, h.Channels[0].Delays.Count)
		b.stop()
		pass(time.Second)
		assert.Equal(t, []string{"a", "c"}, names(), "who ends says so")
		a.die()
		pass(time.Minute)
		assert.Equal(t, []string{"c"}, names())
		c.stop()
	})
}

func TestHealthTellsHowFarAReconciliationIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1, 2, 3), shop("a", 3)
		var s *syncer.Syncer
		var seen []string
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			err := next.Push(ctx, updates)
			h, e := s.Health(ctx)
			assert.NoError(t, e)
			if assert.NotNil(t, h.Reconciling) {
				seen = append(seen, fmt.Sprint(h.Reconciling.Run == channel.Run(ctx), len(h.Reconciling.Channels), " of ", h.Reconciling.Total))
			}
			return err
		}}
		s = unguardedly(t, syncer.Config{Source: source}, c)
		for i := range 2 {
			source.put("p0", "SKU-0", 50+i)
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"true 1 of 0", "true 1 of 3"}, seen, "the last run tells how many there are")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Nil(t, h.Reconciling)
	})
}

func TestHeldSaysWhoHasApprovedAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, s, h := tripped(t, syncer.NewMemoryQueue())
		assert.Nil(t, h.Approved)
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.NotNil(t, held[0].Approved)
		assert.Equal(t, "ann", held[0].Approved.Who)
		time.Sleep(25 * time.Hour)
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		assert.Nil(t, held[0].Approved, "it has expired")
	})
}

// A replica that does not lead explains that several products claim an SKU, as the last
// run over the catalogue has found, and that they do no longer.
func TestAStandbyExplainsADoubledSKU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(5), shop("a", 1)
		source.put("p1", "SKU-0", 7)
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(m)}
		leader := join(t, server, "leader", cfg, nil)
		pass(5 * time.Second)
		standby := join(t, server, "standby", cfg, nil)
		pass(5 * time.Second)
		explained := func() error {
			x, err := standby.Explain(t.Context(), syncer.Question{ProductID: "p0"})
			require.NoError(t, err)
			return x.Channels[0].Listings[0].Err
		}
		_, err := leader.Reconcile(t.Context())
		require.ErrorIs(t, err, channel.ErrAmbiguousSKU)
		require.ErrorIs(t, explained(), channel.ErrAmbiguousSKU)

		source.put("p1", "SKU-1", 7)
		_, err = leader.Reconcile(t.Context())
		require.ErrorIs(t, err, channel.ErrAmbiguousSKU, "it finds that out at its end")
		require.NoError(t, explained())
		standby.stop()
		leader.stop()
	})
}

// A replica that does not lead explains that a channel is down, as who leads sees it.
func TestAStandbyExplainsThatAChannelIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source := queuetest.NewServer(leaseTime), newStock(5)
		c := &channeltest.Intercept{Channel: shop("a", 1), OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			return nil, channel.ErrUnavailable
		}}
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(c)}
		leader := join(t, server, "leader", cfg, nil)
		pass(5 * time.Second)
		standby := join(t, server, "standby", cfg, nil)
		require.NoError(t, standby.Notify(t.Context(), "p0"))
		pass(time.Minute)
		x, err := standby.Explain(t.Context(), syncer.Question{ProductID: "p0", Remembered: true})
		require.NoError(t, err)
		require.Error(t, x.Channels[0].DownErr)
		assert.InDelta(t, time.Minute.Seconds(), time.Since(x.Channels[0].Down).Seconds(), 5)
		standby.stop()
		leader.stop()
	})
}
