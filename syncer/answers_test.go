package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime"
	"sync/atomic"
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

// hangsFor makes a function of a host's hang for some products, or all.
type hangsFor struct {
	*hanging
	ids []string
}

func (h hangsFor) at(id string) {
	for _, one := range h.ids {
		if one == id || one == "all" {
			h.wait()
		}
	}
}

// askedOf are targets with one function each that may hang.
func askedOf(h hangsFor) map[string]syncer.Target {
	return map[string]syncer.Target{
		"Filter":   {Filter: func(s channel.Stock) bool { h.at(s.ProductID); return true }},
		"Listings": {Listings: func(s channel.Stock) []syncer.Listing { h.at(s.ProductID); return []syncer.Listing{{SKU: s.SKU}} }},
		"Custom":   {Policy: syncer.Custom("mine", func(s channel.Stock) (int, error) { h.at(s.ProductID); return s.Available, nil })},
		"Then":     {Policy: syncer.Available().Then("mine", func(s channel.Stock, n int) (int, error) { h.at(s.ProductID); return n, nil })},
		"Pilot":    {Observe: true, Pilot: func(s channel.Stock) bool { h.at(s.ProductID); return true }},
	}
}

// A function that hangs about one product is that product's trouble: all others are
// shown, by events and by runs, and it is when the function returns.
func TestWhatHangsAboutAProductHoldsUpThatProductAlone(t *testing.T) {
	for name := range askedOf(hangsFor{}) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a, b, h := newStock(1, 2, 3), shop("a", 3), shop("b", 3), hangsFor{newHanging(), []string{"p1"}}
				target := askedOf(h)[name]
				target.Channel, target.Guard = b, unguarded
				var log bytes.Buffer
				s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
					Targets: []syncer.Target{{Channel: a, Guard: unguarded}, target}})
				release := h.hang()

				began := time.Now()
				r, err := s.Reconcile(t.Context())
				require.Error(t, err)
				assert.Less(t, time.Since(began), 2*time.Minute)
				assert.Equal(t, 3, r.Channels[0].Updated)
				assert.Equal(t, 2, r.Channels[1].Updated, "%+v", r.Channels[1])
				shows(t, a, 1, 2, 3)
				shows(t, b, 1, 100, 3)

				stop := running(t, s)
				for i := range 3 {
					source.put("p0", "SKU-0", 10+i)
					source.put("p1", "SKU-1", 20+i)
					require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
					pass(time.Minute)
					shows(t, a, 10+i, 20+i, 3)
					shows(t, b, 10+i, 100, 3)
				}
				health, err := s.Health(t.Context())
				require.NoError(t, err)
				assert.Empty(t, health.Channels[1].Stuck)
				assert.True(t, health.Channels[1].DownSince.IsZero())
				began = time.Now()
				stop()
				assert.Less(t, time.Since(began), 30*time.Second)
				assert.Contains(t, log.String(), "Run ends, and leaves a call behind")

				release()
				stop = running(t, s)
				require.NoError(t, s.Notify(t.Context(), "p1"))
				pass(time.Minute)
				shows(t, b, 12, 22, 3)
				stop()
			})
		})
	}
}

