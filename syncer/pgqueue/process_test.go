//go:build unix

package pgqueue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

func init() { childMain = child }

// child leads, leases a task, and tells what it finds when it was stopped. It is
// told where by the environment.
func child() error {
	ctx := context.Background()
	p, err := pgxpool.New(ctx, os.Getenv("STOCKSYNC_PGTEST_URL"))
	if err != nil {
		return err
	}
	q, err := pgqueue.New(p, pgqueue.Options{Queue: os.Getenv(childEnv), Lease: lease, Poll: poll})
	if err != nil {
		return err
	}
	term, err := q.Lead(ctx, "child")
	if err != nil {
		return err
	}
	tasks, err := term.Lease(ctx, "shop", 1)
	if err != nil || len(tasks) != 1 {
		return fmt.Errorf("leased %v, %w", tasks, err)
	}
	fmt.Println("leads")
	for last := time.Now(); ; time.Sleep(time.Millisecond) {
		left, at := term.Left(), time.Now()
		if at.Sub(last) < lease {
			last = at
			continue
		}
		// It was stopped. What it knows, it has to know at once.
		_, leaseErr := term.Lease(ctx, "shop", 1)
		fmt.Println(left, errors.Is(term.Ack(ctx, tasks...), syncer.ErrDeposed), errors.Is(leaseErr, syncer.ErrDeposed))
		return nil
	}
}

// startChild starts a process that leads, and returns what it says.
func startChild(t *testing.T, s *pgtest.Server, queue string) (*os.Process, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+queue, "STOCKSYNC_PGTEST_URL="+s.URL(""))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the child has ended")
	require.Equal(t, "leads", lines.Text())
	return cmd.Process, lines
}

// A process that leads is stopped for longer than its lease, and goes on.
func TestALeaderIsStopped(t *testing.T) {
	t.Parallel()
	s := server(t)
	o := pgqueue.Options{Queue: name(), Lease: lease}
	q := open(t, pool(t, s, ""), o)
	require.NoError(t, q.Mark(t.Context(), mark("a")))
	process, lines := startChild(t, s, o.Queue)
	time.Sleep(2 * lease)
	require.NoError(t, process.Signal(syscall.SIGSTOP))
	began := time.Now()
	term := lead(t, q)
	assert.Less(t, time.Since(began), 2*lease)
	require.Equal(t, []syncer.Key{{Lane: "shop", ID: "a"}}, term.Interrupted())
	require.Equal(t, []string{"a"}, ids(leased(t, term)))
	require.NoError(t, process.Signal(syscall.SIGCONT))
	require.True(t, lines.Scan())
	assert.Equal(t, "0s true true", lines.Text(), "what is left of the term, and whether Ack and Lease are refused")
	assert.Empty(t, leased(t, term))
	d, err := q.Depth(t.Context(), "shop")
	require.NoError(t, err)
	assert.Equal(t, 1, d.Tasks, "what the stopped one acknowledged is still leased")
}

func TestALeaderIsKilled(t *testing.T) {
	t.Parallel()
	s := server(t)
	o := pgqueue.Options{Queue: name(), Lease: lease}
	q := open(t, pool(t, s, ""), o)
	require.NoError(t, q.Mark(t.Context(), mark("a")))
	process, _ := startChild(t, s, o.Queue)
	info, err := q.Leader(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "child", info.Name)
	require.NoError(t, process.Kill())
	began := time.Now()
	term := lead(t, q)
	assert.Less(t, time.Since(began), 2*lease)
	assert.Greater(t, term.Number(), info.Number)
	assert.Equal(t, []syncer.Key{{Lane: "shop", ID: "a"}}, term.Interrupted())
	assert.Equal(t, []string{"a"}, ids(leased(t, term)))
}
