package pgqueue

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ecosire/stocksync/syncer"
)

var _ syncer.Dumper = (*Queue)(nil)

// Sets implements [syncer.Dumper]. It works without a term.
func (q *Queue) Sets(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for last := []byte(nil); ; {
			var set []byte
			err := again(ctx, func() error {
				return q.pool.QueryRow(ctx, q.statements["sets"], q.options.Queue, last).Scan(&set)
			})
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return
			case err != nil:
				yield("", failed("sets", err))
				return
			}
			if !yield(string(set), nil) {
				return
			}
			last = append([]byte{}, set...)
		}
	}
}

// Marked implements [syncer.Dumper]. It works without a term, and keeps all marks in
// memory.
func (q *Queue) Marked(ctx context.Context) iter.Seq2[syncer.Mark, error] {
	return func(yield func(syncer.Mark, error) bool) {
		var marks []syncer.Mark
		err := q.sync(ctx, q.pool)
		if err == nil {
			err = again(ctx, func() error {
				rows, err := q.pool.Query(ctx, q.statements["marked"], q.options.Queue)
				if err != nil {
					return err
				}
				marks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (m syncer.Mark, err error) {
					var lane, id, why, trace []byte
					var first time.Time
					err = row.Scan(&lane, &id, &first, &why, &trace, &m.Count)
					m.Key, m.Why, m.Trace = syncer.Key{Lane: string(lane), ID: string(id)}, syncer.Cause(why), string(trace)
					m.First = q.clock.local(first)
					return m, err
				})
				return err
			})
		}
		for _, m := range marks {
			if !yield(m, nil) {
				return
			}
		}
		if err != nil {
			yield(syncer.Mark{}, failed("marked", err))
		}
	}
}
