package boltqueue

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

const crashFile = "BOLTQUEUE_CRASH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		markForEver(path)
	}
	os.Exit(m.Run())
}

// markForEver marks from several goroutines, and prints each key for which
// Mark returned nil. Meanwhile it acknowledges those of the other lane.
func markForEver(path string) {
	ctx := context.Background()
	q, err := Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				if err := q.Mark(ctx,
					syncer.Mark{Key: syncer.Key{Lane: "kept", ID: id}}, syncer.Mark{Key: syncer.Key{Lane: "worked", ID: id}}); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println("marked", id)
			}
		}()
	}
	for {
		_ = q.Wait(ctx, "worked")
		tasks, _ := q.Lease(ctx, "worked", 10)
		_ = q.Ack(ctx, tasks...)
	}
}

func TestAKilledProcessLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	marked := make(map[string]bool)
	for kill := range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashFile+"="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var what, id string
			_, err := fmt.Sscan(lines.Text(), &what, &id)
			if err != nil {
				continue // the last line, cut off
			}
			require.Equal(t, "marked", what, lines.Text())
			marked[id] = true
			if n == 50+kill*37 {
				require.NoError(t, cmd.Process.Kill()) // and read what it had printed
			}
		}
		_ = cmd.Wait()

		q, err := Open(path)
		require.NoError(t, err)
		kept, err := q.Lease(t.Context(), "kept", 1_000_000)
		require.NoError(t, err)
		for _, task := range kept {
			delete(marked, task.ID)
		}
		assert.Emptyf(t, marked, "lost after kill %d", kill)
		require.NoError(t, q.Ack(t.Context(), kept...))
		require.NoError(t, q.Close())
	}
}
