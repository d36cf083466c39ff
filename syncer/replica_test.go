package syncer_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// leaseTime is that of the queues that replicas share in tests.
const leaseTime = 10 * time.Second

// A replica is a process of a service that has several.
type replica struct {
	*syncer.Syncer
	client *queuetest.Client
	stop   func()
	events *ledgerOfTerms
}

// ledgerOfTerms has what replicas tell of their terms.
type ledgerOfTerms struct {
	mu    sync.Mutex
	lines []string
	at    []time.Time
}

func (l *ledgerOfTerms) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.at = append(l.lines, fmt.Sprintf(format, args...)), append(l.at, time.Now())
}

func (l *ledgerOfTerms) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// join starts a replica.
func join(t *testing.T, server *queuetest.Server, name string, cfg syncer.Config, events *ledgerOfTerms) *replica {
	t.Helper()
	r := &replica{client: server.Open(), events: events}
	cfg.Queue, cfg.Name = r.client, name
	if events != nil {
		cfg.Hooks.Leading = func(_ context.Context, l syncer.LeaderInfo) { events.add("%s leads term %d", l.Name, l.Number) }
		cfg.Hooks.Deposed = func(_ context.Context, term uint64, lost bool) {
			events.add("%s ends term %d, lost %v", name, term, lost)
		}
	}
	r.Syncer = configure(t, cfg)
	r.stop = running(t, r.Syncer)
	return r
}

// die cuts the replica off for good and ends it: nobody hears of it any more.
func (r *replica) die() {
	r.client.Cut()
	go r.stop()
}

func (r *replica) role(t *testing.T) syncer.Role {
	t.Helper()
	h, err := r.Health(t.Context())
	require.NoError(t, err)
	return h.Role
}

func targets(channels ...channel.Channel) (all []syncer.Target) {
	for _, c := range channels {
		all = append(all, syncer.Target{Channel: c, Guard: unguarded})
	}
	return all
}

func TestOneReplicaLeadsAndTheNextGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(1, 2, 3), shop("shop", 3)
		events := new(ledgerOfTerms)
		cfg := syncer.Config{Source: source, Targets: targets(m)}
		a := join(t, server, "a", cfg, events)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, events)
		c := join(t, server, "c", cfg, events)
		pass(2 * time.Second)
		require.Equal(t, []string{"a leads term 1"}, events.all())
		for _, r := range []*replica{a, b, c} {
			h, err := r.Health(t.Context())
			require.NoError(t, err)
			assert.True(t, h.Running, "a standby is ready")
			assert.Equal(t, "a", h.Leader.Name)
			assert.EqualValues(t, 1, h.Leader.Number)
		}
		assert.Equal(t, []syncer.Role{syncer.RoleLeader, syncer.RoleStandby, syncer.RoleStandby}, []syncer.Role{a.role(t), b.role(t), c.role(t)})

		require.NoError(t, b.Notify(t.Context(), "p0"), "any replica takes marks")
		pass(2 * time.Second)
		shows(t, m, 1, 100, 100)

		a.stop()
		require.NoError(t, c.Notify(t.Context(), "p1"))
		pass(3 * time.Second)
		shows(t, m, 1, 2, 100)
		lines := events.all()
		require.Len(t, lines, 3)
		assert.Equal(t, "a ends term 1, lost false", lines[1])
		events.mu.Lock()
		assert.Less(t, events.at[2].Sub(events.at[1]), 2*time.Second, "who resigns hands over at once")
		events.mu.Unlock()

		second, third := b, c
		if b.role(t) != syncer.RoleLeader {
			second, third = c, b
		}
		died := time.Now()
		second.die()
		require.NoError(t, third.Notify(t.Context(), "p2"))
		for {
			if n, _ := m.Quantity("SKU-2"); n == 3 {
				break
			}
			pass(100 * time.Millisecond)
			require.Less(t, time.Since(died), 2*leaseTime, "the next one leads when the lease has ended")
		}
		assert.Equal(t, syncer.RoleLeader, third.role(t))
	})
}

// A leader whose database is away for a minute leads again, and Run goes on.
func TestTheQueuesTroubleEndsTheTermAndNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(1), shop("shop", 1)
		events := new(ledgerOfTerms)
		a := join(t, server, "a", syncer.Config{Source: source, Targets: targets(m)}, events)
		pass(5 * time.Second)
		mend := a.client.Cut()
		pass(time.Minute)
		require.Equal(t, []string{"a leads term 1", "a ends term 1, lost true"}, events.all())
		require.Error(t, a.Notify(t.Context(), "p0"))
		mend()
		pass(2 * leaseTime)
		require.Len(t, events.all(), 3)
		require.NoError(t, a.Notify(t.Context(), "p0"))
		pass(5 * time.Second)
		shows(t, m, 1)
	})
}

