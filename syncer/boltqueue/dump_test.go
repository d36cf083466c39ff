package boltqueue

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func TestDumper(t *testing.T) {
	queuetest.TestDumper(t, func(t *testing.T) (queue, worked syncer.Queue) {
		q := openAt(t, filepath.Join(t.TempDir(), "queue.db"))
		return q, q
	})
}

// What a file of the first version has goes along, too.
func TestAFileOfAnOlderVersionIsCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	first := time.Now().Add(-time.Hour).Round(0)
	version1(t, path, first, first.Add(time.Minute))
	memory := syncer.NewMemoryQueue()
	copied, err := syncer.CopyQueue(t.Context(), memory, openAt(t, path))
	require.NoError(t, err)
	assert.Equal(t, syncer.Copied{Records: 2, Marks: 1}, copied)
	value, err := memory.Load(t.Context(), "state", "watch")
	require.NoError(t, err)
	assert.Equal(t, "cursor", string(value))
	tasks, err := memory.Lease(t.Context(), "shop", 2)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	assert.True(t, tasks[0].First.Equal(first))
}

func TestAfter(t *testing.T) {
	assert.Equal(t, []byte("ac"), after([]byte("ab")))
	assert.Equal(t, []byte("b"), after([]byte("a\xff")))
	assert.Equal(t, []byte{1}, after(recordKey("", "")))
}
