package syncer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// watched is a source that tells what changed.
type watched struct {
	*stock
	calls []string
	times []time.Time
	err   error
}

func (w *watched) Changes(_ context.Context, cursor string) ([]string, string, error) {
	w.calls = append(w.calls, cursor)
	w.times = append(w.times, time.Now())
	if w.err != nil {
		return nil, "", w.err
	}
	if cursor == "" {
		return nil, "1", nil
	}
	return []string{"p0"}, cursor + "1", nil
}

func TestWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &watched{stock: newStock(5)}, shop("a", 1)
		q := syncer.NewMemoryQueue()
		stop := running(t, configure(t, syncer.Config{Source: source, Queue: q}, m))
		pass(time.Second)
		shows(t, m, 100)
		pass(31 * time.Second)
		shows(t, m, 5)
		stop()
		assert.Equal(t, []string{"", "1"}, source.calls)

		source.err = channel.ErrUnavailable
		stop = running(t, configure(t, syncer.Config{Source: source, Queue: q, WatchEvery: time.Second}, m))
		pass(24 * time.Hour)
		stop()
		assert.Equal(t, "11", source.calls[2], "the cursor is kept in the queue")
		assert.Less(t, len(source.calls), 40, "a failing watcher is asked ever more rarely")
		assert.GreaterOrEqual(t, source.times[3].Sub(source.times[2]), 24*time.Second)

		source.calls = nil
		stop = running(t, configure(t, syncer.Config{Source: source, Queue: q, WatchEvery: -1}, m))
		pass(time.Hour)
		stop()
		assert.Empty(t, source.calls)
	})
}
