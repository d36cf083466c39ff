package syncer_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
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

// One id that ECOSIRE refuses stops everything.
func TestARefusedIDSpoilsNoOther(t *testing.T) {
	for _, status := range []int{422, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newERP(t, 200)
				a := channeltest.NewMemory("a")
				for i := range 200 {
					a.Set(fmt.Sprintf("S%05d", i), 50)
				}
				e.Wire.Inject(channeltest.Fault{Times: -1, Status: status, Body: `{"statusCode":422,"message":["each value in productIds must be a UUID"],"error":"Unprocessable Entity"}`,
					Match: func(r channeltest.Request) bool {
						return strings.Contains(r.URL.Query().Get("productIds"), "WGT-PRO-001")
					}})
				gave := 0
				s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1, Hooks: syncer.Hooks{GaveUp: func(context.Context, syncer.Problem) { gave++ }}}, a)
				defer running(t, s)()
				require.NoError(t, s.Notify(t.Context(), "WGT-PRO-001")) // a SKU where an id was meant
				wrong := 0
				for i := range 100 {
					e.Sell(e.ids[i], 1)
					require.NoError(t, s.Notify(t.Context(), e.ids[i]))
					pass(10 * time.Second)
				}
				pass(time.Hour)
				for i := range 100 {
					if n, _ := a.Quantity(fmt.Sprintf("S%05d", i)); n != 49 {
						wrong++
					}
				}
				h, _ := s.Health(t.Context())
				t.Log("wrong an hour later:", wrong, "of 100; waiting", h.Channels[0].Tasks, "down", h.Channels[0].DownSince, h.Channels[0].Err, "given up", gave)
				assert.Zero(t, wrong)
			})
		})
	}
}

// Attempts made while the channel was down count as the product's own.
func TestAnOutagesAttemptsAreNotTheProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6), shop("a", 2)
		var mu sync.Mutex
		down, conflict := true, 0
		c := &channeltest.Intercept{Channel: m,
			OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				mu.Lock()
				defer mu.Unlock()
				if down {
					return nil, channel.ErrUnavailable
				}
				return next.Levels(ctx, skus)
			},
			OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
				mu.Lock()
				defer mu.Unlock()
				if conflict++; conflict == 1 {
					errs := channel.Errors{}
					for _, u := range u {
						errs[u.SKU] = channel.ErrNotApplied
					}
					return errs
				}
				return next.Push(ctx, u)
			}}
		var shown time.Time
		var given []syncer.Problem
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: syncer.Hooks{
			Changed: func(context.Context, string, syncer.Change) { shown = time.Now() },
			GaveUp:  func(_ context.Context, p syncer.Problem) { given = append(given, p) },
		}}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		mu.Lock()
		down = false
		mu.Unlock()
		up := time.Now()
		pass(time.Hour)
		t.Log("one passing failure after an outage: shown", shown.Sub(up), "after the channel was up")
		assert.Less(t, shown.Sub(up), time.Minute)
	})
}

func TestAProductMissingForAMinuteIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6), shop("a", 2)
		var mu sync.Mutex
		down := true
		c := &channeltest.Intercept{Channel: m,
			OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				mu.Lock()
				defer mu.Unlock()
				if down {
					return nil, channel.ErrUnavailable
				}
				return next.Levels(ctx, skus)
			}}
		var given []syncer.Problem
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: syncer.Hooks{
			GaveUp: func(_ context.Context, p syncer.Problem) { given = append(given, p) }}}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		source.mu.Lock()
		p := source.products["p0"]
		delete(source.products, "p0") // one answer is short
		source.mu.Unlock()
		pass(time.Minute)
		source.mu.Lock()
		source.products["p0"] = p
		source.mu.Unlock()
		mu.Lock()
		down = false
		mu.Unlock()
		pass(time.Hour)
		n, _ := m.Quantity("SKU-0")
		t.Log("shows", n, "given up", given)
		assert.Equal(t, 5, n)
	})
}

type stuckPreload struct{ *channeltest.Memory }

func (s stuckPreload) Preload(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// A bulk operation that never ends, ends all reconciliations of all channels.
func TestAStuckPreloadHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("good", 1)
		n := 0
		s := configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{Reconciled: func(context.Context, *syncer.Report, error) { n++ }}}, m, stuckPreload{shop("bad", 1)})
		stop := running(t, s)
		pass(12 * time.Hour)
		m.Set("SKU-0", 77) // somebody edits; only a reconciliation finds it
		pass(racetest.Size(24*time.Hour, 15*time.Hour))
		q, _ := m.Quantity("SKU-0")
		t.Log("reconciliations in two nights:", n, "good shows", q)
		assert.Equal(t, 5, q, "a channel is an island")
		stop()
	})
}

// A reconciliation starves while callers take turns with two of its SKUs.
func TestCallersInTurnDoNotStarveARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), channeltest.NewMemory("a")
		for i := range 100 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("S-%d", i), 5)
			m.Set(fmt.Sprintf("S-%d", i), 7)
		}
		source.delay = 100 * time.Millisecond
		c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			time.Sleep(2 * time.Second)
			return next.Levels(ctx, skus)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 1100 * time.Millisecond)
				for ctx.Err() == nil {
					s.SyncProducts(ctx, fmt.Sprintf("p%d", i))
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		start := time.Now()
		_, err := s.Reconcile(ctx)
		t.Log("took", time.Since(start), err)
		assert.NoError(t, err)
		cancel()
		wg.Wait()
	})
}

// A channel that fails is not asked for the groups that follow: it rests first.
func TestAChannelThatRestsIsNotAskedForTheNextGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(5_000)
		var asked atomic.Int64
		down := &channeltest.Intercept{Channel: m, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			asked.Add(1)
			return nil, channel.ErrUnavailable
		}}
		s := build(t, source, down)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = s.Reconcile(ctx)
		}()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		assert.EqualValues(t, 3, asked.Load(), "a group, and its halves")
		cancel()
		<-done
	})
}

// Somebody's call that finds a channel up again wakes its lanes, however long they
// were to leave it alone.
func TestLanesWakeWhenACallFindsTheirChannelUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(1, 2, 3), shop("a", 3)
		var down atomic.Bool
		c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if down.Load() {
				return nil, channel.ErrUnavailable
			}
			return next.Levels(ctx, skus)
		}}
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, c)
		defer running(t, s)()
		down.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(5 * time.Minute)
		for _, after := range []time.Duration{300 * time.Millisecond, 1700 * time.Millisecond, 4 * time.Second} {
			down.Store(true)
			require.Error(t, second(s.SyncProducts(t.Context(), "p1")))
			pass(time.Minute + after)
			down.Store(false)
			require.NoError(t, second(s.SyncProducts(t.Context(), "p1")))
			m.Set("SKU-2", 100)
			require.NoError(t, s.Notify(t.Context(), "p2"))
			pass(200 * time.Millisecond)
			assert.Equal(t, 3, quantity(m, "SKU-2"))
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(200 * time.Millisecond)
			shows(t, m, 1, 2, 3)
			m.Set("SKU-0", 100)
			down.Store(true)
			require.NoError(t, s.Notify(t.Context(), "p0"))
		}
	})
}
