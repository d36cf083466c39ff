package syncer

import (
	"bytes"
	"container/heap"
	"context"
	"sync"
	"time"
)

// A MemoryQueue is a [Queue] that lives in this process only. It starts no
// goroutine and needs no closing.
//
// A crash or a restart loses everything in it: every mark, every count of
// attempts and every saved value. No wrong number comes of that, only a late
// one: the next reconciliation compares the whole catalogue and mends what the
// lost marks would have. Where that is too late, such as for webhooks that
// were acknowledged, use a durable queue: package syncer/boltqueue.
//
// [MemoryQueue.Restore] and [MemoryQueue.Lookup] are for durable queues that
// keep their live state in a MemoryQueue, as boltqueue does.
type MemoryQueue struct {
	mu     sync.Mutex
	lanes  map[string]*queueLane
	values map[string][]byte
	seq    uint64 // the last version or rank given out
}

var _ Queue = (*MemoryQueue)(nil)

// NewMemoryQueue returns an empty queue.
func NewMemoryQueue() *MemoryQueue {
	return &MemoryQueue{lanes: make(map[string]*queueLane), values: make(map[string][]byte)}
}

// A queueLane holds an entry for every key that is not done.
type queueLane struct {
	entries map[string]*entry
	waiting pile          // those not leased; the first to be due on top
	all     pile          // all of them; the oldest mark on top
	sooner  chan struct{} // closed when the top of waiting changes; nil if nobody waits
}

// An entry is a key and its marks. version changes with every mark and every
// lease, so that a leased entry was marked since if version != lease, and a
// task that was leased earlier is never taken for the present one.
type entry struct {
	id          string
	first, last time.Time
	again       time.Time // the first mark since the lease
	attempt     int
	due         time.Time
	rank        uint64 // decides between equal times
	version     uint64
	lease       uint64 // the version that was leased; 0 if none is
	inWaiting   int    // positions in the lane's piles
	inAll       int
}

func (e *entry) marked() bool { return e.version != e.lease }

// Mark implements [Queue].
func (q *MemoryQueue) Mark(ctx context.Context, keys ...Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, k := range keys {
		l := q.lane(k.Lane)
		e := l.entries[k.ID]
		switch {
		case e == nil:
			l.add(&entry{id: k.ID, first: now, last: now, due: now, rank: q.next(), version: q.next()})
			continue
		case e.lease == 0:
			e.attempt, e.due = 0, e.first
			heap.Fix(&l.waiting, e.inWaiting)
			l.announce(e)
		case !e.marked():
			e.again = now
		}
		e.last, e.version = now, q.next()
	}
	return nil
}

// Restore puts tasks of an earlier life into the queue, as Mark would have done
// at the times First and Last; a time in the future counts as now, since the
// clock was set back. Keys that the queue has already stay as they are. Attempt
// and Version are ignored.
func (q *MemoryQueue) Restore(tasks ...Task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	// Reckoned from now, times stay in the past if the clock is set back later.
	past := func(t time.Time) time.Time { return now.Add(-max(0, now.Sub(t))) }
	for _, t := range tasks {
		l := q.lane(t.Lane)
		if l.entries[t.ID] == nil {
			first := past(t.First)
			l.add(&entry{id: t.ID, first: first, last: past(t.Last), due: first, rank: q.next(), version: q.next()})
		}
	}
}

// Lookup tells whether a key is in the queue: waiting, delayed or leased. Of
// the task, it fills in Key, First and Last.
func (q *MemoryQueue) Lookup(key Key) (Task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lanes[key.Lane]; l != nil {
		if e := l.entries[key.ID]; e != nil {
			return Task{Key: key, First: e.first, Last: e.last}, true
		}
	}
	return Task{}, false
}

// Wait implements [Queue].
func (q *MemoryQueue) Wait(ctx context.Context, lane string) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		sooner, in := q.upcoming(lane)
		if sooner == nil {
			return nil
		}
		var timer <-chan time.Time // nil, if nothing is waiting at all
		if in > 0 {
			timer = time.After(in)
		}
		select {
		case <-ctx.Done():
		case <-sooner:
		case <-timer:
		}
	}
}

// upcoming returns no channel if a task is due. Otherwise it tells in how long
// the next one will be, 0 if there is none, and the channel is closed when
// that may no longer be true.
func (q *MemoryQueue) upcoming(name string) (sooner <-chan struct{}, in time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(name)
	if e := l.waiting.top(); e != nil {
		if in = time.Until(e.due); in <= 0 {
			return nil, 0
		}
	}
	if l.sooner == nil {
		l.sooner = make(chan struct{})
	}
	return l.sooner, in
}

