package syncer_test

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// hasty is a queue whose Wait returns whether anything is due or not.
type hasty struct {
	*syncer.MemoryQueue
	waits atomic.Int64
}

func (h *hasty) Wait(ctx context.Context, _ string) error {
	if h.waits.Add(1) > 100_000 { // or no time would pass
		<-ctx.Done()
	}
	return ctx.Err()
}

func TestAQueueThatDoesNotWaitIsNotAskedWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5), shop("a", 1)
		q := &hasty{MemoryQueue: syncer.NewMemoryQueue()}
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, a)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Second)
		shows(t, a, 5)
		assert.Less(t, q.waits.Load(), int64(10_000))
	})
}

// odd is a queue that counts attempts in its own way, and answers what nobody asked.
type odd struct {
	*syncer.MemoryQueue
	attempt int
}

func (o odd) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	tasks, err := o.MemoryQueue.Lease(ctx, lane, n)
	for i := range tasks {
		tasks[i].Attempt, tasks[i].Marks = o.attempt, o.attempt
	}
	return append(tasks, syncer.Task{Key: syncer.Key{Lane: "another", ID: "p2"}}), err
}

func TestOddTasksOfAQueue(t *testing.T) {
	for _, n := range []int{-1, math.MinInt, math.MaxInt} {
		synctest.Test(t, func(t *testing.T) {
			source, a := newStock(5, 6, 7), shop("a", 3)
			q := odd{syncer.NewMemoryQueue(), n}
			s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, a)
			defer running(t, s)()
			require.NoError(t, s.Notify(t.Context(), "p0", "no such product"))
			pass(time.Minute)
			require.NoError(t, s.Notify(t.Context(), "p1"))
			pass(time.Minute)
			shows(t, a, 5, 6, 100)
		})
	}
}

// One record of a held line that makes no sense hides no other, and goes with them.
func TestAHeldLineThatMakesNoSenseHidesNoOther(t *testing.T) {
	for _, value := range []string{"{", `{"sku":"SKU-1","channel":"a"}`, "null"} {
		synctest.Test(t, func(t *testing.T) {
			source, a := newStock(), shop("a", 12)
			for i := range 12 {
				source.put(fmt.Sprint("p", i), fmt.Sprint("SKU-", i), 0)
			}
			q := syncer.NewMemoryQueue()
			s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, a)
			defer running(t, s)()
			_, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, syncer.ErrHeld)
			require.NoError(t, q.Save(t.Context(), "held/a", syncer.Record{Key: "odd", Value: []byte(value)}))
			h, err := s.Held(t.Context())
			require.NoError(t, err)
			require.Len(t, h[0].Lines, 13)
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "Ana", Hash: h[0].Hash}))
			pass(time.Hour)
			shows(t, a, 0, 0, 0)
			h, err = s.Held(t.Context())
			require.NoError(t, err)
			assert.Empty(t, h)
		})
	}
}

// A plan that comes from elsewhere may say anything.
func TestAPlanWithoutQuantitiesIsRefused(t *testing.T) {
	a := shop("a", 1)
	s := build(t, newStock(5), a)
	for _, l := range []syncer.Line{{Wanted: math.MaxInt, Shown: new(100)}, {Wanted: 5, Shown: new(math.MinInt)}} {
		l.Channel, l.ProductID, l.SKU, l.Reason = "a", "p0", "SKU-0", syncer.ReasonOver
		_, err := s.Apply(t.Context(), &syncer.Plan{Lines: []syncer.Line{l}, Undo: true, Approved: true})
		require.ErrorIs(t, err, channel.ErrInvalid)
		shows(t, a, 100)
	}
}

// mute is a queue that does not return from a Save of some set, for an hour, once.
type mute struct {
	*syncer.MemoryQueue
	set   string
	hangs atomic.Bool
}

func (q *mute) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if set == q.set && q.hangs.Swap(false) {
		time.Sleep(time.Hour)
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

// Nobody waits behind a mutex for a Save that hangs: what was to be known of
// troubles, or of how far a run came.
func TestNobodyWaitsForASaveThatHangs(t *testing.T) {
	for _, set := range []string{"troubles/a", "state", "held/a", "guards", "flights"} {
		t.Run(set, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a := newStock(5, 6, 7), shop("a", 2)
				q := &mute{MemoryQueue: syncer.NewMemoryQueue(), set: set}
				s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, a, shop("b", 3))
				defer running(t, s)()
				q.hangs.Store(true)
				require.NoError(t, s.Notify(t.Context(), "p2")) // a does not have it
				for range 3 {
					go func() { _, _ = s.SyncProducts(t.Context(), "p0", "p2") }()
				}
				_, _ = s.Reconcile(t.Context())
				pass(2 * time.Hour)
				source.put("p1", "SKU-1", 9)
				require.NoError(t, s.Notify(t.Context(), "p1"))
				pass(time.Minute)
				shows(t, a, 5, 9)
			})
		})
	}
}
