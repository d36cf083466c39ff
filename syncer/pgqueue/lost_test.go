package pgqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// many has a pool keep many connections that nobody looks at before use.
func many(c *pgxpool.Config) {
	c.MinConns, c.MaxConns = 8, 10
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
}

// All connections go dead without a word, and new ones work: one timeout is the
// price, not one for each.
func TestConnectionsAreLost(t *testing.T) {
	t.Parallel()
	s := server(t)
	behind := func(t *testing.T, o pgqueue.Options) (*pgqueue.Queue, *pgtest.Proxy) {
		proxy, err := pgtest.NewProxy(s.Addr())
		require.NoError(t, err)
		p := pool(t, s, proxy.Addr(), many)
		t.Cleanup(proxy.Close) // first, or the pool waits long for what is lost
		require.Eventually(t, func() bool { return p.Stat().IdleConns() == 8 }, 10*time.Second, poll)
		return open(t, p, o), proxy
	}
	t.Run("of the leader", func(t *testing.T) {
		t.Parallel()
		q, proxy := behind(t, pgqueue.Options{Queue: name(), Lease: lease})
		term := lead(t, q)
		time.Sleep(lease / 2)
		proxy.Lose()
		select {
		case <-term.Done():
			t.Error("the term has ended")
		case <-time.After(2 * lease):
		}
		_, err := term.Lease(t.Context(), "shop", 1)
		require.NoError(t, err)
	})
	t.Run("of a standby", func(t *testing.T) {
		t.Parallel()
		o := pgqueue.Options{Queue: name(), Lease: lease}
		term := lead(t, open(t, pool(t, s, ""), o))
		q, proxy := behind(t, o)
		leads := make(chan syncer.Term, 1)
		go func() {
			term, err := q.Lead(context.Background(), "next")
			assert.NoError(t, err)
			leads <- term
		}()
		time.Sleep(lease / 2)
		proxy.Lose()
		require.NoError(t, term.Resign(t.Context()))
		began := time.Now()
		next := <-leads
		t.Logf("leads after %v, of a lease of %v", time.Since(began).Round(time.Millisecond), lease)
		assert.Less(t, time.Since(began), lease)
		require.NoError(t, next.Resign(t.Context()))
	})
	t.Run("before it stands by", func(t *testing.T) {
		t.Parallel()
		q, proxy := behind(t, pgqueue.Options{Queue: name(), Lease: lease})
		proxy.Lose()
		ctx, cancel := context.WithTimeout(t.Context(), 2*lease)
		defer cancel()
		next, err := q.Lead(ctx, "next")
		require.NoError(t, err)
		require.NoError(t, next.Resign(t.Context()))
	})
}
