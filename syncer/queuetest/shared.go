package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

var sharing = []struct {
	name string
	run  func(k *sharedKit)
}{
	{"OneLeadsAtATime", func(k *sharedKit) {
		if _, err := k.B.Leader(k.t.Context()); !errors.Is(err, syncer.ErrNoLeader) {
			k.t.Errorf("Leader returned %v, want ErrNoLeader: nobody leads", err)
		}
		a := k.lead(k.A, "a", "nobody leads")
		if n := len(a.Interrupted()); n > 0 {
			k.t.Errorf("Interrupted has %d keys in the first term", n)
		}
		got := k.standby()
		time.Sleep(3 * k.Lease)
		k.waits(got, "a term that is renewed goes on")
		k.goesOn(a, "it is renewed by itself")
		info, err := k.B.Leader(k.t.Context())
		if err != nil || info.Name != "a" || info.Number != a.Number() {
			k.t.Errorf("Leader returned %+v, %v, want a in term %d", info, err, a.Number())
		}
		if age := time.Since(info.Renewed); age > k.Lease || !info.Since.Before(info.Renewed) {
			k.t.Errorf("the leader leads since %v, renewed %v ago: want within a lease of %v, and Since earlier", info.Since, age, k.Lease)
		}
		k.resign(a)
		b := k.takes(got, k.Lease, "after Resign the next one leads at once, and does not wait for the lease to end")
		if b.Number() <= a.Number() {
			k.t.Errorf("term %d follows term %d: Number grows", b.Number(), a.Number())
		}
		if err := a.Resign(k.t.Context()); err != nil {
			k.t.Errorf("a second Resign returned %v, want nil", err)
		}
		k.goesOn(b, "another's second Resign ends nothing")
		k.resign(b)
		if a = k.lead(k.A, "again", "nobody leads"); a.Number() <= b.Number() {
			k.t.Errorf("term %d follows term %d: Number grows", a.Number(), b.Number())
		}
	}},
	{"MarksByOthersWakeTheLeader", func(k *sharedKit) {
		k.lead(k.A, "a", "nobody leads")
		w := k.wait(lane)
		w.blocks("the lane is empty")
		marked := time.Now()
		if err := k.B.Mark(k.t.Context(), syncer.Mark{Key: key("a"), Why: syncer.Evented, Trace: traceA}); err != nil {
			k.t.Fatalf("Mark: %v", err)
		}
		w.returns("a mark of any process wakes the leader")
		t := k.one("a", "it was marked")
		k.task(t, marked, marked, 0, "times are by one clock, whoever marks")
		k.about(t, 1, syncer.Evented, traceA, "a mark is what it is, whoever makes it")
		if err := k.B.Mark(k.t.Context(), syncer.Mark{Key: key("a")}, syncer.Mark{Key: key("b")}); err != nil {
			k.t.Fatalf("Mark: %v", err)
		}
		later := k.one("b", "it was marked")
		k.ack(t)
		again := k.one("a", "Ack leaves what others marked during work")
		for _, u := range []syncer.Task{later, again} {
			if !u.Last.After(t.Last) {
				k.t.Errorf("Last of %q is %v, that of the task leased before is %v: a new mark is later, whoever makes it", u.ID, u.Last, t.Last)
			}
		}
	}},
	{"MarkersOfSkewedClocks", func(k *sharedKit) {
		k.lead(k.A, "a", "nobody leads")
		now := time.Now()
		const skew = 5 * time.Second
		for id, marker := range map[string]struct {
			q    syncer.Queue
			skew time.Duration
		}{"behind": {k.A, -skew}, "ahead": {k.B, skew}} {
			at := now.Add(marker.skew)
			if err := marker.q.Mark(k.t.Context(), syncer.Mark{Key: key(id), First: at, Last: at}); err != nil {
				k.t.Fatalf("Mark: %v", err)
			}
		}
		k.wait(lane).returns("what was marked is due, whatever its times are")
		tasks := k.order("what was marked is due, whatever its times are", "behind", "ahead")
		if err := k.B.Mark(k.t.Context(), syncer.Mark{Key: key("ahead")}); err != nil {
			k.t.Fatalf("Mark: %v", err)
		}
		k.ack(tasks...)
		if t := k.one("ahead", "it was marked during work"); !t.Last.After(tasks[1].Last) {
			k.t.Errorf("Last is %v, that of the task leased before is %v: a new mark is later", t.Last, tasks[1].Last)
		}
	}},
	{"WhoDoesNotLeadStores", func(k *sharedKit) {
		k.q = k.B
		k.mark("a")
		k.depth(1, time.Now(), "Depth works without a leader")
		k.save("set", record("name", "by b"))
		k.load("set", "name", "by b", "Load works without a leader")
		k.records("set", "", "Records works without a leader", "name")
		k.refused(k.B, nil, false, "it needs a term")
		k.lead(k.A, "a", "nobody leads")
		k.load("set", "name", "by b", "one store for all")
		k.save("set", record("name", "by the term"))
		task := k.one("a", "it was marked before anybody led")
		k.q = k.B
		k.load("set", "name", "by the term", "one store for all")
		k.save("set", record("name", "by b"))
		k.load("set", "name", "by b", "who does not lead may write records, such as approvals")
		k.refused(k.B, []syncer.Task{task}, false, "another leads")
		k.depth(1, task.First, "Depth works for all")
	}},
	{"ResignFreesLeases", func(k *sharedKit) {
		a := k.lead(k.A, "a", "nobody leads")
		k.mark("a", "b")
		for _, t := range k.leaseLane(lane, 2) {
			k.retry(time.Now(), t)
		}
		k.settle()
		old := k.leaseLane(lane, 2)
		k.mark("waits")
		k.resign(a)
		b := k.lead(k.B, "b", "the leader resigned")
		k.interrupted(b, "a", "b")
		k.wait(lane).returns("what the last leader had leased is due")
		due := k.leaseLane(lane, 10)
		if len(due) != 3 {
			k.t.Fatalf("leased %s, want three: what the last leader had leased is due, and what waited", names(due))
		}
		for _, t := range due {
			for _, o := range old {
				if t.ID == o.ID && (t.Attempt != o.Attempt || !t.First.Equal(o.First) || !t.Last.Equal(o.Last) || t.Token == o.Token) {
					k.t.Errorf("leased %+v, was %+v: attempts and times are as they were, and the token is a new one", t, o)
				}
			}
		}
		k.stale(a, b, old, 3)
	}},
	{"TakeoverFreesLeases", func(k *sharedKit) {
		mend := k.cutter()
		a := k.lead(k.A, "a", "nobody leads")
		k.mark("a")
		old := []syncer.Task{k.one("a", "it was marked")}
		got := k.standby()
		k.settle()
		heal := mend()
		cut := time.Now()
		b := k.takes(got, 2*k.Lease+k.unit, "a leader that does not renew is replaced within two leases")
		if took := time.Since(cut); took < k.Lease/3 {
			k.t.Errorf("B leads %v after A was cut off, of a lease of %v: A's term may still go on", took, k.Lease)
		}
		k.over(a, "another leads: the old leader must have noticed before")
		k.interrupted(b, "a")
		k.wait(lane).returns("what the last leader had leased is due")
		k.one("a", "what the last leader had leased is due")
		heal()
		k.settle()
		k.stale(a, b, old, 1)
		k.resign(b)
		if again := k.lead(k.A, "a", "who was cut off may lead again"); again.Number() <= b.Number() {
			k.t.Errorf("term %d follows term %d: Number grows", again.Number(), b.Number())
		}
	}},
	{"AShortCutEndsNoTerm", func(k *sharedKit) {
		mend := k.cutter()
		a := k.lead(k.A, "a", "nobody leads")
		got := k.standby()
		for range 4 {
			heal := mend()
			time.Sleep(k.Lease / 4)
			heal()
			time.Sleep(k.Lease)
			k.waits(got, "a renewal came in time")
			k.goesOn(a, "renewals are tried again until the lease ends")
		}
		k.mark("a")
		k.one("a", "the leader goes on")
	}},
	{"WaitEndsWithTheTerm", func(k *sharedKit) {
		a := k.lead(k.A, "a", "nobody leads")
		w := k.wait(lane)
		w.blocks("the lane is empty")
		k.resign(a)
		if err := w.end("the term is over"); !errors.Is(err, syncer.ErrDeposed) {
			k.t.Errorf("Wait returned %v, want ErrDeposed: the term is over", err)
		}
		if k.Cut == nil {
			return
		}
		k.lead(k.A, "a", "nobody leads")
		w = k.wait(lane)
		w.blocks("the lane is empty")
		defer k.Cut()()
		time.Sleep(k.Lease)
		if err := w.end("the term could not be renewed"); err == nil {
			k.t.Error("Wait returned nil when the term ended: nil says that a task is due")
		}
	}},
	{"LeadEndsWithItsContext", func(k *sharedKit) {
		a := k.lead(k.A, "a", "nobody leads")
		ctx, cancel := context.WithCancel(k.t.Context())
		got := make(chan error, 1)
		go func() {
			term, err := k.B.Lead(ctx, "b")
			if err == nil {
				_ = term.Resign(context.Background())
			}
			got <- err
		}()
		k.settle()
		cancel()
		k.settle()
		select {
		case err := <-got:
			if err == nil {
				k.t.Fatal("Lead returned a term while another went on")
			}
		default:
			k.t.Fatal("Lead goes on waiting although its context is done")
		}
		k.resign(a)
		time.Sleep(2 * k.Lease)
		if info, err := k.A.Leader(k.t.Context()); !errors.Is(err, syncer.ErrNoLeader) {
			k.t.Errorf("Leader returned %+v, %v, want ErrNoLeader: who gave up leads nothing", info, err)
		}
		// The context of Lead is not that of the term.
		ctx, cancel = context.WithCancel(k.t.Context())
		b, err := k.B.Lead(ctx, "b")
		if err != nil {
			k.t.Fatalf("Lead: %v", err)
		}
		cancel()
		time.Sleep(2 * k.Lease)
		k.goesOn(b, "it goes on after the context of Lead is done")
		k.resign(b)
	}},
	{"AllMarkAtTheSameTime", func(k *sharedKit) {
		k.lead(k.A, "a", "nobody leads")
		const marks, keys = 100, 10
		var wg sync.WaitGroup
		defer wg.Wait()
		for n, q := range []syncer.Queue{k.A, k.B, k.q, k.B} {
			wg.Go(func() {
				for i := range marks {
					if err := q.Mark(k.t.Context(), syncer.Mark{Key: key(fmt.Sprint((i + n) % keys))}); err != nil {
						k.t.Errorf("Mark: %v", err)
					}
				}
			})
		}
		counted := 0
		count := func(tasks []syncer.Task) {
			for _, t := range tasks {
				counted += t.Marks
			}
			k.ack(tasks...)
		}
		for range 20 {
			count(k.leaseLane(lane, 3))
			time.Sleep(k.unit / 60)
		}
		wg.Wait()
		for tasks := k.leaseLane(lane, keys); len(tasks) > 0; tasks = k.leaseLane(lane, keys) {
			count(tasks)
		}
		if counted != 4*marks {
			k.t.Errorf("%d marks were acknowledged of %d: no mark is lost, and none is counted twice", counted, 4*marks)
		}
		k.depth(0, time.Time{}, "all was acknowledged")
	}},
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
