package syncer_test

import (
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

// packs lists each product alone, and in sixes.
func packs(p channel.Stock) []syncer.Listing {
	return []syncer.Listing{{SKU: p.SKU}, syncer.Pack(p.SKU+"-6", p, 6)}
}

// failing is a channel whose writes fail for a while, from the first one on that
// is about a certain kind of SKU.
func failing(m *channeltest.Memory, suffix string, d time.Duration) channel.Channel {
	var until time.Time
	return &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		for _, u := range updates {
			if until.IsZero() && strings.Contains(u.SKU, suffix) {
				until = time.Now().Add(d)
			}
		}
		if time.Now().Before(until) {
			return fmt.Errorf("502: %w", channel.ErrUnavailable)
		}
		return next.Push(ctx, updates)
	}}
}

// What is compared again after an outage is put aside, and counted, once.
func TestWhatIsCaughtUpWithIsPutAsideOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), channeltest.NewMemory("a")
		for i := range 30 {
			sku := fmt.Sprintf("SKU-%d", i)
			source.put(fmt.Sprintf("p%d", i), sku, 3)
			m.Set(sku, 2)
			m.Set(sku+"-6", 1) // and none is left
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: failing(m, "SKU", 20*time.Second), Listings: packs}}})
		r, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.Equal(t, 30, r.Channels[0].Updated)
		assert.Equal(t, 30, r.Channels[0].Held)
		assert.Equal(t, 30, r.Channels[0].OnSale)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Equal(t, 30, held[0].Losses)
		assert.Equal(t, 30, held[0].OnSale, "those compared twice are not twice as many")
		assert.Len(t, held[0].Lines, 30)
	})
}

// What was put aside, and is as it should be when it is compared again, is no
// loss any more.
func TestWhatWasPutAsideMayBeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), channeltest.NewMemory("a")
		for i := range 30 {
			sku := fmt.Sprintf("SKU-%d", i)
			source.put(fmt.Sprintf("p%d", i), sku, 3)
			m.Set(sku, 2)
			m.Set(sku+"-6", 1)
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: failing(m, "SKU", 20*time.Second), Listings: packs}}})
		time.AfterFunc(10*time.Second, func() {
			for i := range 30 {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 6)
			}
		})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Zero(t, r.Channels[0].Held)
	})
}

// A channel that fails when the kits' turn comes gets them when it works again.
func TestKitsThatWereMissedAreCaughtUpWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(20)
		for i := range 10 {
			m.Set(fmt.Sprintf("KIT-%d", i), 8)
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: failing(m, "KIT", 20*time.Second), Kits: kits(10)}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 10, r.Channels[0].Updated)
		for i := range 10 {
			n, _ := m.Quantity(fmt.Sprintf("KIT-%d", i))
			assert.Equal(t, 10, n)
		}
	})
	synctest.Test(t, func(t *testing.T) { // and if it does not, the run says so
		source, m := catalogue(20)
		for i := range 10 {
			m.Set(fmt.Sprintf("KIT-%d", i), 8)
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: failing(m, "KIT", 20*time.Hour), Kits: kits(10)}}})
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrNotCompared)
	})
}

// One product that comes and goes is one product, however often.
func TestAProductThatComesAndGoesCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(30)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Gather: -1}, m)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		defer running(t, s)()
		for i := range 60 {
			source.put("p0", "SKU-0", 10*(i%2))
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(9 * time.Second)
		}
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
		n, _ := m.Quantity("SKU-0")
		assert.Equal(t, 10, n)
		for i := range 6 { // others count as ever: five of thirty may go
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
			pass(time.Second)
		}
		assert.Equal(t, 5, gone(m, 30))
	})
}

// UpTo counts products, as the guard does: two listings of one are one.
func TestAnApprovalUpToCountsProducts(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range 30 {
		sku := fmt.Sprintf("SKU-%d", i)
		source.put(fmt.Sprintf("p%d", i), sku, 0)
		m.Set(sku, 60)
		m.Set(sku+"-6", 10)
	}
	s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Listings: packs}}})
	_, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	held, err := s.Held(t.Context())
	require.NoError(t, err)
	require.Len(t, held[0].Lines, 60)
	require.ErrorIs(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 29}), syncer.ErrOtherLines)
	require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 30}))
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 30, gone(m, 30))
}

// What was put aside, and the channel shows by the end of the run, counts once, as
// unchanged.
func TestWhatWasPutAsideIsShownByTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(0, 5, 0), shop("a", 3)
		m.Set("SKU-1", 5)
		m.Set("SKU-0-6", 0)
		reads := 0
		customers := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if reads++; reads == 2 {
				m.Set("SKU-0", 0) // somebody was quicker
			}
			return next.Levels(ctx, skus)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: customers, Guard: syncer.Guard{Losses: 1}}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		c := r.Channels[0]
		assert.Equal(t, 2, reads)
		assert.Equal(t, []int{3, 1, 2}, []int{c.Checked, c.Updated, c.Unchanged})
	})
}

// A write of which nothing is known to the end of a run is told of as that, and
// not as a product that was not compared as well.
func TestWhatIsUnclearToTheEndIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 5), shop("a", 2)
		m.Set("SKU-1", 5)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, failing(m, "SKU-0", time.Hour))
		r, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrNotCompared)
		c := r.Channels[0]
		assert.Equal(t, []int{2, 1, 0, 1}, []int{c.Checked, c.Unclear, c.Failed, c.Unchanged})
	})
}
