package queuetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

const lane = "shop"

// A kit is a queue under test and what every test does with it. A method that
// gets an error ends the test.
type kit struct {
	t    *testing.T
	q    syncer.Queue
	live bool          // by a clock that others have too: times are not exact
	real bool          // by the real clock, not in a bubble
	unit time.Duration // between what happens at different times
	slow time.Duration // the longest that Mark has taken: its time is somewhere in that
}

func key(id string) syncer.Key { return syncer.Key{Lane: lane, ID: id} }

// pass lets a unit pass, and returns the time before.
func (k *kit) pass() time.Time {
	now := time.Now()
	time.Sleep(k.unit)
	return now
}

// settle gives what is to happen at once the time to happen.
func (k *kit) settle() {
	if k.live {
		time.Sleep(k.unit / 2)
	} else {
		synctest.Wait()
	}
}

// before sleeps until shortly before a time, and reach until it has come. In a
// bubble both are exact.
func (k *kit) before(at time.Time) {
	if k.live {
		at = at.Add(-k.unit / 2)
	}
	time.Sleep(time.Until(at) - time.Nanosecond)
}

func (k *kit) reach(at time.Time) {
	if k.live {
		at = at.Add(k.unit / 2)
	}
	time.Sleep(time.Until(at))
}

// near reports whether a time that the queue gave is that of what the test did.
func (k *kit) near(got, want time.Time) bool {
	if !k.live || got.IsZero() || want.IsZero() {
		return got.Equal(want)
	}
	return got.Sub(want).Abs() <= k.unit/2+k.slow
}

func (k *kit) mark(ids ...string) {
	k.t.Helper()
	marks := make([]syncer.Mark, len(ids))
	for i, id := range ids {
		marks[i].Key = key(id)
	}
	k.marks(marks...)
}

func (k *kit) marks(marks ...syncer.Mark) {
	k.t.Helper()
	began := time.Now()
	if err := k.q.Mark(k.t.Context(), marks...); err != nil {
		k.t.Fatalf("Mark(%d marks): %v", len(marks), err)
	}
	k.slow = max(k.slow, time.Since(began))
}

func (k *kit) leaseLane(lane string, n int) []syncer.Task {
	k.t.Helper()
	tasks, err := k.q.Lease(k.t.Context(), lane, n)
	if err != nil {
		k.t.Fatalf("Lease(%q, %d): %v", lane, n, err)
	}
	if len(tasks) > max(n, 0) {
		k.t.Fatalf("Lease(%q, %d) returned %d tasks: it must take n at most", lane, n, len(tasks))
	}
	return tasks
}

// one leases the only task that is due.
func (k *kit) one(id, rule string) syncer.Task {
	k.t.Helper()
	return k.oneOf(lane, id, rule)
}

func (k *kit) oneOf(lane, id, rule string) syncer.Task {
	k.t.Helper()
	tasks := k.leaseLane(lane, 10)
	if len(tasks) != 1 || tasks[0].Key != (syncer.Key{Lane: lane, ID: id}) {
		k.t.Fatalf("leased %s, want only %q: %s", names(tasks), id, rule)
	}
	return tasks[0]
}

// order leases all that is due, and wants these ids in this order.
func (k *kit) order(rule string, ids ...string) []syncer.Task {
	k.t.Helper()
	tasks := k.leaseLane(lane, len(ids)+10)
	if !slices.EqualFunc(tasks, ids, func(t syncer.Task, id string) bool { return t.Key == key(id) }) {
		k.t.Fatalf("leased %s, want %q: %s", names(tasks), ids, rule)
	}
	return tasks
}

func (k *kit) none(rule string) {
	k.t.Helper()
	if tasks := k.leaseLane(lane, 10); len(tasks) > 0 {
		k.t.Fatalf("leased %s, want nothing: %s", names(tasks), rule)
	}
}

func (k *kit) ack(tasks ...syncer.Task) {
	k.t.Helper()
	if err := k.q.Ack(k.t.Context(), tasks...); err != nil {
		k.t.Fatalf("Ack(%s): %v", names(tasks), err)
	}
}

// retry puts tasks back after one more attempt.
func (k *kit) retry(at time.Time, tasks ...syncer.Task) {
	k.t.Helper()
	tasks = slices.Clone(tasks)
	for i := range tasks {
		tasks[i].Attempt++
	}
	if err := k.q.Retry(k.t.Context(), at, tasks...); err != nil {
		k.t.Fatalf("Retry(%s): %v", names(tasks), err)
	}
}

func (k *kit) depth(tasks int, oldest time.Time, rule string) {
	k.t.Helper()
	d, err := k.q.Depth(k.t.Context(), lane)
	if err != nil {
		k.t.Fatalf("Depth: %v", err)
	}
	if d.Tasks != tasks || !k.near(d.Oldest, oldest) {
		k.t.Fatalf("Depth is %d tasks, oldest %v, want %d, %v: %s", d.Tasks, d.Oldest, tasks, oldest, rule)
	}
}

