package syncer_test

import (
	"context"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/racetest"
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
		pass(racetest.Size(24*time.Hour, 2*time.Hour))
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

// urgencies notes how urgently a watched source is asked.
type urgencies struct {
	watched
	changes, reads []channel.Urgency
}

func (u *urgencies) Changes(ctx context.Context, cursor string) ([]string, string, error) {
	u.changes = append(u.changes, channel.UrgencyOf(ctx))
	return u.watched.Changes(ctx, cursor)
}

func (u *urgencies) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	u.reads = append(u.reads, channel.UrgencyOf(ctx))
	return u.stock.Stock(ctx, ids...)
}

func TestWatchingLeavesTheQuotaToEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &urgencies{watched: watched{stock: newStock(5)}}, shop("a", 1)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		stop := running(t, s)
		pass(40 * time.Second)
		shows(t, m, 5)
		source.put("p0", "SKU-0", 4)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		stop()
		shows(t, m, 4)
		assert.Equal(t, []channel.Urgency{channel.Soon, channel.Soon}, source.changes)
		assert.Equal(t, []channel.Urgency{channel.Soon, channel.Urgent}, source.reads)
	})
}

// What moved by an event of ours is noticed by watching, too, and needs no
// second look; what moved since does.
func TestWhatIsNoticedIsLookedAtOnlyIfItChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &watched{stock: newStock(5)}, shop("a", 1)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, m, 5)
		before, _ := m.Calls()
		pass(time.Minute) // it is noticed
		after, _ := m.Calls()
		assert.Equal(t, before, after)
		source.put("p0", "SKU-0", 6)
		pass(time.Minute)
		shows(t, m, 6)
	})
}

// cursors notes what is saved and marked, in order.
type cursors struct {
	*syncer.MemoryQueue
	mu  sync.Mutex
	did []string
}

func (c *cursors) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.did = append(c.did, what)
}

func (c *cursors) Mark(ctx context.Context, marks ...syncer.Mark) error {
	for _, m := range marks {
		c.note("mark " + m.ID)
	}
	return c.MemoryQueue.Mark(ctx, marks...)
}

func (c *cursors) Save(ctx context.Context, set string, records ...syncer.Record) error {
	for _, r := range records {
		if r.Key == "watch" {
			c.note("save " + string(r.Value))
		}
	}
	return c.MemoryQueue.Save(ctx, set, records...)
}

// A crash between the two must lose no mark.
func TestACursorIsSavedAfterItsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &cursors{MemoryQueue: syncer.NewMemoryQueue()}
		s := configure(t, syncer.Config{Source: &watched{stock: newStock(5)}, Queue: q, Schedule: syncer.Never()}, shop("a", 1))
		stop := running(t, s)
		pass(31 * time.Second)
		stop()
		first, marked, last := slices.Index(q.did, "save 1"), slices.Index(q.did, "mark p0"), slices.Index(q.did, "save 11")
		assert.Zero(t, first)
		assert.Equal(t, 1, marked) // and it moves on, perhaps before the cursor is saved
		assert.Greater(t, last, marked)
	})
}
