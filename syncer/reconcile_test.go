package syncer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// catalogue is n products of ten units each, and a channel that shows them.
func catalogue(n int) (*stock, *channeltest.Memory) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range n {
		sku := fmt.Sprintf("SKU-%d", i)
		source.put(fmt.Sprintf("p%d", i), sku, 10)
		m.Set(sku, 10)
	}
	return source, m
}

func reasons(p *syncer.Plan) map[string]syncer.Reason {
	found := map[string]syncer.Reason{}
	for _, l := range p.Lines {
		found[l.SKU] = l.Reason
	}
	return found
}

func TestPlanSaysWhatAndWhy(t *testing.T) {
	source, m := catalogue(100)
	m.Set("SKU-1", 12)
	m.Set("SKU-2", 3)
	m.Set("SKU-3", 0)
	m.Remove("SKU-4")
	m.Add(channel.Level{SKU: "sku-4", Quantity: 10})
	m.Add(channel.Level{SKU: "SKU-5"})
	m.Remove("SKU-6")
	m.Add(channel.Level{SKU: "SKU-6", Err: channel.ErrNotTracked})
	m.Remove("SKU-7")
	m.Add(channel.Level{SKU: "SKU-7", Unset: true})
	s := build(t, source, m)
	_, writes := m.Calls()

	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]syncer.Reason{
		"SKU-1": syncer.ReasonOver, "SKU-2": syncer.ReasonUnder, "SKU-3": syncer.ReasonUnder, "SKU-4": syncer.ReasonUnknown,
		"SKU-5": syncer.ReasonAmbiguous, "SKU-6": syncer.ReasonUnwritable, "SKU-7": syncer.ReasonNoQuantity,
	}, reasons(p))
	assert.Equal(t, 100, p.Read)
	assert.Equal(t, 100, p.Channels[0].Checked)
	assert.Equal(t, 93, p.Channels[0].Agreed)
	assert.Equal(t, []string{"sku-4"}, p.Channels[0].ExtraSKUs)
	assert.Equal(t, 4, p.Drift())
	_, after := m.Calls()
	assert.Equal(t, writes, after, "it writes nothing")

	text, err := json.Marshal(p)
	require.NoError(t, err)
	var back syncer.Plan
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, p.Lines, back.Lines)
	assert.Regexp(t, `a +SKU-1 +12 +10 +-2 +over`, p.String())

	r, err := s.Apply(t.Context(), &back)
	require.NoError(t, err)
	require.NoError(t, r.Err())
	assert.Equal(t, 4, r.Channels[0].Updated)
	p, err = s.Plan(t.Context())
	require.NoError(t, err)
	assert.Zero(t, p.Drift())
	_, before := m.Calls()
	_, err = s.Reconcile(t.Context())
	require.ErrorIs(t, err, channel.ErrAmbiguousSKU, "what cannot be written stays so")
	_, after = m.Calls()
	assert.Equal(t, before, after, "a second run finds nothing and writes nothing")
}

func TestPlanOfSomeProducts(t *testing.T) {
	source, m := catalogue(10)
	m.Set("SKU-1", 12)
	m.Set("SKU-2", 12)
	p, err := build(t, source, m).PlanProducts(t.Context(), "p2", "gone")
	require.NoError(t, err)
	assert.Equal(t, map[string]syncer.Reason{"SKU-2": syncer.ReasonOver, "": syncer.ReasonUnread}, reasons(p))
	assert.Zero(t, p.Channels[0].Extra)
}

