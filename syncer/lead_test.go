package syncer_test

import (
	"context"
	"errors"
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

// A replica that was cut off from the queue, again and again, stands by at once
// each time: otherwise, when all of them have been, nobody leads.
func TestWhoIsCutOffAgainAndAgainStandsBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = 2 * time.Second
		server, source, m := queuetest.NewServer(lease), newStock(1), shop("shop", 1)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never()}
		replicas := map[string]*replica{}
		for _, name := range []string{"a", "b", "c"} {
			replicas[name] = join(t, server, name, cfg, nil)
		}
		pass(lease)
		eye := server.Open()
		for round := range 20 {
			old, err := eye.Leader(t.Context())
			require.NoError(t, err)
			mend := replicas[old.Name].client.Cut()
			cut := time.Now()
			for {
				if next, err := eye.Leader(t.Context()); err == nil && next.Number > old.Number {
					break
				}
				pass(50 * time.Millisecond)
				require.Less(t, time.Since(cut), 2*lease, "nobody leads after the cut of %s in round %d", old.Name, round)
			}
			pass(lease / 2)
			mend()
			pass(lease / 2)
			assert.Equal(t, syncer.RoleStandby, replicas[old.Name].role(t))
		}
	})
}

// fleeting is a queue whose terms end as they begin.
type fleeting struct {
	*queuetest.Client
	left time.Duration
	leds atomic.Int64
	good atomic.Bool // its terms last
}

func (q *fleeting) Lead(ctx context.Context, self string) (syncer.Term, error) {
	q.leds.Add(1)
	t, err := q.Client.Lead(ctx, self)
	if err != nil || q.good.Load() {
		return t, err
	}
	return &fleetingTerm{t, q.left}, t.Resign(ctx)
}

type fleetingTerm struct {
	syncer.Term
	left time.Duration
}

func (t *fleetingTerm) Left() time.Duration { return t.left }

// A queue whose terms end at once is out of order: it is not asked for the next
// without a pause, which grows.
func TestTermsThatEndAtOnce(t *testing.T) {
	for _, left := range []time.Duration{0, leaseTime} {
		synctest.Test(t, func(t *testing.T) {
			q := &fleeting{Client: queuetest.NewServer(leaseTime).Open(), left: left}
			s := configure(t, syncer.Config{Source: newStock(1), Queue: q, Targets: targets(shop("shop", 1)), Schedule: syncer.Never()})
			running(t, s)
			pass(10 * time.Minute)
			h, err := s.Health(t.Context())
			require.NoError(t, err)
			assert.Equal(t, syncer.RoleStandby, h.Role, "until the next begins")
			assert.LessOrEqual(t, q.leds.Load(), int64(40), "of terms that claim %v", left)
			assert.GreaterOrEqual(t, q.leds.Load(), int64(20))
		})
	}
}

// How long it stands back for terms that end at once is forgotten with one that lasted.
func TestATermThatLastsIsANewBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &fleeting{Client: queuetest.NewServer(leaseTime).Open()}
		s := configure(t, syncer.Config{Source: newStock(1), Queue: q, Targets: targets(shop("shop", 1)), Schedule: syncer.Never()})
		running(t, s)
		pass(10 * time.Minute)
		q.good.Store(true)
		pass(2 * time.Minute)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		require.Equal(t, syncer.RoleLeader, h.Role)
		q.good.Store(false)
		mend := q.Cut()
		pass(2 * leaseTime)
		mend()
		before := q.leds.Load()
		pass(3 * leaseTime)
		assert.Greater(t, q.leds.Load()-before, int64(3))
	})
}

// severed is a queue that is cut off as its first term begins.
type severed struct {
	*queuetest.Client
	mend  func()
	asked []time.Time
}

func (q *severed) Lead(ctx context.Context, self string) (syncer.Term, error) {
	q.asked = append(q.asked, time.Now())
	t, err := q.Client.Lead(ctx, self)
	if q.mend == nil {
		q.mend = q.Client.Cut()
	}
	return t, err
}

