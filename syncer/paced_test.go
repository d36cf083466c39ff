package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// metered is a source that counts how often it is asked for its pace.
type metered struct {
	sevens
	asked atomic.Int64
	err   error
}

func (p *metered) Pace(context.Context) error {
	p.asked.Add(1)
	return p.err
}

// turns is a worker on the events of the first of two channels, and what it has
// done: the tasks of each turn.
func turns(t *testing.T, source *metered, log *slog.Logger) (w *worker, r *stockReader, done *[]int) {
	t.Helper()
	s, err := New(Config{Source: source, Logger: log, Targets: []Target{{Channel: channeltest.NewMemory("a")}, {Channel: channeltest.NewMemory("b")}}})
	require.NoError(t, err)
	r, done = newStockReader(s), new([]int)
	t.Cleanup(r.close)
	c := &crew{s: s, accept: t.Context(), work: t.Context()}
	w = c.eventWorker(s.targets[0], "channel/a", r, func(tasks []Task) time.Duration {
		*done = append(*done, len(tasks))
		return time.Second
	})
	return w, r, done
}

// A turn waits for the source's pace unless what it needs may have been read for
// another channel: then it takes that, and puts back the rest.
func TestWhichTurnsWaitForThePace(t *testing.T) {
	source := new(metered)
	w, r, done := turns(t, source, nil)
	a := w.s.targets[0]
	waits := func(waiting int) bool {
		before := source.asked.Load()
		require.NoError(t, w.pace(t.Context(), waiting))
		return source.asked.Load() > before
	}
	unread := []Task{{Key: Key{"channel/a", "x"}, Last: time.Now()}}

	assert.True(t, waits(0), "nothing was read for others")
	assert.Equal(t, time.Second, w.do(unread))
	r.total++
	assert.True(t, waits(1), "more is waiting than a turn takes")
	assert.False(t, waits(0))
	assert.Zero(t, w.do(unread), "it waits for its own read")
	assert.True(t, waits(0), "nothing more was read for others")
	assert.Equal(t, []int{1}, *done)

	r.fed[a] = true
	assert.True(t, waits(backlogSize+batchSize-1))
	r.total++
	assert.False(t, waits(0))
	assert.False(t, waits(backlogSize+batchSize), "what the last turn needed was read for others, and so on")
	assert.Equal(t, time.Second, w.do(unread), "whatever the turn before it was")
	assert.Equal(t, []int{1, 1}, *done)
	r.fed[a] = false
	assert.True(t, waits(backlogSize+batchSize))
}

// A source that cannot tell its pace is read all the same, and a worker that is to
// end does not wait for it.
func TestAPaceThatFailsStopsNothing(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx       context.Context
		err, want error
		logs      bool
	}{
		{t.Context(), nil, nil, false},
		{t.Context(), errors.New("no answer"), nil, true},
		{over, nil, context.Canceled, false},
		{over, context.Canceled, context.Canceled, false},
	} {
		var log bytes.Buffer
		w, _, _ := turns(t, &metered{err: test.err}, slog.New(slog.NewTextHandler(&log, nil)))
		require.ErrorIs(t, w.pace(test.ctx, 0), test.want)
		assert.Equal(t, test.logs, strings.Contains(log.String(), "cannot pace its reads"))
	}
}

// A channel for which another one has read does not wait for it, spinning, when
// that one hangs.
func TestAChannelGoesOnThoughTheOneThatReadForItHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := channeltest.NewMemory("a"), channeltest.NewMemory("b")
		var ids []string
		for i := range 601 {
			ids = append(ids, fmt.Sprint(i))
			a.Set(ids[i], 9)
			b.Set(ids[i], 9)
		}
		late := func(m channel.Channel, nth int64, d time.Duration) channel.Channel {
			var n atomic.Int64
			return &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				if n.Add(1) == nth {
					time.Sleep(d)
				}
				return next.Levels(ctx, skus)
			}}
		}
		s, err := New(Config{Source: new(metered), Schedule: Never(), Targets: []Target{
			{Channel: late(a, 1, 10*time.Second), Guard: Guard{Losses: -1, Gains: -1}},
			{Channel: late(b, 2, time.Hour), Guard: Guard{Losses: -1, Gains: -1}},
		}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		require.NoError(t, s.Notify(ctx, ids[0]))
		time.Sleep(5 * time.Second)
		require.NoError(t, s.Notify(ctx, ids[1:]...))
		time.Sleep(time.Minute)
		for _, id := range ids {
			n, _ := a.Quantity(id)
			require.Equal(t, 7, n, id)
		}
		n, _ := b.Quantity(ids[1])
		assert.Equal(t, 9, n, "it hangs")
		cancel()
		require.NoError(t, <-done)
		time.Sleep(time.Hour)
	})
}