func TestApplyForcesNothing(t *testing.T) {
	source, m := catalogue(5)
	for i := range 4 {
		m.Set(fmt.Sprintf("SKU-%d", i), 20)
	}
	s := build(t, source, m)
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	m.Set("SKU-0", 19)           // somebody bought one on the shop
	source.put("p1", "SKU-1", 9) // and another one in ECOSIRE
	m.Set("SKU-2", 10)           // somebody mended it by hand

	r, err := s.Apply(t.Context(), p)
	require.ErrorIs(t, err, channel.ErrConflict)
	shows(t, m, 19, 20, 10, 10, 10)
	c := r.Channels[0]
	assert.Equal(t, []int{1, 1, 2}, []int{c.Updated, c.Unchanged, c.Replanned})
	assert.ErrorIs(t, r.Err(), channel.ErrConflict)
	require.NotNil(t, r.Replanned)
	assert.Equal(t, map[string]syncer.Reason{"SKU-0": syncer.ReasonOver, "SKU-1": syncer.ReasonOver}, reasons(r.Replanned))
	r, err = s.Apply(t.Context(), r.Replanned)
	require.NoError(t, err)
	require.NoError(t, r.Err())
	shows(t, m, 10, 9, 10, 10, 10)

	_, err = s.Apply(t.Context(), &syncer.Plan{Lines: []syncer.Line{{Channel: "b", SKU: "x", Reason: syncer.ReasonOver}}})
	assert.ErrorContains(t, err, `"b"`)
}

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name     string
		products int
		zeros    int // products that the source has none of any more
		halves   int // products that it has five of
		guard    syncer.Guard
		held     int
	}{
		{"a few of a small shop", 30, 5, 0, syncer.Guard{}, 0},
		{"more than a few", 30, 6, 0, syncer.Guard{}, 6},
		{"one of one", 1, 1, 0, syncer.Guard{}, 0},
		{"a third of a tiny shop", 10, 3, 0, syncer.Guard{}, 0},
		{"more than a third", 10, 4, 0, syncer.Guard{}, 4},
		{"a tenth", 1000, 100, 0, syncer.Guard{}, 0},
		{"more than a tenth", 1000, 101, 0, syncer.Guard{}, 101},
		{"everything", 1000, 1000, 0, syncer.Guard{}, 1000},
		{"off", 1000, 1000, 0, syncer.Guard{Losses: -1}, 0},
		{"half of each", 100, 0, 100, syncer.Guard{}, 0},
		{"none at all", 100, 50, 0, syncer.Guard{Few: -1, Losses: 1e-9}, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, m := catalogue(tt.products)
			// Spread, so that the budget has to run.
			for i := range tt.zeros {
				at := i * tt.products / tt.zeros
				source.put(fmt.Sprintf("p%d", at), fmt.Sprintf("SKU-%d", at), 0)
			}
			for i := range tt.halves {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 5)
			}
			s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Guard: tt.guard}}})
			require.NoError(t, err)
			p, err := s.Plan(t.Context())
			require.NoError(t, err)
			planned := 0
			for _, l := range p.Lines {
				if l.Reason == syncer.ReasonHeld {
					planned++
				}
			}
			r, err := s.Reconcile(t.Context())
			assert.Equal(t, tt.held, r.Channels[0].Held)
			assert.Equal(t, tt.held, planned, "a plan shows what will be held")
			assert.Equal(t, tt.zeros+tt.halves-tt.held, r.Channels[0].Updated)
			if tt.held == 0 {
				require.NoError(t, err)
				assert.Nil(t, r.Held)
				return
			}
			require.ErrorIs(t, err, syncer.ErrHeld)
			require.Len(t, r.Held.Lines, tt.held)

			again, err := s.Apply(t.Context(), r.Held)
			require.ErrorIs(t, err, syncer.ErrHeld, "nobody has looked")
			assert.Zero(t, again.Channels[0].Updated)
			r.Held.Approved = true
			again, err = s.Apply(t.Context(), r.Held)
			require.NoError(t, err)
			require.NoError(t, again.Err())
			assert.Equal(t, tt.held, again.Channels[0].Updated)
		})
	}
}

func TestUndo(t *testing.T) {
	source, m := catalogue(50)
	m.Set("SKU-0", 99)
	m.Set("SKU-1", 98)
	m.Set("SKU-2", 0)
	s := build(t, source, m)
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	shows(t, m, 10, 10, 10, 10, 10)
	m.Set("SKU-1", 7) // a sale since

	undo, err := r.Undo()
	require.NoError(t, err)
	r, err = s.Apply(t.Context(), undo)
	require.ErrorIs(t, err, channel.ErrConflict)
	shows(t, m, 99, 7, 0, 10, 10)
	assert.Equal(t, 1, r.Channels[0].Replanned)

	source, m = catalogue(100)
	for i := range 100 {
		m.Set(fmt.Sprintf("SKU-%d", i), 0)
	}
	s = configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Guard: syncer.Guard{Gains: -1}}}})
	r, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	undo, err = r.Undo()
	require.NoError(t, err)
	r, err = s.Apply(t.Context(), undo)
	assert.ErrorIs(t, err, syncer.ErrHeld, "undoing can wipe a shop, too")
	assert.Zero(t, r.Channels[0].Updated)
}

func TestReportIsBoundedAndTheStreamIsNot(t *testing.T) {
	source, m := catalogue(12_000)
	for i := range 12_000 {
		m.Set(fmt.Sprintf("SKU-%d", i), 1)
	}
	streamed := 0
	s := configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{Changed: func(context.Context, string, syncer.Change) { streamed++ }}}, m)
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 12_000, r.Channels[0].Updated)
	assert.Equal(t, 12_000, r.Channels[0].Under)
	assert.Len(t, r.Channels[0].Changes, 10_000)
	assert.Equal(t, 12_000, streamed)
	_, err = r.Undo()
	assert.ErrorContains(t, err, "10000 of 12000")
}

func TestTwoReconciliationsNeverOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		source.delay = 30 * time.Second
		s := build(t, source, m)
		go s.Reconcile(t.Context())
		time.Sleep(10 * time.Second)
		_, err := s.Reconcile(t.Context())
		assert.ErrorIs(t, err, syncer.ErrReconciling)
		time.Sleep(time.Minute)
	})
}

