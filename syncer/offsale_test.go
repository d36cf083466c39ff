package syncer_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// What nobody can buy gains nothing by a smaller quantity, nor by the same.
func TestWhatIsNotOnSaleIsEmptiedUnguarded(t *testing.T) {
	source, m := catalogue(100)
	for i := range 60 {
		sku := fmt.Sprintf("SKU-%d", i)
		m.Remove(sku)
		m.Add(channel.Level{SKU: sku, Quantity: 7, OffSale: true})
		source.put(fmt.Sprintf("p%d", i), sku, 0)
	}
	r, err := build(t, source, m).Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 60, r.Channels[0].Updated)
}

// offSale has a plan that raises one product of thirty that nobody can buy.
func offSale(t *testing.T) (s *syncer.Syncer, source *stock, m *channeltest.Memory, plan *syncer.Plan) {
	t.Helper()
	source, m = catalogue(30)
	m.Set("SKU-0", 5)
	m.SetOffSale("SKU-0", true)
	s = build(t, source, m)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, plan.Lines, 1)
	assert.Equal(t, syncer.ReasonUnder, plan.Lines[0].Reason)
	assert.True(t, plan.Lines[0].OffSale)
	return s, source, m, plan
}

// A line that may put on sale what nobody could buy is a gain for whoever applies
// it, as it was for the plan: a guard that has tripped since holds it.
func TestAppliedLinesKnowWhatIsNotOnSale(t *testing.T) {
	s, source, m, plan := offSale(t)
	source.put("p0", "SKU-0", 5)
	for i := 1; i < 25; i++ {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	_, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	source.put("p0", "SKU-0", 10)

	r, err := s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, syncer.ErrHeld)
	require.NotNil(t, r.Held)
	assert.True(t, r.Held.Lines[0].OffSale)
	shows(t, m, 5)
	plan.Approved = true
	_, err = s.Apply(t.Context(), plan)
	require.NoError(t, err)
	shows(t, m, 10)
}

// What has come on sale since is not what the plan saw.
func TestAPlanDoesNotRaiseWhatHasComeOnSaleSince(t *testing.T) {
	s, _, m, plan := offSale(t)
	m.SetOffSale("SKU-0", false)
	r, err := s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, channel.ErrConflict)
	assert.Equal(t, 1, r.Channels[0].Replanned)
	shows(t, m, 5)
}

// What Apply leaves over knows what orders explain, as the plan did.
func TestWhatIsLeftOfAPlanIsStillExplained(t *testing.T) {
	source, m := catalogue(30)
	for i := range 12 { // more than the guard lets pass
		id := fmt.Sprintf("p%d", i)
		source.products[id] = channel.Stock{ProductID: id, SKU: fmt.Sprintf("SKU-%d", i), OnHand: 10, Reserved: 10}
	}
	s := build(t, source, m)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, plan.Lines, 12)
	for i := range 12 {
		m.Set(fmt.Sprintf("SKU-%d", i), 11) // somebody counted
	}
	r, err := s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, channel.ErrConflict)
	require.NotNil(t, r.Replanned)
	assert.True(t, r.Replanned.Lines[0].Explained)
	r, err = s.Apply(t.Context(), r.Replanned)
	require.NoError(t, err)
	assert.Equal(t, 12, r.Channels[0].Updated)
}
