package boltqueue

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// alone runs a test in a process of its own, so that what is done to the whole
// process harms no other test. It reports whether this is that process.
func alone(t *testing.T) bool {
	const child = "BOLTQUEUE_CHILD"
	if os.Getenv(child) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

// full lets no file of this process grow beyond a size, or be written beyond
// it, until the returned function is called.
func full(t *testing.T, size uint64) (free func()) {
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}))
	free = func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)) }
	t.Cleanup(free)
	return free
}

// At every size a write fails in another place: at the first page, in the
// middle, when the file is to grow.
func TestAFullDiskIsOverWhenThereIsRoom(t *testing.T) {
	if !alone(t) {
		return
	}
	page := uint64(os.Getpagesize())
	for pages := range uint64(30) {
		path, _ := filled(t, 200)
		q, err := Open(path)
		require.NoError(t, err)
		tasks, err := q.Lease(t.Context(), "", 150)
		require.NoError(t, err)

		free := full(t, pages*page)
		many := make([]syncer.Mark, 300)
		for i := range many {
			many[i] = syncer.Mark{Key: syncer.Key{ID: fmt.Sprint("more-", i)}}
		}
		markErr := q.Mark(t.Context(), many...)
		saveErr := q.Save(t.Context(), "set", syncer.Record{Key: "name", Value: []byte("newer")})
		ackErr := q.Ack(t.Context(), tasks...)
		free()
		if pages < 2 {
			require.ErrorIs(t, markErr, syscall.EFBIG)
			require.ErrorIs(t, saveErr, syscall.EFBIG)
			require.ErrorIs(t, ackErr, syscall.EFBIG)
		}
		require.NotErrorIs(t, markErr, ErrDamaged)

		want := "newer"
		if saveErr != nil {
			want = "value"
		}
		value, err := q.Load(t.Context(), "set", "name")
		require.NoError(t, err)
		assert.Equal(t, want, string(value), "a Save that failed changed nothing")
		require.Equal(t, 350, depth(t, q), "what was acknowledged does not stay leased")
		mark(t, q, "one more") // and with it what was not written
		require.Empty(t, q.behind)
		require.NoError(t, q.Close())
		require.NoError(t, verify(path))
		q, err = Open(path)
		require.NoError(t, err)
		require.Equalf(t, 351, depth(t, q), "of %d pages", pages)
		require.NoError(t, q.Close())
	}
}

func TestOpenOfAFullDiskLeavesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	free := full(t, 100)
	_, err := Open(path)
	free()
	require.ErrorIs(t, err, syscall.EFBIG)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, entries)
	require.NoError(t, openAt(t, path).Close())
}

// Reading what was cut off is a fault of the memory map, which would end the
// process.
func TestAFileCutOffUnderWayIsDamage(t *testing.T) {
	for name, call := range map[string]func(q *Queue) error{
		"Mark":    func(q *Queue) error { return q.Mark(context.Background(), syncer.Mark{}) },
		"Load":    func(q *Queue) error { _, err := q.Load(context.Background(), "set", "name"); return err },
		"Records": func(q *Queue) error { return firstError(q) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, _ := filled(t, 2000)
				q, err := Open(path)
				require.NoError(t, err)
				waited := make(chan error, 1)
				go func() { waited <- q.Wait(context.Background(), "other") }()
				synctest.Wait()
				require.NoError(t, os.Truncate(path, 0))
				require.ErrorIs(t, call(q), ErrDamaged)
				require.ErrorIs(t, <-waited, ErrDamaged, "who waits is told")
				_, err = q.Depth(t.Context(), "")
				require.ErrorIs(t, err, ErrDamaged, "the queue is out of order")
				require.NoError(t, q.Close())
			})
		})
	}
}
