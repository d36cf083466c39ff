package boltqueue

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

func TestAFileThatIsGoneFailsWhoWrites(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows lets nobody remove an open file")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	for name, lose := range map[string]func(t *testing.T){
		"removed":  func(t *testing.T) { require.NoError(t, os.Rename(path, filepath.Join(dir, "aside"))) },
		"replaced": func(t *testing.T) { replace(t, path, filepath.Join(dir, "aside")) },
	} {
		t.Run(name, func(t *testing.T) {
			q := openAt(t, path)
			mark(t, q, "known", "leased")
			tasks, err := q.Lease(t.Context(), "", 1)
			require.NoError(t, err)

			lose(t)
			assert.ErrorIs(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{ID: "new"}}), ErrGone)
			assert.ErrorIs(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{ID: "known"}}), ErrGone, "one that needs no write")
			assert.ErrorIs(t, q.Save(t.Context(), "set", syncer.Record{Key: "k", Value: []byte("v")}), ErrGone)
			assert.ErrorIs(t, q.Ack(t.Context(), tasks...), ErrGone)
			assert.NotZero(t, depth(t, q), "what is in memory can be worked on")

			require.NoError(t, os.Rename(filepath.Join(dir, "aside"), path))
			mark(t, q, "known", "new")
			require.NoError(t, q.Close())
			require.NoError(t, os.Remove(path))
		})
	}
}

func replace(t *testing.T, path, aside string) {
	require.NoError(t, os.Rename(path, aside))
	q, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, q.Close())
}

func TestAProcessMayChangeItsFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	q := openAt(t, "queue.db")
	t.Chdir(t.TempDir())
	mark(t, q, "a")
}

func TestOpenTakesTheRightsOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such rights")
	}
	path, _ := filled(t, 1)
	for _, mode := range []fs.FileMode{0o666, 0o644, 0o620, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		q, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, q.Close())
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equalf(t, fs.FileMode(0o600), info.Mode(), "was %v", mode)
	}
}

func TestOpenRemovesWhatAnInterruptedOneLeft(t *testing.T) {
	path, content := filled(t, 1)
	dir := filepath.Dir(path)
	leave := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	leave("queue.db.new1", nil)
	leave("queue.db.new22", content[:100])
	leave("queue.db.new333", content)
	require.NoError(t, os.Link(path, filepath.Join(dir, "queue.db.new4444")))
	// These are not create's.
	kept := []string{"queue.db", "queue.db.new", "queue.db.newer", "queue.db.new1.bak", "other.db.new1"}
	for _, name := range kept[1:] {
		leave(name, content)
	}
	// Another process is about to finish this one.
	db, err := bolt.Open(filepath.Join(dir, "queue.db.new55555"), 0o600, nil)
	require.NoError(t, err)
	defer db.Close()
	kept = append(kept, "queue.db.new55555")

	list := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	q, err := Open(path)
	require.NoError(t, err)
	assert.ElementsMatch(t, kept, list())
	require.NoError(t, q.Close())

	require.NoError(t, os.Remove(path))
	leave("queue.db.new1", nil)
	q, err = Open(path)
	require.NoError(t, err)
	assert.ElementsMatch(t, kept, list(), "a new file is made")
	require.NoError(t, q.Close())
}

// Of those who open a new file at the same time, one has it and the others are
// told so, although each may take the other's unfinished file for a leftover.
func TestManyOpenANewFile(t *testing.T) {
	for range 20 {
		synctest.Test(t, manyOpenANewFile)
	}
}

func manyOpenANewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []*Queue
	for range 8 {
		wg.Go(func() {
			q, err := Open(path)
			if err != nil {
				assert.ErrorIs(t, err, ErrInUse)
				return
			}
			mu.Lock()
			open = append(open, q)
			mu.Unlock()
		})
	}
	wg.Wait()
	require.Len(t, open, 1)
	require.NoError(t, open[0].Close())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

// version1 makes a file as the first version of this package did.
func version1(t *testing.T, path string, first, last time.Time) {
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{metaBucket, marksBucket, valuesBucket} {
			_, err := tx.CreateBucket(name)
			require.NoError(t, err)
		}
		require.NoError(t, putRecord(tx.Bucket(metaBucket), formatKey, binary.BigEndian.AppendUint32(nil, 1)))
		times := binary.BigEndian.AppendUint64(nil, uint64(first.UnixNano()))
		times = binary.BigEndian.AppendUint64(times, uint64(last.UnixNano()))
		require.NoError(t, putRecord(tx.Bucket(marksBucket), []byte("\x04shopproduct"), times))
		require.NoError(t, putRecord(tx.Bucket(valuesBucket), []byte("=watch"), []byte("cursor")))
		return putRecord(tx.Bucket(valuesBucket), []byte("="), nil)
	}))
	require.NoError(t, db.Close())
}

func TestAFileOfAnOlderVersionIsConverted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	first := time.Now().Add(-time.Hour).Round(0)
	version1(t, path, first, first.Add(time.Minute))
	for range 2 {
		q, err := Open(path)
		require.NoError(t, err)
		value, err := q.Load(t.Context(), "state", "watch")
		require.NoError(t, err)
		assert.Equal(t, "cursor", string(value))
		value, err = q.Load(t.Context(), "state", "")
		require.NoError(t, err)
		assert.Equal(t, []byte{}, value)
		tasks, err := q.Lease(t.Context(), "shop", 2)
		require.NoError(t, err)
		require.Len(t, tasks, 1)
		assert.Equal(t, syncer.Key{Lane: "shop", ID: "product"}, tasks[0].Key)
		assert.True(t, tasks[0].First.Equal(first) && tasks[0].Last.Equal(first.Add(time.Minute)))
		assert.Equal(t, 1, tasks[0].Marks)
		require.NoError(t, q.Close())
	}
}
