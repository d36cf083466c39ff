package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	// ErrGone: the file was removed, moved or replaced while the queue was
	// open. What is written now would be lost, so that Mark, Ack and Save fail
	// until the file is back. What is in memory is still leased.
	ErrGone = errors.New("queue file was removed or replaced")
)

// A Queue is a [syncer.Queue] in a file. After Close, its methods fail with an
// error that matches [fs.ErrClosed].
//
// A write that fails, such as for a full disk, fails the calls that it was for
// and no others: the queue goes on, and writes with the next call what this one
// could not. Only an [ErrDamaged] puts the queue out of order.
//
// The live state of marks is a [syncer.MemoryQueue], and the file says of each
// key only whether it is pending, and since when. Every change goes into memory
// first. Then the keys that it was about are put into a batch, and whoever
// writes the batch copies to the file what memory says of them at that moment:
// a record for a key that is pending, none for one that is not.
//
// Since batches are written one after the other, and each reads memory after
// the changes that it is about, the file can never end up behind: an Ack that
// is written late finds the key marked again in memory, and keeps its record.
type Queue struct {
	db   *bolt.DB
	path string
	file os.FileInfo // of the open file
	mem  *syncer.MemoryQueue

	writing chan struct{} // holds a token while a batch is written

	mu sync.Mutex
	// next is the batch that is written next; nil if there is none.
	next *batch
	// stored has the keys with a record in the file, and the time of the oldest
	// mark in it, in nanoseconds. A record stays unless its key is taken out of
	// stored first.
	stored map[syncer.Key]int64
	// behind has the keys whose record may differ from memory, because a write
	// failed. They go with the next batch.
	behind map[syncer.Key]bool
	waits  map[*context.CancelFunc]bool
	down   error // why the queue no longer works, or nil
	broken bool  // down is for damage, and db must not be used
}

var _ syncer.Queue = (*Queue)(nil)

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

// failed returns the error of a call of db, and puts the queue out of order if
// it is damage.
func (q *Queue) failed(op string, err error) error {
	err = fmt.Errorf("boltqueue: %s: %w", op, err)
	if errors.Is(err, ErrDamaged) {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.down == nil {
			q.broken = true
			q.stop(err)
		}
	}
	return err
}

// present returns an error if the path does not lead to the open file any more.
func (q *Queue) present() error {
	info, err := os.Stat(q.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, q.file) {
		return fmt.Errorf("boltqueue: %s: %w", q.path, ErrGone)
	}
	return nil // or it cannot be told
}

// Mark implements [syncer.Queue]. A lane and an id may have about 32,000 bytes
// together.
//
// Marks that come while their key is pending already cost no write: after a
// crash, Last, Why, Trace and the count of marks are those of the mark for which
// the record was written. First is always kept.
func (q *Queue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	for _, m := range marks {
		if err := checkKey(m.Lane, m.ID); err != nil {
			return err
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
			first, stored := q.stored[m.Key]
			if !stored || !m.First.IsZero() && m.First.UnixNano() < first {
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

// Peek implements [syncer.Peeker].
func (q *Queue) Peek(ctx context.Context, key syncer.Key) (*syncer.Waiting, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	return q.mem.Peek(ctx, key)
}

// Lease implements [syncer.Queue].
func (q *Queue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	return q.mem.Lease(ctx, lane, n)
}

// Ack implements [syncer.Queue]. If it fails because of the file, the tasks
// have ended all the same for as long as the queue is open: none stays leased,
// and what was done is not done again. Their records go with the next write
// that succeeds. If there is none, the tasks are due again when the file is next
// opened.
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
// survive: when the file is next opened, the tasks are due. It does not touch
// the file.
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
