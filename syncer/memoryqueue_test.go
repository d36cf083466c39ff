package syncer_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func TestMemoryQueue(t *testing.T) {
	queuetest.TestQueue(t, func(*testing.T) syncer.Queue { return syncer.NewMemoryQueue() })
}

func TestMemoryQueueRestoresInOrderAndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		q := syncer.NewMemoryQueue()
		future := syncer.Mark{Key: syncer.Key{ID: "future"}, First: now.Add(time.Hour), Last: now.Add(time.Hour)}
		q.Restore(future, syncer.Mark{Key: syncer.Key{ID: "old"}, First: now.Add(-time.Hour), Last: now})
		q.Restore(syncer.Mark{Key: syncer.Key{ID: "old"}}) // is there already
		require.NoError(t, q.Wait(t.Context(), ""))

		got, ok := q.Lookup(future.Key)
		assert.True(t, ok)
		assert.Equal(t, future.Key, got.Key)
		assert.True(t, got.First.Equal(now) && got.Last.Equal(now), "a time in the future counts as now")
		tasks, err := q.Lease(t.Context(), "", 9)
		require.NoError(t, err)
		require.Len(t, tasks, 2, "a mark from the future is due: the clock was set back")
		assert.Equal(t, "old", tasks[0].ID)
		assert.True(t, tasks[0].First.Equal(now.Add(-time.Hour)))
		assert.Zero(t, tasks[0].Attempt)

		_, ok = q.Lookup(future.Key)
		assert.True(t, ok, "a leased key is in the queue")
		require.NoError(t, q.Mark(t.Context(), syncer.Mark{Key: future.Key}))
		require.NoError(t, q.Retry(t.Context(), now.Add(time.Hour), tasks[1]))
		tasks2, err := q.Lease(t.Context(), "", 9)
		require.NoError(t, err)
		require.Len(t, tasks2, 1, "marked during work, so due at once")
		require.NoError(t, q.Ack(t.Context(), tasks2...))
		_, ok = q.Lookup(future.Key)
		assert.False(t, ok)
		_, ok = q.Lookup(syncer.Key{Lane: "none"})
		assert.False(t, ok)
	})
}

func ExampleMemoryQueue() {
	ctx := context.Background()
	q := syncer.NewMemoryQueue()
	tea := syncer.Mark{Key: syncer.Key{Lane: "shop", ID: "tea"}}
	_ = q.Mark(ctx, tea)
	_ = q.Mark(ctx, tea) // the same task

	tasks, _ := q.Lease(ctx, "shop", 100)
	fmt.Println(len(tasks), tasks[0].ID)

	_ = q.Mark(ctx, tea) // while it is worked on
	_ = q.Ack(ctx, tasks...)
	depth, _ := q.Depth(ctx, "shop")
	fmt.Println(depth.Tasks, "to be done again")
	// Output:
	// 1 tea
	// 1 to be done again
}

// One round takes a key through the queue while 100,000 others wait.
func BenchmarkMemoryQueue(b *testing.B) {
	ctx := b.Context()
	q := syncer.NewMemoryQueue()
	for i := range 100_000 {
		_ = q.Mark(ctx, syncer.Mark{Key: syncer.Key{ID: fmt.Sprint(i)}})
	}
	b.ReportAllocs()
	for b.Loop() {
		tasks, _ := q.Lease(ctx, "", 1)
		_ = q.Mark(ctx, syncer.Mark{Key: tasks[0].Key})
		_ = q.Ack(ctx, tasks...)
		_, _ = q.Depth(ctx, "")
	}
}

// Who gives up is told that nothing was done, and nothing is.
func TestMemoryQueueDoesNothingForWhoGaveUp(t *testing.T) {
	q := syncer.NewMemoryQueue()
	mark := syncer.Mark{Key: syncer.Key{Lane: "lane", ID: "a"}}
	require.NoError(t, q.Mark(t.Context(), mark))
	tasks, err := q.Lease(t.Context(), "lane", 1)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.NoError(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "lane", ID: "b"}}))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, do := range map[string]func() error{
		"Mark":  func() error { return q.Mark(ctx, syncer.Mark{Key: syncer.Key{Lane: "lane", ID: "c"}}) },
		"Lease": func() error { _, err := q.Lease(ctx, "lane", 1); return err },
		"Ack":   func() error { return q.Ack(ctx, tasks...) },
		"Retry": func() error { return q.Retry(ctx, time.Now(), tasks...) },
		"Depth": func() error { _, err := q.Depth(ctx, "lane"); return err },
		"Peek":  func() error { _, err := q.Peek(ctx, mark.Key); return err },
		"Wait":  func() error { return q.Wait(ctx, "lane") },
	} {
		require.ErrorIs(t, do(), context.Canceled, name)
	}
	d, err := q.Depth(t.Context(), "lane")
	require.NoError(t, err)
	assert.Equal(t, 2, d.Tasks)
	more, err := q.Lease(t.Context(), "lane", 9)
	require.NoError(t, err)
	require.Len(t, more, 1)
	assert.Equal(t, "b", more[0].ID)
	require.NoError(t, q.Ack(t.Context(), tasks...), "the lease is still good")
	d, err = q.Depth(t.Context(), "lane")
	require.NoError(t, err)
	assert.Equal(t, 1, d.Tasks)
}
