package syncer_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

// setBack runs two processes, one after the other, on one file. The clock is set
// back by ten days in between.
func setBack(t *testing.T, before, after func(t *testing.T, q syncer.Queue)) {
	file := filepath.Join(t.TempDir(), "queue.db")
	for i, process := range []func(t *testing.T, q syncer.Queue){before, after} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(1-i) * 10 * 24 * time.Hour) // each begins at the same time
			q, err := boltqueue.Open(file)
			require.NoError(t, err)
			defer q.Close()
			process(t, q)
		})
	}
}

// An approval is good for a day. Where the clock is set back it was given in the
// future, and would be good until then.
func TestAnApprovalOutlivesNoClock(t *testing.T) {
	var source *stock
	var m *channeltest.Memory
	for name, a := range map[string]syncer.Approval{"of what was shown": {}, "of a number": {UpTo: 50}} {
		t.Run(name, func(t *testing.T) {
			setBack(t, func(t *testing.T, q syncer.Queue) {
				var s *syncer.Syncer
				var h syncer.Holding
				if a.UpTo == 0 {
					source, m, s, h = tripped(t, q)
				} else {
					source, m = catalogue(100)
					s = configure(t, syncer.Config{Source: source, Queue: q}, m)
				}
				require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: h.Hash, UpTo: a.UpTo}))
			}, func(t *testing.T, q syncer.Queue) {
				for i := range 50 {
					source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
				}
				s := configure(t, syncer.Config{Source: source, Queue: q}, m)
				defer running(t, s)()
				time.Sleep(3 * 24 * time.Hour)
				assert.Zero(t, gone(m, 100))
				x, err := s.Explain(t.Context(), syncer.Question{ProductID: "p1"})
				require.NoError(t, err)
				assert.NotContains(t, x.String(), "ann has approved it")

				held, err := s.Held(t.Context()) // who looks again can approve again
				require.NoError(t, err)
				require.Len(t, held, 1)
				assert.Nil(t, held[0].Approved)
				require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", Hash: held[0].Hash}))
				pass(time.Minute)
				assert.Equal(t, 50, gone(m, 100))
			})
		})
	}
}

// A stoppedQueue gives all marks one time in the future, as one does whose server's
// clock was set back: a mark is newer than all that came before it.
type stoppedQueue struct {
	*syncer.MemoryQueue
	at time.Time
}

func (q *stoppedQueue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	tasks, err := q.MemoryQueue.Lease(ctx, lane, n)
	for i := range tasks {
		q.at = q.at.Add(1)
		tasks[i].Last = q.at
	}
	return tasks, err
}

// What is sold out within weeks is no danger, though all of it was marked at one time.
func TestAWindowOutlivesAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		q := &stoppedQueue{syncer.NewMemoryQueue(), time.Now().Add(365 * 24 * time.Hour)}
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		defer running(t, s)()
		for i := range 20 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
			pass(time.Hour)
		}
		assert.Equal(t, 20, gone(m, 100))
	})
}

// What the journal has from the future hides nothing, and goes as what is old does.
func TestAJournalOutlivesNoClock(t *testing.T) {
	source, m := catalogue(3)
	cfg := syncer.Config{Source: source, Journal: 30 * 24 * time.Hour, Schedule: syncer.Never()}
	write := func(t *testing.T, q syncer.Queue, available int) (*syncer.Syncer, []syncer.Entry) {
		cfg.Queue = q
		source.put("p1", "SKU-1", available)
		s := configure(t, cfg, m)
		_, err := s.SyncProducts(t.Context(), "p1")
		require.NoError(t, err)
		var all []syncer.Entry
		for e, err := range s.Journal(t.Context(), "p1") {
			require.NoError(t, err)
			all = append(all, e)
		}
		return s, all
	}
	setBack(t, func(t *testing.T, q syncer.Queue) {
		_, all := write(t, q, 8)
		assert.Len(t, all, 1)
	}, func(t *testing.T, q syncer.Queue) {
		s, all := write(t, q, 7)
		require.Len(t, all, 1)
		assert.Equal(t, 7, all[0].Wanted)
		source.put("p1", "SKU-1", 6) // no event told
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		for e, err := range s.Journal(t.Context(), "p1") {
			require.NoError(t, err)
			assert.Equal(t, syncer.NoEvent, e.Culprit)
			break
		}
	})
}
