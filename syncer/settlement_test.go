package syncer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// A told queue counts what it is told, and fails the nth call of Retry.
type toldQueue struct {
	*MemoryQueue
	acked, retried []string
	fails          int
	takes          time.Duration // Ack
}

func (q *toldQueue) Ack(ctx context.Context, tasks ...Task) error {
	select {
	case <-time.After(q.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, t := range tasks {
		q.acked = append(q.acked, t.ID)
	}
	return nil
}

func (q *toldQueue) Retry(_ context.Context, _ time.Time, tasks ...Task) error {
	if q.fails--; q.fails == 0 {
		return errors.New("disk full")
	}
	for _, t := range tasks {
		q.retried = append(q.retried, t.ID)
	}
	return nil
}

func settling(t *testing.T, q *toldQueue) *settlement {
	t.Helper()
	q.MemoryQueue = NewMemoryQueue()
	s, err := New(Config{Source: sevens(1), Queue: q, Grace: 20 * time.Second, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	return &settlement{s: s, channel: "a", t: s.targets[0]}
}

func task(id string, attempt int) Task { return Task{Key: Key{"channel/a", id}, Attempt: attempt} }

// A queue that fails is told the rest when it works, and what it was told not again.
func TestAQueueIsToldOnce(t *testing.T) {
	for fails := range 4 {
		synctest.Test(t, func(t *testing.T) {
			q := &toldQueue{fails: fails}
			o := settling(t, q)
			o.done(task("done", 0))
			o.putBack(task("soon", 0), time.Second)
			o.putBack(task("later", 0), time.Minute)
			o.settle(t.Context())
			assert.Equal(t, []string{"done"}, q.acked)
			assert.ElementsMatch(t, []string{"soon", "later"}, q.retried)
			assert.Empty(t, o.s.owed.take())
		})
	}
}

// What was done is told even after the work was to end, for a while. What cannot be
// told in time is owed.
func TestWhatWasDoneIsToldAfterTheEnd(t *testing.T) {
	for takes, owed := range map[time.Duration]int{800 * time.Millisecond: 0, 1200 * time.Millisecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			q := &toldQueue{takes: takes}
			o := settling(t, q)
			o.done(task("done", 0))
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			o.settle(ctx)
			assert.Len(t, o.s.owed.take(), owed)
			assert.Len(t, q.acked, 1-owed)
		})
	}
}

// A failure that counts as the task's own is its next one.
func TestAnAttemptThatFailsIsCounted(t *testing.T) {
	o := settling(t, new(toldQueue))
	o.giveUp(t.Context(), task("a", 2), Problem{Channel: "a", ProductID: "a", Err: ErrNoProduct})
	o.countAndRetry(task("b", 2), ErrNoProduct, time.Hour)
	require.Len(t, o.trouble, 2)
	assert.Equal(t, []int{3, 3}, []int{o.trouble[0].Attempts, o.trouble[1].Attempts})
}
