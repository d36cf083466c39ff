package syncer_test

import (
	"context"
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
				for _, p := range r.Channels[0].Problems {
					assert.NotEqual(t, what+"-0", p.SKU)
					assert.NotEqual(t, "p0", p.ProductID)
				}
				assert.Len(t, r.Channels[0].Problems, 2)
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
