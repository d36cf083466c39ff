package pgqueue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

func newQueue(t *testing.T, p *pgxpool.Pool, o pgqueue.Options) *pgqueue.Queue {
	t.Helper()
	o.Poll = poll
	q, err := pgqueue.New(p, o)
	require.NoError(t, err)
	return q
}

// works wants a queue to do its work.
func works(t *testing.T, q *pgqueue.Queue) {
	t.Helper()
	term, err := q.Lead(t.Context(), t.Name())
	require.NoError(t, err)
	defer term.Resign(context.Background())
	require.NoError(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "shop", ID: "a"}}))
	tasks, err := term.Lease(t.Context(), "shop", 1)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.NoError(t, term.Ack(t.Context(), tasks...))
}

func TestReplicasMigrateAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := server(t)
	for range 5 {
		schema := name()
		var wg sync.WaitGroup
		for range 6 {
			q := newQueue(t, pool(t, s, ""), pgqueue.Options{Schema: schema})
			wg.Go(func() {
				for range 2 {
					assert.NoError(t, q.Migrate(t.Context()))
				}
			})
		}
		wg.Wait()
		works(t, newQueue(t, pool(t, s, ""), pgqueue.Options{Schema: schema}))
	}
}

func TestHostsMigrateByThemselves(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	schema := name()
	_, err := p.Exec(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	for i, m := range pgqueue.Migrations(schema) {
		assert.Equal(t, i+1, m.Version)
		_, err := p.Exec(t.Context(), m.SQL)
		require.NoError(t, err)
	}
	q := newQueue(t, p, pgqueue.Options{Schema: schema})
	require.NoError(t, q.Migrate(t.Context()), "it finds nothing to do")
	works(t, q)
}

func TestSchemaNames(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	for _, schema := range []string{`A "quoted" schema's`, "UPPER " + name(), "ümlaut. " + name()} {
		q := newQueue(t, p, pgqueue.Options{Schema: schema, Queue: `'"$1 \`})
		require.NoError(t, q.Migrate(t.Context()), schema)
		require.NoError(t, q.Migrate(t.Context()), schema)
		works(t, q)
	}
}

func TestMissingTables(t *testing.T) {
	t.Parallel()
	q := newQueue(t, pool(t, server(t), ""), pgqueue.Options{Schema: name()})
	_, err := q.Lead(t.Context(), "self")
	assert.ErrorIs(t, err, pgqueue.ErrSchema)
	_, err = q.Leader(t.Context())
	assert.ErrorIs(t, err, pgqueue.ErrSchema)
	assert.ErrorIs(t, q.Mark(t.Context(), syncer.Mark{}), pgqueue.ErrSchema)
	_, err = q.Depth(t.Context(), "")
	assert.ErrorIs(t, err, pgqueue.ErrSchema)
	assert.ErrorIs(t, q.Save(t.Context(), "set", syncer.Record{}), pgqueue.ErrSchema)
	_, err = q.Load(t.Context(), "set", "key")
	assert.ErrorIs(t, err, pgqueue.ErrSchema)
	for _, err := range q.Records(t.Context(), "set", "") {
		assert.ErrorIs(t, err, pgqueue.ErrSchema)
	}
}

// While replicas are replaced one by one, some are older than the schema.
func TestTablesOfANewerVersion(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	schema := name()
	q := newQueue(t, p, pgqueue.Options{Schema: schema})
	require.NoError(t, q.Migrate(t.Context()))
	latest := pgqueue.Migrations(schema)[len(pgqueue.Migrations(schema))-1].Version
	insert := func(version, oldest int) {
		_, err := p.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s.versions (version, oldest) VALUES ($1, $2)", schema), version, oldest)
		require.NoError(t, err)
	}
	insert(latest+1, latest)
	require.NoError(t, q.Migrate(t.Context()), "the newer version works with this one")
	works(t, q)
	insert(latest+2, latest+1)
	require.ErrorIs(t, q.Migrate(t.Context()), pgqueue.ErrSchema)
	_, err := q.Lead(t.Context(), "self")
	require.ErrorIs(t, err, pgqueue.ErrSchema)
}

// role makes a role, and returns how to configure a pool for it.
func role(t *testing.T, p *pgxpool.Pool) (role string, configure func(*pgxpool.Config)) {
	t.Helper()
	role, password := "role_"+fmt.Sprint(names.Add(1)), "secret"
	_, err := p.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, password))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := p.Exec(context.Background(), fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %s", role, role))
		assert.NoError(t, err)
	})
	return role, func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = role, password }
}

// What the documentation says to grant suffices.
func TestGrants(t *testing.T) {
	t.Parallel()
	s := server(t)
	p := pool(t, s, "")
	schema := name()
	require.NoError(t, newQueue(t, p, pgqueue.Options{Schema: schema}).Migrate(t.Context()))
	replica, asReplica := role(t, p)
	marker, asMarker := role(t, p)
	_, err := p.Exec(t.Context(), fmt.Sprintf(`
		GRANT USAGE ON SCHEMA %[1]s TO %[2]s, %[3]s;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %[1]s TO %[2]s;
		GRANT INSERT ON %[1]s.inbox TO %[3]s`, schema, replica, marker))
	require.NoError(t, err)

	marks := newQueue(t, pool(t, s, "", asMarker), pgqueue.Options{Schema: schema})
	require.NoError(t, marks.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "shop", ID: "by another"}}))
	_, err = marks.Depth(t.Context(), "shop")
	require.Error(t, err, "who only marks sees nothing")

	q := newQueue(t, pool(t, s, "", asReplica), pgqueue.Options{Schema: schema})
	require.NoError(t, q.Migrate(t.Context()), "where nothing is to be done, no right to create is needed")
	term := lead(t, q)
	tasks, err := term.Lease(t.Context(), "shop", 10)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.NoError(t, term.Retry(t.Context(), tasks[0].First, tasks...))
	works(t, newQueue(t, pool(t, s, "", asReplica), pgqueue.Options{Schema: schema, Queue: "other"}))
	require.NoError(t, term.Save(t.Context(), "set", syncer.Record{Key: "a", Value: []byte("b")}, syncer.Record{Key: "c"}))
	for _, view := range []string{"tasks_shown", "records_shown"} {
		var n int
		require.NoError(t, p.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*) FROM %s.%s", schema, view)).Scan(&n))
		assert.Equal(t, 1, n, view)
	}
}
