package syncer_test

import (
	"context"
	"fmt"
	"sync/atomic"
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

// A cron job does what Run would do, each call in a process of its own.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &moves{stock: newStock(5, 6, 7, 8)}, shop("a", 4)
		q := syncer.NewMemoryQueue()
		runs := 0
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Daily(2, 0, time.UTC), Hooks: syncer.Hooks{
			Reconciled: func(context.Context, *syncer.Report, error) { runs++ },
		}}
		once := func() error {
			s := unguardedly(t, cfg, m)
			began := time.Now()
			err := s.Once(t.Context())
			assert.Less(t, time.Since(began), 5*time.Second)
			return err
		}
		require.NoError(t, once()) // nothing is due
		shows(t, m, 100, 100, 100, 100)

		s := unguardedly(t, cfg, m)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		source.move("p1")
		require.NoError(t, s.Pin(t.Context(), syncer.Pin{ProductID: "p2", Quantity: 1, Who: "Ana", Why: "few"}))
		require.NoError(t, once())
		shows(t, m, 5, 6, 1, 100)

		time.Sleep(3 * time.Hour)
		require.NoError(t, once()) // the night's run was missed
		shows(t, m, 5, 6, 1, 8)
		assert.Equal(t, 1, runs)
		require.NoError(t, once())
		assert.Equal(t, 1, runs)

		// What fails waits for the next call, and for its time.
		down := &clerk{Memory: m}
		down.down.Store(true)
		source.put("p0", "SKU-0", 3)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		broken := unguardedly(t, cfg, down)
		require.NoError(t, broken.Once(t.Context()))
		shows(t, m, 5)
		time.Sleep(time.Minute)
		require.NoError(t, once())
		shows(t, m, 3)

		// A reconciliation that fails is told, and tried again after ten minutes.
		time.Sleep(24 * time.Hour)
		source.stock.mu.Lock()
		source.fail = channel.ErrUnavailable
		source.stock.mu.Unlock()
		require.ErrorIs(t, once(), channel.ErrUnavailable)
		assert.Equal(t, 2, runs)
		time.Sleep(time.Minute)
		require.NoError(t, once())
		assert.Equal(t, 2, runs)
		source.stock.mu.Lock()
		source.fail = nil
		source.stock.mu.Unlock()
		time.Sleep(10 * time.Minute)
		require.NoError(t, once())
		assert.Equal(t, 3, runs)
	})
}

func TestOnceIsGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		q := syncer.NewMemoryQueue()
		s := configure(t, syncer.Config{Source: source, Queue: q}, m)
		require.NoError(t, s.Once(t.Context()))
		time.Sleep(3 * time.Hour)
		for i := range 60 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		require.ErrorIs(t, s.Once(t.Context()), syncer.ErrHeld)
		assert.Zero(t, gone(m, 100))
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: held[0].Hash}))
		require.NoError(t, s.Once(t.Context()))
		assert.Equal(t, 60, gone(m, 100), "what was approved is due")
	})
}

func TestOnceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := pagedSource(600)
		q := syncer.NewMemoryQueue()
		cfg := syncer.Config{Source: source, Queue: q, ReconcileAtStart: true}
		s := configure(t, cfg, m)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			assert.ErrorIs(t, s.Run(t.Context()), syncer.ErrRunning)
		}()
		require.ErrorIs(t, s.Once(ctx), context.DeadlineExceeded)
		require.NoError(t, configure(t, cfg, m).Once(t.Context()), "it goes on where it was")
		require.Len(t, source.from, 2)
		assert.NotEmpty(t, source.from[1])
		began := time.Now()
		require.NoError(t, configure(t, cfg, m).Once(t.Context()))
		assert.Less(t, time.Since(began), time.Second)
	})
}

// On a shared queue it leads, or asks who does.
func TestOnceOnASharedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), &moves{stock: newStock(5, 6)}, shop("a", 2)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never(), WatchEvery: time.Hour, Queue: server.Open()}
		s := configure(t, cfg)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		require.NoError(t, s.Once(t.Context()))
		shows(t, m, 5)
		a := join(t, server, "a", cfg, nil)
		pass(time.Minute)
		source.move("p1")
		require.NoError(t, s.Once(t.Context()))
		pass(time.Second)
		shows(t, m, 5, 6)
		a.stop()
	})
}

// A cron job keeps a shop right.
func ExampleSyncer_Once() {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second) // the next one comes in a minute
	defer cancel()
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 4)
	s, err := syncer.New(syncer.Config{
		Source:  newStock(9),
		Targets: []syncer.Target{{Channel: shop}},
		Queue:   syncer.NewMemoryQueue(), // yours is durable: a boltqueue or a pgqueue
	})
	if err != nil {
		panic(err)
	}
	if err := s.Notify(ctx, "p0"); err != nil { // as a webhook does
		panic(err)
	}
	if err := s.Once(ctx); err != nil {
		panic(err)
	}
	n, _ := shop.Quantity("SKU-0")
	fmt.Println("the shop shows", n)
	// Output: the shop shows 9
}

// A channel that is paused, or that does not work, is the next call's, whatever it is
// asked for: work that outlasts calls, or what has changed.
func TestOnceLooksAtNoChannelThatRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := &freight{Memory: shop("a", 1)}, syncer.NewMemoryQueue()
		var down atomic.Bool
		c := &channeltest.Intercept{Channel: f, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if down.Load() {
				return nil, channel.ErrUnavailable
			}
			return next.Levels(ctx, skus)
		}}
		target := watching(c, time.Minute, 0)
		s := configure(t, syncer.Config{Source: newStock(5), Queue: q, Schedule: syncer.Never(), Targets: []syncer.Target{target}})
		once := func() {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			require.NoError(t, s.Once(ctx))
		}
		once()
		assert.EqualValues(t, 1, f.asked.Load())
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		once()
		assert.EqualValues(t, 1, f.asked.Load(), "it is asked nothing")
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		down.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		for range 3 {
			once()
		}
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.NotZero(t, h.Channels[0].DownSince)
	})
}
