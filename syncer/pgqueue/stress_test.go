package pgqueue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

func number(t syncer.Task) int {
	n, _ := strconv.Atoi(t.ID)
	return n
}

// Marks of a few keys arrive all the time while several workers lease,
// acknowledge and put back the same keys: each mark is counted once in what is
// acknowledged, whatever statement waits for whatever other.
func TestEveryMarkIsCountedOnce(t *testing.T) { // not beside tests that measure time
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(strings.ReplaceAll(isolation, " ", "_"), func(t *testing.T) {
			t.Parallel()
			everyMarkIsCountedOnce(t, func(c *pgxpool.Config) {
				c.ConnConfig.RuntimeParams["default_transaction_isolation"] = isolation
			})
		})
	}
}

func everyMarkIsCountedOnce(t *testing.T, isolation func(*pgxpool.Config)) {
	s := server(t)
	o := pgqueue.Options{Queue: name(), Lease: pgqueue.DefaultLease} // it may be slow
	q := open(t, pool(t, s, "", isolation), o)
	other := open(t, pool(t, s, "", isolation), o)
	term := lead(t, q)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var made, done atomic.Int64
	var markers, workers sync.WaitGroup
	until := time.Now().Add(3 * time.Second)
	for m := range 4 {
		q := []syncer.Queue{q, other}[m%2]
		markers.Go(func() {
			for time.Now().Before(until) {
				marks := make([]syncer.Mark, 1+rand.IntN(100))
				for i := range marks {
					marks[i] = mark(fmt.Sprint(rand.IntN(60)))
				}
				if !assert.NoError(t, q.Mark(t.Context(), marks...)) {
					return
				}
				made.Add(int64(len(marks)))
				time.Sleep(rand.N(8 * time.Millisecond))
			}
		})
	}
	const keys = 60
	var busy [keys]atomic.Bool
	for range 4 {
		workers.Go(func() {
			for term.Wait(ctx, "shop") == nil {
				tasks, err := term.Lease(t.Context(), "shop", 1+rand.IntN(keys/3))
				if !assert.NoError(t, err) {
					return
				}
				for _, task := range tasks {
					assert.False(t, busy[number(task)].Swap(true), "%s is leased twice at a time", task.ID)
				}
				time.Sleep(rand.N(5 * time.Millisecond))
				for _, task := range tasks {
					busy[number(task)].Store(false)
				}
				if rand.IntN(3) == 0 {
					err = term.Retry(t.Context(), time.Now().Add(rand.N(10*time.Millisecond)), tasks...)
				} else {
					for _, task := range tasks {
						done.Add(int64(task.Marks))
					}
					err = term.Ack(t.Context(), tasks...)
				}
				if !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	markers.Wait()
	require.Eventually(t, func() bool {
		d, err := q.Depth(t.Context(), "shop")
		return assert.NoError(t, err) && d.Tasks == 0
	}, 30*time.Second, 20*time.Millisecond)
	cancel()
	workers.Wait()
	assert.Equal(t, made.Load(), done.Load())
	t.Logf("%d marks", made.Load())
}
