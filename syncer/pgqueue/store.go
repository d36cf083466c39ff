package pgqueue

import (
	"context"
	"errors"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/ecosire/stocksync/syncer"
)

// The size of a page of records: at most so many, and none after those that
// have so many bytes together.
const (
	pageRecords = 256
	pageBytes   = 256 << 10
)

// Save implements [syncer.Store]. It works without a term; records that only who
// leads may write are written by Save of its term.
func (q *Queue) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if err := q.save(ctx, nil, set, records); err != nil {
		return failed("save", err)
	}
	return nil
}

// save writes records; under a term, if there is a holder.
func (q *Queue) save(ctx context.Context, holder *int64, set string, records []syncer.Record) error {
	last := make(map[string][]byte, len(records)) // of a key that comes twice, the later counts
	for _, r := range records {
		if err := checkKey(set, r.Key); err != nil {
			return err
		}
		last[r.Key] = r.Value
	}
	if len(records) == 0 && holder == nil {
		return ctx.Err()
	}
	keys, values, removed := [][]byte{}, [][]byte{}, [][]byte{}
	for key, value := range last {
		if value == nil {
			removed = append(removed, []byte(key))
		} else {
			keys, values = append(keys, []byte(key)), append(values, value)
		}
	}
	return again(ctx, func() error {
		return one(q.pool.Query(ctx, q.statements["save"], q.options.Queue, []byte(set), keys, values, removed, holder))
	})
}

// one wants one row, and nothing of it. No row says that the holder does not
// lead.
func one(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	rows.Next()
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	if rows.CommandTag().RowsAffected() == 0 {
		return syncer.ErrDeposed
	}
	return nil
}

// Load implements [syncer.Store]. It works without a term.
func (q *Queue) Load(ctx context.Context, set, key string) (value []byte, err error) {
	err = again(ctx, func() error {
		return q.pool.QueryRow(ctx, q.statements["load"], q.options.Queue, []byte(set), []byte(key)).Scan(&value)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, failed("load", err)
	}
	return value, nil
}

// Records implements [syncer.Store]. It works without a term, and holds no
// connection within the loop.
func (q *Queue) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	return func(yield func(syncer.Record, error) bool) {
		for from := from; ; {
			page, err := q.page(ctx, set, from)
			if err != nil {
				yield(syncer.Record{}, failed("records", err))
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			from = page[len(page)-1].Key + "\x00" // the least key that is greater
		}
	}
}

func (q *Queue) page(ctx context.Context, set, from string) (page []syncer.Record, err error) {
	err = again(ctx, func() error {
		rows, err := q.pool.Query(ctx, q.statements["records"], planned, q.options.Queue, []byte(set), []byte(from), pageRecords, pageBytes)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r syncer.Record, err error) {
			var key []byte
			err = row.Scan(&key, &r.Value)
			r.Key = string(key)
			return r, err
		})
		return err
	})
	return page, err
}
