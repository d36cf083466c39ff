package syncer_test

import (
	"cmp"
	"context"
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

// What a run compares again, since the channel changed under it or failed, is read
// and counted once, however many listings of a product it is about.
func TestWhatIsComparedAgainIsReadAndCountedOnce(t *testing.T) {
	for name, under := range map[string]func(*channeltest.Memory) channel.Channel{
		"changed": func(m *channeltest.Memory) channel.Channel {
			pushes := 0
			return &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				if pushes++; pushes > 1 {
					return next.Push(ctx, updates)
				}
				errs := make(channel.Errors)
				for _, u := range updates {
					errs[u.SKU] = channel.ErrConflict
				}
				return errs
			}}
		},
		"down": func(m *channeltest.Memory) channel.Channel { return failing(m, "SKU", 20*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := newStock(7, 8), channeltest.NewMemory("a")
				for _, sku := range []string{"SKU-0", "SKU-1"} {
					m.Add(channel.Level{SKU: sku, Quantity: 5, SellsAtZero: true}, channel.Level{SKU: sku + "-6", Quantity: 2})
				}
				s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
					Targets: []syncer.Target{{Channel: under(m), Listings: packs}}})
				r, err := s.Reconcile(t.Context())
				require.NoError(t, err)
				c := r.Channels[0]
				assert.Equal(t, []int{4, 4, 0}, []int{c.Checked, c.Updated, c.Failed})
				assert.Equal(t, []int{2, 2}, []int{c.OnSale, c.SellsAtZero})
				shows(t, m, 7, 8)
			})
		})
	}
}

// A write that came to nothing, and was made up for, is not told of as unclear or
// missing because the channel fails again until the run ends.
func TestWhatIsMadeUpForIsNoTroubleAnyMore(t *testing.T) {
	for _, what := range []string{"SKU", "KIT"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := newStock(5, 5, 5), shop("a", 3)
				m.Set("KIT-0", 6)
				m.Set("KIT-1", 6)
				m.Set("KIT-2", 6)
				works, done := time.Now().Add(20*time.Second), false
				c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					if strings.HasPrefix(updates[0].SKU, what) && (time.Now().Before(works) || done) {
						return channel.ErrUnavailable
					}
					done = done || updates[0].SKU == what+"-0"
					return next.Push(ctx, updates)
				}}
				target := syncer.Target{Channel: c, Guard: unguarded}
				if what == "KIT" {
					target.Kits = kitList(kitOf("KIT-0", "p0"), kitOf("KIT-1", "p1"), kitOf("KIT-2", "p2"))
				}
				s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{target}})
				r, err := s.Reconcile(t.Context())
				require.ErrorIs(t, err, syncer.ErrNotCompared)
				troubled := make(map[string]int)
				for _, p := range r.Channels[0].Problems {
					troubled[strings.TrimPrefix(cmp.Or(p.SKU, p.ProductID), what+"-")]++
				}
				second := "2"
				if what == "SKU" {
					second = "p2" // which was not sent
				}
				assert.Equal(t, map[string]int{"1": 1, second: 1}, troubled)
				assert.Equal(t, 2, r.Channels[0].Unclear+r.Channels[0].Failed)
				n, _ := m.Quantity(what + "-0")
				assert.Equal(t, 5, n)
			})
		})
	}
}

// What was put aside and cannot be read any more is not written, and the run says
// so.
func TestWhatWasPutAsideAndCannotBeReadIsToldOf(t *testing.T) {
	m := shop("a", 1)
	source := &unanswered{newStock(0), ""}
	levels := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		source.id = "p0" // from now on
		return next.Levels(ctx, skus)
	}}
	r, err := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, levels).Reconcile(t.Context())
	require.ErrorIs(t, err, channel.ErrInvalid)
	assert.Equal(t, 1, r.Channels[0].Failed)
	shows(t, m, 100)
}

// What becomes another danger while it is put aside is held.
func TestANewDangerAtTheEndOfARunIsHeld(t *testing.T) {
	source, m := newStock(0), shop("a", 1)
	levels := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		source.put("p0", "SKU-0", 10_000)
		return next.Levels(ctx, skus)
	}}
	r, err := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, levels).Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	assert.Equal(t, 1, r.Channels[0].Held)
	shows(t, m, 100)
}

// A product that is lost under one SKU and gains under another is neither held nor
// counted twice.
func TestAProductOfBothDangersIsWrittenUnderBoth(t *testing.T) {
	source, m := newStock(7), shop("a", 1)
	m.Set("SKU-0-6", 0)
	s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Listings: packs}}})
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	c := r.Channels[0]
	assert.Equal(t, []int{2, 2, 0}, []int{c.Checked, c.Updated, c.Held})
}

// Kits are compared again as often as products are, however often these were.
func TestKitsAreComparedAgainAsOftenAsProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 5), shop("a", 2)
		m.Set("KIT", 6)
		conflicts := map[string]int{"SKU-0": 3, "KIT": 1}
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			errs := make(channel.Errors)
			for _, u := range updates {
				if conflicts[u.SKU]--; conflicts[u.SKU] >= 0 {
					errs[u.SKU] = channel.ErrConflict
				}
			}
			if len(errs) > 0 {
				return errs
			}
			return next.Push(ctx, updates)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: c, Guard: unguarded,
			Kits: kitList(kitOf("KIT", "p1"))}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Zero(t, r.Channels[0].Superseded)
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 5, n)
	})
}

// A write of which nothing is known is told of though its channel is paused before
// it can be looked at again.
func TestWhatIsUnclearWhenAChannelIsPausedIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 1)
		var s *syncer.Syncer
		c := &channeltest.Intercept{Channel: m, OnPush: func(context.Context, channel.Channel, []channel.Update) error {
			assert.NoError(t, s.Pause(t.Context(), "a", "ann"))
			return channel.ErrUnavailable
		}}
		s = unguardedly(t, syncer.Config{Source: newStock(5), Schedule: syncer.Never()}, c)
		r, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.True(t, r.Channels[0].Paused)
		assert.Equal(t, 1, r.Channels[0].Unclear)
	})
}

// A guard is not clear because a run was within the limits whose channel was paused
// before all was written.
func TestARunThatIsPausedAtItsEndClearsNoGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		source, m, _, _ := tripped(t, q)
		for i := range 47 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 10)
		}
		heeds := &heeding{stock: source}
		s := configure(t, syncer.Config{Source: heeds, Queue: q, Schedule: syncer.Never()}, m)
		heeds.asked = func() { assert.NoError(t, s.Pause(t.Context(), "a", "ann")) }
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.True(t, r.Channels[0].Paused)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, gone(m, 100))
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	})
}

// A run writes nothing while it cannot be known which channels are paused.
func TestARunThatCannotKnowOfPausesWritesNothing(t *testing.T) {
	m := shop("a", 1)
	q := &unheard{MemoryQueue: syncer.NewMemoryQueue()}
	s := unguardedly(t, syncer.Config{Source: newStock(5), Queue: q, Schedule: syncer.Never()}, m)
	q.fails.Store(true)
	_, err := s.Reconcile(t.Context())
	require.ErrorContains(t, err, "which channels are paused")
	shows(t, m, 100)
}