// A function that hangs about everything puts its channel down, as a call of the
// channel's own does; the other channels go on, and nothing waits.
func TestWhatHangsAboutAllProductsPutsItsChannelDown(t *testing.T) {
	for name := range askedOf(hangsFor{}) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 30
				source, a, b, h := newStock(make([]int, n)...), shop("a", n), shop("b", n), hangsFor{newHanging(), []string{"all"}}
				target := askedOf(h)[name]
				target.Channel, target.Guard = b, unguarded
				s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: a, Guard: unguarded}, target}})
				release := h.hang()
				within := func(d time.Duration, do func()) {
					began := time.Now()
					do()
					assert.Less(t, time.Since(began), d)
				}
				within(2*time.Minute, func() {
					r, err := s.SyncProducts(t.Context(), "p0", "p1", "p2", "p3", "p4", "p5")
					require.Error(t, err)
					assert.Equal(t, []int{6, 0}, []int{r.Channels[0].Updated, r.Channels[0].Failed})
					assert.Equal(t, []int{0, 6}, []int{r.Channels[1].Updated, r.Channels[1].Failed})
				})
				within(15*time.Minute, func() { // as with any channel that is down
					r, err := s.Reconcile(t.Context())
					require.Error(t, err)
					assert.Equal(t, n-6, r.Channels[0].Updated)
					assert.Zero(t, r.Channels[1].Updated)
				})
				shows(t, a, 0, 0, 0)
				shows(t, b, 100, 100, 100)
				health, err := s.Health(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "Policy, Filter, Listings, Pilot, Retire or Booked", health.Channels[1].Stuck)
				within(10*time.Second, func() {
					_, err := s.SyncProducts(t.Context(), "p0")
					require.ErrorIs(t, err, channel.ErrUnavailable)
				})
				within(time.Minute, func() {
					_, err := s.Plan(t.Context())
					if name != "Pilot" { // which no plan asks
						require.Error(t, err)
					}
				})
				within(time.Minute, func() {
					_, err := s.Explain(t.Context(), syncer.Question{ProductID: "p0"})
					require.NoError(t, err)
				})
				stop := running(t, s)
				source.put("p0", "SKU-0", 7)
				require.NoError(t, s.Notify(t.Context(), "p0"))
				pass(3 * time.Second)
				shows(t, a, 7, 0)
				pass(time.Hour)
				release()
				pass(time.Minute)
				shows(t, b, 7, 100)
				assert.True(t, drained(t, s))
				health, err = s.Health(t.Context())
				require.NoError(t, err)
				assert.Empty(t, health.Channels[1].Stuck)
				assert.True(t, health.Channels[1].DownSince.IsZero())
				within(30*time.Second, stop)
			})
		})
	}
}

// What is answered too late is nobody's, even while the pass goes on, and the others are
// asked once.
func TestALateAnswerIsNobodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1, 2, 3), shop("a", 3)
		var asked atomic.Int32
		policy := syncer.Custom("slow", func(s channel.Stock) (int, error) {
			if asked.Add(1); s.ProductID == "p0" {
				time.Sleep(30 * time.Second)
				return 99, errors.New("too late")
			}
			return s.Available, nil
		})
		a := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			time.Sleep(30 * time.Second)
			return next.Levels(ctx, skus)
		}}
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: a, Guard: unguarded, Policy: policy}}})
		r, err := s.SyncProducts(t.Context(), "p0", "p1", "p2")
		require.ErrorContains(t, err, "did not return in time")
		assert.Equal(t, []int{2, 1}, []int{r.Channels[0].Updated, r.Channels[0].Failed})
		assert.Equal(t, int32(3), asked.Load())
		shows(t, m, 100, 2, 3)
		pass(time.Minute)
		shows(t, m, 100, 2, 3)
	})
}

// An answer that comes just as nobody waits any longer does no harm.
func TestAnAnswerAtTheLastMoment(t *testing.T) {
	for range racetest.Size(300, 30) {
		synctest.Test(t, func(t *testing.T) {
			source, m := newStock(1), shop("a", 1)
			slow := syncer.Custom("slow", func(s channel.Stock) (int, error) { time.Sleep(12 * time.Second); return s.Available, nil })
			s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: unguarded, Policy: slow}}})
			if _, err := s.SyncProducts(t.Context(), "p0"); err == nil {
				shows(t, m, 1)
			} else {
				shows(t, m, 100)
			}
		})
	}
}

// Functions that take their time are left alone as long as they answer.
func TestSlowAnswersAreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(make([]int, 30)...), shop("a", 30)
		slow := syncer.Custom("slow", func(s channel.Stock) (int, error) { time.Sleep(time.Second); return 7, nil })
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: unguarded, Policy: slow}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 30, r.Channels[0].Updated)
	})
}

// A call whose caller has gone is left behind soon, and fast ones are not.
func TestNobodyWaitsForAnAnswerWhoHasGone(t *testing.T) {
	for _, grace := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			source, m, h := newStock(1, 2), shop("a", 2), hangsFor{newHanging(), []string{"p0"}}
			target := askedOf(h)["Custom"]
			target.Channel, target.Guard = m, unguarded
			var log bytes.Buffer
			s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Grace: grace, Logger: slog.New(slog.NewTextHandler(&log, nil)), Targets: []syncer.Target{target}})
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = s.SyncProducts(gone, "p0", "p1")
			synctest.Wait()
			assert.NotContains(t, log.String(), "a call about a product does not return")

			release := h.hang()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, err := s.SyncProducts(ctx, "p0", "p1")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, time.Since(began), 5*time.Second)
			release()
		})
	}
}

