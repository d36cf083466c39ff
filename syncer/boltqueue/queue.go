package boltqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

var (
	// ErrInUse: another process, or this one, has the file open.
	ErrInUse = errors.New("queue file is in use")
	// ErrDamaged: the file, or a part of it, is not as it was written.
	ErrDamaged = errors.New("queue file is damaged")
	// ErrFormat: the file is sound, but not a queue, or one of a version of
	// this package that this one does not know.
	ErrFormat = errors.New("not a queue file of this version")
)

// A Queue is a [syncer.Queue] in a file. After Close, its methods fail with an
// error that matches [fs.ErrClosed].
//
// The live state is a [syncer.MemoryQueue], and the file says of each key only
// whether it is pending. Every change goes into memory first. Then the keys
// that it was about are put into a batch, and whoever writes the batch copies
// to the file what memory says of them at that moment: a record for a key that
// is pending, none for one that is not.
//
// Since batches are written one after the other, and each reads memory after
// the changes that it is about, the file can never end up behind: an Ack that
// is written late finds the key marked again in memory, and keeps its record.
type Queue struct {
	db  *bolt.DB
	mem *syncer.MemoryQueue

	writing chan struct{} // holds a token while a batch is written

	mu     sync.Mutex
	next   *batch              // what is written next; nil if nothing is
	stored map[syncer.Key]bool // keys that have a record, and will keep it unless mu is taken
	waits  map[*context.CancelFunc]bool
	down   error // why the queue no longer works, or nil
	broken bool  // down is for a panic, and db must not be used
}

var _ syncer.Queue = (*Queue)(nil)

// A batch is what several callers write together.
type batch struct {
	keys  []syncer.Key
	saves []save
	done  chan struct{} // closed when err is set
	err   error
}

// A save is what one call of Save writes.
type save struct {
	set     string
	records []syncer.Record
}

// Close waits for the write that is under way, fails all others, and closes the
// file. Only the first call does anything. If the queue is out of order with an
// [ErrDamaged], the file stays locked until the process ends.
func (q *Queue) Close() error {
	q.mu.Lock()
	closed := errors.Is(q.down, fs.ErrClosed)
	broken := q.broken
	q.stop(fmt.Errorf("boltqueue: %w", fs.ErrClosed))
	q.mu.Unlock()
	if closed || broken {
		return nil
	}
	q.writing <- struct{}{}
	defer func() { <-q.writing }()
	if err := guard(q.db.Close); err != nil {
		return fmt.Errorf("boltqueue: close: %w", err)
	}
	return nil
}

// stop makes all methods fail from now on, also those that wait. mu is held.
func (q *Queue) stop(reason error) {
	q.down = reason
	for cancel := range q.waits {
		(*cancel)()
	}
}

func (q *Queue) err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.down
}

// Mark implements [syncer.Queue]. A lane and an id may have some 32,000 bytes
// together.
func (q *Queue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	for _, m := range marks {
		if len(recordKey(m.Key)) > bolt.MaxKeySize {
			return fmt.Errorf("boltqueue: a key of %d bytes is too long", len(m.Lane)+len(m.ID))
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	if err := q.mem.Mark(ctx, marks...); err != nil {
		return err
	}
	return q.write(ctx, func(b *batch) bool {
		before := len(b.keys)
		for _, m := range marks {
			// What has a record is safe: whoever would delete it reads memory
			// first, while holding mu, and finds this mark there.
			if !q.stored[m.Key] {
				b.keys = append(b.keys, m.Key)
			}
		}
		return len(b.keys) > before
	})
}

// Wait implements [syncer.Queue].
func (q *Queue) Wait(ctx context.Context, lane string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q.mu.Lock()
	if q.down != nil {
		defer q.mu.Unlock()
		return q.down
	}
	q.waits[&cancel] = true
	q.mu.Unlock()

	err := q.mem.Wait(ctx, lane)

	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waits, &cancel)
	if q.down != nil {
		return q.down
	}
	return err
}

// Lease implements [syncer.Queue].
func (q *Queue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	return q.mem.Lease(ctx, lane, n)
}

// Ack implements [syncer.Queue]. If it fails the tasks may have ended all the
// same, and at worst come again when the file is next opened.
func (q *Queue) Ack(ctx context.Context, tasks ...syncer.Task) error {
	if err := q.err(); err != nil {
		return err
	}
	if err := q.mem.Ack(ctx, tasks...); err != nil {
		return err
	}
	return q.write(ctx, func(b *batch) bool {
		for _, t := range tasks {
			b.keys = append(b.keys, t.Key)
		}
		return len(tasks) > 0
	})
}

// Retry implements [syncer.Queue]. The time and the count of attempts do not
// survive: when the file is next opened, the tasks are due.
func (q *Queue) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	if err := q.err(); err != nil {
		return err
	}
	return q.mem.Retry(ctx, at, tasks...)
}

