package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

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
		if err := k.B.Mark(k.t.Context(), syncer.Mark{Key: key("a"), Why: syncer.CauseEvent, Trace: traceA}); err != nil {
			k.t.Fatalf("Mark: %v", err)
		}
		w.returns("a mark of any process wakes the leader")
		t := k.one("a", "it was marked")
		k.task(t, marked, marked, 0, "times are by one clock, whoever marks")
		k.about(t, 1, syncer.CauseEvent, traceA, "a mark is what it is, whoever makes it")
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
