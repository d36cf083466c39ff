package boltqueue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
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

func mark(t testing.TB, q *Queue, ids ...string) {
	t.Helper()
	marks := make([]syncer.Mark, len(ids))
	for i, id := range ids {
		marks[i].ID = id
	}
	require.NoError(t, q.Mark(t.Context(), marks...))
}

func depth(t testing.TB, q *Queue) int {
	t.Helper()
	d, err := q.Depth(t.Context(), "")
	require.NoError(t, err)
	return d.Tasks
}

// filled returns a file with n marks, a saved value and some free pages.
func filled(t testing.TB, n int) (path string, content []byte) {
	path = filepath.Join(t.TempDir(), "queue.db")
	q, err := Open(path)
	require.NoError(t, err)
	ids := make([]string, 2*n)
	for i := range ids {
		ids[i] = fmt.Sprintf("product-%06d", i)
	}
	mark(t, q, ids...)
	tasks, err := q.Lease(t.Context(), "", n)
	require.NoError(t, err)
	require.NoError(t, q.Ack(t.Context(), tasks...))
	require.NoError(t, q.Save(t.Context(), "set", syncer.Record{Key: "name", Value: []byte("value")}))
	require.NoError(t, q.Close())
	content, err = os.ReadFile(path)
	require.NoError(t, err)
	return path, content
}

func TestSecondOpenIsRefusedSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openAt(t, path)
	mark(t, q, "a")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := Open(path)
		require.ErrorIs(t, err, ErrInUse)
		assert.NotErrorIs(t, err, ErrDamaged)
		assert.LessOrEqual(t, time.Since(start), lockWait)
	})
	require.NoError(t, q.Close())
	assert.Equal(t, 1, depth(t, openAt(t, path)))
}

func TestOpenMakesNoFolders(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none", "queue.db"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOpenLeavesNothingButTheFile(t *testing.T) {
	path, _ := filled(t, 1)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := entries[0].Info()
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
}

func newestMeta(t *testing.T, content []byte) metaPage {
	v := &verifier{r: bytes.NewReader(content)}
	m, err := v.meta(int64(len(content)))
	require.NoError(t, err)
	return m
}

func freePages(t *testing.T, content []byte) []byte {
	m := newestMeta(t, content)
	list := content[m.freelist*uint64(m.pageSize):]
	require.NotZero(t, binary.NativeEndian.Uint16(list[10:]), "there are no free pages")
	return list
}

func rootPage(t *testing.T, content []byte) []byte {
	return binary.NativeEndian.AppendUint64(nil, newestMeta(t, content).root)
}

func TestDamageIsReportedAndLeftAlone(t *testing.T) {
	_, good := filled(t, 2000)
	page := os.Getpagesize()
	both := func(change func(header []byte)) func(b []byte) []byte {
		return func(b []byte) []byte {
			change(b[:page])
			change(b[page : 2*page])
			return b
		}
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":                func(b []byte) []byte { return nil },
		"one byte":             func(b []byte) []byte { return b[:1] },
		"cut in the header":    func(b []byte) []byte { return b[:page] },
		"cut after the header": func(b []byte) []byte { return b[:2*page] },
		"cut in half":          func(b []byte) []byte { return b[:len(b)/2] },
		"text":                 func(b []byte) []byte { return []byte("SKU,Quantity\nTEA,4\n") },
		"zeros":                func(b []byte) []byte { clear(b); return b },
		"garbage header":       both(func(h []byte) { copy(h, "garbage garbage garbage garbage garbage") }),
		"one header damaged":   func(b []byte) []byte { b[page+pageHeader+50] ^= 1; return b },
		"other bolt version":   both(func(h []byte) { h[pageHeader+4]++ }),
		"a free page in use":   func(b []byte) []byte { list := freePages(t, b); copy(list[pageHeader:], rootPage(t, b)); return b },
		"a page in use listed": func(b []byte) []byte {
			list := freePages(t, b)
			n := binary.NativeEndian.Uint16(list[10:])
			binary.NativeEndian.PutUint16(list[10:], n+1)
			copy(list[pageHeader+8*int(n):], rootPage(t, b))
			return b
		},
		"a page beyond the end": func(b []byte) []byte {
			binary.NativeEndian.PutUint64(freePages(t, b)[pageHeader:], newestMeta(t, b).high)
			return b
		},
		"a page listed twice": func(b []byte) []byte {
			list := freePages(t, b)
			n := binary.NativeEndian.Uint16(list[10:])
			binary.NativeEndian.PutUint16(list[10:], n+1)
			copy(list[pageHeader+8*int(n):], list[pageHeader:pageHeader+8])
			return b
		},
		"a value changed": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("value"), []byte("valuf")) },
		"a page of two buckets": func(b []byte) []byte {
			// The records are few, and lie in the page of the buckets after a root of 0.
			m := newestMeta(t, b)
			root := b[m.root*uint64(m.pageSize):]
			marks, records := bytes.Index(root, marksBucket)+len(marksBucket), bytes.Index(root, recordsBucket)+len(recordsBucket)
			require.Zero(t, binary.NativeEndian.Uint64(root[records:]))
			copy(root[records:records+8], root[marks:])
			return b
		},
		"a page of another number": func(b []byte) []byte {
			m := newestMeta(t, b)
			b[m.root*uint64(m.pageSize)]++
			return b
		},
		"a page beyond the pages": func(b []byte) []byte {
			m := newestMeta(t, b)
			binary.NativeEndian.PutUint32(b[m.root*uint64(m.pageSize)+12:], uint32(m.high))
			return b
		},
		"a page lost":   func(b []byte) []byte { freePages(t, b)[10]--; return b },
		"an id changed": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("product-003999"), []byte("product-00399z")) },
		"a time changed": func(b []byte) []byte {
			b[bytes.LastIndex(b, []byte("product-003999"))+len("product-003999")+3]++
			return b
		},
		"zeroed pages": func(b []byte) []byte { clear(b[2*page:]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			bad := damage(append([]byte{}, good...))
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			for range 2 { // the first leaves no lock behind
				_, err := Open(path)
				require.ErrorIs(t, err, ErrDamaged)
				require.ErrorContains(t, err, path)
			}
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, len(bad), len(after))
			assert.True(t, string(bad) == string(after), "the file was changed")
		})
	}
}

