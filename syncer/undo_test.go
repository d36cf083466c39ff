package syncer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// An undo goes back to what was shown before all changes of the run, says why each
// line differs, has the limits of the run, and says what it does not have.
func TestAnUndoGoesBackBehindAllChanges(t *testing.T) {
	changes := []syncer.Change{
		{SKU: "LESS", Shown: new(3), Wanted: 9},
		{SKU: "MORE", Shown: new(9), Wanted: 3},
		{SKU: "TWICE", Shown: new(5), Wanted: 4},
		{SKU: "TWICE", Shown: new(4), Wanted: 6},
		{SKU: "FIRST", Wanted: 4},
		{SKU: "FIRST", Shown: new(4), Wanted: 6},
		{SKU: "PENDING", Shown: new(1), Wanted: 2, State: syncer.ChangePending},
	}
	for _, missing := range []int{0, 1} {
		r := &syncer.Report{Run: "run", Channels: []syncer.ChannelReport{{Channel: "a", Checked: 10, OnSale: 8,
			Updated: 5, Unclear: 1 + missing, Pending: 100, Changes: changes}}}
		p, err := r.Undo()
		if missing > 0 {
			require.ErrorContains(t, err, "only 7 of 8 changes are listed")
		} else {
			require.NoError(t, err)
		}
		assert.True(t, p.Undo)
		assert.Equal(t, []syncer.ChannelPlan{{Channel: "a", Checked: 10, OnSale: 8}}, p.Channels)
		type line struct {
			sku          string
			shown, wants int
			why          syncer.Reason
		}
		var lines []line
		for _, l := range p.Lines {
			lines = append(lines, line{l.SKU, *l.Shown, l.Wanted, l.Reason})
		}
		assert.Equal(t, []line{{"LESS", 9, 3, syncer.ReasonOver}, {"MORE", 3, 9, syncer.ReasonUnder}, {"TWICE", 6, 5, syncer.ReasonOver},
			{"FIRST", 6, 0, syncer.ReasonPutBack}, {"PENDING", 2, 1, syncer.ReasonOver}}, lines)
	}
}

// An undo is of what was written, whatever a Filter leaves out by now; a plan is
// not.
func TestAnUndoIsNotFiltered(t *testing.T) {
	m, keep := shop("a", 1), true
	s := configure(t, syncer.Config{Source: newStock(5), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
		Filter: func(channel.Stock) bool { return keep }}}})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	r, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	undo, err := r.Undo()
	require.NoError(t, err)
	keep = false
	_, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	shows(t, m, 100)
	_, err = s.Apply(t.Context(), plan)
	require.NoError(t, err)
	shows(t, m, 100)
}

// A line whose product is listed under another SKU by now has changed.
func TestAPlannedLineUnderAnotherSKUIsReplanned(t *testing.T) {
	source, m := newStock(5), shop("a", 2)
	s := unguardedly(t, syncer.Config{Source: source}, m)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	source.put("p0", "SKU-1", 5)
	r, err := s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, channel.ErrConflict)
	require.NotNil(t, r.Replanned)
	assert.Contains(t, skusOf(r.Replanned.Lines), "SKU-0")
	shows(t, m, 100, 100)
}

// What was retired when a plan was made may be on sale again when it is applied,
// or be wanted by the host.
func TestAPlannedRetirementMayBeOverByThen(t *testing.T) {
	for name, change := range map[string]func(s *syncer.Syncer, source *stock, retires *bool){
		"a product has the SKU": func(s *syncer.Syncer, source *stock, _ *bool) {
			source.put("q", "GONE", 5)
			_, err := s.SyncProducts(t.Context(), "q")
			require.NoError(t, err)
		},
		"the host wants it": func(_ *syncer.Syncer, _ *stock, retires *bool) { *retires = false },
		"nothing":           nil,
	} {
		t.Run(name, func(t *testing.T) {
			source, m := newStock(100), shop("a", 1)
			m.Set("GONE", 5)
			retires := true
			s := retiring(t, source, m, syncer.Target{Guard: unguarded, Retire: func(string) bool { return retires }})
			plan, err := s.Plan(t.Context())
			require.NoError(t, err)
			require.Equal(t, []string{"GONE"}, skusOf(plan.Lines))
			want := 0
			if change != nil {
				change(s, source, &retires)
				want = 5
			}
			_, err = s.Apply(t.Context(), plan)
			if want == 0 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, channel.ErrConflict)
			}
			n, _ := m.Quantity("GONE")
			assert.Equal(t, want, n)
		})
	}
}

