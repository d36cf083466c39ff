package syncer_test

import (
	"context"
	"errors"
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
)

// A freight is a channel that takes updates in a file. The file is done after
// three minutes, though the channel says that it may take a day.
type freight struct {
	*channeltest.Memory
	file    []channel.Update
	done    time.Time
	resumed []time.Time
	asked   atomic.Int64 // as many
	fails   atomic.Bool
	read    []time.Time
	pushes  int
}

// slowly says that an update may take a day.
type slowly struct{}

func (slowly) Error() string      { return "in a file" }
func (slowly) Unwrap() error      { return channel.ErrPending }
func (slowly) Lag() time.Duration { return 24 * time.Hour }

func (f *freight) Lag() time.Duration { return time.Minute }

func (f *freight) Push(_ context.Context, updates []channel.Update) error {
	f.pushes++
	errs := make(channel.Errors)
	for _, u := range updates {
		errs[u.SKU] = slowly{}
	}
	f.file, f.done = updates, time.Now().Add(3*time.Minute)
	return errs
}

func (f *freight) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	f.read = append(f.read, time.Now())
	return f.Memory.Levels(ctx, skus)
}

func (f *freight) Resume(context.Context) (skus []string, again time.Duration, err error) {
	f.resumed = append(f.resumed, time.Now())
	f.asked.Add(1)
	switch {
	case f.fails.Load():
		return nil, 0, errors.New("not now")
	case f.file == nil:
		return nil, 0, nil
	case time.Now().Before(f.done):
		return nil, 20 * time.Second, nil
	}
	for _, u := range f.file {
		f.Set(u.SKU, u.Quantity+1) // it did not quite do it
		skus = append(skus, u.SKU)
	}
	f.file = nil
	return skus, 0, nil
}

func TestWorkThatOutlastsCallsGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &freight{Memory: shop("a", 1)}
		s := configure(t, syncer.Config{Source: newStock(5), Schedule: syncer.Never()}, f)
		stop := running(t, s)
		pass(time.Second)
		require.Len(t, f.resumed, 1, "once before the first Push")
		start := time.Now()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		stop()

		var asked []string
		for _, at := range f.resumed[1:5] {
			asked = append(asked, at.Sub(start).Round(time.Second).String())
		}
		assert.Equal(t, []string{"59s", "1m19s", "1m39s", "1m59s"}, asked, "after a minute without work, and then as it says")
		var after time.Duration
		for _, at := range f.read {
			if d := at.Sub(start); d > 3*time.Minute && after == 0 {
				after = d
			}
		}
		assert.InDelta(t, (3*time.Minute + 20*time.Second).Seconds(), after.Seconds(), 21, "it is compared when its outcome is known")
		assert.Greater(t, f.pushes, 1, "and written again")
	})
}

func TestWorkThatCannotGoOnIsTriedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &freight{Memory: shop("a", 1)}
		f.fails.Store(true)
		stop := running(t, configure(t, syncer.Config{Source: newStock(5), Schedule: syncer.Never()}, f))
		pass(time.Hour)
		f.fails.Store(false)
		pass(10 * time.Minute)
		stop()
		var waits []string
		for i := range 3 {
			waits = append(waits, fmt.Sprint(f.resumed[i+1].Sub(f.resumed[i]) <= time.Second<<i))
		}
		assert.Equal(t, []string{"true", "true", "true"}, waits)
		assert.Less(t, len(f.resumed), 40)
		n := len(f.resumed)
		assert.LessOrEqual(t, f.resumed[n-1].Sub(f.resumed[n-2]), time.Minute, "and then once a minute")
	})
}

// A channel that was paused, or asked to be left alone, is asked for such work as soon as
// that is over.
func TestWorkThatOutlastsCallsGoesOnAfterARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &freight{Memory: shop("a", 1)}
		m := &channeltest.Intercept{Channel: f, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			return nil, throttled(20 * time.Second)
		}}
		s := configure(t, syncer.Config{Source: newStock(5), Schedule: syncer.Never()}, m)
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		stop := running(t, s)
		pass(10 * time.Second)
		assert.Zero(t, f.asked.Load())
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Second)
		assert.EqualValues(t, 1, f.asked.Load())
		stop()

		_, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		stop = running(t, s)
		pass(19 * time.Second)
		assert.EqualValues(t, 1, f.asked.Load())
		pass(2 * time.Second)
		assert.EqualValues(t, 2, f.asked.Load())
		stop()
	})
}