// A changed byte is reported, or is one that carries nothing: never does a
// mark vanish or change, and never does the process crash.
func TestFlippedBytes(t *testing.T) {
	path, good := filled(t, 300)
	random := rand.New(rand.NewPCG(3, 4))
	var reported int
	step := 500 // every byte takes minutes
	switch {
	case os.Getenv("BOLTQUEUE_EVERY_BYTE") != "":
		step = 1
	case racetest.Short():
		step = 1_000
	}
	for at := 0; at < len(good); at += 1 + random.IntN(step) {
		bad := append([]byte{}, good...)
		bad[at] ^= byte(1 + random.IntN(255))
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		q, err := Open(path)
		if err != nil {
			// A changed name of a bucket looks like somebody else's database.
			require.Truef(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat), "byte %d: %v", at, err)
			reported++
			continue
		}
		require.Equalf(t, 300, depth(t, q), "byte %d", at)
		tasks, err := q.Lease(t.Context(), "", 1000)
		require.NoError(t, err)
		for _, task := range tasks {
			var n int
			_, err := fmt.Sscanf(task.ID, "product-%06d", &n)
			require.Truef(t, err == nil && n >= 300 && n < 600, "byte %d changed %q", at, task.ID)
		}
		value, err := q.Load(t.Context(), "set", "name")
		require.NoError(t, err)
		require.Equal(t, "value", string(value))
		require.NoError(t, q.Close())
	}
	assert.Greater(t, reported, 20, "no damage was done")
}

func TestOtherDatabasesAreRefused(t *testing.T) {
	change := func(t *testing.T, path string, f func(*bolt.Tx) error) {
		db, err := bolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(f))
		require.NoError(t, db.Close())
	}
	t.Run("somebody else's", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "other.db")
		change(t, path, func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte("theirs"))
			if err != nil {
				return err
			}
			_, err = b.CreateBucket([]byte("nested"))
			return err
		})
		_, err := Open(path)
		require.ErrorIs(t, err, ErrFormat)
		assert.NotErrorIs(t, err, ErrDamaged)
	})
	t.Run("newer version", func(t *testing.T) {
		path, _ := filled(t, 1)
		change(t, path, func(tx *bolt.Tx) error {
			return putRecord(tx.Bucket(metaBucket), formatKey, binary.BigEndian.AppendUint32(nil, format+1))
		})
		_, err := Open(path)
		require.ErrorIs(t, err, ErrFormat)
	})
	t.Run("bucket missing", func(t *testing.T) {
		path, _ := filled(t, 1)
		change(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(marksBucket) })
		_, err := Open(path)
		require.ErrorIs(t, err, ErrDamaged)
	})
}

// What bbolt calls sound, verify must too.
func TestVerifyAcceptsEveryStateOfAFile(t *testing.T) {
	racetest.Long(t)
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openAt(t, path)
	q.db.NoSync = true
	random := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		ids := make([]string, random.IntN(400))
		for i := range ids {
			ids[i] = fmt.Sprintf("%0*d", 1+random.IntN(300), random.IntN(1e6))
		}
		mark(t, q, ids...)
		if random.IntN(10) == 0 {
			require.NoError(t, q.Save(t.Context(), "set", syncer.Record{Key: "large", Value: make([]byte, random.IntN(100_000))}))
		}
		tasks, err := q.Lease(t.Context(), "", random.IntN(500))
		require.NoError(t, err)
		require.NoError(t, q.Ack(t.Context(), tasks...))
		require.NoError(t, verify(path))
	}
}

func TestAFutureMarkIsDueAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openAt(t, path)
	mark(t, q, "a") // by the real clock, decades after that of a bubble
	require.NoError(t, q.Close())
	synctest.Test(t, func(t *testing.T) {
		q := openAt(t, path)
		require.NoError(t, q.Wait(t.Context(), ""))
		tasks, err := q.Lease(context.Background(), "", 1)
		require.NoError(t, err)
		require.Len(t, tasks, 1, "the clock was set back between two runs")
	})
}
