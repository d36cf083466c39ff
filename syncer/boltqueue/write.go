package boltqueue

import (
	"bytes"
	"context"
	"runtime/debug"
	"slices"

	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

// A batch is what several callers write together, in one transaction: all of
// it or nothing.
type batch struct {
	keys  []syncer.Key  // whose record is to be as memory says
	saves []save        // in the order of the calls
	done  chan struct{} // closed when err is set
	err   error
}

// A save is what one call of Save writes.
type save struct {
	set     string
	records []syncer.Record
}

// write adds to the next batch and returns when that is on disk, or at once if
// add says that there is nothing to write. Of those who have work in a batch,
// the first to get its turn writes it for all. Meanwhile the following batch
// fills up, so that syncs are shared without any delay.
func (q *Queue) write(ctx context.Context, add func(*batch) bool) error {
	q.mu.Lock()
	if q.down != nil {
		defer q.mu.Unlock()
		return q.down
	}
	b := q.next
	if b == nil {
		b = &batch{done: make(chan struct{})}
	}
	if !add(b) {
		q.mu.Unlock()
		return q.present()
	}
	q.next = b
	q.mu.Unlock()

	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err() // the work stays in the batch, and does no harm
	case q.writing <- struct{}{}:
	}
	defer func() { <-q.writing }()
	q.mu.Lock()
	select {
	case <-b.done:
		q.mu.Unlock()
		return b.err
	default:
	}
	if q.down != nil {
		defer q.mu.Unlock()
		return q.down
	}
	q.next = nil // it was b: a batch is taken out and done within one turn
	for k := range q.behind {
		b.keys = append(b.keys, k)
	}
	q.mu.Unlock()
	b.err = q.flush(b)
	close(b.done)
	return b.err
}

// flush writes a batch. Only the holder of the token in writing calls it.
func (q *Queue) flush(b *batch) error {
	// In the order of the file, a write of many keys goes through it once.
	slices.SortFunc(b.keys, func(a, b syncer.Key) int { return bytes.Compare(recordKey(a.Lane, a.ID), recordKey(b.Lane, b.ID)) })
	b.keys = slices.Compact(b.keys)
	put := make(map[syncer.Key]int64)
	err := guard(func() error {
		return q.db.Update(func(tx *bolt.Tx) error {
			if err := q.putMarks(tx.Bucket(marksBucket), b.keys, put); err != nil {
				return err
			}
			return putSaves(tx.Bucket(recordsBucket), b.saves)
		})
	})
	q.mu.Lock()
	if err == nil {
		clear(q.behind)
		for k, first := range put {
			q.stored[k] = first
		}
	} else {
		for _, k := range b.keys {
			q.behind[k] = true
		}
	}
	q.mu.Unlock()
	if err != nil {
		return q.failed("write", err)
	}
	return q.present()
}

// putMarks makes the records of keys as memory says, and tells in put which it
// wrote, with the time of the oldest mark.
func (q *Queue) putMarks(marks *bolt.Bucket, keys []syncer.Key, put map[syncer.Key]int64) error {
	for _, k := range keys {
		m, pending := q.pending(k)
		var err error
		if pending {
			put[k] = m.First.UnixNano()
			err = putRecord(marks, recordKey(k.Lane, k.ID), encodeMark(m))
		} else {
			err = marks.Delete(recordKey(k.Lane, k.ID))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pending looks a key up in memory. If it is not there its record is about to
// be deleted, and from now on a Mark must write a new one. If it is there, so
// must a Mark that is older than what is about to be written.
func (q *Queue) pending(k syncer.Key) (syncer.Mark, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, ok := q.mem.Lookup(k)
	if _, stored := q.stored[k]; stored && ok {
		q.stored[k] = m.First.UnixNano()
	} else if !ok {
		delete(q.stored, k)
	}
	return m, ok
}

func putSaves(records *bolt.Bucket, saves []save) error {
	for _, s := range saves {
		for _, r := range s.records {
			var err error
			if key := recordKey(s.set, r.Key); r.Value == nil {
				err = records.Delete(key)
			} else {
				err = putRecord(records, key, r.Value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// guard turns the panics with which bbolt answers a broken file, and the
// faults of reading a memory map whose file is cut off, into errors.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
}
