package syncer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// sealed is a channel that nobody may write to.
type sealed struct {
	*channeltest.Memory
	t *testing.T
}

func (c sealed) Push(_ context.Context, updates []channel.Update) error {
	c.t.Errorf("somebody pushes %v", updates)
	return nil
}

func (c sealed) Unset(_ context.Context, updates []channel.Update) error {
	c.t.Errorf("somebody unsets %v", updates)
	return nil
}

func (c sealed) Resume(context.Context) ([]string, time.Duration, error) {
	c.t.Error("somebody resumes")
	return nil, 0, nil
}

// watchedAlways is a source of which a product moves at each look.
type watchedAlways struct{ *stock }

func (watchedAlways) Changes(_ context.Context, cursor string) ([]string, string, error) {
	return []string{"p1"}, cursor + "1", nil
}

// Whatever is called, and whatever earlier days left in the store, a channel
// that is observed is not written.
func TestObservingNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		// What a live day left: a trip of the guard, and an approval that is due.
		source, m, live, h := tripped(t, q)
		source.put("p90", "SKU-90", 9)
		r, err := live.SyncProducts(t.Context(), "p90") // a report to undo
		require.NoError(t, err)
		require.Equal(t, 1, r.Channels[0].Updated)
		require.NoError(t, live.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		m.Add(channel.Level{SKU: "GONE", Quantity: 3}, channel.Level{SKU: "KIT", Quantity: 1}, channel.Level{SKU: "SKU-100", Unset: true})
		source.put("p100", "SKU-100", 5)
		source.put("p1", "SKU-1", 4)

		var mu sync.Mutex
		var told []syncer.Change
		hooks, err := ecosire.NewWebhooks("s3cret")
		require.NoError(t, err)
		cfg := syncer.Config{
			Source: watchedAlways{source}, Queue: q, Observe: true, ReconcileAtStart: true, Journal: time.Hour * 24 * 7,
			Webhooks: hooks,
			Targets: []syncer.Target{{
				Channel: sealed{m, t}, Retire: always,
				Kits: func() []syncer.Listing {
					return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p1", Units: 1}, {ProductID: "p95", Units: 1}}}}
				},
			}},
			Hooks: syncer.Hooks{
				Changed: func(context.Context, string, syncer.Change) { t.Error("something was written") },
				Observed: func(_ context.Context, _ string, c syncer.Change) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, c)
				},
			},
		}
		s := configure(t, cfg)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p1", "p100"))
		body := `{"event":"inventory.updated","id":"e1","data":{"productId":"p1"}}`
		assert.Equal(t, http.StatusAccepted, deliver(s.WebhookHandler(), "s3cret", body))
		pass(racetest.Size(50*time.Hour, 3*time.Hour) + 5*time.Second)
		assert.True(t, drained(t, s), "what is observed is done")

		_, err = s.Reconcile(t.Context())
		assert.NotErrorIs(t, err, syncer.ErrHeld)
		got, err := s.SyncProducts(t.Context(), "p1", "p100")
		require.NoError(t, err, "a decision is no error")
		assert.Equal(t, 3, got.Channels[0].Observed, "the kit, too")
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		assert.Positive(t, plan.Drift())
		undo, err := r.Undo()
		require.NoError(t, err)
		putBack := &syncer.Plan{Undo: true, Lines: []syncer.Line{{Channel: "a", ProductID: "p100", SKU: "SKU-100", Reason: syncer.ReasonPutBack}}}
		approved := *plan
		approved.Approved = true
		for _, p := range []*syncer.Plan{plan, &approved, undo, putBack} {
			_, err := s.Apply(t.Context(), p)
			require.ErrorIs(t, err, syncer.ErrObserving)
		}
		require.ErrorIs(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 1000}), syncer.ErrObserving)
		stop()

		_, err = s.Reconcile(t.Context()) // which executes approvals by itself
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		assert.NotEmpty(t, told)
		for _, c := range told {
			assert.Equal(t, syncer.ChangeObserved, c.State)
		}
		h2, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.True(t, h2.Channels[0].Observing)
	})
}

func TestObservingComparesWithTheShop(t *testing.T) {
	source, m := catalogue(40)
	for i := range 14 {
		n := 12 // the shop shows 2 too few
		if i < 9 {
			n = 2 // and 8 too many
		}
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), n)
	}
	s := configure(t, syncer.Config{Source: source, Journal: time.Hour, Targets: []syncer.Target{{Channel: sealed{m, t}, Observe: true}}})
	for range 2 { // nothing is believed to have been written
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		c := r.Channels[0]
		assert.Equal(t, []int{40, 14, 26, 9, 5, 9}, []int{c.Checked, c.Observed, c.Unchanged, c.Over, c.Under, c.WouldHold})
		assert.Zero(t, c.Updated+c.Held)
		require.Len(t, c.Observations, 14)
		assert.Empty(t, c.Changes)
		assert.Equal(t, 10, *c.Observations[0].Shown)
		text := r.String()
		assert.Contains(t, text, "a: only observed: would have written 14; it showed too much for 9 and too little for 5\n")
		assert.Contains(t, text, "a: the guard would have held 9 of these until somebody approves\n")
		assert.Contains(t, text, `a: "SKU-0" showed 10, and would show 2`)

		data, err := json.Marshal(r)
		require.NoError(t, err)
		var back syncer.Report
		require.NoError(t, json.Unmarshal(data, &back))
		require.Len(t, back.Channels[0].Observations, 14)
		assert.Equal(t, c.Observations[0].Shown, back.Channels[0].Observations[0].Shown)
		undo, err := r.Undo()
		require.NoError(t, err)
		assert.Empty(t, undo.Lines, "there is nothing to undo")
	}
	held, err := s.Held(t.Context())
	require.NoError(t, err)
	assert.Empty(t, held, "the guard holds nothing that nobody would write")

	x, err := s.Explain(t.Context(), syncer.Question{ProductID: "p3"})
	require.NoError(t, err)
	require.True(t, x.Channels[0].Listings[0].Observed)
	assert.Contains(t, x.String(), "SKU-3 shows 10 and should show 2. The channel is only observed, and nothing is written.")
	assert.NotContains(t, x.String(), "deals with it")
	require.NotEmpty(t, x.Channels[0].History)
	assert.Equal(t, syncer.EntryObserved, x.Channels[0].History[0].Kind)
}

