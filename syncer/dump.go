package syncer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// A Dumper is a [Queue] that can tell all that it keeps, for [CopyQueue]. Both
// methods change nothing, work without a [Term], and end with an error or at the
// end.
type Dumper interface {
	// Sets yields the names of all sets that have records.
	Sets(ctx context.Context) iter.Seq2[string, error]
	// Marked yields a mark for each key in any lane, whether it is due, waits for
	// a retry, or is leased: with its First, Why, Count and Trace, and no Last. A
	// key that is marked meanwhile may come twice, or not.
	Marked(ctx context.Context) iter.Seq2[Mark, error]
}

// Copied says what [CopyQueue] has copied.
type Copied struct {
	Records int // small records, of all sets
	Marks   int // marked products and orders
}

// ErrNotEmpty: a queue was worked with already, so that nothing is copied into it.
var ErrNotEmpty = errors.New("the queue has been worked with already")

// CopyQueue copies all that one queue keeps into another one, so that a service can
// move: from a file to PostgreSQL, or back. It copies the records (what guards
// hold, troubles, pauses, the journal, the last reconciliation, and those of
// adapters that keep theirs there) and the marks, which keep their age and are due
// at once. What the processes of a shared queue say about each other stays behind.
//
// Nobody may run on either queue meanwhile; the one that is copied from stays as it
// is, so that there is a way back until the other one is used. The other one must
// be new, or CopyQueue fails with [ErrNotEmpty]; after a copy that was interrupted
// it may be called again. It needs a [Dumper] to copy from, as a MemoryQueue and
// those of boltqueue and pgqueue are, and otherwise fails with
// [errors.ErrUnsupported].
func CopyQueue(ctx context.Context, to, from Queue) (Copied, error) {
	var c Copied
	err := c.copy(ctx, to, from)
	if err != nil {
		err = fmt.Errorf("syncer: copying a queue: %w", err)
	}
	return c, err
}

const (
	// copyingName is a record while a copy is not whole.
	copyingName = "copying"
	copyBytes   = 256 << 10
	copyMarks   = 1000
)

func (c *Copied) copy(ctx context.Context, to, from Queue) error {
	dumper, ok := from.(Dumper)
	if !ok {
		return fmt.Errorf("%T cannot tell all that it keeps: %w", from, errors.ErrUnsupported)
	}
	if err := knownFormat(ctx, from); err != nil {
		return err
	}
	copying, err := to.Load(ctx, stateSet, copyingName)
	if err != nil {
		return err
	}
	if copying == nil {
		for _, set := range []string{stateSet, targetSet} {
			for _, err := range to.Records(ctx, set, "") {
				if err == nil {
					err = ErrNotEmpty
				}
				return err
			}
		}
		if err := to.Save(ctx, stateSet, Record{copyingName, []byte("yes")}); err != nil {
			return err
		}
	}
	for set, err := range dumper.Sets(ctx) {
		if err != nil {
			return err
		}
		if err := c.set(ctx, to, from, set); err != nil {
			return fmt.Errorf("the records %q: %w", set, err)
		}
	}
	var marks []Mark
	send := func() error {
		if len(marks) == 0 {
			return nil
		}
		c.Marks += len(marks)
		err := to.Mark(ctx, marks...)
		marks = marks[:0]
		return err
	}
	for m, err := range dumper.Marked(ctx) {
		if err != nil {
			return err
		}
		if m.Lane == askLane { // whoever asked waits for it no more
			continue
		}
		if marks = append(marks, m); len(marks) == copyMarks {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if err := send(); err != nil {
		return err
	}
	return to.Save(ctx, stateSet, Record{Key: copyingName})
}

// set copies a set.
func (c *Copied) set(ctx context.Context, to, from Queue, set string) error {
	if slices.Contains([]string{askSet, answerSet, replicaSet, writingSet}, set) {
		return nil
	}
	var some []Record
	size := 0
	send := func() error {
		if len(some) == 0 {
			return nil
		}
		err := to.Save(ctx, set, some...)
		c.Records += len(some)
		some, size = some[:0], 0
		return err
	}
	for rec, err := range from.Records(ctx, set, "") {
		if err != nil {
			return err
		}
		if set == stateSet && (rec.Key == viewName || rec.Key == copyingName) {
			continue
		}
		some = append(some, rec)
		if size += len(rec.Key) + len(rec.Value); size >= copyBytes || len(some) == copyMarks {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return send()
}

// Sets implements [Dumper].
func (s *memoryStore) Sets(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		names := slices.Sorted(maps.Keys(s.sets))
		s.mu.Unlock()
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Marked implements [Dumper].
func (q *MemoryQueue) Marked(ctx context.Context) iter.Seq2[Mark, error] {
	return func(yield func(Mark, error) bool) {
		q.mu.Lock()
		var all []Mark
		for name, lane := range q.lanes {
			for id, e := range lane.entries {
				m := Mark{Key: Key{name, id}, Why: e.work.why, First: e.oldest(), Count: e.work.count, Trace: e.work.trace}
				if e.later != nil {
					m.Why, m.Count = e.later.why, m.Count+e.later.count
					if e.later.trace != "" {
						m.Trace = e.later.trace
					}
				}
				all = append(all, m)
			}
		}
		q.mu.Unlock()
		slices.SortFunc(all, func(a, b Mark) int {
			if c := a.First.Compare(b.First); c != 0 {
				return c
			}
			return strings.Compare(a.Lane+"\x00"+a.ID, b.Lane+"\x00"+b.ID)
		})
		for _, m := range all {
			if err := ctx.Err(); err != nil {
				yield(Mark{}, err)
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}
