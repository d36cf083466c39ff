package syncer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// adopted is a syncer of some channels that has taken a queue over, in a term of its own.
func adopted(t *testing.T, q Queue, names ...string) (*Syncer, context.Context, *tenure) {
	t.Helper()
	cfg := Config{Source: sevens(1), Queue: q}
	for _, name := range names {
		cfg.Targets = append(cfg.Targets, Target{Channel: channeltest.NewMemory(name)})
	}
	s, err := New(cfg)
	require.NoError(t, err)
	term := &tenure{Term: forever{q}, shared: true, over: func() {}}
	ctx := context.WithValue(t.Context(), tenureKey{}, term)
	return s, ctx, term
}

// What waits for a channel that is gone is dropped; what waits for a retry then is
// dropped at a later start. Until all of it is, the channel is remembered.
func TestWhatWaitsForAChannelThatIsGoneIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &torn{MemoryQueue: NewMemoryQueue()}
		s, ctx, _ := adopted(t, q, "a", "b")
		require.NoError(t, s.adopt(ctx))
		lane := s.targets[1].eventLane()
		require.NoError(t, q.Mark(t.Context(), Mark{Key: Key{lane, "later"}}))
		tasks, err := q.Lease(t.Context(), lane, 1)
		require.NoError(t, err)
		require.NoError(t, q.Retry(t.Context(), time.Now().Add(time.Hour), tasks...))
		require.NoError(t, q.Mark(t.Context(), Mark{Key: Key{lane, "now"}}, Mark{Key: Key{s.targets[0].eventLane(), "a's"}}))

		waits := func() (n int, known bool) {
			d, err := q.Depth(t.Context(), lane)
			require.NoError(t, err)
			value, err := q.Load(t.Context(), targetSet, "b")
			require.NoError(t, err)
			return d.Tasks, value != nil
		}
		s, ctx, _ = adopted(t, q, "a")
		q.tear(storePart{"Lease", lane})
		require.ErrorContains(t, s.adopt(ctx), "bad sector")
		q.tear(storePart{})
		require.NoError(t, s.adopt(ctx))
		n, known := waits()
		assert.Equal(t, 1, n)
		assert.True(t, known, "it is not forgotten while something waits")
		time.Sleep(2 * time.Hour)
		s, ctx, _ = adopted(t, q, "a", "c")
		require.NoError(t, s.adopt(ctx))
		n, known = waits()
		assert.Zero(t, n)
		assert.False(t, known)
		value, err := q.Load(t.Context(), targetSet, "c")
		require.NoError(t, err)
		assert.NotNil(t, value, "and whoever came instead is known")
		d, err := q.Depth(t.Context(), s.targets[0].eventLane())
		require.NoError(t, err)
		assert.Equal(t, 1, d.Tasks, "nobody else's")

		require.NoError(t, q.Save(t.Context(), targetSet, Record{"b", []byte{}}))
		require.NoError(t, q.Mark(t.Context(), Mark{Key: Key{lane, "now"}}))
		q.tear(storePart{"Ack", lane})
		require.ErrorContains(t, s.adopt(ctx), "bad sector")
		_, known = waits()
		assert.True(t, known)
	})
}

// A channel that joins others is compared as a whole by whoever leads, in term after
// term until that is done, and not once more.
func TestANewChannelIsNewUntilItIsCompared(t *testing.T) {
	q := NewMemoryQueue()
	is := func(want bool, why string, names ...string) {
		t.Helper()
		s, ctx, term := adopted(t, q, names...)
		require.NoError(t, s.adopt(ctx))
		assert.Equal(t, want, term.newChannels, why)
	}
	is(false, "the first channels of all are compared anyway", "a")
	is(false, "it is there", "a")
	is(true, "it is new", "a", "b")
	is(true, "it is as new as before", "a", "b")
	s, ctx, term := adopted(t, q, "a", "b")
	term.shared = false
	require.NoError(t, s.compared(ctx))
	is(true, "that was no leader", "a", "b")
	s, ctx, _ = adopted(t, q, "a", "b")
	require.NoError(t, s.compared(ctx))
	is(false, "it was compared", "a", "b")
}
