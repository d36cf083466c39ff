package pgqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

// settable gives sessions a clock of the server's that can be set. It is ahead by
// so much at first.
func settable(t *testing.T, ahead string) (configure func(*pgxpool.Config), set func(ahead string)) {
	schema := name()
	p := pool(t, server(t), "")
	exec := func(sql string) {
		t.Helper()
		_, err := p.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(fmt.Sprintf(`CREATE SCHEMA %s; CREATE TABLE %[1]s.clock AS SELECT interval '%s' AS ahead`, schema, ahead))
	for _, f := range []string{"clock_timestamp", "statement_timestamp"} {
		exec(fmt.Sprintf(`CREATE FUNCTION %s.%s() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.%[2]s() + ahead FROM %[1]s.clock'`, schema, f))
	}
	return func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["search_path"] = schema + ",pg_catalog" }, func(ahead string) {
		t.Helper()
		exec(fmt.Sprintf(`UPDATE %s.clock SET ahead = '%s'`, schema, ahead))
	}
}

// What was put back waits as long as it was to, though the server's clock is set back
// by days meanwhile: while somebody leads, and while nobody does. Otherwise it stays.
func TestWhatIsPutBackOutlivesAClock(t *testing.T) {
	t.Parallel()
	for what, led := range map[string]bool{"while one leads": true, "while nobody leads": false} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			configure, set := settable(t, "10 days")
			o := pgqueue.Options{Queue: name(), Lease: lease}
			q := open(t, pool(t, server(t), "", configure), o)
			term := lead(t, q)
			require.NoError(t, q.Mark(t.Context(), mark("soon"), mark("late")))
			tasks := leased(t, term)
			require.Len(t, tasks, 2)
			by := map[string]syncer.Task{tasks[0].ID: tasks[0], tasks[1].ID: tasks[1]}
			require.NoError(t, term.Retry(t.Context(), time.Now().Add(lease), by["soon"]))
			require.NoError(t, term.Retry(t.Context(), time.Now().Add(time.Hour), by["late"]))
			time.Sleep(lease / 2) // it has renewed
			if led {
				set("0")
			} else {
				require.NoError(t, term.Resign(t.Context()))
				set("0")
				_, err := q.Leader(t.Context())
				require.ErrorIs(t, err, syncer.ErrNoLeader)
				q = open(t, pool(t, server(t), "", configure), o)
				term = lead(t, q)
			}
			require.Eventually(t, func() bool {
				tasks, err := term.Lease(t.Context(), "shop", 10)
				assert.NoError(t, err)
				return len(tasks) == 1 && tasks[0].ID == "soon"
			}, 20*lease, lease/10)
			w, err := q.Peek(t.Context(), syncer.Key{Lane: "shop", ID: "late"})
			require.NoError(t, err)
			require.NotNil(t, w)
			assert.False(t, w.Leased)
			assert.InDelta(t, 1, time.Until(w.Due).Hours(), 0.1)
			require.NoError(t, term.Resign(t.Context()))
		})
	}
}

// A standby, too, knows how old marks are by a server whose clock was set.
func TestAStandbyKnowsAClockThatWasSet(t *testing.T) {
	t.Parallel()
	configure, set := settable(t, "10 days")
	o := pgqueue.Options{Queue: name(), Lease: lease}
	lead(t, open(t, pool(t, server(t), "", configure), o))
	standby := open(t, pool(t, server(t), "", configure), o)
	_, err := standby.Depth(t.Context(), "shop")
	require.NoError(t, err)
	for _, ahead := range []string{"0", "1 hour"} {
		set(ahead)
		_, _ = standby.Leader(t.Context()) // as one that waits to lead asks again and again
		require.NoError(t, standby.Mark(t.Context(), mark("in "+ahead)))
		w, err := standby.Peek(t.Context(), syncer.Key{Lane: "shop", ID: "in " + ahead})
		require.NoError(t, err)
		require.NotNil(t, w)
		assert.WithinDuration(t, time.Now(), w.First, lease)
	}
}
