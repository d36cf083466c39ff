package pgqueue

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ecosire/stocksync/syncer"
)

// planned has PostgreSQL plan a statement each time. It may keep the plan of a
// prepared one, made when the tables were empty, until long after they are full.
const planned = pgx.QueryExecModeExec

const (
	// maxAbsorb is how many marks one statement moves from the inbox. It is
	// short, as other work of the term waits for it.
	maxAbsorb = 2000
	// maxRounds is how many such statements, of all callers, one Lease waits for
	// if it has tasks to return then. Where more marks than that have piled up,
	// what is due does not wait until all are in their place.
	maxRounds = 5
	// maxDelay bounds the time for which tasks are put back.
	maxDelay = 100 * 365 * 24 * time.Hour
)

// peek reports whether there are marks in the inbox, and which of the lanes have
// a task that is due.
func (t *term) peek(ctx context.Context, lanes [][]byte) (marked bool, due [][]byte, err error) {
	err = t.pool.QueryRow(ctx, t.statements["look"], planned, t.options.Queue, lanes).Scan(&marked, &due)
	return marked, due, err
}

// absorb moves some marks from the inbox to their tasks, where they coalesce. It
// reports whether there were more than that; if not, all marks that were made
// before the call are in their place.
func (t *term) absorb(ctx context.Context) (more bool, err error) {
	// Another call may be about to move the same marks. It is waited for, since
	// they have to be there when this one returns.
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case t.absorbing <- struct{}{}:
	}
	defer func() { <-t.absorbing }()
	var moved int
	err = t.pool.QueryRow(ctx, t.statements["absorb"], planned, t.options.Queue, t.holder, maxAbsorb).Scan(&moved)
	if errors.Is(err, pgx.ErrNoRows) {
		err = syncer.ErrDeposed
	}
	t.absorbed.Add(1)
	return moved == maxAbsorb, err
}

// Lease implements [syncer.Queue]. If its answer is lost, what it has leased is due
// again soon after.
func (t *term) Lease(ctx context.Context, lane string, n int) (tasks []syncer.Task, err error) {
	if n <= 0 {
		return nil, nil
	}
	err = t.sync(ctx, t.pool)
	if err == nil {
		err = t.work(ctx, func(ctx context.Context) error {
			if err := t.releaseLost(ctx); err != nil {
				return err
			}
			began := t.absorbed.Load()
			more, _, err := t.peek(ctx, nil)
			for err == nil {
				if !more || t.absorbed.Load()-began >= maxRounds {
					if tasks, err = t.lease(ctx, lane, n); err != nil || !more || len(tasks) > 0 {
						break
					}
				}
				more, err = t.absorb(ctx)
			}
			return err
		})
	}
	if err != nil {
		return nil, failed("lease", err)
	}
	return tasks, nil
}

func (t *term) lease(ctx context.Context, lane string, n int) (tasks []syncer.Task, err error) {
	// Each task has a number of its own, which is added.
	token := 1 + rand.Int64N(1<<61)
	defer func() {
		if err != nil && !undone(err) {
			t.lose(lane, token)
		}
	}()
	rows, err := t.pool.Query(ctx, t.statements["lease"], planned, t.options.Queue, t.holder, []byte(lane), n, token)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	led := false
	for rows.Next() {
		led = true
		var id, why, trace []byte
		var first, last *time.Time
		var marks, attempt *int
		var lease *int64
		if err := rows.Scan(&id, &first, &last, &why, &trace, &marks, &attempt, &lease); err != nil {
			return nil, err
		}
		if id == nil {
			continue // nothing is due
		}
		tasks = append(tasks, syncer.Task{
			Key:   syncer.Key{Lane: lane, ID: string(id)},
			First: t.clock.local(*first), Last: t.clock.local(*last),
			Why: syncer.Cause(why), Trace: string(trace), Marks: *marks, Attempt: *attempt, Token: uint64(*lease),
		})
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if !led {
		return nil, syncer.ErrDeposed
	}
	return tasks, nil
}

// Ack implements [syncer.Queue].
func (t *term) Ack(ctx context.Context, tasks ...syncer.Task) error {
	lanes, ids, tokens, _ := columns(tasks)
	err := t.work(ctx, func(ctx context.Context) error {
		return one(t.pool.Query(ctx, t.statements["ack"], planned, t.options.Queue, t.holder, lanes, ids, tokens))
	})
	if err != nil {
		return failed("acknowledge", err)
	}
	t.wake() // what was marked since is due
	return nil
}

// Retry implements [syncer.Queue].
func (t *term) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	lanes, ids, tokens, attempts := columns(tasks)
	err := t.work(ctx, func(ctx context.Context) error {
		delay := min(max(time.Until(at), -maxDelay), maxDelay)
		return one(t.pool.Query(ctx, t.statements["retry"], planned, t.options.Queue, t.holder,
			lanes, ids, tokens, attempts, (delay + time.Microsecond - 1).Microseconds()))
	})
	if err != nil {
		return failed("put back", err)
	}
	t.wake()
	return nil
}

// Save implements [syncer.Store]. It is fenced, as all work of a term.
func (t *term) Save(ctx context.Context, set string, records ...syncer.Record) error {
	err := t.work(ctx, func(ctx context.Context) error { return t.save(ctx, &t.holder, set, records) })
	if err != nil {
		return failed("save", err)
	}
	return nil
}

// columns are tasks as the database takes them.
func columns(tasks []syncer.Task) (lanes, ids [][]byte, tokens, attempts []int64) {
	lanes, ids = make([][]byte, len(tasks)), make([][]byte, len(tasks))
	tokens, attempts = make([]int64, len(tasks)), make([]int64, len(tasks))
	for i, t := range tasks {
		lanes[i], ids[i] = []byte(t.Lane), []byte(t.ID)
		tokens[i], attempts[i] = int64(t.Token), int64(t.Attempt)
	}
	return lanes, ids, tokens, attempts
}
