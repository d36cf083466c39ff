package syncer

import (
	"context"
	"time"
)

// A Queue keeps the marks of what is to be synced until it is done. It has
// lanes, which the syncer names: for each channel one named like it, and one
// for what was noticed without an event; and one named "" for orders whose
// products are not known yet. What waits in a lane is an id, a product's or an
// order's.
//
// A mark says only that something may have changed. So marks of one key
// coalesce: however many come, they are one [Task]. A queue keeps these
// promises, which package syncer/queuetest tests:
//
//   - At least once: a marked key is leased until it is acknowledged. What
//     Mark has returned nil for is not lost by anything that the queue claims
//     to survive; after that, a task that was leased and not acknowledged is
//     due again.
//   - One at a time: a leased key is not leased again before Ack or Retry.
//   - A mark made during work is not lost: Ack of a task whose key was marked
//     since it was leased leaves the key in the queue, due at once.
//   - First come, first served: due keys are leased in the order of their
//     oldest mark, or of the time for which Retry put them back.
//
// All methods are safe for concurrent use, and return soon after ctx is done.
type Queue interface {
	// Mark puts keys into the queue, or marks them again. A key that waits for
	// a retry becomes due at once, as if it had never failed: the world has
	// changed. If it fails, some of the keys may be marked all the same.
	Mark(ctx context.Context, keys ...Key) error

	// Wait returns nil as soon as a task of the lane is due, and an error when
	// ctx is done or the queue is out of order.
	Wait(ctx context.Context, lane string) error

	// Lease takes up to n tasks of the lane that are due; none if none is.
	Lease(ctx context.Context, lane string, n int) ([]Task, error)

	// Ack ends tasks that were leased. Those marked since are due at once.
	Ack(ctx context.Context, tasks ...Task) error

	// Retry puts tasks that were leased back, due at a time, with one more
	// attempt on their count. Those marked since are due at once, and their
	// attempts start from 0.
	Retry(ctx context.Context, at time.Time, tasks ...Task) error

	// Depth tells how full a lane is. It is cheap.
	Depth(ctx context.Context, lane string) (Depth, error)

	// Save keeps a small value under a name, and Load returns it, or nil. They
	// survive what marks survive.
	Save(ctx context.Context, name string, value []byte) error
	Load(ctx context.Context, name string) ([]byte, error)
}

// A Key is what a mark is about.
type Key struct {
	Lane string // such as a channel's name, or "" for orders
	ID   string // a product's id, or an order's
}

// A Task is a key that was leased.
type Task struct {
	Key
	// First is when the oldest mark was made that the task stands for, and
	// Last the newest one.
	First, Last time.Time
	// Attempt counts the retries since the last mark.
	Attempt int
	// Version is the queue's own: it tells whether the key was marked again.
	Version uint64
}

// A Depth is how full a lane is.
type Depth struct {
	Tasks  int       // waiting, delayed and leased
	Oldest time.Time // the oldest mark among them; zero if there is none
}