// Lease implements [Queue].
func (q *MemoryQueue) Lease(ctx context.Context, lane string, n int) ([]Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lane(lane)
	now := time.Now()
	var tasks []Task
	for len(tasks) < n {
		e := l.waiting.top()
		if e == nil || e.due.After(now) {
			break
		}
		heap.Pop(&l.waiting)
		e.version = q.next()
		e.lease = e.version
		tasks = append(tasks, Task{
			Key:   Key{Lane: lane, ID: e.id},
			First: e.first, Last: e.last, Attempt: e.attempt, Version: e.version,
		})
	}
	return tasks, nil
}

// Ack implements [Queue]. Tasks that are not leased, or leased anew, are ignored.
func (q *MemoryQueue) Ack(ctx context.Context, tasks ...Task) error {
	return q.release(ctx, tasks, func(l *queueLane, e *entry) {
		if !e.marked() {
			l.remove(e)
			return
		}
		// Only the marks made since remain.
		e.first = e.again
		heap.Fix(&l.all, e.inAll)
		l.requeue(e, e.first, 0)
	})
}

// Retry implements [Queue]. Tasks that are not leased, or leased anew, are ignored.
func (q *MemoryQueue) Retry(ctx context.Context, at time.Time, tasks ...Task) error {
	return q.release(ctx, tasks, func(l *queueLane, e *entry) {
		if e.marked() {
			l.requeue(e, e.first, 0)
		} else {
			l.requeue(e, at, e.attempt+1)
		}
	})
}

// release calls end for the entry of each task that is leased.
func (q *MemoryQueue) release(ctx context.Context, tasks []Task, end func(*queueLane, *entry)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range tasks {
		l := q.lane(t.Lane)
		if e := l.entries[t.ID]; e != nil && e.lease != 0 && e.lease == t.Version {
			end(l, e)
		}
	}
	return nil
}

// Depth implements [Queue].
func (q *MemoryQueue) Depth(ctx context.Context, lane string) (Depth, error) {
	if err := ctx.Err(); err != nil {
		return Depth{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var d Depth
	if l := q.lanes[lane]; l != nil && len(l.entries) > 0 {
		d = Depth{Tasks: len(l.entries), Oldest: l.all.top().first}
	}
	return d, nil
}

// Save implements [Queue].
func (q *MemoryQueue) Save(ctx context.Context, name string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.values[name] = append([]byte{}, value...)
	return nil
}

// Load implements [Queue].
func (q *MemoryQueue) Load(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return bytes.Clone(q.values[name]), nil
}

func (q *MemoryQueue) next() uint64 {
	q.seq++
	return q.seq
}

func (q *MemoryQueue) lane(name string) *queueLane {
	l := q.lanes[name]
	if l == nil {
		l = &queueLane{
			entries: make(map[string]*entry),
			waiting: pile{
				time:     func(e *entry) time.Time { return e.due },
				position: func(e *entry) *int { return &e.inWaiting },
			},
			all: pile{
				time:     func(e *entry) time.Time { return e.first },
				position: func(e *entry) *int { return &e.inAll },
			},
		}
		q.lanes[name] = l
	}
	return l
}

func (l *queueLane) add(e *entry) {
	l.entries[e.id] = e
	heap.Push(&l.all, e)
	heap.Push(&l.waiting, e)
	l.announce(e)
}

func (l *queueLane) remove(e *entry) {
	delete(l.entries, e.id)
	heap.Remove(&l.all, e.inAll)
}

// requeue ends the lease of an entry.
func (l *queueLane) requeue(e *entry, due time.Time, attempt int) {
	e.lease, e.again = 0, time.Time{}
	e.due, e.attempt = due, attempt
	heap.Push(&l.waiting, e)
	l.announce(e)
}

// announce wakes those who wait for the lane if e is now the first to be due.
func (l *queueLane) announce(e *entry) {
	if l.sooner != nil && l.waiting.top() == e {
		close(l.sooner)
		l.sooner = nil
	}
}

// A pile is a heap of entries, the one with the earliest time on top; of equal
// ones, that of the lowest rank.
type pile struct {
	entries  []*entry
	time     func(*entry) time.Time
	position func(*entry) *int
}

func (p *pile) top() *entry {
	if len(p.entries) == 0 {
		return nil
	}
	return p.entries[0]
}

func (p *pile) Len() int { return len(p.entries) }

func (p *pile) Less(i, j int) bool {
	a, b := p.entries[i], p.entries[j]
	if c := p.time(a).Compare(p.time(b)); c != 0 {
		return c < 0
	}
	return a.rank < b.rank
}

func (p *pile) Swap(i, j int) {
	p.entries[i], p.entries[j] = p.entries[j], p.entries[i]
	*p.position(p.entries[i]), *p.position(p.entries[j]) = i, j
}

func (p *pile) Push(x any) {
	e := x.(*entry)
	*p.position(e) = len(p.entries)
	p.entries = append(p.entries, e)
}

func (p *pile) Pop() any {
	last := len(p.entries) - 1
	e := p.entries[last]
	p.entries[last] = nil
	p.entries = p.entries[:last]
	return e
}
