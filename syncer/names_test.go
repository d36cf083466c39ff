package syncer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// Plans and reports show what a channel calls a product, and what the source does.
func TestBothNamesAreShown(t *testing.T) {
	source, m := newStock(5, 6), channeltest.NewMemory("a")
	p := source.products["p0"]
	p.Name = "Mug, glazed"
	source.products["p0"] = p
	m.Set("EU-SKU-0", 9)
	target := syncer.Target{Channel: m, Guard: unguarded, Listings: syncer.Renamed(func(s channel.Stock) string { return "EU-" + s.SKU })}
	s := retiring(t, source, m, target)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "SKU-0", plan.Lines[0].ProductSKU)
	for _, text := range []string{plan.String(), plan.Markdown()} {
		assert.Contains(t, text, "EU-SKU-0 (SKU-0, Mug, glazed)")
		assert.Contains(t, text, "EU-SKU-1 (SKU-1)")
	}
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	c := r.Channels[0]
	assert.Equal(t, []string{"EU-SKU-0", "SKU-0", "Mug, glazed"}, []string{c.Changes[0].SKU, c.Changes[0].ProductSKU, c.Changes[0].Name})
	assert.Equal(t, "SKU-1", c.Problems[0].ProductSKU)
	assert.Contains(t, r.String(), `"EU-SKU-1" (SKU-1)`)
	undo, err := r.Undo()
	require.NoError(t, err)
	assert.Equal(t, "SKU-0", undo.Lines[0].ProductSKU)

	plain, err := retiring(t, source, shop("a", 2), syncer.Target{Guard: unguarded}).Plan(t.Context())
	require.NoError(t, err)
	assert.Contains(t, plain.String(), "SKU-0 (Mug, glazed)")
	assert.Empty(t, plain.Lines[0].ProductSKU, "it has one name")
}

// A kit with the SKU of a product, and two kits with one SKU, are errors that stay
// known, at night and in real time.
func TestKitsDoNotShareASKU(t *testing.T) {
	source, m := newStock(5, 6, 7), shop("a", 3)
	m.Set("KIT", 50)
	one := []syncer.Part{{ProductID: "p0", Units: 1}}
	kits := []syncer.Listing{{SKU: "SKU-1", Parts: one}, {SKU: "KIT", Parts: one}, {SKU: "KIT", Parts: []syncer.Part{{ProductID: "p2", Units: 1}}}}
	s := retiring(t, source, m, syncer.Target{Guard: unguarded, Retire: always, Kits: func() []syncer.Listing { return kits }})
	for range 2 {
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, channel.ErrAmbiguousSKU)
		shows(t, m, 5, 100, 7)
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 50, n)
		for _, id := range []string{"p0", "p1", "p2"} {
			_, err = s.SyncProducts(t.Context(), id)
			require.ErrorIs(t, err, channel.ErrAmbiguousSKU, id)
		}
		shows(t, m, 5, 100, 7)
	}
	kits = kits[1:2]
	_, _ = s.Reconcile(t.Context()) // finds that it is over
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	shows(t, m, 5, 6, 7)
	n, _ := m.Quantity("KIT")
	assert.Equal(t, 5, n)
}
