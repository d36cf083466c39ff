package syncer_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// What is marked for a channel that is paused waits: it is neither read at the source
// nor taken out of the queue again and again.
func TestNothingIsReadForAPausedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, q := newStock(1), shop("a", 1), &unheeded{MemoryQueue: syncer.NewMemoryQueue()}
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		defer running(t, s)()
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Hour)
		assert.Zero(t, source.asked())
		assert.Less(t, q.leases.Load(), int64(5))
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Second)
		shows(t, m, 1)
	})
}

// A pause that cannot be read is one: what is not known to be wanted is not done.
func TestAPauseThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, m := syncer.NewMemoryQueue(), shop("a", 1)
		require.NoError(t, q.Save(t.Context(), "pauses", syncer.Record{Key: "paused/a", Value: []byte("{")}))
		s := unguardedly(t, syncer.Config{Source: newStock(1), Queue: q, Schedule: syncer.Never()}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		assert.Zero(t, calls(m))
		p := pausedOf(t, s)
		require.NotNil(t, p)
		assert.Equal(t, []string{"a", "an unreadable record"}, []string{p.Channel, p.Who})
		assert.WithinDuration(t, time.Now(), p.Since, time.Minute)
		require.NoError(t, s.Resume(t.Context(), "a", "ann"))
		pass(time.Second)
		shows(t, m, 1)
	})
}

// unheeded is a queue whose pauses cannot be read at times.
type unheeded struct {
	*syncer.MemoryQueue
	fails  atomic.Bool
	leases atomic.Int64
}

func (q *unheeded) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	q.leases.Add(1)
	return q.MemoryQueue.Lease(ctx, lane, n)
}

func (q *unheeded) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	if set == "pauses" && q.fails.Load() {
		return func(yield func(syncer.Record, error) bool) { yield(syncer.Record{}, errors.New("bad sector")) }
	}
	return q.MemoryQueue.Records(ctx, set, from)
}

// While it cannot be read whether a channel is paused, it is what it was, and the log
// says so once.
func TestPausesThatCannotBeReadForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, m := &unheeded{MemoryQueue: syncer.NewMemoryQueue()}, shop("a", 1)
		logger, unknown := saying("whether a channel is paused is not known; what was known goes on")
		s := unguardedly(t, syncer.Config{Source: newStock(1), Queue: q, Schedule: syncer.Never(), Logger: logger}, m)
		stop := running(t, s)
		pass(time.Minute)
		assert.Zero(t, unknown())
		for n := range 2 {
			q.fails.Store(true)
			pass(time.Hour)
			assert.Equal(t, n+1, unknown())
			q.fails.Store(false)
			pass(time.Minute)
		}
		require.NoError(t, s.Pause(t.Context(), "a", "ann"))
		q.fails.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		assert.Zero(t, calls(m))
		stop()
	})
}
