package syncer_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A resting shop answers one reading with an error, and counts all of them.
type restingShop struct {
	*channeltest.Memory
	mu    sync.Mutex
	err   error // of the next reading
	reads int
}

// fails makes the next reading fail.
func (r *restingShop) fails(err error) *restingShop {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	return r
}

func (r *restingShop) read() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

func (r *restingShop) channel() channel.Channel {
	return &channeltest.Intercept{Channel: r.Memory, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		r.mu.Lock()
		err := r.err
		r.err = nil
		r.reads++
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return next.Levels(ctx, skus)
	}}
}

// A service that asks to be left alone is, whoever calls; and the call says so at
// once.
func TestNobodyCallsAChannelThatAskedForARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := (&restingShop{Memory: shop("a", 2)}).fails(throttled(time.Minute))
		s := configure(t, syncer.Config{Source: newStock(60, 60), Schedule: syncer.Never()}, m.channel())
		_, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)

		pass(10 * time.Second)
		began := time.Now()
		r, err := s.SyncProducts(t.Context(), "p0", "p1")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "left alone for 50s more, as it has asked: 429")
		wait, ok := channel.RetryAfter(r.Channels[0].Err)
		assert.Equal(t, []any{50 * time.Second, true}, []any{wait, ok})
		assert.Equal(t, 2, r.Channels[0].Failed)
		_, err = s.Apply(t.Context(), planned("a", 100, 60))
		require.ErrorIs(t, err, channel.ErrUnavailable)
		_, err = s.Plan(t.Context())
		require.ErrorIs(t, err, channel.ErrUnavailable)
		_, err = s.Coverage(t.Context())
		require.ErrorIs(t, err, channel.ErrUnavailable)
		x, err := s.Explain(t.Context(), syncer.Question{ProductID: "p0"})
		require.NoError(t, err)
		require.ErrorIs(t, x.Channels[0].Listings[0].Err, channel.ErrUnavailable)
		assert.Equal(t, began, time.Now())
		assert.Equal(t, 1, m.read())

		pass(51 * time.Second)
		_, err = s.SyncProducts(t.Context(), "p0", "p1")
		require.NoError(t, err, "the rest is as long as it was asked for, however often somebody called")
		shows(t, m.Memory, 60, 60)
	})
}

// A channel that is down without having asked for a rest is tried with one product
// by whoever calls.
func TestACallTriesAChannelThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := (&restingShop{Memory: shop("a", 2)}).fails(channel.ErrUnavailable)
		s := configure(t, syncer.Config{Source: newStock(60, 60), Schedule: syncer.Never()}, m.channel())
		_, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		_, err = s.SyncProducts(t.Context(), "p0", "p1")
		require.NoError(t, err)
		assert.Equal(t, 3, m.read(), "one product, and then the other")
		shows(t, m.Memory, 60, 60)
	})
}

// While a channel rests no lane of the queue asks it, nor the source for it.
func TestLanesLeaveAChannelAloneThatRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &watched{stock: newStock(60)}, &restingShop{Memory: shop("a", 1)}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m.channel())
		defer running(t, s)()
		pass(time.Second)
		m.fails(throttled(time.Minute))
		_, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		asked := source.asked()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(45 * time.Second) // in which the source's watch has noticed it, too
		assert.Equal(t, 1, m.read())
		assert.Equal(t, asked, source.asked())
		pass(time.Minute)
		shows(t, m.Memory, 60)
		assert.True(t, drained(t, s))
	})
}

// Once does not wait for a channel that rests: what is marked stays marked.
func TestOnceDoesNotWaitForAChannelThatRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := (&restingShop{Memory: shop("a", 1)}).fails(throttled(time.Minute))
		s := configure(t, syncer.Config{Source: newStock(60), Schedule: syncer.Never()}, m.channel())
		_, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		began := time.Now()
		require.NoError(t, s.Once(t.Context()))
		assert.Less(t, time.Since(began), 10*time.Second)
		assert.False(t, drained(t, s))
		pass(time.Minute)
		require.NoError(t, s.Once(t.Context()))
		shows(t, m.Memory, 60)
	})
}
