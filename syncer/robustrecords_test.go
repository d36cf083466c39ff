package syncer_test

import (
	"context"
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

// What is remembered of the last run is a record like others: if it makes no sense
// nothing may end.
func TestAnUnreadableLastRunStopsNoNight(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5), shop("a", 1)
		q := syncer.NewMemoryQueue()
		require.NoError(t, q.Save(t.Context(), "state", syncer.Record{Key: "reconciled", Value: []byte("{")}))
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, WatchEvery: -1, Schedule: syncer.Daily(2, 0, time.UTC)}, a)
		defer running(t, s)()
		pass(27 * time.Hour)
		shows(t, a, 5)
	})
}

// A pin holds at once, units in flight or not.
func TestAPinIsNotLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(100), shop("a", 1), shop("b", 1)
		s := unguardedly(t, syncer.Config{Source: source, WatchEvery: -1, Schedule: syncer.Never()}, blindChannel{a, a}, blindChannel{b, b})
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		a.Set("SKU-0", 99)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		shows(t, b, 99)
		require.NoError(t, s.Pin(t.Context(), recall(95)))
		pass(3 * time.Second)
		shows(t, a, 95)
		shows(t, b, 95)
	})
}

// Calls without Run, each in a process of its own, on a durable queue.
func TestCallsWithoutRunKeepFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(10), shop("a", 1)
		q := &hiccup{MemoryQueue: syncer.NewMemoryQueue()}
		for i := range 2 {
			s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}, a)
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			if n, _ := a.Quantity("SKU-0"); i == 0 && n == 10 {
				a.Set("SKU-0", 8) // sold
			}
			pass(time.Minute)
		}
		shows(t, a, 8)
	})
}

// A channel that accepts writes and does not apply them does not hold the others low
// for ever.
func TestAChannelThatAppliesNothingLowersNobody(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(10), shop("a", 1), shop("b", 1)
		a.Set("SKU-0", 8)
		deaf := &channeltest.Intercept{Channel: a, OnPush: func(context.Context, channel.Channel, []channel.Update) error { return nil }}
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}, deaf, b)
		defer running(t, s)()
		low := 0
		for range 24 * 6 {
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(10 * time.Minute)
			if n, _ := b.Quantity("SKU-0"); n < 10 {
				low++
			}
		}
		assert.Less(t, low, 24, "of 144 times in a day the other shop showed too little")
	})
}

// Records of the guard that make no sense.
func TestRecordsOfAGuardThatMakeNoSense(t *testing.T) {
	for _, set := range []string{"guards", "held/a"} {
		t.Run(set, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a := newStock(10, 0), shop("a", 2)
				q := syncer.NewMemoryQueue()
				key := "a"
				if set != "guards" {
					key = "SKU-0"
				}
				require.NoError(t, q.Save(t.Context(), set, syncer.Record{Key: key, Value: []byte("{")}))
				s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}, a)
				defer running(t, s)()
				require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
				pass(time.Hour)
				shows(t, a, 10, 0)
				_, err := s.Reconcile(t.Context())
				assert.NoError(t, err)
			})
		})
	}
}

// A product whose quantity the source does not know any more can be recalled.
func TestAPinOfAProductThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(10), shop("a", 1)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}, a)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		source.mu.Lock()
		p := source.products["p0"]
		p.Err = channel.ErrUnavailable
		source.products["p0"] = p
		source.mu.Unlock()
		require.NoError(t, s.Pin(t.Context(), recall(0)))
		pass(time.Minute)
		shows(t, a, 0)
		for name, call := range map[string]func() error{
			"SyncProducts": func() error { _, err := s.SyncProducts(t.Context(), "p0"); return err },
			"Reconcile":    func() error { _, err := s.Reconcile(t.Context()); return err },
		} {
			a.Set("SKU-0", 3)                                        // by hand
			require.ErrorIs(t, call(), channel.ErrUnavailable, name) // the row is reported all the same
			shows(t, a, 0)
		}
	})
}

// The last turns are cut off by the end of the grace: what was noticed comes again.
func TestTurnsCutOffByTheGraceAreDoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a listing whose pin ends while its channel is paused
		source, a, b := newStock(10), shop("a", 1), shop("b", 1)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}, a, b)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		p := recall(0)
		p.Until = time.Now().Add(time.Hour)
		require.NoError(t, s.Pin(t.Context(), p))
		pass(2 * time.Second)
		shows(t, a, 0)
		a.Set("SKU-0", 0)
		require.NoError(t, s.Pause(t.Context(), "a", "Ana"))
		pass(2 * time.Hour)
		shows(t, b, 10)
		require.NoError(t, s.Resume(t.Context(), "a", "Ana"))
		pass(time.Minute)
		shows(t, a, 10)
	})
}

// An edit of one channel is over after Settle though Run ends in that moment.
func TestAnEditEndsThoughRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(100), shop("a", 1)
		q := &hiccup{MemoryQueue: syncer.NewMemoryQueue()}
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}
		s := unguardedly(t, cfg, a)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		a.Set("SKU-0", 0) // somebody's
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		shows(t, a, 0)
		stop()
		pass(time.Hour) // and nobody runs when it is over
		s = unguardedly(t, cfg, a)
		stop = running(t, s)
		pass(time.Hour)
		shows(t, a, 100)
		stop()
	})
}

// A pin that cannot be read stops raises of its product, and nothing else.
func TestAPinThatCannotBeReadStopsItsProductAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5, 7), shop("a", 2)
		q := &hiccup{MemoryQueue: syncer.NewMemoryQueue()}
		require.NoError(t, q.Save(t.Context(), "pins", syncer.Record{Key: "p0\x00", Value: []byte("{")}, syncer.Record{Key: "", Value: []byte("x")}))
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}, a)
		defer running(t, s)()
		a.Set("SKU-1", 3)
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Hour)
		n, _ := a.Quantity("SKU-1")
		assert.Equal(t, 7, n, "one record about p0 says nothing of p1")
		assert.NoError(t, s.Pin(t.Context(), syncer.Pin{ProductID: "p1", Who: "Ana", Why: "recall"}))
		pass(time.Minute)
		n, _ = a.Quantity("SKU-1")
		assert.Zero(t, n)
	})
}
