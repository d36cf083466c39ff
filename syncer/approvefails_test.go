package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
)

// saveless is a queue of which one call of Save fails: the one after that many.
type saveless struct {
	*syncer.MemoryQueue
	in     int
	sets   string // only of these; "" means all
	failed bool
}

func (q *saveless) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if q.sets == "" || q.sets == set {
		if q.in--; q.in == 0 {
			q.failed = true
			return errors.New("disk full")
		}
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

// Whatever cannot be kept of an approval, it is done at last, and the guard is
// clear then.
func TestAnApprovalIsDoneWhateverCannotBeKept(t *testing.T) {
	for n := 1; ; n++ {
		failed := false
		synctest.Test(t, func(t *testing.T) {
			q := &saveless{MemoryQueue: syncer.NewMemoryQueue()}
			_, m, s, h := tripped(t, q)
			q.in = n
			approve := func() error {
				return s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash})
			}
			if err := approve(); q.failed {
				require.Error(t, err, "Save %d", n)
				require.NoError(t, approve())
			} else {
				require.NoError(t, err)
			}
			for range 2 {
				_, _ = s.Reconcile(t.Context())
			}
			failed = q.failed
			assert.Equal(t, 50, gone(m, 100), "Save %d", n)
			held, err := s.Held(t.Context())
			require.NoError(t, err)
			assert.Empty(t, held, "Save %d", n)
		})
		if !failed || n > 100 {
			assert.Greater(t, n, 3)
			return
		}
	}
}

// What is held after something was approved is not approved.
func TestAnApprovalDoesNotClearAGuardThatHoldsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, s, h := tripped(t, syncer.NewMemoryQueue())
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		source.put("p60", "SKU-60", 0)
		_, err := s.SyncProducts(t.Context(), "p60")
		require.ErrorIs(t, err, syncer.ErrHeld)
		stop := running(t, s)
		pass(time.Minute)
		stop()
		assert.Equal(t, 50, gone(m, 100))
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		require.Len(t, held[0].Lines, 1)
		assert.Equal(t, "SKU-60", held[0].Lines[0].SKU)
	})
}

// An approval that cannot be used up covers nothing: it would cover everything.
func TestAnApprovalThatCannotBeUsedUpCoversNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		q := &saveless{MemoryQueue: syncer.NewMemoryQueue(), sets: "approvals"}
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 100}))
		for i := range 50 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		q.in = 1
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.True(t, q.failed)
		assert.Zero(t, gone(m, 100))
	})
}

// An approval covers its own channel, whatever others are called.
func TestAnApprovalCoversItsOwnChannel(t *testing.T) {
	source, m := catalogue(100)
	other := channeltest.NewMemory("a/b")
	for i := range 100 {
		other.Set(fmt.Sprintf("SKU-%d", i), 10)
	}
	s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m, other)
	require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a/b", Who: "ann", UpTo: 100}))
	for i := range 50 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	_, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	assert.Equal(t, []int{0, 50}, []int{gone(m, 100), gone(other, 100)})
}

// Who has approved is known for a month, and then forgotten.
func TestApprovalsAreKeptForAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		_, _, s, h := tripped(t, q)
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		kept := func() (n int) {
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			for _, err := range q.Records(t.Context(), "approvals", "") {
				require.NoError(t, err)
				n++
			}
			return n
		}
		assert.Equal(t, 1, kept())
		time.Sleep(30 * 24 * time.Hour)
		assert.Equal(t, 1, kept())
		time.Sleep(25 * time.Hour)
		assert.Zero(t, kept())
	})
}

// What is approved while its channel is down, or paused, is done when it is back.
func TestWhatIsApprovedWaitsForItsChannel(t *testing.T) {
	for _, paused := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			q := syncer.NewMemoryQueue()
			source, m, first, h := tripped(t, q)
			var down atomic.Bool
			down.Store(!paused)
			c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				if down.Load() {
					return channel.ErrUnavailable
				}
				return next.Push(ctx, updates)
			}}
			s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, c)
			if paused {
				require.NoError(t, s.Pause(t.Context(), "a", "ann"))
			}
			require.NoError(t, first.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
			stop := running(t, s)
			defer stop()
			pass(2 * time.Minute)
			assert.Zero(t, gone(m, 100))
			down.Store(false)
			if paused {
				require.NoError(t, s.Resume(t.Context(), "a", "ann"))
			}
			pass(2 * time.Minute)
			assert.Equal(t, 50, gone(m, 100), "paused: %v", paused)
			held, err := s.Held(t.Context())
			require.NoError(t, err)
			assert.Empty(t, held)
		})
	}
}

