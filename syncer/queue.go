package syncer

import (
	"context"
	"iter"
	"time"
)

// A Queue keeps the marks of what is to be synced until it is done, and small
// records beside them.
//
// Marks wait in lanes, which the syncer names. A mark says only that something
// may have changed. So marks of one key coalesce: however many come, they are
// one [Task]. A queue keeps these promises, which package syncer/queuetest
// tests:
//
//   - At least once: a marked key is leased again and again until it is
//     acknowledged. What Mark has returned nil for is not lost by anything that
//     the queue claims to survive. After a crash, a leased task that was not
//     acknowledged is due again.
//   - One at a time: a leased key is not leased again before Ack or Retry.
//   - A mark made during work is not lost: Ack of a task whose key was marked
//     since it was leased leaves the key in the queue, due at once.
//   - First come, first served: due keys are leased in the order of their
//     oldest mark, or of the time for which Retry put them back.
//   - One clock: the times of tasks are the queue's own, whoever makes the
//     marks. The syncer compares them with each other only. Because First is
//     shown to people as an age by the local clock, a queue on another machine
//     gives each time as the local now minus the age by its own clock.
//   - Times order work: Last of a mark that is made now, or becomes visible
//     now, is later than Last of every task that was leased before. A read of
//     the source after a Lease therefore covers every mark up to the latest
//     Last in it.
//
// All methods are safe for concurrent use, and return soon after ctx is done.
type Queue interface {
	// Mark puts keys into the queue, or marks them again. A key that waits for
	// a retry becomes due at once, as if it had never failed: the world has
	// changed. If Mark fails, some of the keys may be marked all the same.
	Mark(ctx context.Context, marks ...Mark) error

	// Wait returns nil as soon as a task of the lane is due, and an error when
	// ctx is done or the queue is out of order.
	Wait(ctx context.Context, lane string) error

	// Lease takes up to n tasks of the lane that are due; none if none is. What a
	// call that fails has leased all the same is due again soon after.
	Lease(ctx context.Context, lane string, n int) ([]Task, error)

	// Ack ends tasks that were leased. Those marked since are due at once. A
	// task that is not leased, or was leased anew since, is ignored.
	//
	// If Ack fails, each of the tasks has ended or is still leased. The caller
	// calls it again: nobody else can end that lease while the queue is open.
	Ack(ctx context.Context, tasks ...Task) error

	// Retry puts tasks that were leased back, due at a time, and keeps the
	// Attempt that they carry: whoever calls it counts. Those marked since are
	// due at once, and their attempts start from 0. For the rest it is like Ack.
	Retry(ctx context.Context, at time.Time, tasks ...Task) error

	// Depth tells how full a lane is. It is cheap.
	Depth(ctx context.Context, lane string) (Depth, error)

	Store
}

// A Key is what a mark is about.
type Key struct {
	Lane string // as the syncer names it; it may be empty
	ID   string // a product's id, or an order's
}

// A Mark says that something may have changed. Only Key is required.
type Mark struct {
	Key
	// Why is what made the mark.
	Why Cause
	// First and Last are set when marks move from one lane to another, so that
	// they keep their age and their order. They are times that the queue gave,
	// and the moved task has exactly these. Zero means now. A First that is
	// later than now or Last is lowered to the earlier of these.
	First, Last time.Time
	// Count is how many marks this one stands for; less than 1 counts as 1.
	Count int
	// Trace is the trace context of whoever made the mark, as a W3C
	// traceparent, or "". One of more than [MaxTrace] bytes is dropped.
	Trace string
}

// MaxTrace bounds the trace context of a mark, in bytes. A W3C traceparent has
// 55.
const MaxTrace = 64

// A Cause is why something was marked.
type Cause string

// The causes of marks.
const (
	CauseEvent   Cause = "event"   // the source sent an event
	CauseOrder   Cause = "order"   // the source sent an event about an order
	CauseNotify  Cause = "notify"  // the host called Notify
	CauseWatch   Cause = "watch"   // a look at the source found it, or a look at a channel whose last quantity was not known
	CauseRetry   Cause = "retry"   // earlier work is to be done again
	CauseCall    Cause = "asked"   // somebody waits for the outcome
	CauseChannel Cause = "told"    // a channel shows another quantity: its webhook said so, or Target.Watch found it
	CauseSale    Cause = "sold"    // another channel has sold some of it, or shows all of it again
	CauseSettle  Cause = "settled" // Config.Settle has passed for units in flight, or for an edit; see [FlightKind]
	CausePin     Cause = "pin"     // the product was pinned, or is no longer
)

// A Task is a key that was leased.
type Task struct {
	Key
	// First is when the oldest mark was made that the task stands for, and
	// Last the newest one.
	First, Last time.Time
	// Why is the cause of the newest mark.
	Why Cause
	// Trace is that of the newest mark that has one.
	Trace string
	// Marks counts the marks that the task stands for, those since it was last
	// acknowledged. It is at least 1.
	Marks int
	// Attempt is what the last Retry left there, and 0 after a new mark.
	Attempt int
	// Token is the queue's own, and opaque to others. It tells one lease of a
	// key from another.
	Token uint64
}

// Mark returns the mark that moves the task's marks to another lane.
func (t Task) Mark(lane string) Mark {
	return Mark{
		Key: Key{Lane: lane, ID: t.ID}, Why: t.Why, First: t.First, Last: t.Last, Count: t.Marks, Trace: t.Trace,
	}
}

// A Peeker is a [Queue] that can tell what waits under a key, for
// [Syncer.Explain]. A queue need not be one.
type Peeker interface {
	// Peek returns what waits under a key, or nil. It changes nothing.
	Peek(ctx context.Context, key Key) (*Waiting, error)
}

// Waiting is a key that waits in a queue. Its Token means nothing.
type Waiting struct {
	Task
	// Due is when it may be leased.
	Due time.Time
	// Leased reports that it is being worked on.
	Leased bool
}

// A Depth is how full a lane is.
type Depth struct {
	Tasks  int       // waiting, delayed and leased
	Oldest time.Time // the oldest mark among them; zero if there is none
}

// A Store keeps small records in named sets. They survive what marks survive.
// A set needs no making, and exists as long as it has records. Names of sets,
// and keys, may be empty and have any bytes.
type Store interface {
	// Save writes records to a set: all of them or none. A nil Value removes
	// the record; removing one that does not exist is no error. If a key comes
	// twice the later record counts. Save copies what it keeps.
	Save(ctx context.Context, set string, records ...Record) error

	// Load returns a copy of the value of a record, or nil if there is none.
	Load(ctx context.Context, set, key string) ([]byte, error)

	// Records yields copies of the records of a set in the bytewise order of
	// their keys, from the first key that is not less than from. It ends with
	// an error, or at the end of the set. A second range starts again.
	//
	// A change that is made meanwhile may show or not. The caller may call the
	// store within the loop. However large the set is, little of it is in
	// memory at a time.
	Records(ctx context.Context, set, from string) iter.Seq2[Record, error]
}

// A Record is a small value under a key.
type Record struct {
	Key   string
	Value []byte
}
