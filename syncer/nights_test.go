package syncer_test

import (
	"context"
	"fmt"
	"iter"
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
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// counted is a source that counts reads of the catalogue and looks for changes.
type counted struct {
	*stock
	begun, ended, looks atomic.Int64
	long                time.Duration // of a catalogue
}

func (c *counted) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		if len(ids) == 0 {
			c.begun.Add(1)
			select {
			case <-time.After(c.long):
			case <-ctx.Done():
				yield(channel.Stock{}, ctx.Err())
				return
			}
		}
		c.stock.Stock(ctx, ids...)(yield)
		if len(ids) == 0 {
			c.ended.Add(1)
		}
	}
}

func (c *counted) Changes(context.Context, string) ([]string, string, error) {
	c.looks.Add(1)
	return nil, "1", nil
}

// Three replicas make one reconciliation a day, and watch as one does. One that
// its leader's death cuts off is made up, the very first one, too.
func TestReplicasReconcileOnceADay(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), &counted{stock: newStock(1, 2), long: 5 * time.Minute}, shop("shop", 2)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Daily(2, 0, time.UTC), Grace: time.Second}
		replicas := map[string]*replica{}
		for _, name := range []string{"a", "b", "c"} {
			replicas[name] = join(t, server, name, cfg, nil)
		}
		leader := func() *replica {
			info, err := server.Open().Leader(t.Context())
			require.NoError(t, err)
			return replicas[info.Name]
		}
		pass(2*time.Hour + time.Minute) // the first one is under way
		require.EqualValues(t, 1, source.begun.Load())
		leader().die()
		pass(time.Minute)
		require.EqualValues(t, 2, source.begun.Load(), "it is made up")
		pass(15 * time.Minute)
		require.EqualValues(t, 1, source.ended.Load())
		shows(t, m, 1, 2)

		pass(10 * time.Hour)
		leader().stop() // hands over in the afternoon
		pass(48 * time.Hour)
		assert.EqualValues(t, 3, source.ended.Load())
		assert.EqualValues(t, 4, source.begun.Load())
		assert.InDelta(t, 60.3*3600/30, source.looks.Load(), 100, "one replica watches")
	})
}

// ReconcileAtStart is once for all replicas that start together.
func TestReplicasThatReconcileAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source := queuetest.NewServer(leaseTime), &counted{stock: newStock(1)}
		cfg := syncer.Config{Source: source, Targets: targets(shop("shop", 1)), Schedule: syncer.Never(), ReconcileAtStart: true}
		a := join(t, server, "a", cfg, nil)
		b := join(t, server, "b", cfg, nil)
		pass(time.Minute)
		if a.role(t) == syncer.RoleLeader {
			a.stop()
		} else {
			b.stop()
		}
		pass(time.Minute)
		assert.EqualValues(t, 1, source.ended.Load())
		join(t, server, "c", cfg, nil)
		a.stop()
		b.stop()
		pass(time.Minute)
		assert.EqualValues(t, 2, source.ended.Load(), "c has started since")
	})
}

// A rolling deploy adds a shop: who leads decides the channels, and compares a
// new one as a whole.
func TestReplicasWithDifferentTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, old, added := queuetest.NewServer(leaseTime), newStock(1, 2), shop("old", 2), shop("new", 2)
		before := syncer.Config{Source: source, Targets: targets(old), Schedule: syncer.Never()}
		after := syncer.Config{Source: source, Targets: targets(old, added), Schedule: syncer.Never()}
		a := join(t, server, "a", before, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", after, nil)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(5 * time.Second)
		shows(t, old, 1, 100)
		shows(t, added, 100, 100)
		a.stop()
		pass(10 * time.Second)
		shows(t, added, 1, 2)
		shows(t, old, 1, 2)

		c := join(t, server, "c", before, nil) // rolled back for a while
		b.stop()
		pass(5 * time.Second)
		source.put("p0", "SKU-0", 7)
		require.NoError(t, c.Notify(t.Context(), "p0"))
		pass(5 * time.Second)
		shows(t, old, 7, 2)
		shows(t, added, 1, 2)
		join(t, server, "d", after, nil)
		c.stop()
		pass(10 * time.Second)
		shows(t, added, 7, 2)
	})
}