// Grace is for the end of Run. Who is deposed stops at once: its writes end
// before the next term begins, also where they are slow.
func TestADeposedLeaderCancelsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(50), shop("shop", 1)
		var term atomic.Int64
		late := new(ledgerOfTerms)
		slow := func(name string, number int64, long time.Duration) *channeltest.Intercept {
			return &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				select {
				case <-time.After(long):
				case <-ctx.Done():
					if term.Load() > number {
						late.add("%s wrote until term %d", name, term.Load())
					}
					return ctx.Err()
				}
				if term.Load() > number {
					late.add("%s wrote in term %d", name, term.Load())
				}
				return next.Push(ctx, updates)
			}}
		}
		hooks := syncer.Hooks{}
		begin := func(cfg syncer.Config) syncer.Config {
			cfg.Hooks.Leading = func(_ context.Context, l syncer.LeaderInfo) { term.Store(int64(l.Number)) }
			return cfg
		}
		a := join(t, server, "a", begin(syncer.Config{Source: source, Hooks: hooks, Grace: time.Hour,
			Targets: targets(slow("a", 1, 40*time.Second))}), nil)
		pass(2 * time.Second)
		b := join(t, server, "b", begin(syncer.Config{Source: source, Targets: targets(slow("b", 2, time.Second))}), nil)
		require.NoError(t, a.Notify(t.Context(), "p0"))
		pass(2 * time.Second) // a writes 50, slowly
		a.client.Cut()
		source.put("p0", "SKU-0", 3)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(2 * leaseTime)
		shows(t, m, 3)
		pass(2 * time.Minute)
		shows(t, m, 3)
		assert.Empty(t, late.all())
	})
}

// A term that is renewed lets a write take longer than the lease.
func TestAWriteMayOutlastTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("shop", 1)
		slow := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			select {
			case <-time.After(6 * leaseTime):
				return next.Push(ctx, updates)
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		a := join(t, queuetest.NewServer(leaseTime), "a", syncer.Config{Source: newStock(5), Targets: targets(slow)}, nil)
		require.NoError(t, a.Notify(t.Context(), "p0"))
		pass(7 * leaseTime)
		shows(t, m, 5)
		_, writes := m.Calls()
		assert.Equal(t, 1, writes)
	})
}

// A write of a leader that died lands after its successor's, however it began:
// the successor looks at the product a second time.
func TestWhatWasInterruptedIsLookedAtASecondTime(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *replica){
		"marked": func(t *testing.T, r *replica) { require.NoError(t, r.Notify(t.Context(), "p0")) },
		"asked": func(t *testing.T, r *replica) {
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			go r.SyncProducts(ctx, "p0")
		},
		"nightly": func(t *testing.T, r *replica) {
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			go r.Reconcile(ctx)
		},
	} {
		for _, after := range []time.Duration{40 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprint(name, " lands after ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server, source, m := queuetest.NewServer(leaseTime), newStock(50, 100), shop("shop", 2)
					var hang atomic.Bool
					hang.Store(true)
					shop := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
						if !hang.CompareAndSwap(true, false) {
							return next.Push(ctx, updates)
						}
						go func() { // the shop has it, and takes its time
							time.Sleep(after)
							m.Set(updates[0].SKU, updates[0].Quantity)
						}()
						<-ctx.Done()
						return ctx.Err()
					}}
					cfg := syncer.Config{Source: source, Targets: targets(shop), Schedule: syncer.Never(), Patience: 6 * time.Minute}
					a := join(t, server, "a", cfg, nil)
					pass(2 * time.Second)
					b := join(t, server, "b", cfg, nil)
					start(t, a)
					pass(2 * time.Second) // the write hangs
					source.put("p0", "SKU-0", 3)
					require.NoError(t, b.Notify(t.Context(), "p0"))
					a.die()
					pass(2 * leaseTime)
					shows(t, m, 3)
					pass(7 * time.Minute)
					shows(t, m, 3)
					b.stop()
					for _, err := range server.Open().Records(t.Context(), "writing", "") {
						t.Error("a write is still written down", err)
					}
				})
			})
		}
	}
}

// What a replica remembers of channels is from when it led last.
func TestWhoLeadsAgainHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), &watched{stock: newStock(5)}, shop("shop", 1)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never()}
		a := join(t, server, "a", cfg, nil)
		require.NoError(t, a.Notify(t.Context(), "p0"))
		pass(5 * time.Second)
		shows(t, m, 5)
		b := join(t, server, "b", cfg, nil)
		mend := a.client.Cut()
		pass(20 * time.Second)
		source.put("p0", "SKU-0", 3)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(5 * time.Second)
		shows(t, m, 3)
		mend()
		source.put("p0", "SKU-0", 5) // no event: it is only noticed
		b.stop()
		pass(3 * time.Minute)
		require.Equal(t, syncer.RoleLeader, a.role(t))
		shows(t, m, 5)
	})
}

// sleeper is a queue whose process slept: its terms are over by the clock, and
// nothing has come to end the work yet.
type sleeper struct {
	*queuetest.Client
	slept atomic.Bool
}

func (q *sleeper) Lead(ctx context.Context, self string) (syncer.Term, error) {
	t, err := q.Client.Lead(ctx, self)
	return &sleepersTerm{t, q}, err
}

type sleepersTerm struct {
	syncer.Term
	q *sleeper
}

func (t *sleepersTerm) Left() time.Duration {
	if t.q.slept.Load() {
		return 0
	}
	return t.Term.Left()
}

func TestAProcessThatSleptWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &sleeper{Client: queuetest.NewServer(leaseTime).Open()}
		m := shop("shop", 1)
		wrote := 0
		c := &channeltest.Intercept{Channel: m,
			OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				q.slept.Store(wrote == 0)
				return next.Levels(ctx, skus)
			},
			OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				assert.False(t, q.slept.Load(), "a write of a term that is over")
				wrote++
				return next.Push(ctx, updates)
			},
		}
		s := configure(t, syncer.Config{Source: newStock(5), Queue: q, Targets: targets(c), Schedule: syncer.Never()})
		running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Second)
		assert.Zero(t, wrote)
		wrote = 1 // from now on it is awake
		q.slept.Store(false)
		pass(leaseTime)
		shows(t, m, 5)
	})
}
