package queuetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A handle is a Client whose Lead is changed.
type handle struct {
	*queuetest.Client
	lead func(ctx context.Context, c *queuetest.Client, self string) (syncer.Term, error)
}

func (h handle) Lead(ctx context.Context, self string) (syncer.Term, error) {
	return h.lead(ctx, h.Client, self)
}

// handles makes both handles lead in another way.
func handles(lead func(s *queuetest.Server) func(ctx context.Context, c *queuetest.Client, self string) (syncer.Term, error)) func(*testing.T) queuetest.Handles {
	return func(*testing.T) queuetest.Handles {
		const lease = 10 * time.Minute
		s := queuetest.NewServer(lease)
		a, b := s.Open(), s.Open()
		return queuetest.Handles{A: handle{a, lead(s)}, B: handle{b, lead(s)}, Lease: lease, Cut: a.Cut}
	}
}

// terms changes each term.
func terms(change func(s *queuetest.Server, c *queuetest.Client, t syncer.Term) syncer.Term) func(*testing.T) queuetest.Handles {
	return handles(func(s *queuetest.Server) func(ctx context.Context, c *queuetest.Client, self string) (syncer.Term, error) {
		return func(ctx context.Context, c *queuetest.Client, self string) (syncer.Term, error) {
			t, err := c.Lead(ctx, self)
			if err != nil {
				return nil, err
			}
			return change(s, c, t), nil
		}
	})
}

type unfencedAck struct {
	syncer.Term
	q *syncer.MemoryQueue
}

func (t unfencedAck) Ack(ctx context.Context, tasks ...syncer.Task) error {
	return t.q.Ack(ctx, tasks...)
}

type unfencedRetry struct {
	syncer.Term
	q *syncer.MemoryQueue
}

func (t unfencedRetry) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	return t.q.Retry(ctx, at, tasks...)
}

type unfencedSave struct {
	syncer.Term
	q *syncer.MemoryQueue
}

func (t unfencedSave) Save(ctx context.Context, set string, records ...syncer.Record) error {
	return t.q.Save(ctx, set, records...)
}

type unfencedLease struct {
	syncer.Term
	q *syncer.MemoryQueue
}

func (t unfencedLease) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	return t.q.Lease(ctx, lane, n)
}

// An oblivious term does not notice its end.
type oblivious struct{ syncer.Term }

func (oblivious) Done() <-chan struct{} { return nil }
func (oblivious) Left() time.Duration   { return time.Minute }

// A silent term has no end that others hear of.
type silent struct {
	syncer.Term
	c *queuetest.Client
}

func (t silent) Resign(ctx context.Context) error {
	mend := t.c.Cut()
	defer mend()
	_ = t.Term.Resign(ctx)
	return nil
}

type forgetful struct{ syncer.Term }

func (forgetful) Interrupted() []syncer.Key { return nil }

type numberless struct{ syncer.Term }

func (numberless) Number() uint64 { return 1 }

// A patient term waits on when it is over.
type patient struct {
	syncer.Term
	q *syncer.MemoryQueue
}

func (t patient) Wait(ctx context.Context, lane string) error { return t.q.Wait(ctx, lane) }

// usurping are shared queues with one bug each, and the rules that must find it.
var usurping = map[string]struct {
	open  func(*testing.T) queuetest.Handles
	rules string
}{
	"nothing": {terms(func(_ *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term { return t }), ""},
	"Ack is not fenced": {terms(func(s *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return unfencedAck{t, s.Queue()}
	}), "ResignFreesLeases TakeoverFreesLeases"},
	"Retry is not fenced": {terms(func(s *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return unfencedRetry{t, s.Queue()}
	}), "ResignFreesLeases TakeoverFreesLeases"},
	"Save is not fenced": {terms(func(s *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return unfencedSave{t, s.Queue()}
	}), "ResignFreesLeases TakeoverFreesLeases"},
	"Lease is not fenced": {terms(func(s *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return unfencedLease{t, s.Queue()}
	}), "ResignFreesLeases TakeoverFreesLeases"},
	"the end is not noticed": {terms(func(_ *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return oblivious{t}
	}), "OneLeadsAtATime ResignFreesLeases TakeoverFreesLeases"},
	"resigned in silence": {terms(func(_ *queuetest.Server, c *queuetest.Client, t syncer.Term) syncer.Term {
		return silent{t, c}
	}), "OneLeadsAtATime"},
	"what was interrupted is not told": {terms(func(_ *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return forgetful{t}
	}), "ResignFreesLeases TakeoverFreesLeases"},
	"one number": {terms(func(_ *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return numberless{t}
	}), "OneLeadsAtATime TakeoverFreesLeases"},
	"leases stay": {terms(func(s *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		for _, k := range t.Interrupted() {
			_, _ = s.Queue().Lease(context.Background(), k.Lane, 1)
		}
		return t
	}), "ResignFreesLeases TakeoverFreesLeases"},
	"the term is its Lead's": {handles(func(*queuetest.Server) func(context.Context, *queuetest.Client, string) (syncer.Term, error) {
		return func(ctx context.Context, c *queuetest.Client, self string) (syncer.Term, error) {
			t, err := c.Lead(ctx, self)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = t.Resign(context.Background()) })
			}
			return t, err
		}
	}), "OneLeadsAtATime LeadEndsWithItsContext"},
	"all lead": {handles(func(s *queuetest.Server) func(context.Context, *queuetest.Client, string) (syncer.Term, error) {
		return func(ctx context.Context, c *queuetest.Client, self string) (syncer.Term, error) {
			s.End()
			return c.Lead(ctx, self)
		}
	}), "OneLeadsAtATime AShortCutEndsNoTerm"},
	"Wait goes on": {terms(func(s *queuetest.Server, _ *queuetest.Client, t syncer.Term) syncer.Term {
		return patient{t, s.Queue()}
	}), "WaitEndsWithTheTerm"},
	"records need a term": {func(t *testing.T) queuetest.Handles {
		const lease = 10 * time.Minute
		s := queuetest.NewServer(lease)
		return queuetest.Handles{A: s.Open(), B: readOnly{s.Open()}, Lease: lease}
	}, "WhoDoesNotLeadStores"},
	"marks wake nobody": {func(t *testing.T) queuetest.Handles {
		const lease = 10 * time.Minute
		s := queuetest.NewServer(lease)
		return queuetest.Handles{A: s.Open(), B: mute{s.Open()}, Lease: lease}
	}, "MarksByOthersWakeTheLeader AllMarkAtTheSameTime"},
}

type readOnly struct{ *queuetest.Client }

func (readOnly) Save(context.Context, string, ...syncer.Record) error { return errors.New("read only") }

type mute struct{ *queuetest.Client }

func (mute) Mark(context.Context, ...syncer.Mark) error { return nil }