// A night that the guard would have held counts for nothing when the target
// goes live.
func TestObservingCountsForNoGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		target := syncer.Target{Channel: m, Observe: true, Guard: syncer.Guard{Few: 2}}
		cfg := syncer.Config{Source: source, Schedule: syncer.Never()}
		sold := func(from, to int) {
			for i := from; i < to; i++ {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			}
		}
		q := syncer.NewMemoryQueue()
		cfg.Queue, cfg.Targets = q, []syncer.Target{target}
		s := configure(t, cfg)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		sold(0, 30)
		var ids []string
		for i := range 30 {
			ids = append(ids, fmt.Sprintf("p%d", i))
		}
		r, err := s.SyncProducts(t.Context(), ids...)
		require.NoError(t, err)
		assert.Equal(t, []int{30, 20}, []int{r.Channels[0].Observed, r.Channels[0].WouldHold}, "the window has room for ten")

		cfg.Targets[0].Observe = false
		s = configure(t, cfg)
		r, err = s.SyncProducts(t.Context(), "p0", "p1", "p2")
		require.NoError(t, err)
		assert.Equal(t, 3, r.Channels[0].Updated)
	})
}

func TestPilot(t *testing.T) {
	source, m := catalogue(6)
	m.Set("PACK", 100)
	m.Set("KIT", 100)
	m.Set("KIT-2", 100)
	m.Set("GONE", 3)
	pilot := func(s channel.Stock) bool {
		if s.ProductID == "p5" {
			panic("p5")
		}
		return s.ProductID < "p2"
	}
	part := func(id string) syncer.Part { return syncer.Part{ProductID: id, Units: 1} }
	target := syncer.Target{
		Channel: m, Observe: true, Pilot: pilot, Retire: always, Guard: unguarded,
		Listings: func(s channel.Stock) []syncer.Listing {
			all := []syncer.Listing{{SKU: s.SKU}}
			if s.ProductID == "p1" {
				all = append(all, syncer.Pack("PACK", s, 2))
			}
			return all
		},
		Kits: func() []syncer.Listing {
			return []syncer.Listing{
				{SKU: "KIT", Parts: []syncer.Part{part("p0"), part("p1")}},
				{SKU: "KIT-2", Parts: []syncer.Part{part("p0"), part("p2")}},
			}
		},
	}
	for i := range 6 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 7)
	}
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{target}})
	r, err := s.Reconcile(t.Context())
	require.ErrorContains(t, err, "a target's Pilot panicked: p5")
	shows(t, m, 7, 7, 10, 10, 10, 10)
	for sku, want := range map[string]int{"PACK": 3, "KIT": 7, "KIT-2": 100, "GONE": 3} {
		n, _ := m.Quantity(sku)
		assert.Equal(t, want, n, sku)
	}
	assert.Equal(t, []int{4, 5, 1}, []int{r.Channels[0].Updated, r.Channels[0].Observed, r.Channels[0].Failed})

	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	got, err := s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, syncer.ErrObserving, "each line that is not the pilot's")
	assert.Equal(t, []int{0, 6}, []int{got.Channels[0].Updated, got.Channels[0].Failed})

	undo, err := r.Undo()
	require.NoError(t, err)
	for i := range undo.Lines {
		if undo.Lines[i].SKU == "KIT" { // whose parts nobody can ask for by now
			undo.Lines[i].Channel = "a"
		}
	}
	undo.Approved = true
	got, err = s.Apply(t.Context(), undo)
	require.ErrorIs(t, err, syncer.ErrObserving)
	assert.Equal(t, []int{3, 1}, []int{got.Channels[0].Updated, got.Channels[0].Failed})

	_, err = syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Pilot: pilot}}})
	assert.ErrorContains(t, err, "Pilot chooses nothing without Observe")
}

// On a shared queue the leader's configuration counts, whoever calls.
func TestObservingOnASharedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(1, 2), shop("a", 2)
		cfg := syncer.Config{Source: source, Observe: true, Targets: []syncer.Target{{Channel: sealed{m, t}}}}
		a := join(t, server, "a", cfg, nil)
		pass(time.Minute)
		b := join(t, server, "b", cfg, nil)
		r, err := b.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		assert.Equal(t, 1, r.Channels[0].Observed)
		plan, err := b.Plan(t.Context())
		require.NoError(t, err)
		_, err = b.Apply(t.Context(), plan)
		require.ErrorIs(t, err, syncer.ErrObserving, "the leader says so")
		a.die()
		pass(time.Minute)
		_, err = b.SyncProducts(t.Context(), "p1")
		require.NoError(t, err)
	})
}
