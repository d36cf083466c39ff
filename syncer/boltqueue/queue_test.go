package boltqueue

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func openAt(t testing.TB, path string) *Queue {
	t.Helper()
	q, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func TestQueue(t *testing.T) {
	queuetest.TestQueue(t, func(t *testing.T) syncer.Queue {
		return openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	})
}

// A crash is a copy of the file as it is while the queue is open.
func TestDurable(t *testing.T) {
	queuetest.TestDurable(t, func(t *testing.T) func() syncer.Queue {
		dir, n := t.TempDir(), 0
		name := func() string { return filepath.Join(dir, fmt.Sprint(n)) }
		return func() syncer.Queue {
			if n > 0 {
				file, err := os.ReadFile(name())
				require.NoError(t, err)
				n++
				require.NoError(t, os.WriteFile(name(), file, 0o600))
			} else {
				n++
			}
			return openAt(t, name())
		}
	})
}

// What is asked for with a context that is over is not done.
func TestAContextThatIsOver(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	mark(t, q, "a")
	require.NoError(t, q.Save(t.Context(), "set", syncer.Record{Key: "k", Value: []byte("v")}))
	tasks, err := q.Lease(t.Context(), "", 1)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // either of two reasons might be the first
		require.ErrorIs(t, q.Mark(ctx, syncer.Mark{Key: syncer.Key{ID: "b"}}), context.Canceled)
		require.ErrorIs(t, q.Ack(ctx, tasks...), context.Canceled)
		_, err = q.Load(ctx, "set", "k")
		require.ErrorIs(t, err, context.Canceled)
	}
	assert.Equal(t, 1, depth(t, q))
	before := writes(t, q)
	require.NoError(t, q.Ack(t.Context()))
	assert.Equal(t, before, writes(t, q), "nothing is no work")
}

func TestErrorsSayWhereTheyAreFrom(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	good := q.db
	q.db = nil
	err := q.Close()
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "boltqueue: close: ")
	require.NoError(t, good.Close())
	_, err = q.Peek(t.Context(), syncer.Key{ID: "a"})
	require.ErrorIs(t, err, fs.ErrClosed)

	q = openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	good = q.db
	q.db = nil
	err = q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{ID: "a"}})
	q.db = good
	require.ErrorContains(t, err, "boltqueue: write: ")
	require.NoError(t, good.Close())
}

// Who gives up waiting for a Save may use its values for something else.
func TestASaveHasItsOwnCopy(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	value := []byte("first")
	q.writing <- struct{}{} // a write is under way
	ctx, cancel := context.WithCancel(t.Context())
	saved := make(chan error)
	go func() { saved <- q.Save(ctx, "set", syncer.Record{Key: "k", Value: value}) }()
	require.Eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.next != nil
	}, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-saved, context.Canceled)
	copy(value, "other")
	<-q.writing
	mark(t, q, "a") // the same batch
	got, err := q.Load(t.Context(), "set", "k")
	require.NoError(t, err)
	assert.Equal(t, "first", string(got))
}