// Depth implements [syncer.Queue].
func (q *Queue) Depth(ctx context.Context, lane string) (syncer.Depth, error) {
	if err := q.err(); err != nil {
		return syncer.Depth{}, err
	}
	return q.mem.Depth(ctx, lane)
}

// Save implements [syncer.Store]. A set's name and a key may have some 32,000
// bytes together.
func (q *Queue) Save(ctx context.Context, set string, records ...syncer.Record) error {
	s := save{set: set, records: slices.Clone(records)}
	for i, r := range records {
		if len(recordKey(syncer.Key{Lane: set, ID: r.Key})) > bolt.MaxKeySize {
			return fmt.Errorf("boltqueue: a key of %d bytes is too long", len(set)+len(r.Key))
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

// Load implements [syncer.Store].
func (q *Queue) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	return q.mem.Load(ctx, set, key)
}

// Records implements [syncer.Store].
func (q *Queue) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	return func(yield func(syncer.Record, error) bool) {
		if err := q.err(); err != nil {
			yield(syncer.Record{}, err)
			return
		}
		q.mem.Records(ctx, set, from)(yield)
	}
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
		return nil
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
	q.mu.Unlock()
	b.err = q.flush(b)
	close(b.done)
	return b.err
}

// flush writes a batch. Only the holder of the token in writing calls it.
func (q *Queue) flush(b *batch) error {
	// In the order of the file, a write of many keys goes through it once.
	slices.SortFunc(b.keys, func(a, b syncer.Key) int { return bytes.Compare(recordKey(a), recordKey(b)) })
	b.keys = slices.Compact(b.keys)
	var put []syncer.Key
	err := guard(func() error {
		return q.db.Update(func(tx *bolt.Tx) error {
			marks := tx.Bucket(marksBucket)
			for _, k := range b.keys {
				task, pending := q.pending(k)
				var err error
				if pending {
					put = append(put, k)
					err = putRecord(marks, recordKey(k), encodeTimes(task))
				} else {
					err = marks.Delete(recordKey(k))
				}
				if err != nil {
					return err
				}
			}
			values := tx.Bucket(valuesBucket)
			for _, s := range b.saves {
				for _, r := range s.records {
					key := recordKey(syncer.Key{Lane: s.set, ID: r.Key})
					var err error
					if r.Value == nil {
						err = values.Delete(key)
					} else {
						err = putRecord(values, key, r.Value)
					}
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	if err != nil {
		err = fmt.Errorf("boltqueue: write: %w", err)
		if errors.Is(err, ErrDamaged) {
			q.mu.Lock()
			q.broken = true
			q.stop(err)
			q.mu.Unlock()
		}
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range put {
		q.stored[k] = true
	}
	for _, s := range b.saves {
		_ = q.mem.Save(context.Background(), s.set, s.records...) // fails for a done context only
	}
	return nil
}

// pending looks a key up in memory. If it is not there its record is about to
// be deleted, and from now on a Mark must write a new one.
func (q *Queue) pending(k syncer.Key) (syncer.Mark, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	task, ok := q.mem.Lookup(k)
	if !ok {
		delete(q.stored, k)
	}
	return task, ok
}

// guard turns the panics with which bbolt answers a broken file, and the
// faults of reading a memory map whose file is gone, into errors.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
}
