package boltqueue

import (
	"bytes"
	"context"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

// Records are read in pages: a transaction that stays open would keep the file
// from growing, and so block who writes.
const (
	pageRecords = 256
	pageBytes   = 256 << 10 // beyond it, a page ends with the record
)

// Save implements [syncer.Store]. The name of a set and a key may have about
// 32,000 bytes together. If ctx is done before the records are written, they
// are written with the next write or not at all.
func (q *Queue) Save(ctx context.Context, set string, records ...syncer.Record) error {
	s := save{set: set, records: slices.Clone(records)}
	for i, r := range records {
		if err := checkKey(set, r.Key); err != nil {
			return err
		}
		s.records[i].Value = bytes.Clone(r.Value)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.write(ctx, func(b *batch) bool {
		b.saves = append(b.saves, s)
		return len(records) > 0
	})
}

// Load implements [syncer.Store]. It reads the file.
func (q *Queue) Load(ctx context.Context, set, key string) (value []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = q.view(func(records *bolt.Bucket) error {
		k := recordKey(set, key)
		record := records.Get(k)
		if record == nil {
			return nil
		}
		v, err := parseRecord(k, record)
		value = append([]byte{}, v...)
		return err
	})
	return value, err
}

// Records implements [syncer.Store]. It reads the file, a page at a time.
func (q *Queue) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	return func(yield func(syncer.Record, error) bool) {
		for from := from; ; {
			page, more, err := q.page(ctx, set, from)
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(syncer.Record{}, err)
				return
			}
			if !more {
				return
			}
			from = page[len(page)-1].Key + "\x00" // the least key that is greater
		}
	}
}

// page reads some records of a set, and reports whether there may be more.
func (q *Queue) page(ctx context.Context, set, from string) (page []syncer.Record, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	err = q.view(func(records *bolt.Bucket) error {
		prefix, size := recordKey(set, ""), 0
		c := records.Cursor()
		for k, v := c.Seek(recordKey(set, from)); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if more = len(page) == pageRecords || size >= pageBytes; more {
				return nil
			}
			v, err := parseRecord(k, v)
			if err != nil {
				return err
			}
			page = append(page, syncer.Record{Key: string(k[len(prefix):]), Value: append([]byte{}, v...)})
			size += len(k) + len(v)
		}
		return nil
	})
	return page, more, err
}

// view reads records in a transaction.
func (q *Queue) view(f func(records *bolt.Bucket) error) error {
	if err := q.err(); err != nil {
		return err
	}
	err := guard(func() error {
		return q.db.View(func(tx *bolt.Tx) error { return f(tx.Bucket(recordsBucket)) })
	})
	if err == nil {
		return nil
	}
	if down := q.err(); down != nil { // closed meanwhile
		return down
	}
	return q.failed("read", err)
}
