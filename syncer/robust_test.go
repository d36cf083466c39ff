package syncer_test

import (
	"context"
	"errors"
	"strconv"
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

type hiccup struct {
	*syncer.MemoryQueue
	fails atomic.Bool
	set   string
	slow  atomic.Int64 // of a Load of a pin, once
}

func (h *hiccup) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if set == h.set && h.fails.Load() {
		return errors.New("no space left")
	}
	return h.MemoryQueue.Save(ctx, set, records...)
}

func (h *hiccup) Load(ctx context.Context, set, key string) ([]byte, error) {
	v, err := h.MemoryQueue.Load(ctx, set, key)
	if set == "pins" && key != "" {
		time.Sleep(time.Duration(h.slow.Swap(0)))
	}
	return v, err
}

// A first Save that fails does not cost what is known at the next start.
func TestAFailedSaveCostsNoFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(10), shop("a", 1), shop("b", 1)
		q := &hiccup{MemoryQueue: syncer.NewMemoryQueue(), set: "flights"}
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}
		s := unguardedly(t, cfg, a, b)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		shows(t, a, 10)
		q.fails.Store(true)
		pass(40 * time.Second)
		q.fails.Store(false)
		pass(5 * time.Minute) // kept since
		stop()
		b.Set("SKU-0", 7) // sold while nobody looks
		s = unguardedly(t, cfg, a, b)
		stop = running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		shows(t, a, 7)
		shows(t, b, 7)
		stop()
	})
}

// A pin of a product whose id is no UTF-8 could not be read again.
func TestAPinOfNoTextIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5), shop("a", 1)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}, a)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		shows(t, a, 5)
		if s.Pin(t.Context(), syncer.Pin{ProductID: "p\xff", Who: "Ana", Why: "recall"}) != nil {
			return
		}
		source.put("p0", "SKU-0", 9)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Hour)
		shows(t, a, 9)
		assert.NoError(t, s.Pin(t.Context(), recall(0)))
	})
}

// A pin that is renewed in the moment of its end stays.
func TestAPinRenewedAtItsEndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5), shop("a", 1)
		q := &hiccup{MemoryQueue: syncer.NewMemoryQueue()}
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}, a)
		defer running(t, s)()
		p := recall(0)
		p.Until = time.Now().Add(time.Minute)
		require.NoError(t, s.Pin(t.Context(), p))
		pass(50 * time.Second)
		shows(t, a, 0)
		q.slow.Store(int64(500 * time.Millisecond))
		pass(10*time.Second + 200*time.Millisecond)
		require.NoError(t, s.Pin(t.Context(), recall(0))) // renewed, for good
		pass(time.Minute)
		pins, err := s.Pins(t.Context())
		require.NoError(t, err)
		assert.Len(t, pins, 1)
		shows(t, a, 0)
	})
}

// A deploy that changes a policy, or ends observing, in the middle of a run begins
// it anew: what was compared before is compared again.
func TestANightDoesNotGoOnUnderAnotherPolicy(t *testing.T) {
	for name, of := range map[string][2]syncer.Target{
		"policy":  {{}, {Policy: syncer.Available().Buffer(3)}},
		"observe": {{Observe: true, Policy: syncer.Available().Buffer(3)}, {Policy: syncer.Available().Buffer(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := pagedSource(1500)
				q := &hiccup{MemoryQueue: syncer.NewMemoryQueue()}
				var reports []*syncer.Report
				process := func(target syncer.Target) (stop func()) {
					target.Channel, target.Guard = m, unguarded
					s := configure(t, syncer.Config{Source: source, Queue: q, WatchEvery: -1, Schedule: syncer.Daily(2, 0, time.UTC), Targets: []syncer.Target{target}, Hooks: syncer.Hooks{
						Reconciled: func(_ context.Context, r *syncer.Report, err error) { reports = append(reports, r) },
					}})
					return running(t, s)
				}
				stop := process(of[0])
				pass(2*time.Hour + 120*time.Second)
				stop()
				pass(20 * time.Second)
				stop = process(of[1])
				pass(10 * time.Minute)
				stop()
				require.Len(t, reports, 1)
				t.Log("resumed", reports[0].Resumed)
				shows(t, m, 7)
			})
		})
	}
}

// A sale that the last turn of a Run notices is kept.
func TestWhatTheLastTurnNoticesIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(10), shop("a", 1), shop("b", 1)
		var slow atomic.Bool
		slowly := &channeltest.Intercept{Channel: a, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if slow.Load() {
				time.Sleep(2 * time.Second)
			}
			return next.Levels(ctx, skus)
		}}
		q := &hiccup{MemoryQueue: syncer.NewMemoryQueue()}
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), WatchEvery: -1}
		s := unguardedly(t, cfg, slowly, b)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		slow.Store(true)
		a.Set("SKU-0", 8) // sold
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(1 * time.Second)
		stop() // within its grace
		shows(t, a, 8)
		s = unguardedly(t, cfg, slowly, b)
		stop = running(t, s)
		pass(10 * time.Minute)
		shows(t, a, 8)
		shows(t, b, 8)
		stop()
	})
}