// A reads 50 and is slow; the source drops to 3 and the shop is made to show it;
// then A writes. With compare-and-set the write is refused, and what is written
// next is not the old quantity.
func TestAConflictAsksTheSourceAgain(t *testing.T) {
	for name, call := range map[string]func(*testing.T, *syncer.Syncer){
		"marked": func(t *testing.T, s *syncer.Syncer) {
			running(t, s)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(time.Minute)
		},
		"called": func(t *testing.T, s *syncer.Syncer) {
			_, err := s.SyncProducts(t.Context(), "p0")
			require.NoError(t, err)
		},
		"reconciled": func(t *testing.T, s *syncer.Syncer) {
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := newStock(50), shop("shop", 1)
				first := true
				slow := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					if first {
						first = false
						time.Sleep(time.Second)
						source.put("p0", "SKU-0", 3)
						m.Set("SKU-0", 3)
					}
					return next.Push(ctx, updates)
				}}
				call(t, configure(t, syncer.Config{Source: source, Targets: targets(slow), Schedule: syncer.Never()}))
				shows(t, m, 3)
			})
		})
	}
}

// A hangs while it reads 50, and loses its term; B writes 3. What A has read is
// written by nobody, also without compare-and-set.
func TestWhatADeposedLeaderHasReadIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(50), shop("shop", 1)
		blind := &channeltest.Intercept{Channel: m, OnPush: func(_ context.Context, _ channel.Channel, updates []channel.Update) error {
			m.Set(updates[0].SKU, updates[0].Quantity)
			return nil
		}}
		slow := &lateStock{stock: source, delay: 30 * time.Second}
		a := join(t, server, "a", syncer.Config{Source: slow, Targets: targets(blind), Schedule: syncer.Never(), Grace: time.Hour}, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", syncer.Config{Source: source, Targets: targets(blind), Schedule: syncer.Never()}, nil)
		require.NoError(t, a.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		a.client.Cut()
		source.put("p0", "SKU-0", 3)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		for range 120 {
			pass(time.Second)
			n, _ := m.Quantity("SKU-0")
			require.NotEqual(t, 50, n)
		}
		shows(t, m, 3)
	})
}

// lateStock answers late, whatever its context says.
type lateStock struct {
	*stock
	delay time.Duration
}

func (s *lateStock) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		var all []channel.Stock
		for p := range s.stock.Stock(ctx, ids...) {
			all = append(all, p)
		}
		time.Sleep(s.delay)
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// What the guard counts in real time goes on under the next leader.
func TestTheGuardCountsOnUnderTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(), shop("shop", 80)
		for i := range 80 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		sold := func(r *replica, from, to int) {
			for i := from; i < to; i++ {
				require.NoError(t, r.Notify(t.Context(), fmt.Sprintf("p%d", i)))
			}
			pass(5 * time.Second)
		}
		zeros := func() (n int) {
			for i := range 80 {
				if q, _ := m.Quantity(fmt.Sprintf("SKU-%d", i)); q == 0 {
					n++
				}
			}
			return n
		}
		cfg := syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m}}, Schedule: syncer.Never()}
		a := join(t, server, "a", cfg, nil)
		sold(a, 0, 40)
		require.Equal(t, 40, zeros())
		b := join(t, server, "b", cfg, nil)
		pass(2 * time.Second)
		a.stop()
		pass(2 * time.Second)
		sold(b, 40, 80)
		assert.Equal(t, 50, zeros(), "a tenth of the 500 that are assumed to be on sale")
		held, err := b.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Len(t, held[0].Lines, 30)
	})
}
