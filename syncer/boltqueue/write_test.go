package boltqueue

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// writes is the number of write transactions, each of which is synced.
func writes(t testing.TB, q *Queue) (n int) {
	require.NoError(t, q.db.View(func(tx *bolt.Tx) error { n = tx.ID(); return nil }))
	return n
}

func TestConcurrentMarksShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
		before := writes(t, q)
		q.writing <- struct{}{} // a write is under way
		errs := make(chan error, 64)
		for i := range cap(errs) {
			go func() { errs <- q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{ID: fmt.Sprint(i)}}) }()
		}
		synctest.Wait()
		assert.Empty(t, errs, "Mark returned before its mark was written")
		<-q.writing
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		assert.Equal(t, 1, writes(t, q)-before)
	})
}

func TestAPendingKeyIsNotWrittenAgain(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	mark(t, q, "a")
	before := writes(t, q)
	for range 100 {
		mark(t, q, "a", "a")
	}
	assert.Equal(t, before, writes(t, q))
	mark(t, q, "a", "b")
	assert.Equal(t, before+1, writes(t, q))
}

// The Ack has left memory but not reached the file when the key is marked
// again. Either order of the two must leave the record.
func TestAMarkIsNotUndoneByAnOlderAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "queue.db")
		q := openAt(t, path)
		mark(t, q, "a")
		tasks, err := q.Lease(t.Context(), "", 1)
		require.NoError(t, err)
		q.writing <- struct{}{}
		acked := make(chan error, 1)
		go func() { acked <- q.Ack(t.Context(), tasks...) }()
		synctest.Wait()
		mark(t, q, "a") // has a record, so it does not wait for a write
		<-q.writing
		require.NoError(t, <-acked)
		require.NoError(t, q.Close())
		assert.Equal(t, 1, depth(t, openAt(t, path)))
	})
}

func TestACancelledMarkReturnsAndTheNextOneWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
		q.writing <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, q.Mark(ctx, syncer.Mark{Key: syncer.Key{ID: "a"}}), context.DeadlineExceeded)
		<-q.writing
		mark(t, q, "a")
	})
}

func TestAFailedWriteFailsMarkAndIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openAt(t, path)
	q.db.MaxSize = 1 // as if the disk were full
	keys := make([]syncer.Mark, 20_000)
	for i := range keys {
		keys[i].ID = fmt.Sprint(i)
	}
	err := q.Mark(t.Context(), keys...)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrDamaged)
	q.db.MaxSize = 0
	require.NoError(t, q.Mark(t.Context(), keys...), "there is room again")
	require.NoError(t, q.Close())
	assert.Equal(t, len(keys), depth(t, openAt(t, path)))
}

func TestTooLongKeysAreRefusedAlone(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	require.Error(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{ID: string(make([]byte, bolt.MaxKeySize))}}))
	require.Error(t, q.Save(t.Context(), "", syncer.Record{Key: string(make([]byte, bolt.MaxKeySize))}))
	assert.Zero(t, depth(t, q))
	mark(t, q, string(make([]byte, bolt.MaxKeySize-1)))
}

func TestAPanicOfTheDatabasePutsTheQueueOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
		waited := make(chan error, 1)
		go func() { waited <- q.Wait(t.Context(), "") }()
		synctest.Wait()
		good := q.db
		q.db = nil
		err := q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "other"}})
		q.db = good
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorIs(t, <-waited, ErrDamaged, "who waits is told")
		_, err = q.Depth(t.Context(), "")
		require.ErrorIs(t, err, ErrDamaged)
		require.NoError(t, good.Close())
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		q, err := Open(filepath.Join(t.TempDir(), "queue.db"))
		require.NoError(t, err)
		calls := make(chan error, 2)
		go func() { calls <- q.Wait(ctx, "lane") }()
		q.writing <- struct{}{}
		go func() { calls <- q.Mark(ctx, syncer.Mark{Key: syncer.Key{ID: "late"}}) }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- q.Close() }()
		require.ErrorIs(t, <-calls, fs.ErrClosed, "a Wait under way ends")
		<-q.writing
		require.ErrorIs(t, <-calls, fs.ErrClosed, "a Mark that was not written fails")
		require.NoError(t, <-closed)
		require.NoError(t, q.Close())

		_, leaseErr := q.Lease(ctx, "", 1)
		_, depthErr := q.Depth(ctx, "")
		_, loadErr := q.Load(ctx, "", "")
		recordsErr := firstError(q)
		for _, err := range []error{
			q.Mark(ctx, syncer.Mark{Key: syncer.Key{}}), q.Mark(ctx), q.Wait(ctx, ""), q.Ack(ctx), q.Retry(ctx, time.Now()), q.Save(ctx, ""),
			leaseErr, depthErr, loadErr, recordsErr,
		} {
			assert.ErrorIs(t, err, fs.ErrClosed)
		}
	})
}

func TestTheFileDoesNotGrowWithChurn(t *testing.T) {
	racetest.Long(t)
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openAt(t, path)
	q.db.NoSync = true
	size := func() int64 {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Size()
	}
	churn := func(rounds int) {
		for r := range rounds {
			ids := make([]string, 200)
			for i := range ids {
				ids[i] = fmt.Sprintf("product-%d-%d", r, i)
			}
			mark(t, q, ids...)
			tasks, err := q.Lease(t.Context(), "", len(ids))
			require.NoError(t, err)
			require.NoError(t, q.Ack(t.Context(), tasks...))
		}
	}
	churn(20)
	before := size()
	churn(500)
	assert.Equal(t, before, size())
	assert.Empty(t, q.stored, "memory grows with churn")
}
