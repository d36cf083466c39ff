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
	t *testing.T
	q syncer.Queue
}

type test struct {
	name string
	run  func(k *kit)
}

// TestQueue checks the promises of [syncer.Queue], each in a subtest. open
// returns a new, empty queue; what is to be closed it leaves to t.Cleanup. It
// is called once in each subtest, inside the bubble.
func TestQueue(t *testing.T, open func(t *testing.T) syncer.Queue) {
	for _, tests := range [][]test{marking, leasing, ending, waiting, keeping} {
		for _, tc := range tests {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { tc.run(&kit{t, open(t)}) })
			})
		}
	}
}

func key(id string) syncer.Key { return syncer.Key{Lane: lane, ID: id} }

// pass lets a minute pass, and returns the time before.
func pass() time.Time {
	now := time.Now()
	time.Sleep(time.Minute)
	return now
}

func (k *kit) mark(ids ...string) {
	k.t.Helper()
	marks := make([]syncer.Mark, len(ids))
	for i, id := range ids {
		marks[i].Key = key(id)
	}
	if err := k.q.Mark(k.t.Context(), marks...); err != nil {
		k.t.Fatalf("Mark(%q): %v", ids, err)
	}
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
	tasks := k.leaseLane(lane, 10)
	if len(tasks) != 1 || tasks[0].Key != key(id) {
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

func (k *kit) retry(at time.Time, tasks ...syncer.Task) {
	k.t.Helper()
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
	if d.Tasks != tasks || !d.Oldest.Equal(oldest) {
		k.t.Fatalf("Depth is %d tasks, oldest %v, want %d, %v: %s", d.Tasks, d.Oldest, tasks, oldest, rule)
	}
}

func (k *kit) save(name, value string) {
	k.t.Helper()
	if err := k.q.Save(k.t.Context(), "set", syncer.Record{Key: name, Value: []byte(value)}); err != nil {
		k.t.Fatalf("Save(%q): %v", name, err)
	}
}

func (k *kit) load(name, want, rule string) {
	k.t.Helper()
	got, err := k.q.Load(k.t.Context(), "set", name)
	if err != nil {
		k.t.Fatalf("Load(%q): %v", name, err)
	}
	if string(got) != want {
		k.t.Fatalf("Load(%q) = %q, want %q: %s", name, got, want, rule)
	}
}

// A wait is a call of Wait under way.
type wait struct {
	k    *kit
	done chan error
	stop context.CancelFunc
}

func (k *kit) wait(lane string) *wait {
	ctx, cancel := context.WithCancel(k.t.Context())
	k.t.Cleanup(cancel)
	w := &wait{k, make(chan error, 1), cancel}
	go func() { w.done <- k.q.Wait(ctx, lane) }()
	return w
}

// blocks wants Wait not to have returned.
func (w *wait) blocks(rule string) {
	w.k.t.Helper()
	synctest.Wait()
	select {
	case err := <-w.done:
		w.k.t.Fatalf("Wait returned %v, want it to go on waiting: %s", err, rule)
	default:
	}
}

// returns wants Wait to have returned nil.
func (w *wait) returns(rule string) {
	w.k.t.Helper()
	synctest.Wait()
	select {
	case err := <-w.done:
		if err != nil {
			w.k.t.Fatalf("Wait returned %v, want nil: %s", err, rule)
		}
	default:
		w.k.t.Fatalf("Wait goes on waiting, want it to return: %s", rule)
	}
}

func names(tasks []syncer.Task) string {
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.ID
	}
	return "[" + strings.Join(ids, " ") + "]"
}

// task checks what a task says about its marks.
func (k *kit) task(t syncer.Task, first, last time.Time, attempt int, rule string) {
	k.t.Helper()
	if !t.First.Equal(first) || !t.Last.Equal(last) {
		k.t.Errorf("task %q has its marks from %v to %v, want %v to %v: %s", t.ID, t.First, t.Last, first, last, rule)
	}
	if t.Attempt != attempt {
		k.t.Errorf("task %q has attempt %d, want %d: %s", t.ID, t.Attempt, attempt, rule)
	}
}
