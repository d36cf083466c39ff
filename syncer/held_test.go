package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// hundred is a shop of a hundred products on sale, which a run has counted.
func hundred(t *testing.T, q syncer.Queue) (*stock, *channeltest.Memory, *syncer.Syncer) {
	t.Helper()
	source, m := catalogue(100)
	s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	return source, m, s
}

// imported gives the first products another quantity and syncs them.
func imported(t *testing.T, source *stock, s *syncer.Syncer, products, quantity int) error {
	t.Helper()
	var ids []string
	for i := range products {
		ids = append(ids, fmt.Sprintf("p%d", i))
		source.put(ids[i], fmt.Sprintf("SKU-%d", i), quantity)
	}
	_, err := s.SyncProducts(t.Context(), ids...)
	return err
}

// Held says what tripped a guard in real time, and what is held since.
func TestHeldSaysWhatAndWhy(t *testing.T) {
	for _, tt := range []struct {
		products, quantity int
		losses, gains      int
		why                string
	}{
		{15, 0, 11, 0, "11 products would go off sale or show less than half, of 100 on sale; 10 may"},
		{35, 1000, 0, 31, "31 products would come on sale or show many times as much, of 100 on sale; 30 may"},
	} {
		synctest.Test(t, func(t *testing.T) {
			source, _, s := hundred(t, syncer.NewMemoryQueue())
			require.ErrorIs(t, imported(t, source, s, tt.products, tt.quantity), syncer.ErrHeld)
			held, err := s.Held(t.Context())
			require.NoError(t, err)
			require.Len(t, held, 1)
			h := held[0]
			assert.Equal(t, []int{tt.losses, tt.gains}, []int{h.Losses, h.Gains})
			assert.Equal(t, tt.why, h.Why())
			assert.Len(t, h.Lines, 5)
			for _, l := range h.Lines {
				assert.Equal(t, syncer.ReasonHeld, l.Reason)
			}
			assert.Equal(t, 3, strings.Count(h.String(), " and would show "), "three for example")
		})
	}
}

// A guard that holds nothing any more says so, and an approval ends what it has
// tripped over.
func TestAGuardThatHoldsNothingAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _, s := hundred(t, syncer.NewMemoryQueue())
		require.ErrorIs(t, imported(t, source, s, 15, 0), syncer.ErrHeld)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		for _, l := range held[0].Lines { // the source was wrong, and is mended
			source.put(l.ProductID, l.SKU, 10)
			_, err := s.SyncProducts(t.Context(), l.ProductID)
			require.NoError(t, err)
		}
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Empty(t, held[0].Lines)
		assert.Contains(t, held[0].String(), "Nothing is held any more")
		assert.NotContains(t, held[0].String(), "0 lines")
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: held[0].Channel, Who: "ann", Hash: held[0].Hash}))
		require.NoError(t, s.Once(t.Context()))
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	})
}

// The limits in real time are for each window.
func TestTheGuardsWindow(t *testing.T) {
	for _, tt := range []struct {
		window, after time.Duration
		held          bool
	}{
		{0, 8 * time.Minute, true},
		{0, 12 * time.Minute, false},
		{time.Hour, 50 * time.Minute, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			source, m := catalogue(100)
			s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
				Targets: []syncer.Target{{Channel: m, Guard: syncer.Guard{Window: tt.window}}}})
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			require.NoError(t, imported(t, source, s, 10, 0), "a tenth may")
			time.Sleep(tt.after)
			source.put("p50", "SKU-50", 0)
			_, err = s.SyncProducts(t.Context(), "p50")
			assert.Equal(t, tt.held, errors.Is(err, syncer.ErrHeld), "%v of a window of %v: %v", tt.after, tt.window, err)
		})
	}
}

