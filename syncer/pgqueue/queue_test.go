package pgqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// unit is that of queuetest.Live: many times a call and Poll.
const unit = 400 * time.Millisecond

// lead returns a term that is resigned at the end of the test.
func lead(t testing.TB, q *pgqueue.Queue) syncer.Term {
	t.Helper()
	term, err := q.Lead(context.Background(), t.Name())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, term.Resign(context.Background())) })
	return term
}

func TestQueue(t *testing.T) {
	t.Parallel()
	s := server(t)
	queuetest.TestQueue(t, func(t *testing.T) syncer.Queue {
		return lead(t, open(t, pool(t, s, ""), pgqueue.Options{Queue: name()}))
	}, queuetest.Live(unit))
}

func TestDurable(t *testing.T) {
	t.Parallel()
	s := server(t)
	queuetest.TestDurable(t, func(t *testing.T) func() syncer.Queue {
		o := pgqueue.Options{Queue: name()}
		watcher := pool(t, s, "")
		crash := func() {}
		t.Cleanup(func() { crash() })
		return func() syncer.Queue {
			crash()
			p := pool(t, s, "")
			q := open(t, p, o)
			term, err := q.Lead(context.Background(), t.Name())
			require.NoError(t, err)
			crash = func() {
				p.Close()
				// Nobody renews the term any more. What follows does not wait until
				// that has been seen for the length of a lease.
				_, err := watcher.Exec(context.Background(), `UPDATE stocksync.terms SET resigned = true WHERE queue = $1`, o.Queue)
				require.NoError(t, err)
			}
			return term
		}
	}, queuetest.Live(unit))
}

func TestShared(t *testing.T) {
	t.Parallel()
	s := server(t)
	queuetest.TestShared(t, func(t *testing.T) queuetest.Handles {
		proxy, err := pgtest.NewProxy(s.Addr())
		require.NoError(t, err)
		t.Cleanup(proxy.Close)
		o := pgqueue.Options{Queue: name(), Lease: lease}
		return queuetest.Handles{
			A: open(t, pool(t, s, proxy.Addr()), o), B: open(t, pool(t, s, ""), o), Lease: lease,
			Cut: func() func() { return proxy.Cut(pgtest.ToServer, pgtest.ToClient) },
		}
	}, queuetest.Live(unit))
}
