package pgqueue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

func mark(id string) syncer.Mark {
	return syncer.Mark{Key: syncer.Key{Lane: "shop", ID: id}, Why: syncer.CauseNotify}
}

func leased(t *testing.T, q syncer.Queue) []syncer.Task {
	t.Helper()
	tasks, err := q.Lease(t.Context(), "shop", 100)
	require.NoError(t, err)
	return tasks
}

func ids(tasks []syncer.Task) (ids []string) {
	for _, t := range tasks {
		ids = append(ids, t.ID)
	}
	return ids
}

func TestAMarkIsPartOfItsTransaction(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	q := open(t, p, pgqueue.Options{Queue: name()})
	term := lead(t, q)
	tx, err := p.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, q.MarkTx(t.Context(), tx, mark("a")))
	require.NoError(t, q.MarkTx(t.Context(), tx, mark("b"), mark("a")))
	assert.Empty(t, leased(t, term), "it is not committed")
	require.NoError(t, tx.Rollback(t.Context()))
	assert.Empty(t, leased(t, term), "it was not committed")

	require.NoError(t, pgx.BeginFunc(t.Context(), p, func(tx pgx.Tx) error {
		return q.MarkTx(t.Context(), tx, mark("c"), mark("d"), mark("c"))
	}))
	tasks := leased(t, term)
	require.Equal(t, []string{"c", "d"}, ids(tasks))
	assert.Equal(t, 2, tasks[0].Marks)
	assert.Equal(t, syncer.CauseNotify, tasks[0].Why)
}

// A host's transaction stays open, with marks of the very keys that are worked
// on. All work goes on meanwhile, none of it waits.
func TestAnOpenTransactionBlocksNobody(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	q := open(t, p, pgqueue.Options{Queue: name()})
	other := open(t, p, pgqueue.Options{Queue: name()})
	term := lead(t, q)
	require.NoError(t, q.Mark(t.Context(), mark("leased"), mark("delayed"), mark("waiting")))
	before := leased(t, term)
	require.Len(t, before, 3)
	require.NoError(t, term.Retry(t.Context(), time.Now(), before[2]))
	require.NoError(t, term.Retry(t.Context(), time.Now().Add(time.Hour), before[1]))

	tx, err := p.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	require.NoError(t, q.MarkTx(t.Context(), tx, mark("leased"), mark("delayed"), mark("waiting"), mark("new")))
	marked := time.Now()

	// Each of these would hang if it waited for the transaction.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for round := time.Now(); time.Since(round) < 3*lease; time.Sleep(lease / 10) {
		require.NoError(t, q.Mark(ctx, mark("leased"), mark("new"), mark("waiting")))
		require.NoError(t, term.Wait(ctx, "shop"))
		tasks, err := term.Lease(ctx, "shop", 10)
		require.NoError(t, err)
		require.Len(t, tasks, 2, "new and waiting; the other two are leased and delayed: %v", ids(tasks))
		require.NoError(t, term.Retry(ctx, time.Now().Add(time.Hour), tasks[0]))
		require.NoError(t, term.Ack(ctx, tasks...))
		require.NoError(t, term.Save(ctx, "set", syncer.Record{Key: "round", Value: []byte("x")}))
		_, err = q.Depth(ctx, "shop")
		require.NoError(t, err)
		require.NoError(t, q.Migrate(ctx))
		works(t, other)
	}
	select {
	case <-term.Done():
		t.Fatal("the term ended")
	default:
	}
	// Of what is leased, the newest mark was made after MarkTx.
	require.NoError(t, q.Mark(ctx, mark("last")))
	last := leased(t, term)
	require.NotEmpty(t, last)
	require.NoError(t, term.Ack(ctx, append(last, before[0])...))
	again := leased(t, term) // what was marked during the work on before[0]
	require.Equal(t, []string{"leased"}, ids(again))

	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, term.Ack(ctx, again...))
	late := leased(t, term)
	assert.ElementsMatch(t, []string{"leased", "delayed", "waiting", "new"}, ids(late))
	for _, task := range late {
		assert.True(t, task.Last.After(again[0].Last) && task.Last.After(last[len(last)-1].Last),
			"%s becomes visible now, so it is later than all that was leased before", task.ID)
		if task.ID != "delayed" && task.ID != "waiting" { // these have older marks
			assert.WithinRange(t, task.First, began.Add(-11*time.Millisecond), marked.Add(11*time.Millisecond), "its age counts from MarkTx")
		}
	}
}

// Two transactions of the host that mark the same keys in opposite orders, and
// stay open together, do not wait for each other.
func TestTransactionsThatMarkDoNotDeadlock(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	q := open(t, p, pgqueue.Options{Queue: name()})
	term := lead(t, q)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 10 {
		one, err := p.Begin(ctx)
		require.NoError(t, err)
		defer one.Rollback(context.Background())
		two, err := p.Begin(ctx)
		require.NoError(t, err)
		defer two.Rollback(context.Background())
		// In this order, the second pair would wait for the first if marks were
		// rows that they update.
		require.NoError(t, q.MarkTx(ctx, one, mark("a")))
		require.NoError(t, q.MarkTx(ctx, two, mark("b")))
		require.NoError(t, q.MarkTx(ctx, one, mark("b")))
		require.NoError(t, q.MarkTx(ctx, two, mark("a")))
		require.NoError(t, two.Commit(ctx))
		require.NoError(t, one.Commit(ctx))
		tasks := leased(t, term)
		require.Len(t, tasks, 2)
		assert.Equal(t, 4, tasks[0].Marks+tasks[1].Marks)
		require.NoError(t, term.Ack(ctx, tasks...))
	}

	// And with many at a time, while the leader works.
	var markers sync.WaitGroup
	for m := range 4 {
		markers.Go(func() {
			for range 25 {
				assert.NoError(t, pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
					for i := range 5 {
						n := i
						if m%2 == 0 {
							n = 4 - i
						}
						if err := q.MarkTx(ctx, tx, mark(string(rune('a'+n)))); err != nil {
							return err
						}
					}
					return nil
				}))
			}
		})
	}
	done := make(chan struct{})
	go func() { markers.Wait(); close(done) }()
	counted := 0
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(5 * time.Millisecond):
		}
		tasks := leased(t, term)
		for _, task := range tasks {
			counted += task.Marks
		}
		require.NoError(t, term.Ack(ctx, tasks...))
	}
	assert.Equal(t, 4*25*5, counted)
}

// A mark with times is moved within a transaction too, and needs no second
// connection for it.
func TestMarkTxWithTimes(t *testing.T) {
	t.Parallel()
	s := server(t)
	o := pgqueue.Options{Queue: name()}
	q := open(t, pool(t, s, ""), o)
	term := lead(t, q)
	require.NoError(t, q.Mark(t.Context(), mark("a")))
	old := leased(t, term)[0]

	// A handle that does not know the server's clock yet, and has no connection
	// left to ask it.
	p := pool(t, s, "", func(c *pgxpool.Config) { c.MaxConns = 2 })
	fresh := open(t, p, o)
	conn, err := p.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
		return fresh.MarkTx(ctx, tx, old.Mark("other"))
	}))
	tasks, err := term.Lease(t.Context(), "other", 1)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	assert.True(t, tasks[0].First.Equal(old.First) && tasks[0].Last.Equal(old.Last))
}
