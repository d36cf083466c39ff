package syncer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A wiped pair is two shops whose guards hold the losses of most of a catalogue.
type wiped struct {
	*testing.T
	source *stock
	a, b   *channeltest.Memory
	queue  lasting
	settle time.Duration
}

func inWiped(t *testing.T, settle time.Duration, do func(w *wiped)) {
	synctest.Test(t, func(t *testing.T) {
		w := &wiped{T: t, settle: settle, source: newStock(), queue: lasting{syncer.NewMemoryQueue()}}
		w.a, w.b = channeltest.NewMemory("a"), channeltest.NewMemory("b")
		for i := range 30 {
			w.source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 8)
			w.a.Set(fmt.Sprintf("SKU-%d", i), 8)
			w.b.Set(fmt.Sprintf("SKU-%d", i), 8)
		}
		s := w.build(w.a)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		for i := range 20 {
			w.source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		_, err = s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		do(w)
	})
}

func (w *wiped) build(a channel.Channel) *syncer.Syncer {
	return configure(w.T, syncer.Config{Source: w.source, Queue: w.queue, Schedule: syncer.Never(), WatchEvery: -1, Settle: w.settle}, a, w.b)
}

// held are how many lines each shop's guard holds.
func (w *wiped) held(s *syncer.Syncer) (n []int) {
	all, err := s.Held(w.Context())
	require.NoError(w, err)
	for _, h := range all {
		n = append(n, len(h.Lines))
	}
	return n
}

// lagging makes reading a shop take a moment, so that the other one is done before.
func lagging(m *channeltest.Memory) channel.Channel {
	return &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		time.Sleep(time.Second)
		return next.Levels(ctx, skus)
	}}
}

// A sale that explains what another shop's guard holds has it looked at again,
// whichever call noticed it, and in a process that was begun since.
func TestASaleFreesWhatItExplains(t *testing.T) {
	for _, settle := range []time.Duration{0, -1} { // with units in flight, and without
		for _, how := range []string{"SyncProducts", "Reconcile", "Apply", "Notify"} {
			t.Run(fmt.Sprint(how, settle), func(t *testing.T) {
				inWiped(t, settle, func(w *wiped) { w.sells(how) })
			})
		}
	}
}

func (w *wiped) sells(how string) {
	s := w.build(lagging(w.a))
	defer running(w.T, s)()
	pass(time.Minute)
	w.a.Set("SKU-0", 0) // all are sold, which the source has booked
	var err error
	switch how {
	case "SyncProducts":
		_, err = s.SyncProducts(w.Context(), "p0")
	case "Reconcile":
		_, err = s.Reconcile(w.Context())
	case "Apply":
		plan := planned("a", 8, 0)
		plan.Approved = true
		_, err = s.Apply(w.Context(), plan)
	default:
		err = s.Notify(w.Context(), "p0")
	}
	if err != nil { // for the other shop was done before
		require.ErrorIs(w, err, syncer.ErrHeld)
	}
	pass(10 * time.Second)
	n, _ := w.b.Quantity("SKU-0")
	assert.Zero(w, n)
	assert.Equal(w, []int{19, 19}, w.held(s))
}

// What was approved on a channel that is down waits for it, and nothing else does:
// neither what was approved on another one, nor a reconciliation.
func TestWhatIsApprovedOnAChannelThatIsDownHoldsNothingUp(t *testing.T) {
	for _, runs := range []bool{true, false} {
		t.Run(fmt.Sprint(runs), func(t *testing.T) {
			inWiped(t, 0, func(w *wiped) {
				var down atomic.Bool
				down.Store(true)
				s := w.build(&channeltest.Intercept{Channel: w.a, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					if down.Load() {
						return channel.ErrUnavailable
					}
					return next.Push(ctx, updates)
				}})
				held, err := s.Held(w.Context())
				require.NoError(w, err)
				for _, h := range held {
					require.NoError(w, s.Approve(w.Context(), syncer.Approval{Channel: h.Channel, Who: "ann", Hash: h.Hash}))
				}
				reconcile := func() (err error) { _, err = s.Reconcile(w.Context()); return err }
				if runs {
					defer running(w.T, s)()
					reconcile = func() error { return nil }
				}
				_ = reconcile() // what became of a
				pass(time.Minute)
				assert.Equal(w, 20, gone(w.b, 30))
				down.Store(false)
				require.NoError(w, reconcile())
				pass(time.Minute)
				assert.Equal(w, 20, gone(w.a, 30))
			})
		})
	}
}
