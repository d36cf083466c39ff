package syncer_test

import (
	"context"
	"errors"
	"iter"
	"strconv"
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

// throttled is a service's answer that asks to be left alone for a while.
type throttled time.Duration

func (d throttled) Error() string             { return "429" }
func (d throttled) Unwrap() error             { return channel.ErrUnavailable }
func (d throttled) RetryAfter() time.Duration { return time.Duration(d) }

// asks are waits that services ask for, and what they get.
var asks = []struct{ asked, wait time.Duration }{
	{0, time.Second},
	{90 * time.Second, 90 * time.Second},
	{24 * time.Hour, 5 * time.Minute},
}

func TestAChannelIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	for _, tt := range asks {
		synctest.Test(t, func(t *testing.T) {
			m := shop("a", 1)
			var calls []time.Time
			c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				if calls = append(calls, time.Now()); len(calls) == 1 {
					return nil, throttled(tt.asked)
				}
				return next.Levels(ctx, skus)
			}}
			s := configure(t, syncer.Config{Source: newStock(1), Schedule: syncer.Never()}, c)
			stop := running(t, s)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(10 * time.Minute)
			stop()
			shows(t, m, 1)
			require.Len(t, calls, 2)
			assert.InDelta(t, tt.wait.Seconds(), calls[1].Sub(calls[0]).Seconds(), 1, "asked for %s", tt.asked)
		})
	}
}

// busy is a source that is throttled once.
type busy struct {
	*stock
	asked time.Duration
	calls []time.Time
}

func (b *busy) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if b.calls = append(b.calls, time.Now()); len(b.calls) == 1 {
		return func(yield func(channel.Stock, error) bool) { yield(channel.Stock{}, throttled(b.asked)) }
	}
	return b.stock.Stock(ctx, ids...)
}

func TestASourceIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	for _, tt := range asks {
		synctest.Test(t, func(t *testing.T) {
			source, m := &busy{stock: newStock(1), asked: tt.asked}, shop("a", 1)
			s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
			stop := running(t, s)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(10 * time.Minute)
			stop()
			shows(t, m, 1)
			require.Len(t, source.calls, 2)
			assert.InDelta(t, tt.wait.Seconds(), source.calls[1].Sub(source.calls[0]).Seconds(), 1, "asked for %s", tt.asked)
		})
	}
}

// outage is a source that answers nothing while it is down.
type outage struct {
	channel.Source
	down atomic.Bool
}

func (o *outage) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if o.down.Load() {
		return func(yield func(channel.Stock, error) bool) { yield(channel.Stock{}, channel.ErrUnavailable) }
	}
	return o.Source.Stock(ctx, ids...)
}

// After an outage the source's next trouble begins with a short wait again.
func TestASourcesOutageIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		erp, m := newStock(1), shop("a", 1)
		source := &outage{Source: erp}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		defer running(t, s)()
		source.down.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		source.down.Store(false)
		pass(20 * time.Second)
		shows(t, m, 1)

		pass(time.Minute)
		erp.put("p0", "SKU-0", 2)
		source.down.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(500 * time.Millisecond)
		shows(t, m, 1)
		source.down.Store(false)
		pass(2 * time.Second)
		shows(t, m, 2)
	})
}

// Whoever calls may go while the channel is asked: that says nothing of the
// channel.
func TestACallerWhoGoesTakesNoChannelDown(t *testing.T) {
	for _, stage := range []string{"Levels", "Push"} {
		synctest.Test(t, func(t *testing.T) {
			var downs atomic.Int64
			c := &channeltest.Intercept{Channel: shop("a", 1)}
			if stage == "Levels" {
				c.OnLevels = func(ctx context.Context, _ channel.Reader, _ []string) ([]channel.Level, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
			} else {
				c.OnPush = func(ctx context.Context, _ channel.Channel, _ []channel.Update) error {
					<-ctx.Done()
					return ctx.Err()
				}
			}
			s := configure(t, syncer.Config{Source: newStock(1), Hooks: syncer.Hooks{
				Down: func(context.Context, string, error) { downs.Add(1) },
			}}, c)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := s.SyncProducts(ctx, "p0")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			h, err := s.Health(t.Context())
			require.NoError(t, err)
			assert.True(t, h.Channels[0].DownSince.IsZero(), stage)
			assert.NoError(t, h.Channels[0].Err, stage)
			assert.Zero(t, downs.Load(), stage)
		})
	}
}

// A channel that cannot be written is not up again because it can be read.
func TestReadingDoesNotProveThatWritingWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 50)
		source := newStock()
		var ids []string
		for i := range 50 {
			source.put("p"+strconv.Itoa(i), "SKU-"+strconv.Itoa(i), i)
			ids = append(ids, "p"+strconv.Itoa(i))
		}
		var ups, largest atomic.Int64
		start := time.Now()
		c := &channeltest.Intercept{Channel: m, OnPush: func(_ context.Context, _ channel.Channel, updates []channel.Update) error {
			if time.Since(start) > time.Minute {
				largest.Store(max(largest.Load(), int64(len(updates))))
			}
			return errors.New("read-only")
		}}
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: syncer.Hooks{
			Up: func(context.Context, string, time.Duration) { ups.Add(1) },
		}}, c)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), ids...))
		pass(10 * time.Minute)
		stop()
		assert.Zero(t, ups.Load())
		assert.EqualValues(t, 1, largest.Load(), "it is probed with one product")
	})
}

// Nothing more is sent to a channel that has failed as a whole, and each product
// is reported all the same.
func TestAChannelThatFailsIsNotSentTheRest(t *testing.T) {
	pushes := 0
	c := inPairs{&channeltest.Intercept{Channel: shop("a", 6), OnPush: func(context.Context, channel.Channel, []channel.Update) error {
		pushes++
		return throttled(time.Minute)
	}}}
	r, err := build(t, newStock(1, 2, 3, 4, 5, 6), c).SyncProducts(t.Context(), "p0", "p1", "p2", "p3", "p4", "p5")
	require.ErrorIs(t, err, channel.ErrUnavailable)
	assert.Equal(t, 1, pushes)
	assert.Equal(t, 2, r.Channels[0].Unclear)
	assert.Equal(t, 4, r.Channels[0].Failed)
}