// What is approved is approved as a whole, or the holding says that it is not.
func TestHeldBesideWhatIsApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _, s, h := tripped(t, syncer.NewMemoryQueue())
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.NotNil(t, held[0].Approved)
		source.put("p60", "SKU-60", 0)
		_, err = s.SyncProducts(t.Context(), "p60")
		require.ErrorIs(t, err, syncer.ErrHeld)
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		assert.Len(t, held[0].Lines, 51)
		assert.Nil(t, held[0].Approved, "nobody has seen the last one")
	})
}

// Held tells what another process has done a moment ago.
func TestHeldByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		source, m, s, _ := tripped(t, q)
		other := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		held, err := other.Held(t.Context())
		require.NoError(t, err)
		assert.Len(t, held[0].Lines, 50)
		source.setAll(10)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		held, err = other.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	})
}

// A run that has not met the whole catalogue clears no guard.
func TestAPartOfTheCatalogueClearsNoGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _, s, _ := tripped(t, syncer.NewMemoryQueue())
		source.setAll(10)
		source.fail = errors.New("the source is gone")
		_, err := s.Reconcile(t.Context())
		require.Error(t, err)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		assert.Len(t, held, 1)
	})
}

// unwritable is a queue that cannot keep what belongs to one set.
type unwritable struct {
	*syncer.MemoryQueue
	set string
}

func (q *unwritable) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if q.set != "" && strings.HasPrefix(set, q.set) {
		return errors.New("disk full")
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

// What a guard cannot keep is told.
func TestAGuardThatCannotKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, set := range []string{"guards", "held/"} {
			q := &unwritable{MemoryQueue: syncer.NewMemoryQueue()}
			source, m, s := hundred(t, q)
			q.set = set
			require.ErrorIs(t, imported(t, source, s, 20, 0), syncer.ErrHeld, set)
			assert.Equal(t, 10, gone(m, 100), "held all the same")
			q.set = ""
			require.ErrorIs(t, imported(t, source, s, 20, 0), syncer.ErrHeld)
			held, err := s.Held(t.Context())
			require.NoError(t, err)
			require.Len(t, held, 1)

			if set == "held/" {
				q.set = set
				mended := held[0].Lines[0]
				source.put(mended.ProductID, mended.SKU, 10)
				_, err = s.SyncProducts(t.Context(), mended.ProductID)
				require.NoError(t, err)
				q.set = ""
				_, err = s.SyncProducts(t.Context(), mended.ProductID)
				require.NoError(t, err)
				held, err = s.Held(t.Context())
				require.NoError(t, err)
				assert.Len(t, held[0].Lines, 9, "it is dealt with, though that could not be kept at first")
			}

			q.set = set
			source.setAll(10)
			_, err = s.Reconcile(t.Context())
			require.ErrorContains(t, err, "disk full", set)
			held, err = s.Held(t.Context())
			require.NoError(t, err)
			assert.Len(t, held, 1, "it is not clear until that is kept")
		}
		q := &forgetful{MemoryQueue: syncer.NewMemoryQueue()}
		_, _, s := hundred(t, q)
		q.broken = true
		_, err := s.Held(t.Context())
		assert.ErrorContains(t, err, "syncer: Held: the guard's memory")
	})
}

// Orders that take all there is are no loss, of what is sold without a quantity
// either.
func TestWhatIsSoldWithoutAQuantityMayBeSoldOut(t *testing.T) {
	for reserved, ok := range map[int]bool{5: true, 4: false} {
		source, m := newStock(), channeltest.NewMemory("a")
		m.Add(channel.Level{SKU: "SKU-0", Unset: true})
		source.put("p0", "SKU-0", 0)
		p := source.products["p0"]
		p.OnHand, p.Reserved = 5, reserved
		source.products["p0"] = p
		s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Guard: syncer.Guard{Few: -1}}}})
		r, err := s.Reconcile(t.Context())
		assert.Equal(t, ok, err == nil, "%v", err)
		assert.Equal(t, ok, r.Channels[0].Updated == 1)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		if !ok {
			assert.Contains(t, held[0].String(), "SKU-0 is sold without a quantity and would show 0")
		}
	}
}
