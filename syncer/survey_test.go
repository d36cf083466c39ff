package syncer_test

import (
	"context"
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

// slowlyRead is a shop whose reading takes a while.
func slowlyRead(m *channeltest.Memory, d time.Duration) channel.Channel {
	return &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		time.Sleep(d)
		return next.Levels(ctx, skus)
	}}
}

// A plan that is made beside a run does not pass for what the run has still to
// write for the sake of a sale.
func TestAPlanDoesNotCountAsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := shop("a", 1), shop("b", 1), shop("c", 1)
		s := configure(t, syncer.Config{Source: newStock(10), Schedule: syncer.Never()},
			slowlyRead(a, time.Second), b, slowlyRead(c, 5*time.Second))
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		a.Set("SKU-0", 8) // sold
		done := make(chan error, 1)
		go func() {
			_, err := s.SyncProducts(t.Context(), "p0") // b is done before a
			done <- err
		}()
		pass(2 * time.Second)
		_, err = s.Plan(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-done)
		shows(t, a, 8)
		shows(t, b, 8)
		shows(t, c, 8)
	})
}

// That a plan was made before what was accepted is found to show hides nothing: it
// is told of when a run finds it.
func TestAPlanDoesNotHideThatAWriteHasLanded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &laggard{Memory: shop("a", 1)}
		s := configure(t, syncer.Config{Source: newStock(10), Schedule: syncer.Never(), Journal: time.Hour}, m)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		m.Set("SKU-0", 10)
		for range 2 {
			p, err := s.Plan(t.Context())
			require.NoError(t, err)
			assert.Empty(t, p.Lines)
		}
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		assert.Equal(t, syncer.EntryLanded, entries(t, s, "p0")[0].Kind)
	})
}

// A laggard accepts quantities and shows them when a test says so.
type laggard struct{ *channeltest.Memory }

func (*laggard) Lag() time.Duration { return time.Hour }

func (*laggard) Push(_ context.Context, updates []channel.Update) error {
	errs := make(channel.Errors)
	for _, u := range updates {
		errs[u.SKU] = channel.ErrPending
	}
	return errs
}

// A slow channel delays nobody's following up of a sale.
func TestASlowChannelDelaysNoFollowUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := shop("a", 1), shop("b", 1), shop("c", 1)
		var slow atomic.Bool
		s := configure(t, syncer.Config{Source: newStock(10), Schedule: syncer.Never()}, slowlyRead(a, time.Second),
			&channeltest.Intercept{Channel: b, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				if slow.Load() {
					time.Sleep(5 * time.Minute)
				}
				return next.Levels(ctx, skus)
			}}, c)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		a.Set("SKU-0", 8) // sold
		done := make(chan error, 1)
		go func() {
			_, err := s.SyncProducts(t.Context(), "p0") // b and c are done before a
			done <- err
		}()
		pass(500 * time.Millisecond)
		slow.Store(true)
		pass(time.Minute)
		shows(t, c, 8)
		require.NoError(t, <-done)
		shows(t, b, 8)
	})
}
