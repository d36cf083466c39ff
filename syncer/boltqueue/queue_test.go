package boltqueue

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