// What is approved and cannot be done is not held for ever.
func TestWhatIsApprovedAndRefusedIsHeldNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, s, h := tripped(t, syncer.NewMemoryQueue())
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
		m.Remove("SKU-0")
		source.mu.Lock()
		delete(source.products, "p1")
		source.mu.Unlock()
		stop := running(t, s)
		defer stop()
		pass(time.Minute)
		assert.Equal(t, 49, gone(m, 100), "one does not exist on the channel, and one at the source")
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	})
}

// What is approved is done in the run in which an older approval turns out to make no
// sense.
func TestAnApprovalThatMakesNoSenseHoldsUpNoOther(t *testing.T) {
	q := syncer.NewMemoryQueue()
	_, m, s, h := tripped(t, q)
	require.NoError(t, q.Save(t.Context(), "approvals", syncer.Record{Key: "a/0", Value: []byte("{")}))
	require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 50, gone(m, 100))
}

// A plan is not written if it cannot be known what a guard holds.
func TestApplyWithoutTheGuardsMemoryWritesNothing(t *testing.T) {
	source, m := catalogue(100)
	q := &guardless{syncer.NewMemoryQueue()}
	s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
	source.put("p0", "SKU-0", 0)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), plan)
	require.ErrorContains(t, err, "disk full")
	assert.Zero(t, gone(m, 100))
	_, err = s.Apply(t.Context(), nil)
	require.ErrorContains(t, err, "nil")
}

// guardless is a queue that cannot say what guards remember.
type guardless struct{ *syncer.MemoryQueue }

