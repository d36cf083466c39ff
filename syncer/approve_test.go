package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// tripped is a world in which a bad import of half a shop is held.
func tripped(t *testing.T, q syncer.Queue) (*stock, *channeltest.Memory, *syncer.Syncer, syncer.Holding) {
	t.Helper()
	source, m := catalogue(100)
	s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	for i := range 50 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	_, err = s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	held, err := s.Held(t.Context())
	require.NoError(t, err)
	require.Len(t, held, 1)
	require.Len(t, held[0].Lines, 50)
	return source, m, s, held[0]
}

func TestApprove(t *testing.T) {
	t.Run("by Run, of another process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := syncer.NewMemoryQueue()
			source, m, s, h := tripped(t, q)
			defer running(t, configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m))()
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
			pass(time.Minute)
			assert.Equal(t, 50, gone(m, 100))
			held, err := s.Held(t.Context())
			require.NoError(t, err)
			assert.Empty(t, held)
			source.put("p60", "SKU-60", 0) // the guard is clear, and on again
			require.NoError(t, s.Notify(t.Context(), "p60"))
			pass(time.Minute)
			assert.Equal(t, 51, gone(m, 100))
		})
	})
	t.Run("by the next reconciliation, where nobody runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, m, s, h := tripped(t, syncer.NewMemoryQueue())
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 50, gone(m, 100))
		})
	})
	t.Run("it covers what was shown, and nothing else", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, m, s, h := tripped(t, syncer.NewMemoryQueue())
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
			source.put("p0", "SKU-0", 10) // mended since
			for i := 50; i < 90; i++ {    // and more of the same
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			}
			_, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, syncer.ErrHeld)
			assert.Equal(t, 49, gone(m, 100))
		})
	})
	t.Run("up to a number of products", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, m, s, _ := tripped(t, syncer.NewMemoryQueue())
			require.ErrorIs(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 49}), syncer.ErrOtherLines)
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 50}))
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 50, gone(m, 100))
		})
	})
	t.Run("beforehand, once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, m := catalogue(100)
			s := configure(t, syncer.Config{Source: source}, m)
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 40}))
			for i := range 40 {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			}
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 40, gone(m, 100))
			for i := 40; i < 80; i++ {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			}
			_, err = s.Reconcile(t.Context())
			require.ErrorIs(t, err, syncer.ErrHeld)
			assert.Equal(t, 40, gone(m, 100))
		})
	})
	t.Run("it expires", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, m, s, h := tripped(t, syncer.NewMemoryQueue())
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
			time.Sleep(25 * time.Hour)
			_, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, syncer.ErrHeld)
			assert.Zero(t, gone(m, 100))
		})
	})
	t.Run("what is no approval", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, _, s, h := tripped(t, syncer.NewMemoryQueue())
			for says, a := range map[string]syncer.Approval{
				"no channel":    {Channel: "b", Who: "ann", Hash: h.Hash},
				"Who is empty":  {Channel: "a", Hash: h.Hash},
				"either":        {Channel: "a", Who: "ann"},
				"has expired":   {Channel: "a", Who: "ann", Hash: h.Hash, Expires: time.Now()},
				"not those":     {Channel: "a", Who: "ann", Hash: "0123456789abcdef"},
				"lines are hel": {Channel: "a", Who: "ann", UpTo: 3},
			} {
				assert.ErrorContains(t, s.Approve(t.Context(), a), says)
			}
		})
	})
}

// A guard that cannot be remembered holds: nothing fails open.
func TestAGuardWithoutItsMemoryHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		q := &forgetful{MemoryQueue: syncer.NewMemoryQueue()}
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		q.broken = true
		source.put("p0", "SKU-0", 0)
		r, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.Equal(t, 1, r.Channels[0].Held)
		q.broken = false
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		shows(t, m, 0)
	})
}

type forgetful struct {
	*syncer.MemoryQueue
	broken bool
}

func (f *forgetful) Load(ctx context.Context, set, key string) ([]byte, error) {
	if f.broken {
		return nil, errors.New("disk full")
	}
	return f.MemoryQueue.Load(ctx, set, key)
}

// A guard that holds nothing any more, since its lines were dealt with
// otherwise, can be approved away.
func TestAGuardWithoutLinesCanBeApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		for i := range 50 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		_, err = s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		var ids []string
		for i := range 50 { // the source was wrong
			ids = append(ids, fmt.Sprintf("p%d", i))
			source.put(ids[i], fmt.Sprintf("SKU-%d", i), 10)
		}
		_, err = s.SyncProducts(t.Context(), ids...)
		require.NoError(t, err)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		require.Empty(t, held[0].Lines)
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "Ada", Hash: held[0].Hash}))
		stop := running(t, s)
		pass(time.Minute)
		stop()
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	})
}

// Lines that were held and are applied as an approved plan are held no more; the guard
// is still tripped, and clear when somebody approves that it holds nothing.
func TestAnApprovedPlanLeavesTheGuardTripped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, s, h := tripped(t, syncer.NewMemoryQueue())
		r, err := s.Apply(t.Context(), &syncer.Plan{Approved: true, Lines: h.Lines})
		require.NoError(t, err)
		assert.Equal(t, 50, r.Channels[0].Updated)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Empty(t, held[0].Lines)
		source.put("p60", "SKU-60", 0)
		_, err = s.SyncProducts(t.Context(), "p60")
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.Equal(t, 50, gone(m, 100))

		source.put("p60", "SKU-60", 100)
		_, err = s.SyncProducts(t.Context(), "p60")
		require.NoError(t, err)
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		defer running(t, s)()
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: held[0].Hash}))
		pass(time.Minute)
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	})
}
