package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

func firstError(q *Queue) error {
	for _, err := range q.Records(context.Background(), "set", "") {
		if err != nil {
			return err
		}
	}
	return nil
}

// However large a set is, a page of it is small: by number, and by bytes.
func TestRecordsAreReadInPages(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	save := func(set string, n, size int) {
		records := make([]syncer.Record, n)
		for i := range records {
			records[i] = syncer.Record{Key: fmt.Sprintf("%06d", i), Value: make([]byte, size)}
		}
		require.NoError(t, q.Save(t.Context(), set, records...))
	}
	save("many", pageRecords+1, 1)
	page, more, err := q.page(t.Context(), "many", "")
	require.NoError(t, err)
	assert.Len(t, page, pageRecords)
	assert.True(t, more)
	page, more, err = q.page(t.Context(), "many", page[len(page)-1].Key+"\x00")
	require.NoError(t, err)
	assert.Len(t, page, 1)
	assert.False(t, more)

	save("large", 10, pageBytes/2)
	page, more, err = q.page(t.Context(), "large", "")
	require.NoError(t, err)
	assert.Len(t, page, 2)
	assert.True(t, more)
	n := 0
	for _, err := range q.Records(t.Context(), "large", "") {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 10, n)
}

func TestReadingWhileItIsClosed(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
	closed := make(chan error, 1)
	err := q.view(func(*bolt.Bucket) error {
		go func() { closed <- q.Close() }()
		for q.err() == nil {
			time.Sleep(time.Millisecond)
		}
		return errors.New("what bbolt says then")
	})
	require.ErrorIs(t, err, fs.ErrClosed)
	require.NoError(t, <-closed)
	require.ErrorIs(t, q.failed("late", ErrDamaged), ErrDamaged)
	require.ErrorIs(t, q.err(), fs.ErrClosed, "closed it stays")
}

func TestMalformedRecords(t *testing.T) {
	good := encodeMark(syncer.Mark{First: time.Unix(1, 2), Last: time.Unix(3, 4), Count: 5, Why: syncer.CauseCall, Trace: "t"})
	m, err := parseMark([]byte("\x04shopid"), good)
	require.NoError(t, err)
	assert.Equal(t, syncer.Mark{
		Key:   syncer.Key{Lane: "shop", ID: "id"},
		First: time.Unix(1, 2), Last: time.Unix(3, 4), Count: 5, Why: syncer.CauseCall, Trace: "t",
	}, m)
	for name, b := range map[string]struct{ key, value string }{
		"no key":          {"", string(good)},
		"a lane cut off":  {"\x04sho", string(good)},
		"a length cut":    {"\x80", string(good)},
		"times cut off":   {"\x00id", string(good[:15])},
		"no causes":       {"\x00id", string(good[:17])},
		"a cause cut off": {"\x00id", string(good[:20])},
		"a count cut off": {"\x00id", string(good[:16]) + "\x80"},
	} {
		_, err := parseMark([]byte(b.key), []byte(b.value))
		assert.ErrorIs(t, err, ErrDamaged, name)
	}
}

// While an Ack is on its way to the file, whatever is older than what it writes
// must be written after it.
func TestAnOlderMarkDuringAWriteIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openAt(t, path)
	now := time.Now()
	key := syncer.Key{ID: "a"}
	older := func(d time.Duration) syncer.Mark { return syncer.Mark{Key: key, First: now.Add(-d), Last: now} }
	require.NoError(t, q.Mark(t.Context(), older(time.Hour)))
	tasks, err := q.Lease(t.Context(), "", 1)
	require.NoError(t, err)
	mark(t, q, "a")
	require.NoError(t, q.mem.Ack(t.Context(), tasks...))
	_, pending := q.pending(key) // the Ack's batch has looked
	require.True(t, pending)

	before := writes(t, q)
	require.NoError(t, q.Mark(t.Context(), older(time.Minute)))
	assert.Equal(t, before+1, writes(t, q))
	require.NoError(t, q.Mark(t.Context(), older(time.Second)))
	assert.Equal(t, before+1, writes(t, q), "a newer one needs none")
	require.NoError(t, q.Close())
	d, err := openAt(t, path).Depth(t.Context(), "")
	require.NoError(t, err)
	assert.True(t, d.Oldest.Equal(now.Add(-time.Minute).Round(0)), d.Oldest)
}