// A kit that has a part whose policy hangs shows what it did, however often it is tried.
func TestAKitWithAPartThatHangsIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, h := newStock(1, 2), shop("a", 2), hangsFor{newHanging(), []string{"p1"}}
		m.Set("KIT", 50)
		target := askedOf(h)["Custom"]
		target.Channel, target.Guard, target.Kits = m, unguarded, func() []syncer.Listing { return []syncer.Listing{kitOf("KIT", "p0", "p1")} }
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{target}})
		release := h.hang()
		for range 3 {
			_, err := s.SyncProducts(t.Context(), "p0")
			require.ErrorContains(t, err, "return")
			shows(t, m, 1, 100)
			assert.Equal(t, 50, quantity(m, "KIT"))
		}
		release()
		pass(time.Second)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		assert.Equal(t, 1, quantity(m, "KIT"))
	})
}

// Nothing else is asked of a product that the Filter leaves out.
func TestWhatIsLeftOutIsNotAskedAbout(t *testing.T) {
	source, m := newStock(1, 2), shop("a", 2)
	s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
		Filter: func(s channel.Stock) bool { return s.ProductID != "p0" },
		Policy: syncer.Custom("mine", func(s channel.Stock) (int, error) {
			if s.ProductID == "p0" {
				panic("nobody is to ask")
			}
			return s.Available, nil
		})}}})
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	shows(t, m, 100, 2)
}

// Retire that hangs about one SKU does not retire that, and the run ends.
func TestRetireThatHangsRetiresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, h := newStock(1, 2), shop("a", 6), newHanging()
		retire := func(sku string) bool {
			if sku == "SKU-2" {
				h.wait()
			}
			return true
		}
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: a, Guard: unguarded, Retire: retire}}})
		release := h.hang()
		began := time.Now()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(began), 2*time.Minute)
		shows(t, a, 1, 2, 100, 0, 0, 0)
		release()
		pass(time.Minute)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		shows(t, a, 1, 2, 0, 0, 0, 0)
	})
}

// Code of the host's that ends its goroutine, as a test's FailNow does in a fake, is an
// error of that call. What was read until then is no whole catalogue.
func TestACallThatEndsItsGoroutineIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1, 2), shop("a", 2)
		for name, cfg := range map[string]syncer.Config{
			"source": {Source: exiting{source}, Targets: targets(m)},
			"push": {Source: source, Targets: targets(&channeltest.Intercept{Channel: m, OnPush: func(context.Context, channel.Channel, []channel.Update) error {
				runtime.Goexit()
				return nil
			}})},
			"policy": {Source: source, Targets: []syncer.Target{{Channel: m, Policy: syncer.Custom("mine", func(channel.Stock) (int, error) {
				runtime.Goexit()
				return 0, nil
			})}}},
		} {
			cfg.Schedule = syncer.Never()
			s := unguardedly(t, cfg)
			began := time.Now()
			_, err := s.Reconcile(t.Context())
			require.ErrorContains(t, err, "ended its goroutine", name)
			assert.Less(t, time.Since(began), 15*time.Minute, name)
			shows(t, m, 100, 100)
		}
	})
}

// An exiting source ends its goroutine after the first product.
type exiting struct{ *stock }

func (e exiting) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		yield(channel.Stock{ProductID: "p0", SKU: "SKU-0", Available: 100, OnHand: 100, AsOf: time.Now()}, nil)
		runtime.Goexit()
	}
}

// When a run ends is not worth waiting for.
func TestASourceThatHangsForTheTimeLeftHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := pagedSource(2500)
		h := newHanging()
		s := unguardedly(t, syncer.Config{Source: reckoning{source, h}, Schedule: syncer.Never(), Targets: targets(m)})
		_, err := s.Reconcile(t.Context()) // and there is a number of products
		require.NoError(t, err)
		quick := timed(func() { _, err = s.Reconcile(t.Context()) })
		require.NoError(t, err)
		release := h.hang()
		slow := timed(func() { _, err = s.Reconcile(t.Context()) })
		require.NoError(t, err)
		assert.Less(t, slow-quick, 10*time.Second)
		release()
	})
}

// reckoning is a source that knows its quota.
type reckoning struct {
	channel.Source
	*hanging
}

func (r reckoning) ReadingTime(context.Context, int) time.Duration { r.wait(); return time.Minute }

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}
