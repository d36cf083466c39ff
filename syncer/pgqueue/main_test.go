package pgqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// require PostgreSQL: with STOCKSYNC_PGTEST=require, a machine without it fails
// the tests that need it instead of skipping them.
const requireEnv = "STOCKSYNC_PGTEST"

// childEnv has TestMain run a replica that leads instead of tests.
const childEnv = "STOCKSYNC_PGTEST_CHILD"

var childMain func() error

var shared struct {
	sync.Mutex
	server *pgtest.Server
	err    error
}

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		run := childMain
		if os.Getenv("STOCKSYNC_PGTEST_MARK") != "" {
			run = marker
		}
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// server returns the server of all tests that do not harm it, and skips the test
// if there can be none.
func server(t testing.TB) *pgtest.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		// What is tested here needs no disk: no machine is switched off.
		shared.server, shared.err = pgtest.Start("fsync=off")
	}
	available(t, shared.err)
	return shared.server
}

// available skips the test if this machine has no PostgreSQL, unless it must.
func available(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, pgtest.ErrNotFound) && os.Getenv(requireEnv) != "require" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// ownServer starts a server for one test.
func ownServer(t testing.TB, settings ...string) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(settings...)
	available(t, err)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// pool returns connections to a server, by way of an address if one is given.
func pool(t testing.TB, s *pgtest.Server, addr string, configure ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(s.URL(addr))
	require.NoError(t, err)
	config.MaxConns = 8
	for _, f := range configure {
		f(config)
	}
	p, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

var names atomic.Int64

// name returns a name that no other test uses.
func name() string { return fmt.Sprintf("q%d_%d", os.Getpid(), names.Add(1)) }

const (
	// lease is that of tests that wait for its end. It is long for a machine that
	// is busy with other tests; those that do not wait have the default.
	lease = 1500 * time.Millisecond
	poll  = 10 * time.Millisecond
)

// open opens a queue, and makes the tables.
func open(t testing.TB, p *pgxpool.Pool, o pgqueue.Options) *pgqueue.Queue {
	t.Helper()
	if o.Poll == 0 {
		o.Poll = poll
	}
	q, err := pgqueue.New(p, o)
	require.NoError(t, err)
	require.NoError(t, q.Migrate(context.Background()))
	return q
}