// A term that is over before all is taken over from the last one ends as any other,
// and who has lost it stands by at once.
func TestATermThatIsOverBeforeItsWorkBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, events := &severed{Client: queuetest.NewServer(leaseTime).Open()}, new(ledgerOfTerms)
		logger, lost := saying("leads no longer")
		s := configure(t, syncer.Config{Source: newStock(1), Queue: q, Name: "a", Targets: targets(shop("shop", 1)), Schedule: syncer.Never(), Logger: logger,
			Hooks: syncer.Hooks{
				Leading: func(_ context.Context, l syncer.LeaderInfo) { events.add("leads term %d", l.Number) },
				Deposed: func(_ context.Context, term uint64, lost bool) { events.add("ends term %d, lost %v", term, lost) },
			}})
		stop := running(t, s)
		pass(2 * leaseTime)
		assert.Equal(t, []string{"leads term 1", "ends term 1, lost true"}, events.all())
		assert.Equal(t, 1, lost())
		assert.Equal(t, q.asked[1], events.at[1])
		q.mend()
		pass(2 * leaseTime)
		stop()
		assert.Equal(t, []string{"leads term 2", "ends term 2, lost false"}, events.all()[2:])
		assert.Equal(t, 1, lost())
	})
}

// A sluggish queue takes its time to save who is there.
type sluggish struct{ *queuetest.Client }

func (q sluggish) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if set == "replicas" {
		time.Sleep(100 * time.Millisecond)
	}
	return q.Client.Save(ctx, set, records...)
}

// Who has ended is there no longer.
func TestRunEndsWhenItIsNoReplicaAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := queuetest.NewServer(leaseTime)
		s := configure(t, syncer.Config{Source: newStock(1), Queue: sluggish{server.Open()}, Targets: targets(shop("shop", 1)), Schedule: syncer.Never()})
		there := func() (n int) {
			for _, err := range server.Open().Records(t.Context(), "replicas", "") {
				require.NoError(t, err)
				n++
			}
			return n
		}
		stop := running(t, s)
		pass(time.Second)
		assert.Equal(t, 1, there())
		stop()
		assert.Zero(t, there())
	})
}

// A carrier is a channel that takes what is written in a file, which is done
// after half an hour, and not quite as it should be the first time.
type carrier struct {
	*channeltest.Memory
	mu    sync.Mutex
	file  []channel.Update
	done  time.Time
	files int
	told  int
}

func (c *carrier) Push(_ context.Context, updates []channel.Update) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := make(channel.Errors)
	for _, u := range updates {
		errs[u.SKU] = slowly{}
	}
	c.file, c.done = updates, time.Now().Add(30*time.Minute)
	c.files++
	return errs
}

func (c *carrier) Resume(context.Context) (skus []string, again time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil || time.Now().Before(c.done) {
		return nil, 20 * time.Second, nil
	}
	for _, u := range c.file {
		if c.files > 1 {
			c.Set(u.SKU, u.Quantity)
		}
		skus = append(skus, u.SKU)
	}
	c.file = nil
	c.told++
	return skus, 0, nil
}

// Work that outlasts a call is gone on with by whoever leads, who compares what
// it came to, though another has written it.
func TestWorkThatOutlastsItsLeaderGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, m := queuetest.NewServer(leaseTime), shop("shop", 1)
		c := &carrier{Memory: m}
		cfg := syncer.Config{Source: newStock(5), Targets: targets(c), Schedule: syncer.Never()}
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(5 * time.Second)
		a.die()
		pass(29 * time.Minute)
		c.mu.Lock()
		assert.Equal(t, 1, c.files, "b waits for the file of a")
		c.mu.Unlock()
		shows(t, m, 100)
		pass(2 * time.Minute)
		c.mu.Lock()
		assert.Equal(t, []int{1, 2}, []int{c.told, c.files}, "and makes up for what it did not do")
		c.mu.Unlock()
		pass(31 * time.Minute)
		shows(t, m, 5)
		b.stop()
	})
}

