package syncer

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// onward is a source that goes on from a place, and remembers which.
type onward struct {
	sevens
	after  string
	before int
}

func (o *onward) StockAfter(ctx context.Context, id string, before int) iter.Seq2[channel.Stock, error] {
	o.after, o.before = id, before
	return o.Stock(ctx)
}

// tracking is a run that keeps how far it has come.
func tracking(t *testing.T, cp *checkpoint) (tr *tracker, q *flaky, log *bytes.Buffer) {
	t.Helper()
	q, log = &flaky{MemoryQueue: NewMemoryQueue(), fails: make(map[string]int)}, new(bytes.Buffer)
	s, err := New(Config{Source: &onward{sevens: 1}, Queue: q, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	return s.begin(t.Context(), WorkReconcile).track(cp), q, log
}

func (q *flaky) place(t *testing.T) []byte {
	t.Helper()
	value, err := q.MemoryQueue.Load(t.Context(), stateSet, checkpointName)
	require.NoError(t, err)
	return value
}

// A run that has too much to compare again keeps no place, and goes on as ever.
func TestARunWithTooMuchToDoAgainKeepsNoPlace(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		var cp *checkpoint
		many := slices.Repeat([]string{"p"}, maxAgain)
		if resumed {
			cp = &checkpoint{Channels: []channelsRemain{{Again: many}}}
		}
		tr, q, _ := tracking(t, cp)
		if !resumed {
			group := tr.sent(place{after: "1", read: 1})
			tr.did(0, group, stride{again: many})
			require.NotEmpty(t, q.place(t), "it is not too much yet")
		}
		group := tr.sent(place{after: "2", read: 2})
		require.NotZero(t, group)
		tr.did(0, group, stride{again: []string{"q"}})
		assert.Empty(t, q.place(t))
		assert.Zero(t, tr.sent(place{after: "3", read: 3}))
		tr.did(0, 0, stride{})
		tr.ended(true, false)
		assert.Empty(t, q.place(t))
	}
}

// That a place cannot be kept is said once, and it is kept when it can.
func TestAPlaceThatCannotBeKeptIsSaidOnce(t *testing.T) {
	tr, q, log := tracking(t, nil)
	tr.ended(true, false)
	assert.Empty(t, q.place(t), "there is none yet")
	q.fails["Save"] = 2
	for i, after := range []string{"1", "2", "3"} {
		tr.did(0, tr.sent(place{after: after}), stride{})
		assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("how far the run has come cannot be kept")), i)
	}
	assert.Contains(t, string(q.place(t)), `"after":"3"`)
}

// A run does not begin anew because it cannot be read where it was.
func TestAPlaceThatCannotBeReadIsNoNewBeginning(t *testing.T) {
	tr, q, _ := tracking(t, nil)
	tr.did(0, tr.sent(place{after: "1", read: 1}), stride{})
	cp, err := tr.s.goOn(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "1", cp.After)
	q.fails["Load"] = 1
	cp, err = tr.s.goOn(t.Context())
	require.Error(t, err)
	assert.Nil(t, cp)
}

// A source is told behind which product it goes on, and how many come before.
func TestASourceGoesOnBehindAPlace(t *testing.T) {
	source := &onward{sevens: 1}
	s, err := New(Config{Source: source, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	s.reads(context.WithValue(t.Context(), placeKey{}, &checkpoint{After: "x", Read: 5, Unread: 2}), nil)
	assert.Equal(t, "x", source.after)
	assert.Equal(t, 7, source.before)
}