// task checks what a task says about its marks.
func (k *kit) task(t syncer.Task, first, last time.Time, attempt int, rule string) {
	k.t.Helper()
	if !k.near(t.First, first) || !k.near(t.Last, last) {
		k.t.Errorf("task %q has its marks from %v to %v, want %v to %v: %s", t.ID, t.First, t.Last, first, last, rule)
	}
	if t.Attempt != attempt {
		k.t.Errorf("task %q has attempt %d, want %d: %s", t.ID, t.Attempt, attempt, rule)
	}
}

func (k *kit) about(t syncer.Task, marks int, why syncer.Cause, trace, rule string) {
	k.t.Helper()
	if t.Marks != marks || t.Why != why || t.Trace != trace {
		k.t.Errorf("task %q stands for %d marks, the newest for %q, with trace %q; want %d, %q, %q: %s",
			t.ID, t.Marks, t.Why, t.Trace, marks, why, trace, rule)
	}
}

func record(key, value string) syncer.Record { return syncer.Record{Key: key, Value: []byte(value)} }

func (k *kit) save(set string, records ...syncer.Record) {
	k.t.Helper()
	if err := k.q.Save(k.t.Context(), set, records...); err != nil {
		k.t.Fatalf("Save(%q, %d records): %v", set, len(records), err)
	}
}

// load wants a record to have a value.
func (k *kit) load(set, key, want, rule string) {
	k.t.Helper()
	got, err := k.q.Load(k.t.Context(), set, key)
	if err != nil {
		k.t.Fatalf("Load(%q, %q): %v", set, key, err)
	}
	if got == nil || string(got) != want {
		k.t.Fatalf("Load(%q, %q) = %q (nil: %t), want %q: %s", set, key, got, got == nil, want, rule)
	}
}

// gone wants a record not to be there.
func (k *kit) gone(set, key, rule string) {
	k.t.Helper()
	if got, err := k.q.Load(k.t.Context(), set, key); err != nil || got != nil {
		k.t.Fatalf("Load(%q, %q) = %q, %v, want nil and no error: %s", set, key, got, err, rule)
	}
}

// records wants a set to have these keys, from a key on.
func (k *kit) records(set, from, rule string, want ...string) {
	k.t.Helper()
	var got []string
	for r, err := range k.q.Records(k.t.Context(), set, from) {
		if err != nil {
			k.t.Fatalf("Records(%q, %q): %v", set, from, err)
		}
		got = append(got, r.Key)
	}
	if !slices.Equal(got, want) {
		k.t.Fatalf("Records(%q, %q) has %s, want %s: %s", set, from, brief(got), brief(want), rule)
	}
}

// A wait is a call of Wait under way.
type wait struct {
	k    *kit
	done chan error
	stop context.CancelFunc
}

func (k *kit) wait(lane string) *wait { return k.waitOn(k.q, lane) }

func (k *kit) waitOn(q syncer.Queue, lane string) *wait {
	ctx, cancel := context.WithCancel(k.t.Context())
	k.t.Cleanup(cancel)
	w := &wait{k, make(chan error, 1), cancel}
	go func() { w.done <- q.Wait(ctx, lane) }()
	return w
}

// blocks wants Wait not to have returned.
func (w *wait) blocks(rule string) {
	w.k.t.Helper()
	w.k.settle()
	select {
	case err := <-w.done:
		w.k.t.Fatalf("Wait returned %v, want it to go on waiting: %s", err, rule)
	default:
	}
}

// returns wants Wait to return nil.
func (w *wait) returns(rule string) {
	w.k.t.Helper()
	if err := w.end(rule); err != nil {
		w.k.t.Fatalf("Wait returned %v, want nil: %s", err, rule)
	}
}

// end returns what Wait returns. A busy machine may be slow to let it.
func (w *wait) end(rule string) error {
	w.k.t.Helper()
	w.k.settle()
	if w.k.live {
		for range 4 {
			if len(w.done) == 0 {
				w.k.settle()
			}
		}
	}
	select {
	case err := <-w.done:
		return err
	default:
		w.k.t.Fatalf("Wait goes on waiting, want it to return: %s", rule)
		return nil
	}
}

func names(tasks []syncer.Task) string {
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.ID
	}
	return "[" + strings.Join(ids, " ") + "]"
}

// brief is a list for people, cut off.
func brief(s []string) string {
	const shown = 12
	if len(s) > shown {
		return strings.Join(s[:shown], " ") + " …"
	}
	return "[" + strings.Join(s, " ") + "]"
}
