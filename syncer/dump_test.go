package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func TestMemoryQueueTellsAllThatItKeeps(t *testing.T) {
	queuetest.TestDumper(t, func(*testing.T) (queue, worked syncer.Queue) {
		q := syncer.NewMemoryQueue()
		return q, q
	})
}

// What a syncer knew on one queue it knows on the other.
func TestAServiceMovesToAnotherQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), shop("a", 40)
		for i := range 40 {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0) // a bad import
		}
		source.put("p40", "SKU-40", 5)
		old := syncer.NewMemoryQueue()
		with := func(q syncer.Queue) *syncer.Syncer {
			return configure(t, syncer.Config{Source: source, Queue: q, Journal: 24 * time.Hour, Schedule: syncer.Daily(2, 0, time.UTC)}, m)
		}
		stop := running(t, with(old))
		pass(3 * time.Hour) // a night that trips the guard
		stop()
		require.NoError(t, with(old).Notify(t.Context(), "p40"))

		moved := syncer.NewMemoryQueue()
		copied, err := syncer.CopyQueue(t.Context(), moved, old)
		require.NoError(t, err)
		assert.Equal(t, 1, copied.Marks)
		s := with(moved)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1, "what the guard holds is still held")
		require.Len(t, held, 1, "what the guard holds is still held")
		assert.Len(t, held[0].Lines, 40)
		entries := 0
		for _, err := range s.Journal(t.Context(), "") {
			require.NoError(t, err)
			entries++
		}
		assert.Positive(t, entries, "the journal is there")
		m.Set("SKU-40", 9)
		before := source.asked()
		stop = running(t, s)
		pass(time.Minute)
		n, _ := m.Quantity("SKU-40")
		assert.Equal(t, 5, n, "what was marked is done")
		assert.Less(t, source.asked()-before, 3, "the night was made, and is not made up for")
		shows(t, m, 100)
		stop()

		_, err = syncer.CopyQueue(t.Context(), moved, old)
		require.ErrorIs(t, err, syncer.ErrNotEmpty, "nothing is written over what is newer")
	})
}

// interrupted is a queue that fails after a number of saves.
type interruptedQueue struct {
	*syncer.MemoryQueue
	saves int
}

func (q *interruptedQueue) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if q.saves--; q.saves < 0 {
		return errors.New("cut off")
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

func TestACopyThatWasInterruptedGoesOn(t *testing.T) {
	from := syncer.NewMemoryQueue()
	for i := range 5 {
		require.NoError(t, from.Save(t.Context(), fmt.Sprint("set", i), syncer.Record{Key: "k", Value: []byte("v")}))
	}
	to := syncer.NewMemoryQueue()
	_, err := syncer.CopyQueue(t.Context(), &interruptedQueue{to, 3}, from)
	require.Error(t, err)
	copied, err := syncer.CopyQueue(t.Context(), to, from)
	require.NoError(t, err)
	assert.Equal(t, 5, copied.Records)
	value, err := to.Load(t.Context(), "state", "copying")
	require.NoError(t, err)
	assert.Nil(t, value)

	_, err = syncer.CopyQueue(t.Context(), syncer.NewMemoryQueue(), struct{ syncer.Queue }{from})
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

// Records of a version that this one would misread are refused with a sentence, and
// nothing is written; those that say that this version understands them are not.
func TestRecordsOfAnotherVersion(t *testing.T) {
	for _, tt := range []struct {
		format  string
		refused bool
	}{
		{"", false}, {`{"version":1,"oldest":1}`, false}, {`{"version":7,"oldest":1,"more":true}`, false},
		{`{"version":7,"oldest":2}`, true}, {`{}`, true}, {`nonsense`, true},
	} {
		t.Run(tt.format, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := syncer.NewMemoryQueue()
				if tt.format != "" {
					require.NoError(t, q.Save(t.Context(), "state", syncer.Record{Key: "format", Value: []byte(tt.format)}))
				}
				source, m := newStock(5), shop("a", 1)
				s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
				_, err := s.Reconcile(t.Context())
				_, copying := syncer.CopyQueue(t.Context(), syncer.NewMemoryQueue(), q)
				stop := running(t, s)
				require.NoError(t, s.Notify(t.Context(), "p0"))
				pass(time.Minute)
				h, _ := s.Health(t.Context())
				stop()
				value, loading := q.Load(t.Context(), "state", "format")
				require.NoError(t, loading)
				if !tt.refused {
					require.NoError(t, err)
					require.NoError(t, copying)
					shows(t, m, 5)
					if tt.format != "" {
						assert.Equal(t, tt.format, string(value), "a newer version's note stays")
					} else {
						assert.JSONEq(t, `{"version":1,"oldest":1}`, string(value))
					}
					return
				}
				require.ErrorIs(t, err, syncer.ErrFormat)
				require.ErrorIs(t, copying, syncer.ErrFormat)
				shows(t, m, 100)
				assert.Equal(t, tt.format, string(value))
				assert.ErrorIs(t, h.QueueErr, syncer.ErrFormat, "it is told where people look")
			})
		})
	}
}
