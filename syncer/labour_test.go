package syncer_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// pensive is a source that takes its time to tell an order's products.
type pensive struct{ *stock }

func (pensive) OrderProducts(context.Context, string) ([]string, error) {
	time.Sleep(10 * time.Second)
	return []string{"p0"}, nil
}

// Once waits for what it has taken, and for what comes of it.
func TestOnceWaitsForWhatComesOfItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, q := shop("a", 1), syncer.NewMemoryQueue()
		require.NoError(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "orders", ID: "o"}, Why: syncer.CauseOrder}))
		s := unguardedly(t, syncer.Config{Source: pensive{newStock(5)}, Queue: q}, m)
		require.NoError(t, s.Once(t.Context()))
		shows(t, m, 5)
		assert.True(t, drained(t, s))
	})
}

// willing is a queue that leases whether its context is done or not.
type willing struct{ *syncer.MemoryQueue }

func (q willing) Wait(ctx context.Context, lane string) error {
	_ = q.MemoryQueue.Wait(ctx, lane)
	return nil
}

func (q willing) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	return q.MemoryQueue.Lease(context.WithoutCancel(ctx), lane, n)
}

// Once it is to end, Run takes nothing more, whatever its queue would give.
func TestRunTakesNothingMoreWhenItIsToEnd(t *testing.T) {
	for _, cfg := range []syncer.Config{
		{Source: newStock(5), Gather: 10 * time.Second},
		{Source: spent{newStock(5)}},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := shop("a", 1)
			cfg.Queue = willing{syncer.NewMemoryQueue()}
			s := unguardedly(t, cfg, m)
			stop := running(t, s)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(5 * time.Second)
			stop()
			shows(t, m, 100)
			assert.False(t, drained(t, s))
		})
	}
}

// spent is a source that has nothing left of its quota.
type spent struct{ *stock }

func (spent) Pace(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// A product that fails again and again waits to be tried again, and is no old queue.
func TestAProductThatWaitsIsNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bell
		odd := &channeltest.Intercept{Channel: shop("a", 1), OnPush: func(context.Context, channel.Channel, []channel.Update) error {
			return channel.Errors{"SKU-0": channel.ErrNotApplied}
		}}
		s := unguardedly(t, syncer.Config{Source: newStock(5), Hooks: b.hooks(), Schedule: syncer.Never()}, odd)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(3 * time.Hour)
		assert.Empty(t, b.heard())
		assert.False(t, drained(t, s))
	})
}

// What a host shall know of its channels is in the log when Run begins, and nothing
// of what it has not got.
func TestTheLogSaysWhatIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := configure(t, syncer.Config{
			Source: newStock(5), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Targets: []syncer.Target{{Channel: shop("a", 1), Observe: true}, {Channel: shop("b", 1)}},
		})
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		stop()
		assert.Regexp(t, `the channel is only observed.* channel=a`, log.String())
		assert.NotRegexp(t, `only observed.* channel=b`, log.String())
		assert.NotContains(t, log.String(), "pace")
	})
}

// A channel that takes less than what is marked has an alarm, until it has caught up.
func TestAlarmWhenMoreIsMarkedThanCanBeDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bell
		source := newStock(make([]int, 5000)...)
		slow := &slowToRead{shop("a", 5000), time.Minute}
		s := unguardedly(t, syncer.Config{Source: source, Hooks: b.hooks(), Schedule: syncer.Never()}, slow)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), source.order...))
		pass(15 * time.Minute)
		assert.Empty(t, b.heard())
		pass(5 * time.Minute)
		require.Equal(t, []string{"queue old"}, b.heard())
		assert.Contains(t, b.last().Text, "more is marked than can be done")
		pass(30 * time.Minute)
		assert.Equal(t, []string{"queue old", "-queue old"}, b.heard())
	})
}
