package syncer_test

import (
	"context"
	"iter"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// large is the largest quantity that is one.
const large = min(math.MaxInt, 1<<53-1)

// What no shop has is no quantity, wherever it comes from: nothing is reckoned
// with it.
func TestNumbersThatCannotBeQuantities(t *testing.T) {
	for _, odd := range []int{math.MaxInt, math.MinInt, math.MaxInt - 5, math.MinInt + 1} {
		if math.MaxInt == math.MaxInt32 {
			t.Skip("all of them can be on such a machine")
		}
		source, a := newStock(odd, 80), shop("a", 2)
		r, err := build(t, source, a).SyncProducts(t.Context(), "p0", "p1")
		require.ErrorIs(t, err, channel.ErrInvalid)
		require.Len(t, r.Problems, 1)
		assert.Equal(t, "p0", r.Problems[0].ProductID)
		shows(t, a, 100, 80)

		a = shop("a", 2)
		a.Set("SKU-0", odd)
		p, err := build(t, newStock(90, 80), a).Plan(t.Context())
		require.NoError(t, err)
		require.Len(t, p.Lines, 2)
		for _, l := range p.Lines {
			if l.SKU == "SKU-0" {
				assert.False(t, l.Reason.Writable())
				assert.Contains(t, l.Error, "no quantity")
			} else {
				assert.Equal(t, -20, l.Wanted-*l.Shown)
			}
		}
	}
}

// talkative is a source that answers more than it was asked for.
type talkative struct {
	*stock
	more []channel.Stock
}

func (s talkative) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for _, p := range s.more {
			if !yield(p, nil) {
				return
			}
		}
		s.stock.Stock(ctx, ids...)(yield)
	}
}

// What the source was not asked for is nobody's business: it is not written,
// and takes no other product's SKU.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	m := channeltest.NewMemory("a")
	for _, sku := range []string{"SKU-0", "SKU-1", "OTHER"} {
		m.Set(sku, 100)
	}
	source := talkative{newStock(90, 80), []channel.Stock{
		{ProductID: "x", SKU: "OTHER", OnHand: 70, Available: 70}, {ProductID: "y", SKU: "SKU-0", OnHand: 70, Available: 70}, {SKU: "SKU-0", OnHand: 70, Available: 70},
	}}
	r, err := build(t, source, m).SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	assert.Equal(t, 1, r.Channels[0].Checked)
	shows(t, m, 90, 100)
	n, _ := m.Quantity("OTHER")
	assert.Equal(t, 100, n)
}