func (q guardless) Load(ctx context.Context, set, key string) ([]byte, error) {
	if set == "guards" {
		return nil, errors.New("disk full")
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

// faulty is a queue of which one call about what guards hold fails: the one after
// that many.
type faulty struct {
	*syncer.MemoryQueue
	in     atomic.Int64
	failed atomic.Bool
}

func (q *faulty) fails(set string) error {
	if (set == "approvals" || set == "guards" || set == "held/a") && q.in.Add(-1) == 0 {
		q.failed.Store(true)
		return errors.New("disk full")
	}
	return nil
}

func (q *faulty) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if err := q.fails(set); err != nil {
		return err
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

func (q *faulty) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := q.fails(set); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

func (q *faulty) Records(ctx context.Context, set, prefix string) iter.Seq2[syncer.Record, error] {
	if err := q.fails(set); err != nil {
		return func(yield func(syncer.Record, error) bool) { yield(syncer.Record{}, err) }
	}
	return q.MemoryQueue.Records(ctx, set, prefix)
}

// Run does what was approved, and forgets what cannot be done, whichever call of the
// queue fails once; what was held since stays held.
func TestRunDoesWhatIsApprovedWhateverTheQueueFails(t *testing.T) {
	for name, tt := range map[string]struct {
		by    syncer.Approval
		since func(t *testing.T, source *stock, m *channeltest.Memory, s *syncer.Syncer)
		gone  int
		held  []string
	}{
		"all of it":        {by: syncer.Approval{UpTo: 50}, gone: 50},
		"lines dealt with": {by: syncer.Approval{}, since: mend},
		"and more is held": {by: syncer.Approval{}, since: loseOneMore, gone: 50, held: []string{"SKU-60"}},
	} {
		t.Run(name, func(t *testing.T) {
			for n, failed := int64(1), true; failed && n < 30; n++ {
				synctest.Test(t, func(t *testing.T) {
					q := &faulty{MemoryQueue: syncer.NewMemoryQueue()}
					source, m, s, h := tripped(t, q)
					by := tt.by
					by.Channel, by.Who = "a", "ann"
					if by.UpTo == 0 {
						by.Hash = h.Hash
					}
					q.in.Store(n)
					if err := s.Approve(t.Context(), by); q.failed.Load() {
						require.Error(t, err, "call %d", n)
						require.NoError(t, s.Approve(t.Context(), by))
					} else {
						require.NoError(t, err)
					}
					if tt.since != nil {
						in := q.in.Swap(0)
						tt.since(t, source, m, s)
						q.in.Store(in)
					}
					stop := running(t, s)
					pass(time.Minute)
					stop()
					failed = q.failed.Load()
					q.in.Store(0)
					assert.Equal(t, tt.gone, gone(m, 100), "call %d", n)
					held, err := s.Held(t.Context())
					require.NoError(t, err)
					if tt.held == nil {
						assert.Empty(t, held, "call %d", n)
						return
					}
					require.Len(t, held, 1, "call %d", n)
					assert.Equal(t, tt.held, skusOf(held[0].Lines), "call %d", n)
				})
			}
		})
	}
}

// mend has the source want what is shown again.
func mend(t *testing.T, source *stock, _ *channeltest.Memory, s *syncer.Syncer) {
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprintf("p%d", i))
		source.put(ids[i], fmt.Sprintf("SKU-%d", i), 10)
	}
	_, err := s.SyncProducts(t.Context(), ids...)
	require.NoError(t, err)
}

// loseOneMore has one product more held, and one less on the channel.
func loseOneMore(t *testing.T, source *stock, m *channeltest.Memory, s *syncer.Syncer) {
	m.Remove("SKU-0")
	source.put("p60", "SKU-60", 0)
	_, err := s.SyncProducts(t.Context(), "p60")
	require.ErrorIs(t, err, syncer.ErrHeld)
}

// What is approved is done at last though the source is down, the channel is paused,
// or its listings change, just when it is to be done.
func TestWhatIsApprovedAndCannotBeDoneYetStaysApproved(t *testing.T) {
	for _, why := range []string{"down", "paused", "changing", "unheard"} {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &unheard{MemoryQueue: syncer.NewMemoryQueue()}
				source, m, first, h := tripped(t, q)
				var conflicts atomic.Int64
				c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					if err := next.Push(ctx, updates[1:]); conflicts.Load() == 0 || err != nil {
						return errors.Join(err, next.Push(ctx, updates[:1]))
					}
					conflicts.Add(-1)
					return channel.Errors{updates[0].SKU: channel.ErrConflict}
				}}
				heeds := &heeding{stock: source}
				s := configure(t, syncer.Config{Source: heeds, Queue: q, Schedule: syncer.Never()}, c)
				heeds.asked = func() {
					switch why {
					case "down":
						heeds.down.Store(true)
					case "paused":
						assert.NoError(t, s.Pause(t.Context(), "a", "ann"))
					case "changing":
						conflicts.Store(3)
					}
				}
				require.NoError(t, first.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash}))
				stop := running(t, s)
				defer stop()
				pass(10 * time.Second)
				q.fails.Store(why == "unheard")
				pass(10 * time.Second)
				q.fails.Store(false)
				assert.Less(t, gone(m, 100), 50)
				held, err := s.Held(t.Context())
				require.NoError(t, err)
				require.Len(t, held, 1)
				assert.NotNil(t, held[0].Approved)
				heeds.down.Store(false)
				if why == "paused" {
					require.NoError(t, s.Resume(t.Context(), "a", "ann"))
				}
				pass(2 * time.Minute)
				assert.Equal(t, 50, gone(m, 100))
				held, err = s.Held(t.Context())
				require.NoError(t, err)
				assert.Empty(t, held)
			})
		})
	}
}

// unheard is a queue that cannot say which channels are paused.
type unheard struct {
	*syncer.MemoryQueue
	fails atomic.Bool
}

func (q *unheard) Records(ctx context.Context, set, prefix string) iter.Seq2[syncer.Record, error] {
	if set == "pauses" && q.fails.Load() {
		return func(yield func(syncer.Record, error) bool) { yield(syncer.Record{}, errors.New("disk full")) }
	}
	return q.MemoryQueue.Records(ctx, set, prefix)
}

// heeding tells when products are first asked for by their ids, and answers nothing
// while it is down.
type heeding struct {
	*stock
	asked func()
	once  sync.Once
	down  atomic.Bool
}

func (a *heeding) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if len(ids) > 0 {
		a.once.Do(a.asked)
	}
	if a.down.Load() {
		return func(yield func(channel.Stock, error) bool) { yield(channel.Stock{}, channel.ErrUnavailable) }
	}
	return a.stock.Stock(ctx, ids...)
}
