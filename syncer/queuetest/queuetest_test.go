package queuetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func TestQueue(t *testing.T) {
	queuetest.TestQueue(t, func(*testing.T) syncer.Queue { return syncer.NewMemoryQueue() })
}

// A remote is a queue behind a network, which looks for what is due at times.
type remote struct{ syncer.Queue }

const (
	latency = 4 * time.Millisecond
	polling = 20 * time.Millisecond
	unit    = 100 * time.Millisecond
)

func (r remote) Mark(ctx context.Context, marks ...syncer.Mark) error {
	time.Sleep(latency)
	defer time.Sleep(latency)
	return r.Queue.Mark(ctx, marks...)
}

func (r remote) Wait(ctx context.Context, lane string) error {
	time.Sleep(polling)
	return r.Queue.Wait(ctx, lane)
}

func (r remote) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	time.Sleep(latency)
	return r.Queue.Lease(ctx, lane, n)
}

func (r remote) Ack(ctx context.Context, tasks ...syncer.Task) error {
	time.Sleep(latency)
	return r.Queue.Ack(ctx, tasks...)
}

func (r remote) Save(ctx context.Context, set string, records ...syncer.Record) error {
	time.Sleep(latency)
	return r.Queue.Save(ctx, set, records...)
}

// In bubbles: nothing here depends on how fast this machine is.
func TestLive(t *testing.T) {
	open := func(*testing.T) syncer.Queue { return remote{syncer.NewMemoryQueue()} }
	queuetest.TestQueue(t, open, queuetest.LiveInBubbles(unit))
}

func TestServer(t *testing.T) {
	const lease = 10 * time.Minute
	open := func(*testing.T) queuetest.Handles {
		s := queuetest.NewServer(lease)
		a := s.Open()
		return queuetest.Handles{A: a, B: s.Open(), Lease: lease, Cut: a.Cut}
	}
	queuetest.TestShared(t, open)
	t.Run("live", func(t *testing.T) { queuetest.TestShared(t, open, queuetest.LiveInBubbles(lease/10)) })
}

func TestATermIsAQueue(t *testing.T) {
	queuetest.TestQueue(t, func(t *testing.T) syncer.Queue {
		term, err := queuetest.NewServer(time.Minute).Open().Lead(t.Context(), "self")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := term.Resign(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return term
	})
}
