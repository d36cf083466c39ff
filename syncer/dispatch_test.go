package syncer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Where no more is waiting than a channel's next two turns take nothing goes past it,
// and what was only watched never does.
func TestOnlyWhereManyWaitDangerGoesPast(t *testing.T) {
	event, watched := (*target).eventLane, (*target).watchedLane
	for _, test := range []struct {
		waiting               int
		lane                  func(*target) string
		failed                error // of Depth
		danger, event, looked int
	}{
		{0, event, nil, 0, 2, 0},
		{backlogSize - 1, event, nil, 0, backlogSize + 1, 0},
		{backlogSize, event, nil, 1, backlogSize + 1, 0},
		{backlogSize, event, errors.New("disk full"), 0, backlogSize + 2, 0},
		{backlogSize, watched, nil, 0, 0, backlogSize + 2},
	} {
		h, q, _ := bounding(t, time.Minute)
		a := h.s.targets[0]
		for i := range test.waiting {
			require.NoError(t, q.MemoryQueue.Mark(t.Context(), Mark{Key: Key{test.lane(a), fmt.Sprint(i)}}))
		}
		require.NoError(t, h.Mark(t.Context(), Mark{Key: Key{inboxLane, "sold"}, Why: CauseOrder}, Mark{Key: Key{inboxLane, "moved"}, Why: CauseEvent}))
		tasks, err := h.Lease(t.Context(), inboxLane, 10)
		require.NoError(t, err)
		q.unknown = test.failed
		h.s.dispatch(t.Context(), tasks, test.lane)
		for lane, want := range map[string]int{a.dangerLane(): test.danger, a.eventLane(): test.event, a.watchedLane(): test.looked, inboxLane: 0} {
			d, err := q.MemoryQueue.Depth(t.Context(), lane)
			require.NoError(t, err)
			assert.Equal(t, want, d.Tasks, lane)
		}
	}
}

// What cannot be marked for the channels stays in the inbox when Run is to end.
func TestWhatCannotBeMarkedStaysInTheInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, q, _ := bounding(t, time.Minute)
		require.NoError(t, h.Mark(t.Context(), Mark{Key: Key{inboxLane, "0"}, Why: CauseEvent}))
		tasks, err := h.Lease(t.Context(), inboxLane, 10)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q.full = errors.New("disk full")
		h.s.dispatch(ctx, tasks, (*target).eventLane)
		assert.Error(t, ctx.Err())
		tasks, err = h.Lease(t.Context(), inboxLane, 10)
		require.NoError(t, err)
		assert.Len(t, tasks, 1)

		q.full = nil
		h.s.dispatch(t.Context(), tasks, (*target).eventLane)
		tasks, err = h.Lease(t.Context(), h.s.targets[0].eventLane(), 10)
		require.NoError(t, err)
		assert.Len(t, tasks, 1)
	})
}
