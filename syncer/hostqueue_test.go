package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// hostsQueue is a host's queue: its calls take some time, whatever their context is,
// and fail, if they are to.
type hostsQueue struct {
	*MemoryQueue
	mu      sync.Mutex // of the next four
	takes   time.Duration
	err     error
	seen    context.Context // the last call's
	back    int             // calls of Retry
	tasks   []Task          // Lease answers besides
	listed  int             // calls of Records
	listing error           // after 150 records
	unknown error           // Depth's
	full    error           // Mark's
}

// behaves says how long calls take from now on, and what they fail of.
func (q *hostsQueue) behaves(takes time.Duration, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.takes, q.err = takes, err
}

func (q *hostsQueue) call(ctx context.Context) error {
	q.mu.Lock()
	q.seen = ctx
	takes, err := q.takes, q.err
	q.mu.Unlock()
	time.Sleep(takes)
	return err
}

func (q *hostsQueue) Mark(ctx context.Context, marks ...Mark) error {
	if q.full != nil {
		return q.full
	}
	return errors.Join(q.call(ctx), q.MemoryQueue.Mark(ctx, marks...))
}

func (q *hostsQueue) Wait(ctx context.Context, lane string) error {
	return errors.Join(q.call(ctx), q.MemoryQueue.Wait(ctx, lane))
}

func (q *hostsQueue) Lease(ctx context.Context, lane string, n int) ([]Task, error) {
	err := q.call(ctx)
	tasks, _ := q.MemoryQueue.Lease(context.WithoutCancel(ctx), lane, n)
	return append(tasks, q.tasks...), err
}

func (q *hostsQueue) Ack(ctx context.Context, tasks ...Task) error {
	return errors.Join(q.call(ctx), q.MemoryQueue.Ack(ctx, tasks...))
}

func (q *hostsQueue) Retry(ctx context.Context, at time.Time, tasks ...Task) error {
	q.mu.Lock()
	q.back++
	q.mu.Unlock()
	return errors.Join(q.call(ctx), q.MemoryQueue.Retry(ctx, at, tasks...))
}

func (q *hostsQueue) Depth(ctx context.Context, lane string) (Depth, error) {
	d, _ := q.MemoryQueue.Depth(ctx, lane)
	return d, errors.Join(q.unknown, q.call(ctx))
}

func (q *hostsQueue) Save(ctx context.Context, set string, records ...Record) error {
	return errors.Join(q.call(ctx), q.MemoryQueue.Save(ctx, set, records...))
}

func (q *hostsQueue) Load(ctx context.Context, set, key string) ([]byte, error) {
	v, _ := q.MemoryQueue.Load(ctx, set, key)
	return v, q.call(ctx)
}

func (q *hostsQueue) Peek(ctx context.Context, key Key) (*Waiting, error) {
	w, _ := q.MemoryQueue.Peek(ctx, key)
	return w, q.call(ctx)
}

