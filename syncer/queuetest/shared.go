package queuetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// Handles are those of two processes on one queue.
type Handles struct {
	A, B syncer.SharedQueue
	// Lease is how long a term lasts that is not renewed.
	Lease time.Duration
	// Cut cuts A off from the queue's server, until mend is called: nothing
	// arrives, in either direction. A's calls fail, or hang until their ctx is
	// done. The tests that need it are skipped if it is nil.
	Cut func() (mend func())
}

// TestShared checks the promises of [syncer.SharedQueue] and [syncer.Term], each
// in a subtest. open makes a new, empty queue and opens it twice; what is to be
// closed it leaves to t.Cleanup. All terms have been resigned, or are cut off,
// by then. With [Live], the unit is best some fraction of the lease.
//
// It checks nothing that is said of a Queue: call [TestQueue] with a Term, too.
func TestShared(t *testing.T, open func(t *testing.T) Handles, options ...Option) {
	for _, tc := range sharing {
		run(t, tc.name, options, func(k *kit) {
			h := open(k.t)
			tc.run(&sharedKit{kit: k, Handles: h})
		})
	}
}

// A sharedKit is a kit whose queue, at most times, is a term.
type sharedKit struct {
	*kit
	Handles
}

// lead makes a handle lead, and has the kit use its term.
func (k *sharedKit) lead(q syncer.SharedQueue, self, rule string) syncer.Term {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 10*k.Lease)
	defer cancel()
	term, err := q.Lead(ctx, self)
	if err != nil {
		k.t.Fatalf("Lead(%q): %v: %s", self, err, rule)
	}
	k.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), k.unit)
		defer cancel()
		_ = term.Resign(ctx)
	})
	k.q = term
	return term
}

// standby calls Lead of B and returns where its term comes.
func (k *sharedKit) standby() <-chan syncer.Term {
	got := make(chan syncer.Term, 1)
	ctx, cancel := context.WithCancel(k.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if term, err := k.B.Lead(ctx, "b"); err == nil {
			got <- term
		}
	}()
	k.t.Cleanup(func() {
		cancel()
		<-done
		select {
		case term := <-got:
			_ = term.Resign(context.Background())
		default:
		}
	})
	return got
}

// waits wants nobody to lead yet.
func (k *sharedKit) waits(got <-chan syncer.Term, rule string) {
	k.t.Helper()
	select {
	case term := <-got:
		_ = term.Resign(context.Background())
		k.t.Fatalf("Lead returned term %d while another one goes on: %s", term.Number(), rule)
	default:
	}
}

// takes wants B to lead within a time, and has the kit use its term.
func (k *sharedKit) takes(got <-chan syncer.Term, within time.Duration, rule string) syncer.Term {
	k.t.Helper()
	select {
	case term := <-got:
		k.t.Cleanup(func() { _ = term.Resign(context.Background()) })
		k.q = term
		return term
	case <-time.After(within):
		k.t.Fatalf("Lead has not returned within %v: %s", within, rule)
		return nil
	}
}

func (k *sharedKit) resign(term syncer.Term) {
	k.t.Helper()
	if err := term.Resign(k.t.Context()); err != nil {
		k.t.Fatalf("Resign: %v", err)
	}
	k.over(term, "it has resigned")
}

func (k *sharedKit) over(term syncer.Term, rule string) {
	k.t.Helper()
	select {
	case <-term.Done():
	default:
		k.t.Errorf("Done of term %d is not closed, want it closed: %s", term.Number(), rule)
	}
	if left := term.Left(); left > 0 {
		k.t.Errorf("Left of term %d is %v, want 0: %s", term.Number(), left, rule)
	}
}

func (k *sharedKit) goesOn(term syncer.Term, rule string) {
	k.t.Helper()
	select {
	case <-term.Done():
		k.t.Fatalf("Done of term %d is closed: %s", term.Number(), rule)
	default:
	}
	if left := term.Left(); left <= 0 || left > k.Lease {
		k.t.Errorf("Left of term %d is %v, want it above 0 and at most the lease of %v: %s", term.Number(), left, k.Lease, rule)
	}
}

// refused wants all that needs a term to be refused.
func (k *sharedKit) refused(q syncer.Queue, tasks []syncer.Task, saves bool, rule string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), k.Lease)
	defer cancel()
	_, leaseErr := q.Lease(ctx, lane, 10)
	errs := map[string]error{
		"Lease": leaseErr, "Ack": q.Ack(ctx, tasks...), "Retry": q.Retry(ctx, time.Now(), tasks...), "Wait": q.Wait(ctx, lane),
	}
	if saves {
		errs["Save"] = q.Save(ctx, "set", record("stale", "x"))
	}
	for name, err := range errs {
		if !errors.Is(err, syncer.ErrDeposed) {
			k.t.Errorf("%s returned %v, want ErrDeposed: %s", name, err, rule)
		}
	}
}

// cutter returns Cut, or skips the test.
func (k *sharedKit) cutter() func() (mend func()) {
	if k.Cut == nil {
		k.t.Skip("Handles.Cut is nil")
	}
	return k.Cut
}

func (k *sharedKit) interrupted(term syncer.Term, want ...string) {
	k.t.Helper()
	for range 2 {
		var got []string
		for _, key := range term.Interrupted() {
			if key.Lane == lane {
				got = append(got, key.ID)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			k.t.Errorf("Interrupted has %q, want %q: what the last leader had leased when it ended, at each call", got, want)
		}
	}
}

// stale wants nothing of an old term to have an effect on the present one, which
// has leased everything.
func (k *sharedKit) stale(a, b syncer.Term, old []syncer.Task, tasks int) {
	k.t.Helper()
	k.refused(a, old, true, "the term is over")
	k.goesOn(b, "nothing of an old term ends it")
	k.q = b
	k.gone("set", "stale", "what an old term saves has no effect")
	k.none("what an old term puts back has no effect")
	k.depth(tasks, old[0].First, "what an old term acknowledges has no effect")
	k.q = a
	k.mark("by the old one")
	k.depth(tasks+1, old[0].First, "Mark and Depth need no term")
	k.q = b
	k.ack(k.one("by the old one", "who led before may still mark"))
}