// An undo puts back no quantity below 0, which some shops show that have sold more
// than they had: neither one that is made now, nor one that was kept.
func TestAnUndoWritesNothingBelowZero(t *testing.T) {
	m := shop("a", 2)
	m.Set("SKU-0", -3)
	m.Set("SKU-1", -3)
	s := configure(t, syncer.Config{Source: newStock(5, 0), Targets: []syncer.Target{{Channel: m, Guard: unguarded}}})
	r, err := s.SyncProducts(t.Context(), "p0", "p1")
	require.NoError(t, err)
	shows(t, m, 5, 0)
	undo, err := r.Undo()
	require.NoError(t, err)
	require.Len(t, undo.Lines, 1, "SKU-1 shows 0 already")
	assert.Zero(t, undo.Lines[0].Wanted)
	assert.Equal(t, syncer.ReasonOver, undo.Lines[0].Reason)
	undo.Lines[0].Wanted = -3
	_, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	shows(t, m, 0, 0)
}

// An undo knows what was off sale, and puts nothing on sale that somebody has taken
// off since the run.
func TestAnUndoPutsNothingOnSaleThatWasTakenOff(t *testing.T) {
	m := shop("a", 3)
	m.SetOffSale("SKU-0", true)
	m.SetOffSale("SKU-1", true)
	s := configure(t, syncer.Config{Source: newStock(60, 70, 80), Targets: []syncer.Target{{Channel: m, Guard: unguarded}}})
	r, err := s.SyncProducts(t.Context(), "p0", "p1", "p2")
	require.NoError(t, err)
	shows(t, m, 60, 70, 80)
	m.SetOffSale("SKU-1", false)
	m.SetOffSale("SKU-2", true)
	undo, err := r.Undo()
	require.NoError(t, err)
	r, err = s.Apply(t.Context(), undo)
	require.ErrorIs(t, err, channel.ErrConflict)
	shows(t, m, 100, 100, 80)
	require.NotNil(t, r.Replanned)
	assert.Equal(t, "SKU-2", r.Replanned.Lines[0].SKU)
}

// An undo of what was off sale is no gain: the run put on sale what it did.
func TestAnUndoOfWhatWasOffSaleIsNoGain(t *testing.T) {
	m := shop("a", 3)
	for _, sku := range []string{"SKU-0", "SKU-1", "SKU-2"} {
		m.SetOffSale(sku, true)
	}
	s := configure(t, syncer.Config{Source: newStock(60, 70, 80), Targets: []syncer.Target{{Channel: m, Guard: syncer.Guard{Few: 1, Gains: 0.01}}}})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	plan.Approved = true
	r, err := s.Apply(t.Context(), plan)
	require.NoError(t, err)
	shows(t, m, 60, 70, 80)
	undo, err := r.Undo()
	require.NoError(t, err)
	require.Len(t, undo.Lines, 3)
	assert.True(t, undo.Lines[0].OffSale)
	r, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	assert.Nil(t, r.Held)
	shows(t, m, 100, 100, 100)
}

// Nor is a quantity below 0 written of what the source does not have.
func TestALineOfNoProductWritesNothingBelowZero(t *testing.T) {
	m := channeltest.NewMemory("a")
	m.Set("GONE", 100)
	s := configure(t, syncer.Config{Source: newStock(5), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
		Retire: func(string) bool { return true }}}})
	_, err := s.Apply(t.Context(), &syncer.Plan{Lines: []syncer.Line{{Channel: "a", SKU: "GONE", Shown: new(100), Wanted: -3, Reason: syncer.ReasonOver}}})
	require.NoError(t, err)
	assert.Zero(t, quantity(m, "GONE"))
}
