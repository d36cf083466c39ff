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

// works that need a term, and what their statements have in them.
var fenced = map[string]struct {
	text string
	send func(ctx context.Context, term syncer.Term, task syncer.Task) error
}{
	"lease": {"Leases tasks that are due", func(ctx context.Context, term syncer.Term, _ syncer.Task) error {
		_, err := term.Lease(ctx, "shop", 10)
		return err
	}},
	"absorb": {"Moves marks from the inbox", func(ctx context.Context, term syncer.Term, _ syncer.Task) error {
		_, err := term.Lease(ctx, "shop", 10)
		return err
	}},
	"ack": {"Ends leases; what", func(ctx context.Context, term syncer.Term, task syncer.Task) error {
		return term.Ack(ctx, task)
	}},
	"retry": {"leases, and puts the tasks back", func(ctx context.Context, term syncer.Term, task syncer.Task) error {
		return term.Retry(ctx, time.Now(), task)
	}},
	"save": {"Each key", func(ctx context.Context, term syncer.Term, _ syncer.Task) error {
		return term.Save(ctx, "set", syncer.Record{Key: "late", Value: []byte("x")})
	}},
}

// Each kind of work is sent by a leader, and held on the way until another leads.
// Then it arrives.
func TestWorkOfAnOldTermArrivesLate(t *testing.T) {
	t.Parallel()
	// Nothing has an effect. The test can tell: without the fence some have. (An
	// Ack or a Retry has none even then, as the lease that it is of has ended.)
	for what, effect := range map[string]aftermath{
		"lease":  {due: []string{"marked"}, depth: 3},
		"absorb": {due: []string{"due", "marked"}, depth: 3, absorbed: true},
		"save":   {due: []string{"due", "marked"}, depth: 3, saved: true},
		"ack":    {due: []string{"due", "marked"}, depth: 3},
		"retry":  {due: []string{"due", "marked"}, depth: 3},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, aftermath{due: []string{"due", "marked"}, depth: 3}, arrivesLate(t, what, true))
		})
		t.Run(what+" without a fence", func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, effect, arrivesLate(t, what, false))
		})
	}
}

// An aftermath is what is found under a new term when something of the old one
// has arrived.
type aftermath struct {
	saved    bool     // a record
	absorbed bool     // marks from the inbox
	due      []string // what else is to be done
	depth    int
}

func arrivesLate(t *testing.T, what string, fence bool) aftermath {
	s := server(t)
	proxy, err := pgtest.NewProxy(s.Addr())
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	o := pgqueue.Options{Queue: name(), Lease: lease}
	a := open(t, pool(t, s, proxy.Addr(), func(c *pgxpool.Config) {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // a message is a statement
	}), o)
	p := pool(t, s, "")
	b := open(t, p, o)
	if !fence {
		a.Unfence(what)
	}
	old := lead(t, a)
	require.NoError(t, a.Mark(t.Context(), mark("worked on"), mark("due")))
	tasks, err := old.Lease(t.Context(), "shop", 1)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	if what == "absorb" {
		require.NoError(t, a.Mark(t.Context(), mark("marked")))
	}

	cut, answered, mend := proxy.CutBefore(fenced[what].text)
	defer mend()
	result := make(chan error, 1)
	go func() { result <- fenced[what].send(context.Background(), old, tasks[0]) }()
	<-cut
	sent := proxy.Passed(pgtest.ToServer)
	term := lead(t, b)
	select {
	case <-old.Done():
	default:
		t.Error("two lead at a time")
	}
	assert.Zero(t, old.Left())
	assert.ErrorIs(t, <-result, syncer.ErrDeposed)
	assert.Equal(t, []syncer.Key{{Lane: "shop", ID: "worked on"}}, term.Interrupted())
	if what != "absorb" { // what is absorbed late has to be there late
		tasks, err = term.Lease(t.Context(), "shop", 1)
		require.NoError(t, err)
		require.Equal(t, []string{"worked on"}, ids(tasks))
		require.NoError(t, b.Mark(t.Context(), mark("marked")))
	}

	require.Equal(t, sent, proxy.Passed(pgtest.ToServer), "nothing has arrived yet")
	mend()
	select {
	case <-answered:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not arrive")
	}

	var found aftermath
	value, err := b.Load(t.Context(), "set", "late")
	require.NoError(t, err)
	found.saved = value != nil
	if what == "absorb" {
		var inbox int
		require.NoError(t, p.QueryRow(t.Context(), `SELECT count(*) FROM stocksync.inbox WHERE queue = $1`, o.Queue).Scan(&inbox))
		found.absorbed = inbox == 0
		tasks, err = term.Lease(t.Context(), "shop", 1)
		require.NoError(t, err)
		require.Equal(t, []string{"worked on"}, ids(tasks))
	}
	d, err := b.Depth(t.Context(), "shop")
	require.NoError(t, err)
	found.depth = d.Tasks
	found.due = ids(leased(t, term))
	return found
}

// A session that stands still in the middle of work, with the lock, keeps nobody
// from taking over for long.
func TestAStuckSessionIsEnded(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	schema := name()
	q := open(t, p, pgqueue.Options{Schema: schema, Lease: lease})
	open(t, p, pgqueue.Options{Schema: schema, Queue: "other"})
	term, err := q.Lead(t.Context(), "old")
	require.NoError(t, err)
	require.NoError(t, term.Resign(t.Context()))

	conn, err := p.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "BEGIN; SELECT FROM "+schema+".fences FOR NO KEY UPDATE")
	require.NoError(t, err)
	began := time.Now()
	term, err = q.Lead(t.Context(), "new")
	require.NoError(t, err)
	t.Logf("took over after %v, of a lease of %v", time.Since(began).Round(time.Millisecond), lease)
	require.NoError(t, term.Resign(t.Context()))
	require.Error(t, conn.Ping(t.Context()), "its session was ended")
}

// A pool that is exhausted for a while does not keep who waits from its turn, and
// a term that cannot be renewed is over.
func TestAnExhaustedPool(t *testing.T) {
	t.Parallel()
	s := server(t)
	p := pool(t, s, "", func(c *pgxpool.Config) { c.MaxConns = 3 })
	o := pgqueue.Options{Queue: name(), Lease: lease}
	q := open(t, p, o)
	term := lead(t, q)
	var conns []*pgxpool.Conn
	for range 3 {
		conn, err := p.Acquire(t.Context())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := term.Lease(ctx, "shop", 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	next := lead(t, open(t, pool(t, s, ""), o))
	select {
	case <-term.Done():
	default:
		t.Error("two lead at a time")
	}
	require.NoError(t, next.Resign(t.Context()))
	waiting := make(chan error, 1)
	go func() {
		term, err := q.Lead(t.Context(), "again")
		if err == nil {
			err = term.Resign(t.Context())
		}
		waiting <- err
	}()
	time.Sleep(lease / 4)
	for _, conn := range conns {
		conn.Release()
	}
	require.NoError(t, <-waiting)
}
