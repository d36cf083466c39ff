package syncer_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// fresh is another process on the store, in which Run does not run.
func (l *life) fresh() *syncer.Syncer {
	return configure(l.T, syncer.Config{Source: l.source, Queue: l.queue, Schedule: syncer.Never(), WatchEvery: -1, Settle: l.settle}, l.a, l.b)
}

// sellTwo has shop a sell two units, which are in flight when the process ends.
func (l *life) sellTwo() {
	l.start()
	l.notify()
	l.a.Set("SKU-0", 8)
	l.notify()
	l.shown(8)
	l.stop()
}

// planned is a plan made elsewhere, of one line.
func planned(channel string, shows, wanted int) *syncer.Plan {
	return &syncer.Plan{Lines: []syncer.Line{{Channel: channel, ProductID: "p0", SKU: "SKU-0", Shown: &shows, Wanted: wanted, Reason: syncer.ReasonUnder}}}
}

// A process that begins with Apply knows what the one before it has noticed, and
// does not write over it in the store.
func TestApplyInAFreshProcess(t *testing.T) {
	inLife(t, func(l *life) {
		t := l.T
		l.sellTwo()
		l.b.Set("SKU-0", 9) // somebody edited it

		r, err := l.fresh().Apply(t.Context(), planned("b", 9, 8))
		require.NoError(t, err, "%v", r)
		assert.Equal(t, 1, r.Channels[1].Updated)
		l.shown(8)

		l.a.Set("SKU-0", 7) // sold while nobody looks
		l.start()
		l.notify()
		l.shown(7)
		l.stop()
	})
}

// What Apply notices to be sold leaves the other channels, too.
func TestWhatApplyNoticesIsFollowedUp(t *testing.T) {
	inLife(t, func(l *life) {
		t := l.T
		l.start()
		l.notify()
		l.stop()
		l.a.Set("SKU-0", 7) // sold meanwhile
		r, err := l.fresh().Apply(t.Context(), planned("a", 5, 10))
		require.NoError(t, err)
		assert.Equal(t, 3, r.Channels[0].Sold)
		assert.Equal(t, 1, r.Channels[1].Updated)
		l.shown(7)
	})
}

// An undo says that the source is not to be believed: nothing of it is written
// for the sake of a sale.
func TestAnUndoIsNotFollowedUp(t *testing.T) {
	inLife(t, func(l *life) {
		t, s := l.T, l.fresh()
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		l.source.put("p0", "SKU-0", 50) // by mistake
		r, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		l.shown(50)
		l.a.Set("SKU-0", 49) // sold
		undo, err := r.Undo()
		require.NoError(t, err)
		r, err = s.Apply(t.Context(), undo)
		require.Error(t, err, "shop a shows something else by now")
		assert.Equal(t, 1, r.Channels[0].Replanned)
		shows(t, l.a, 49)
		shows(t, l.b, 10)
	})
}

// What is known of flights is known to whoever asks in a fresh process.
func TestFlightsAreExplainedInAFreshProcess(t *testing.T) {
	inLife(t, func(l *life) {
		t := l.T
		l.sellTwo()
		x, err := l.fresh().Explain(t.Context(), syncer.Question{ProductID: "p0"})
		require.NoError(t, err)
		require.Len(t, x.InFlight, 1)
		assert.Equal(t, 2, x.InFlight[0].Units)
	})
}

// So is how much a channel has sold, to whoever asks how things are.
func TestHealthTellsOfFlightsInAFreshProcess(t *testing.T) {
	inLife(t, func(l *life) {
		l.sellTwo()
		h, err := l.fresh().Health(l.T.Context())
		require.NoError(l.T, err)
		assert.Equal(l.T, []int{2, 0}, []int{h.Channels[0].InFlight, h.Channels[1].InFlight})
	})
}

// slowRecords is a queue whose first reading of flights takes long.
type slowRecords struct {
	lasting
	reads atomic.Int32
}

func (q *slowRecords) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	all := q.lasting.Records(ctx, set, from)
	if set != "flights" || q.reads.Add(1) > 1 {
		return all
	}
	return func(yield func(syncer.Record, error) bool) {
		for rec, err := range all {
			if !yield(rec, err) {
				return
			}
		}
		time.Sleep(time.Minute)
	}
}

// Of two calls that begin side by side the second to have read the store does not
// forget what the first has noticed since.
func TestFlightsAreLoadedOnce(t *testing.T) {
	inLife(t, func(l *life) {
		l.sellTwo()
		l.a.Set("SKU-0", 7) // sold while nobody looks
		s := configure(l.T, syncer.Config{Source: l.source, Queue: &slowRecords{lasting: l.queue}, Schedule: syncer.Never()}, l.a, l.b)
		done := make(chan error, 1)
		go func() {
			_, err := s.SyncProducts(l.Context(), "p0")
			done <- err
		}()
		pass(time.Second)
		_, err := s.SyncProducts(l.Context(), "p0")
		require.NoError(l, err)
		l.shown(7)
		require.NoError(l, <-done)
		l.shown(7)
	})
}