func TestASlowChannelDoesNotDelayAReconciliation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := racetest.Size(30_000, 6_000)
		source, slow := catalogue(n)
		fast := channeltest.NewMemory("fast")
		for i := range n {
			fast.Set(fmt.Sprintf("SKU-%d", i), 1)
			slow.Set(fmt.Sprintf("SKU-%d", i), 1)
		}
		var when time.Duration
		start := time.Now()
		reads := 0
		s := build(t, source, fast, &channeltest.Intercept{Channel: slow,
			OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				reads++
				time.Sleep(time.Minute)
				if q, _ := fast.Quantity(fmt.Sprintf("SKU-%d", n-1)); q == 10 && when == 0 {
					when = time.Since(start)
				}
				return next.Levels(ctx, skus)
			}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.NoError(t, r.Err())
		assert.Equal(t, n, r.Channels[0].Updated)
		assert.Equal(t, n, r.Channels[1].Updated)
		assert.Less(t, when, 2*time.Minute, "the fast channel was done when the slow one had barely begun")
		assert.Greater(t, source.asked(), 1, "what the slow one got later was read anew")
	})
}

// The catastrophe table: whatever the services answer, no channel loses stock
// that the source did not take away.
func TestCatastropheOfTheSource(t *testing.T) {
	for _, tt := range []struct {
		name   string
		break_ func(*stock) channel.Source
		err    error
	}{
		{"no products at all", func(s *stock) channel.Source { s.order = nil; return s }, syncer.ErrEmpty},
		{"half of the products", func(s *stock) channel.Source { s.order = s.order[:99]; return s }, syncer.ErrShrunk},
		{"ends early", func(s *stock) channel.Source { s.order = s.order[:50]; s.fail = channel.ErrIncomplete; return s }, channel.ErrIncomplete},
		{"fails", func(s *stock) channel.Source { s.order = nil; s.fail = channel.ErrUnavailable; return s }, channel.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, m := catalogue(200)
			q := syncer.NewMemoryQueue()
			s := configure(t, syncer.Config{Source: source, Queue: q}, m)
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			_, before := m.Calls()
			s = configure(t, syncer.Config{Source: tt.break_(source), Queue: q}, m)
			_, err = s.Reconcile(t.Context())
			assert.ErrorIs(t, err, tt.err)
			_, after := m.Calls()
			assert.Equal(t, before, after, "nothing is written")
		})
	}
	t.Run("everything 0", func(t *testing.T) {
		source, m := catalogue(200)
		for i := range 200 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		r, err := build(t, source, m).Reconcile(t.Context())
		assert.ErrorIs(t, err, syncer.ErrHeld)
		assert.Equal(t, 200, r.Channels[0].Held)
		_, writes := m.Calls()
		assert.Zero(t, writes)
	})
	t.Run("a shop that answers an empty list", func(t *testing.T) {
		source, _ := catalogue(200)
		r, err := build(t, source, channeltest.NewMemory("empty")).Reconcile(t.Context())
		assert.ErrorIs(t, err, syncer.ErrForeign)
		assert.Equal(t, 200, r.Channels[0].Unknown)
	})
	t.Run("a shop that lists everything twice", func(t *testing.T) {
		source, m := catalogue(200)
		for i := range 200 {
			m.Add(channel.Level{SKU: fmt.Sprintf("SKU-%d", i), Quantity: 3})
		}
		r, err := build(t, source, m).Reconcile(t.Context())
		assert.ErrorIs(t, err, channel.ErrAmbiguousSKU)
		assert.Equal(t, 200, r.Channels[0].Failed)
		_, writes := m.Calls()
		assert.Zero(t, writes)
	})
	t.Run("two products with one SKU", func(t *testing.T) {
		source, m := catalogue(1200)
		source.put("p1100", "SKU-3", 99)
		_, err := build(t, source, m).Reconcile(t.Context())
		assert.ErrorIs(t, err, channel.ErrAmbiguousSKU)
		n, _ := m.Quantity("SKU-3")
		assert.Equal(t, 10, n)
	})
}

func TestCancellingAReconciliation(t *testing.T) {
	for after := 0; after < 20; after += racetest.Size(1, 4) {
		synctest.Test(t, func(t *testing.T) {
			source, m := catalogue(2000)
			for i := range 2000 {
				m.Set(fmt.Sprintf("SKU-%d", i), i%7)
			}
			ctx, cancel := context.WithCancel(t.Context())
			calls := 0
			step := func() {
				if calls++; calls == after {
					cancel()
				}
				time.Sleep(time.Second)
			}
			s := build(t, source, &channeltest.Intercept{Channel: m,
				OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
					step()
					return next.Levels(ctx, skus)
				},
				OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					step()
					return next.Push(ctx, updates)
				}})
			_, err := s.Reconcile(ctx)
			if after > 0 && after <= calls {
				assert.ErrorIs(t, err, context.Canceled)
			}
			cancel()
			_, err = s.Reconcile(t.Context())
			require.NoError(t, err)
			for i := range 2000 {
				n, _ := m.Quantity(fmt.Sprintf("SKU-%d", i))
				require.Equal(t, 10, n)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	source, m := catalogue(1200)
	var told []syncer.Progress
	s := configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{Progress: func(_ context.Context, p syncer.Progress) { told = append(told, p) }}}, m)
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	last := told[len(told)-1]
	assert.Equal(t, 1200, last.Read)
	assert.Equal(t, 1200, last.Channels[0].Compared)
}
