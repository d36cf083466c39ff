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

// losses are lines that take products from 10 to none.
func losses(why syncer.Reason, from, to int) (lines []syncer.Line) {
	for i := from; i < to; i++ {
		lines = append(lines, syncer.Line{Channel: "a", ProductID: fmt.Sprintf("p%d", i), SKU: fmt.Sprintf("SKU-%d", i), Shown: new(10), Reason: why})
	}
	return lines
}

// The guard counts the lines of a plan wherever it comes from, but for those that are
// held in it: these stay held, and are told of as that alone.
func TestTheGuardCountsWhatAPlanWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		guard         syncer.Guard
		lines         []syncer.Line
		updated, held int
	}{
		"as many as may be":     {syncer.Guard{}, losses(syncer.ReasonOver, 0, 5), 5, 0},
		"one more":              {syncer.Guard{}, losses(syncer.ReasonOver, 0, 6), 0, 6},
		"beside what is held":   {syncer.Guard{}, append(losses(syncer.ReasonOver, 0, 5), losses(syncer.ReasonHeld, 5, 11)...), 5, 6},
		"where none may be":     {syncer.Guard{Few: -1, Losses: 1e-9}, losses(syncer.ReasonOver, 0, 1), 0, 1},
		"where any number may":  {syncer.Guard{Losses: -1}, losses(syncer.ReasonOver, 0, 20), 20, 0},
		"and what is held then": {syncer.Guard{Losses: -1}, losses(syncer.ReasonHeld, 0, 20), 0, 20},
	} {
		t.Run(name, func(t *testing.T) {
			source, m := catalogue(20)
			for i := range 20 {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			}
			s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: tt.guard}}})
			r, err := s.Apply(t.Context(), &syncer.Plan{Lines: tt.lines, Channels: []syncer.ChannelPlan{{Channel: "a", OnSale: 20}}})
			if tt.held > 0 {
				require.ErrorIs(t, err, syncer.ErrHeld)
			} else {
				require.NoError(t, err)
			}
			c := r.Channels[0]
			assert.Equal(t, []int{tt.updated, tt.held, 0}, []int{c.Updated, c.Held, c.Replanned})
			assert.Equal(t, tt.updated, gone(m, 20))
		})
	}
}

// A channel that cannot be read is not guarded against a plan either.
func TestAPlanForAChannelThatCannotBeReadIsWritten(t *testing.T) {
	source, m := catalogue(20)
	for i := range 20 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	s := build(t, source, struct{ channel.Channel }{m})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, 20, gone(m, 20))
}

// A plan for one product on one channel, and for another on another, is no news about
// the rest.
func TestAPlanIsAboutItsOwnLines(t *testing.T) {
	source, a, b := newStock(5, 6), shop("a", 2), shop("b", 2)
	s := unguardedly(t, syncer.Config{Source: source}, a, b)
	r, err := s.Apply(t.Context(), &syncer.Plan{Lines: []syncer.Line{
		{Channel: "a", ProductID: "p0", SKU: "SKU-0", Shown: new(100), Wanted: 5, Reason: syncer.ReasonOver},
		{Channel: "b", ProductID: "p1", SKU: "SKU-1", Shown: new(100), Wanted: 6, Reason: syncer.ReasonOver},
	}})
	require.NoError(t, err)
	assert.Nil(t, r.Replanned)
	shows(t, a, 5, 100)
	shows(t, b, 100, 6)
}

// What is retired is written as the plan has it; the product beside it is what the
// source has by now.
func TestOnlyWhatIsRetiredIsWrittenAsPlanned(t *testing.T) {
	source, m := newStock(50), shop("a", 1)
	m.Set("GONE", 5)
	s := retiring(t, source, m, syncer.Target{Guard: unguarded, Retire: always})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, plan.Lines, 2)
	source.put("p0", "SKU-0", 40)
	_, err = s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, channel.ErrConflict)
	shows(t, m, 100)
	n, _ := m.Quantity("GONE")
	assert.Zero(t, n)
}

// A line that is held, and that the target leaves out by now, is left alone.
func TestWhatIsLeftOutIsNotHeldByAPlan(t *testing.T) {
	m := channeltest.NewMemory("a")
	m.Set("SKU-0", 10)
	s := configure(t, syncer.Config{Source: newStock(0), Targets: []syncer.Target{{Channel: m, Filter: func(channel.Stock) bool { return false }}}})
	r, err := s.Apply(t.Context(), &syncer.Plan{Lines: losses(syncer.ReasonHeld, 0, 1)})
	require.NoError(t, err)
	assert.Zero(t, r.Channels[0].Checked)
}
