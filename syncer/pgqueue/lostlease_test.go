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

// What was leased by a statement whose answer got lost is due again, under the same
// term: when the server has done it before anybody noticed, and when it does it only
// later.
func TestALeaseWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	s := server(t)
	const text = "Leases tasks that are due"
	for when, lose := range map[string]func(t *testing.T, proxy *pgtest.Proxy, lease func(context.Context) error){
		"after it was done": func(t *testing.T, proxy *pgtest.Proxy, lease func(context.Context) error) {
			proxy.LoseAnswer(text)
			require.Error(t, lease(t.Context()))
		},
		"before it was done": func(t *testing.T, proxy *pgtest.Proxy, lease func(context.Context) error) {
			cut, answered, mend := proxy.CutBefore(text)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			require.Error(t, lease(ctx))
			<-cut
			mend()
			<-answered
		},
	} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			proxy, err := pgtest.NewProxy(s.Addr())
			require.NoError(t, err)
			t.Cleanup(proxy.Close)
			p := pool(t, s, proxy.Addr(), func(c *pgxpool.Config) {
				c.MinConns = 5
				c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // a message is a statement
			})
			q := open(t, p, pgqueue.Options{Queue: name(), Lease: 10 * time.Second})
			require.Eventually(t, func() bool { return p.Stat().IdleConns() >= 5 }, 10*time.Second, poll)
			term := lead(t, q)
			require.NoError(t, q.Mark(t.Context(), mark("a"), mark("b")))
			first, err := term.Lease(t.Context(), "shop", 1)
			require.NoError(t, err)
			require.Len(t, first, 1)

			lose(t, proxy, func(ctx context.Context) error { _, err := term.Lease(ctx, "shop", 5); return err })
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			require.NoError(t, term.Wait(ctx, "shop"))
			tasks, err := term.Lease(ctx, "shop", 5)
			require.NoError(t, err)
			assert.Equal(t, []string{"b"}, ids(tasks), "and what was leased well is still leased")
			require.NoError(t, term.Ack(ctx, append(first, tasks...)...))
			depth, err := q.Depth(ctx, "shop")
			require.NoError(t, err)
			assert.Equal(t, syncer.Depth{}, depth)
		})
	}
}

// Who begins to lead knows what was interrupted, though the answer to its first
// statement got lost and it begins anew.
func TestWhatWasInterruptedOutlivesALostAnswer(t *testing.T) {
	t.Parallel()
	s := server(t)
	proxy, err := pgtest.NewProxy(s.Addr())
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	o := pgqueue.Options{Queue: name(), Lease: lease}
	a := open(t, pool(t, s, ""), o)
	old := lead(t, a)
	require.NoError(t, a.Mark(t.Context(), mark("a"), mark("b")))
	tasks, err := old.Lease(t.Context(), "shop", 1)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, ids(tasks))
	require.NoError(t, old.Resign(t.Context()))
	proxy.LoseAnswer("Ends the leases that the last leader left")
	term := lead(t, open(t, pool(t, s, proxy.Addr()), o))
	assert.Equal(t, []syncer.Key{{Lane: "shop", ID: "a"}}, term.Interrupted())
}
