package pgqueue_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

// What a statement reads does not grow with what is waiting, whatever PostgreSQL
// believes about that. (It may well read a small table as a whole.)
func TestWorkDoesNotGrowWithWhatWaits(t *testing.T) {
	t.Parallel()
	const waiting, n = 60_000, 100
	for what, learn := range map[string][]string{
		"it knows nothing": {}, "it has seen an empty lane": {"before"}, "it has seen all": {"after"},
	} {
		t.Run(what, func(t *testing.T) {
			p := pool(t, server(t), "", func(c *pgxpool.Config) {
				c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // as it is called
			})
			schema := name()
			q := open(t, p, pgqueue.Options{Schema: schema})
			exec := func(sql string, args ...any) {
				t.Helper()
				_, err := p.Exec(t.Context(), fmt.Sprintf(sql, schema), args...)
				require.NoError(t, err)
			}
			for _, table := range []string{"inbox", "tasks", "records"} {
				exec("ALTER TABLE %s." + table + " SET (autovacuum_enabled = false)")
			}
			term := lead(t, q)
			analyze := func(when string) {
				for _, l := range learn {
					if l == when {
						exec("ANALYZE %[1]s.inbox, %[1]s.tasks, %[1]s.records")
					}
				}
			}
			require.NoError(t, q.Mark(t.Context(), mark("first"), mark("second")))
			tasks := leased(t, term)
			require.NoError(t, q.Mark(t.Context(), mark("third")))
			require.NoError(t, q.Save(t.Context(), "other", syncer.Record{Key: "a", Value: []byte("b")}))
			analyze("before")
			require.NoError(t, term.Ack(t.Context(), tasks...))

			marks := make([]syncer.Mark, waiting)
			for i := range marks {
				marks[i] = mark(fmt.Sprint(i))
			}
			require.NoError(t, q.Mark(t.Context(), marks...))
			_, err := term.Lease(t.Context(), "other", 1) // moves all marks, as it finds nothing
			require.NoError(t, err)
			tasks, err = term.Lease(t.Context(), "shop", n)
			require.NoError(t, err)
			require.Len(t, tasks, n)
			exec(`INSERT INTO %s.inbox (queue, lane, id, first, why, trace, marks)
				SELECT 'default', 'shop', convert_to('x' || i, 'UTF8'), now(), '', '', 1 FROM generate_series(1, $1::int) AS i`, waiting)
			exec(`INSERT INTO %s.records (queue, set, key, value)
				SELECT 'default', 'set', convert_to('x' || i, 'UTF8'), 'value' FROM generate_series(1, $1::int) AS i`, waiting)
			analyze("after")

			var holder int64
			require.NoError(t, p.QueryRow(t.Context(), "SELECT holder FROM "+schema+".terms").Scan(&holder))
			shop, lanes, ids, tokens, attempts := []byte("shop"), make([][]byte, n), make([][]byte, n), make([]int64, n), make([]int64, n)
			for i, task := range tasks {
				lanes[i], ids[i], tokens[i] = shop, []byte(task.ID), int64(task.Token)
			}
			for name, args := range map[string][]any{
				"records": {"default", []byte("set"), []byte("x3"), n, 1 << 20},
				"look":    {"default", [][]byte{shop, []byte("other")}},
				"absorb":  {"default", holder, n},
				"lease":   {"default", holder, shop, n, int64(1)},
				"ack":     {"default", holder, lanes, ids, tokens},
				"retry":   {"default", holder, lanes, ids, tokens, attempts, int64(1)},
			} {
				rows, blocks, plan := cost(t, p, q.Statement(name), args...)
				assert.Less(t, rows, waiting/6, "%s: rows that its plan passes on\n%s", name, plan)
				assert.Less(t, blocks, waiting/6, "%s: blocks\n%s", name, plan)
				if name != "look" {
					assert.GreaterOrEqual(t, rows, n, "%s: it does nothing\n%s", name, plan)
				}
			}
		})
	}
}

// cost runs a statement, undoes it, and returns how many rows its plan passed on
// and how many blocks it touched.
func cost(t *testing.T, p *pgxpool.Pool, sql string, args ...any) (rows, blocks int, plan string) {
	t.Helper()
	tx, err := p.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	require.NoError(t, tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql, args...).Scan(&plan))
	type node struct {
		Type    string  `json:"Node Type"`
		Index   string  `json:"Index Name"`
		Cond    string  `json:"Index Cond"`
		Rows    float64 `json:"Actual Rows"`
		Loops   float64 `json:"Actual Loops"`
		Dropped float64 `json:"Rows Removed by Filter"`
		Hit     int     `json:"Shared Hit Blocks"`
		Read    int     `json:"Shared Read Blocks"`
		Plans   []node
	}
	var explained []struct{ Plan node }
	require.NoError(t, json.Unmarshal([]byte(plan), &explained))
	plan = ""
	var sum func(n node, indent string)
	sum = func(n node, indent string) {
		plan += fmt.Sprintf("%s%s %s %s: %.0f rows, and %.0f not, each of %.0f times\n", indent, n.Type, n.Index, n.Cond, n.Rows, n.Dropped, n.Loops)
		rows += int((n.Rows + n.Dropped) * n.Loops)
		for _, child := range n.Plans {
			sum(child, indent+"  ")
		}
	}
	root := explained[0].Plan
	sum(root, "")
	return rows, root.Hit + root.Read, plan
}