// A queue of a process's own has no terms that anybody hears of.
func TestAnOwnQueueHasNoTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := unguardedly(t, syncer.Config{Source: newStock(5), Hooks: syncer.Hooks{
			Leading: func(context.Context, syncer.LeaderInfo) { assert.Fail(t, "leads") },
			Deposed: func(context.Context, uint64, bool) { assert.Fail(t, "leads no longer") },
		}}, shop("a", 1))
		stop := running(t, s)
		pass(time.Minute)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Empty(t, h.Role)
		stop()
	})
}

// A latecomer is a channel that accepts what it is sent, and shows it an hour later.
type latecomer struct {
	*channeltest.Memory
	sent atomic.Int64
}

func (l *latecomer) Lag() time.Duration { return time.Hour }

func (l *latecomer) Push(_ context.Context, updates []channel.Update) error {
	errs := make(channel.Errors)
	for _, u := range updates {
		l.sent.Add(1)
		errs[u.SKU] = channel.ErrPending
		time.AfterFunc(59*time.Minute, func() { l.Set(u.SKU, u.Quantity) })
	}
	return errs
}

// What was accepted and does not show yet is not sent again by who leads once more,
// nor by the next process where the last one has ended in good order.
func TestWhatIsPendingIsSentOnce(t *testing.T) {
	server := func() syncer.Queue { return queuetest.NewServer(leaseTime).Open() }
	own := func() syncer.Queue { return keptQueue{syncer.NewMemoryQueue()} }
	for name, tt := range map[string]struct {
		queue func() syncer.Queue
		cut   bool
	}{"when a term follows another": {server, true}, "when a process follows another": {own, false}, "when a leader does": {server, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, q := &latecomer{Memory: shop("shop", 1)}, tt.queue()
				cfg := syncer.Config{Source: newStock(5), Queue: q, Targets: targets(l), Schedule: syncer.Never(), WatchEvery: -1}
				s := configure(t, cfg)
				stop := running(t, s)
				pass(2 * time.Second)
				require.NoError(t, s.Notify(t.Context(), "p0"))
				pass(5 * time.Second)
				require.EqualValues(t, 1, l.sent.Load())
				if tt.cut {
					mend := q.(*queuetest.Client).Cut()
					pass(time.Minute)
					mend()
				} else {
					stop()
					s = configure(t, cfg)
					stop = running(t, s)
				}
				pass(time.Minute)
				require.NoError(t, s.Notify(t.Context(), "p0"))
				pass(30 * time.Minute)
				assert.EqualValues(t, 1, l.sent.Load())
				pass(time.Hour)
				shows(t, l.Memory, 5)
				assert.EqualValues(t, 1, l.sent.Load())
				stop()
			})
		})
	}
}

// limping is a shared queue of whose first term nothing can be leased, until that is
// over.
type limping struct {
	*queuetest.Client
	terms atomic.Int64
}

func (q *limping) Lead(ctx context.Context, self string) (syncer.Term, error) {
	t, err := q.Client.Lead(ctx, self)
	if err != nil || q.terms.Add(1) > 1 {
		return t, err
	}
	time.AfterFunc(time.Minute, func() { _ = t.Resign(context.Background()) })
	return limpingTerm{t}, nil
}

type limpingTerm struct{ syncer.Term }

func (limpingTerm) Lease(context.Context, string, int) ([]syncer.Task, error) {
	return nil, errors.New("out of connections")
}

// What was wrong with the queue in one term is not said of the next, which works.
func TestTheQueuesTroubleEndsWithItsTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, m := &limping{Client: queuetest.NewServer(leaseTime).Open()}, shop("shop", 1)
		s := configure(t, syncer.Config{Source: newStock(5), Queue: q, Targets: targets(m), Schedule: syncer.Never()})
		stop := running(t, s)
		pass(time.Second)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(30 * time.Second)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		require.ErrorContains(t, h.QueueErr, "out of connections")
		pass(2 * time.Minute)
		shows(t, m, 5)
		h, err = s.Health(t.Context())
		require.NoError(t, err)
		assert.NoError(t, h.QueueErr)
		assert.Zero(t, h.QueueSince)
		stop()
	})
}