func (q *hostsQueue) Records(ctx context.Context, set, from string) iter.Seq2[Record, error] {
	q.listed++
	return func(yield func(Record, error) bool) {
		for rec, err := range q.MemoryQueue.Records(ctx, set, from) {
			if q.listing != nil && rec.Key >= "150" {
				yield(Record{}, q.listing)
				return
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// bounding is a Syncer's boundary to such a queue, with its log.
func bounding(t *testing.T, patience time.Duration) (*hostQueue, *hostsQueue, *bytes.Buffer) {
	t.Helper()
	log, q := new(bytes.Buffer), &hostsQueue{MemoryQueue: NewMemoryQueue()}
	s, err := New(Config{Source: sevens(1), Queue: q, Patience: patience, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	return s.queue.(*hostQueue), q, log
}

// A call of the queue that does not return is left behind, and there is no other
// until it does.
func TestACallOfTheQueueIsLeftBehind(t *testing.T) {
	for patience, most := range map[time.Duration]time.Duration{10 * time.Second: 10 * time.Second, time.Hour: maxQueuePatience} {
		synctest.Test(t, func(t *testing.T) {
			h, q, log := bounding(t, patience)
			q.behaves(10*time.Minute, nil)
			began := time.Now()
			_, err := h.Load(t.Context(), "set", "key")
			require.ErrorIs(t, err, errStuck)
			require.ErrorContains(t, err, "the queue: Load: ")
			assert.Equal(t, most+h.s.returning/2, time.Since(began))
			assert.Regexp(t, "does not return and is left behind.*op=Load", log.String())
			assert.NotContains(t, log.String(), "has returned")

			began = time.Now()
			require.ErrorIs(t, h.Save(t.Context(), "set"), errStuck)
			require.ErrorIs(t, h.Wait(t.Context(), "lane"), errStuck)
			assert.Zero(t, time.Since(began))
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			assert.Regexp(t, "left behind has returned.*op=Load", log.String())
			q.behaves(0, nil)
			require.NoError(t, h.Save(t.Context(), "set"))
		})
	}
}

// Whoever asks the queue does not wait for it for long when it is to end.
func TestNobodyWaitsForTheQueueWhenItIsToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, q, _ := bounding(t, time.Minute)
		q.behaves(10*time.Minute, nil)
		for op, f := range map[string]func(context.Context) error{
			"Wait for a": func(ctx context.Context) error { return h.Wait(ctx, "a") },
			"Load":       func(ctx context.Context) error { _, err := h.Load(ctx, "set", "key"); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			began := time.Now()
			err := f(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "the queue: "+op)
			assert.Equal(t, 5*time.Second+h.s.returning/2, time.Since(began))
			if op != "Load" { // a wait that has not returned yet is no reason not to work
				q.behaves(0, nil)
				require.ErrorIs(t, h.Wait(t.Context(), "a"), errStuck)
				require.NoError(t, h.Save(t.Context(), "set"))
				require.NoError(t, h.Mark(t.Context(), Mark{Key: Key{"b", "p"}}))
				require.NoError(t, h.Wait(t.Context(), "b"))
				q.behaves(10*time.Minute, nil)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// What is leased too late for whoever asked is put back, if it is anything.
func TestWhatIsLeasedTooLateIsPutBack(t *testing.T) {
	for _, test := range []struct {
		marked int
		err    error
	}{{0, nil}, {1, nil}, {1, errors.New("disk full")}} {
		synctest.Test(t, func(t *testing.T) {
			h, q, log := bounding(t, time.Minute)
			for range test.marked {
				require.NoError(t, h.Mark(t.Context(), Mark{Key: Key{"a", "p"}}))
			}
			q.behaves(10*time.Minute, nil)
			_, err := h.Lease(t.Context(), "a", 10)
			require.ErrorIs(t, err, errStuck)
			q.behaves(0, test.err)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			q.mu.Lock()
			assert.Equal(t, test.marked, q.back)
			q.mu.Unlock()
			assert.Equal(t, test.err != nil, strings.Contains(log.String(), "could not be put back"))
			q.behaves(0, nil)
			tasks, err := h.Lease(t.Context(), "a", 10)
			require.NoError(t, err)
			assert.Len(t, tasks, test.marked)
		})
	}
}

// What a queue counts, and what nobody has asked it for, is taken for what it is.
func TestTasksOfAQueueMakeSense(t *testing.T) {
	h, q, _ := bounding(t, time.Minute)
	q.tasks = []Task{{Key: Key{"a", "1"}, Attempt: -5, Marks: -5}, {Key: Key{"b", "2"}}, {Key: Key{"a", "3"}, Attempt: 1 << 30, Marks: 7}, {Key: Key{"a", "4"}, Attempt: 3}}
	tasks, err := h.Lease(t.Context(), "a", 10)
	require.NoError(t, err)
	assert.Equal(t, []Task{{Key: Key{"a", "1"}}, {Key: Key{"a", "3"}, Attempt: maxAttempt, Marks: 7}, {Key: Key{"a", "4"}, Attempt: 3}}, tasks)
	require.Error(t, q.seen.Err(), "nothing is left of the call")
}

// Records are asked for in pages, and those before an error are there.
func TestRecordsComeInPages(t *testing.T) {
	for _, test := range []struct{ n, until, calls int }{{0, 999, 1}, {99, 999, 1}, {100, 999, 2}, {250, 999, 3}, {250, 5, 1}, {250, 120, 2}} {
		h, q, _ := bounding(t, time.Minute)
		var want []string
		for i := range test.n {
			want = append(want, fmt.Sprintf("%03d", i))
			require.NoError(t, h.Save(t.Context(), "set", Record{want[i], []byte{1}}))
		}
		var got []string
		for rec, err := range h.Records(t.Context(), "set", "") {
			require.NoError(t, err)
			if got = append(got, rec.Key); len(got) == test.until {
				break
			}
		}
		assert.Equal(t, want[:min(test.n, test.until)], got)
		assert.Equal(t, test.calls, q.listed, "%d of %d", test.until, test.n)

		q.listing = errors.New("bad block")
		got = nil
		var failed []error
		for rec, err := range h.Records(t.Context(), "set", "") {
			if failed = append(failed, err); err == nil {
				got = append(got, rec.Key)
			}
		}
		assert.Equal(t, want[:min(test.n, 150)], got)
		if test.n > 150 {
			require.ErrorIs(t, failed[len(failed)-1], q.listing)
			require.ErrorContains(t, failed[len(failed)-1], "the queue: Records: ")
			assert.Len(t, failed, 151)
		}
	}
}

// What has no id is left out, and the rest is marked.
func TestMarksWithoutAnIDAreLeftOut(t *testing.T) {
	long := strings.Repeat("x", maxID+1)
	h, q, log := bounding(t, time.Minute)
	mark := func(lane, id string) Mark { return Mark{Key: Key{lane, id}} }
	require.NoError(t, h.Mark(t.Context(), mark("a", "1")))
	assert.Empty(t, log.String())
	require.NoError(t, h.Mark(t.Context(), mark("a", long), mark("a", "2"), mark("a", ""), mark("a", long[1:]), mark(skuLane, long)))
	require.NoError(t, h.Mark(t.Context(), mark("a", "")))
	assert.Contains(t, log.String(), "it is left out")
	for lane, n := range map[string]int{"a": 3, skuLane: 1} {
		d, err := q.MemoryQueue.Depth(t.Context(), lane)
		require.NoError(t, err)
		assert.Equal(t, n, d.Tasks, lane)
	}
}

// plainQueue is a queue that has nothing but what it must have.
type plainQueue struct{ Queue }

// The queue's errors are said to be the queue's, and whose.
func TestErrorsOfTheQueueSayWhose(t *testing.T) {
	h, q, _ := bounding(t, time.Minute)
	require.NoError(t, h.Mark(t.Context(), Mark{Key: Key{"due", "1"}}))
	reset := fmt.Errorf("connection reset: %w", channel.ErrUnavailable)
	ctx := t.Context()
	for op, f := range map[string]func() error{
		"Mark":         func() error { return h.Mark(ctx, Mark{Key: Key{"a", "1"}}) },
		"Wait for due": func() error { return h.Wait(ctx, "due") },
		"Lease":        func() error { _, err := h.Lease(ctx, "a", 1); return err },
		"Ack":          func() error { return h.Ack(ctx, Task{}) },
		"Retry":        func() error { return h.Retry(ctx, time.Now(), Task{}) },
		"Depth":        func() error { _, err := h.Depth(ctx, "a"); return err },
		"Save":         func() error { return h.Save(ctx, "set") },
		"Load":         func() error { _, err := h.Load(ctx, "set", "key"); return err },
		"Peek":         func() error { _, err := h.Peek(ctx, Key{"a", "1"}); return err },
	} {
		q.behaves(0, reset)
		err := f()
		require.ErrorIs(t, err, reset)
		require.ErrorContains(t, err, "the queue: "+op+": connection reset")
		q.behaves(0, nil)
		require.NoError(t, f())
	}
	w, err := (&hostQueue{s: h.s, q: plainQueue{q}}).Peek(ctx, Key{"a", "1"})
	require.NoError(t, err)
	assert.Nil(t, w)
}
