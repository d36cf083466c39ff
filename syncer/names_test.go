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
	target := syncer.Target{Channel: m, Guard: unguarded, Listings: syncer.As(func(s channel.Stock) string { return "EU-" + s.SKU })}
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
