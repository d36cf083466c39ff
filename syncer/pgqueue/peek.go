package pgqueue

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ecosire/stocksync/syncer"
)

var (
	_ syncer.Peeker = (*Queue)(nil)
	_ syncer.Peeker = (*term)(nil)
)

// Peek implements [syncer.Peeker]. It works without a term.
func (q *Queue) Peek(ctx context.Context, key syncer.Key) (*syncer.Waiting, error) {
	w := &syncer.Waiting{Task: syncer.Task{Key: key}}
	var first, last, due time.Time
	var why, trace []byte
	err := q.sync(ctx, q.pool)
	if err == nil {
		err = again(ctx, func() error {
			return q.pool.QueryRow(ctx, q.statements["peek"], q.options.Queue, []byte(key.Lane), []byte(key.ID)).
				Scan(&first, &last, &why, &trace, &w.Marks, &w.Attempt, &due, &w.Leased)
		})
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, failed("peek", err)
	}
	w.First, w.Last, w.Due = q.clock.local(first), q.clock.local(last), q.clock.local(due)
	w.Why, w.Trace = syncer.Cause(why), string(trace)
	return w, nil
}