// What a call has noticed leaves the other channel though the source fails in that
// moment, or the call ends.
func TestASaleIsSpreadThoughTheCallFails(t *testing.T) {
	for _, how := range []string{"source", "context"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a, b := newStock(10), shop("a", 1), shop("b", 1)
				var slow atomic.Bool
				slowly := &channeltest.Intercept{Channel: a, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
					if slow.Load() {
						time.Sleep(2 * time.Second)
					}
					return next.Levels(ctx, skus)
				}}
				s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}, slowly, b)
				defer running(t, s)()
				require.NoError(t, s.Notify(t.Context(), "p0"))
				pass(time.Minute)
				shows(t, b, 10)
				slow.Store(true)
				a.Set("SKU-0", 8) // sold
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				source.mu.Lock()
				source.delay = time.Second
				source.mu.Unlock()
				go func() {
					time.Sleep(3500 * time.Millisecond) // a was looked at at 3 s
					if how == "context" {
						cancel()
						return
					}
					source.mu.Lock()
					source.fail = errors.New("a hiccup")
					source.mu.Unlock()
				}()
				go func() {
					time.Sleep(2500 * time.Millisecond)
					source.mu.Lock()
					if how == "source" {
						source.fail = errors.New("a hiccup")
					}
					source.mu.Unlock()
				}()
				_, err := s.SyncProducts(ctx, "p0")
				t.Log(err)
				source.mu.Lock()
				source.fail, source.delay = nil, 0
				source.mu.Unlock()
				slow.Store(false)
				pass(15 * time.Minute)
				shows(t, a, 8)
				shows(t, b, 8)
			})
		})
	}
}

// While Config.Booked takes its time another pass may book: its answer then counts
// no more.
func TestASlowBookedCountsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(10), shop("a", 1), shop("b", 1)
		var slow atomic.Int32 // looks
		slowly := &channeltest.Intercept{Channel: a, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if slow.Add(-1) >= 0 {
				time.Sleep(4 * time.Second)
			}
			return next.Levels(ctx, skus)
		}}
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1, Booked: func(before, after channel.Stock) int {
			n := max(0, before.Available-after.Available)
			if n == 2 {
				time.Sleep(5 * time.Second) // its database does
			}
			t.Log(time.Now(), before.Available, after.Available, n)
			return n
		}}
		s := unguardedly(t, cfg, slowly, b)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Second)
		a.Set("SKU-0", 7) // three are sold
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Second)
		shows(t, b, 7)
		require.NoError(t, s.Pause(t.Context(), "b", "Ana"))
		source.put("p0", "SKU-0", 9) // one is booked
		slow.Store(2)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		source.put("p0", "SKU-0", 8) // and the second
		require.NoError(t, s.Notify(t.Context(), "p0"))
		require.NoError(t, s.Resume(t.Context(), "b", "Ana"))
		pass(time.Minute)
		shows(t, a, 7)
		shows(t, b, 7)
	})
}

// A run that rests has what it has noticed off the other channels before.
func TestANightThatRestsSpreadsSales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := pagedSource(1500)
		b := channeltest.NewMemory("b")
		for i := range 1500 {
			b.Set("SKU-"+itoa(i), 10)
		}
		var slow atomic.Bool
		slowly := &channeltest.Intercept{Channel: b, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if slow.Load() {
				time.Sleep(500 * time.Millisecond)
			}
			return next.Levels(ctx, skus)
		}}
		hours := syncer.Between(syncer.Daily(2, 0, time.UTC), 2*time.Hour, 2*time.Hour+2*time.Minute, time.UTC)
		var reports []*syncer.Report
		s := unguardedly(t, syncer.Config{Source: source, WatchEvery: -1, Schedule: hours, Hooks: syncer.Hooks{
			Reconciled: func(_ context.Context, r *syncer.Report, err error) { reports = append(reports, r) },
		}}, a, slowly)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p00000"))
		pass(time.Hour)
		slow.Store(true)
		b.Set("SKU-0", 8) // sold
		pass(time.Hour + 4*time.Minute)
		require.Len(t, reports, 1)
		require.True(t, reports[0].Rested)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, h.Channels[1].InFlight)
		shows(t, a, 8)
	})
}

func itoa(n int) string { return strconv.Itoa(n) }
