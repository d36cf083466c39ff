package syncer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
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
