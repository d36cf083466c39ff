package syncer

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// A MemoryQueue is a [Queue] that lives in this process only. It starts no
// goroutine and needs no closing.
//
// A crash or a restart loses everything in it: every mark, every count of
// attempts and every record. No wrong number comes of that, only a late one:
// the next reconciliation compares the whole catalogue and mends what the lost
// marks would have. Where that is too late, such as for webhooks that were
// acknowledged, use a durable queue: package syncer/boltqueue.
//
// [MemoryQueue.Restore] and [MemoryQueue.Lookup] are for durable queues that
// keep their live state in a MemoryQueue, as boltqueue does.
type MemoryQueue struct {
	memoryStore
	mu     sync.Mutex
	lanes  map[string]*queueLane
	seq    uint64    // the last token or rank given out
	leased time.Time // the latest Last of all tasks leased so far
}

var _ Queue = (*MemoryQueue)(nil)

// NewMemoryQueue returns an empty queue.
func NewMemoryQueue() *MemoryQueue {
	// Tokens of another queue, such as one before a crash, are no good here.
	return &MemoryQueue{lanes: make(map[string]*queueLane), seq: rand.Uint64() >> 1}
}

// A queueLane holds an entry for every key that is not done.
type queueLane struct {
	entries map[string]*entry
	waiting pile          // those not leased; the first to be due on top
	all     pile          // all of them; the oldest mark on top
	sooner  chan struct{} // closed when the top of waiting changes; nil if nobody waits
}

// An entry is a key and its marks.
type entry struct {
	id        string
	work      marks  // what a lease is about
	later     *marks // made since the lease; nil if there are none
	attempt   int
	due       time.Time
	rank      uint64 // decides between equal times
	lease     uint64 // the token that was given out; 0 if the entry is not leased
	inWaiting int    // positions in the lane's piles
	inAll     int
}

// oldest is when the oldest mark was made.
func (e *entry) oldest() time.Time {
	if e.later != nil && e.later.first.Before(e.work.first) {
		return e.later.first
	}
	return e.work.first
}

// marks are one or more marks of a key.
type marks struct {
	first, last time.Time
	why         Cause
	trace       string
	count       int
}

// marksOf returns what a mark stands for. Last of one that is made now is at
// least soonest.
func marksOf(m Mark, now, soonest time.Time) marks {
	s := marks{first: m.First, last: m.Last, why: m.Why, count: max(1, m.Count)}
	if s.last.IsZero() {
		s.last = now
		if s.last.Before(soonest) {
			s.last = soonest
		}
	}
	if s.first.IsZero() || s.first.After(now) {
		s.first = now
	}
	if s.first.After(s.last) {
		s.first = s.last
	}
	if m.Trace != "" && len(m.Trace) <= MaxTrace {
		s.trace = m.Trace
	}
	return s
}

// add makes m stand for n too. Of marks with one time, n is the newer.
func (m *marks) add(n marks) {
	if n.first.Before(m.first) {
		m.first = n.first
	}
	newer := !n.last.Before(m.last)
	if newer {
		m.last, m.why = n.last, n.why
	}
	if n.trace != "" && (newer || m.trace == "") {
		m.trace = n.trace
	}
	m.count += n.count
}

// Mark implements [Queue].
func (q *MemoryQueue) Mark(ctx context.Context, marks ...Mark) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, m := range marks {
		q.add(m.Key, marksOf(m, now, q.leased.Add(1)))
	}
	return nil
}

// add is Mark for one key. mu is held.
func (q *MemoryQueue) add(k Key, m marks) {
	l := q.lane(k.Lane)
	e := l.entries[k.ID]
	switch {
	case e == nil:
		l.add(&entry{id: k.ID, work: m, due: m.first, rank: q.next()})
	case e.lease == 0:
		e.work.add(m)
		e.attempt, e.due = 0, e.work.first
		heap.Fix(&l.all, e.inAll)
		heap.Fix(&l.waiting, e.inWaiting)
		l.announce(e)
	default:
		if e.later == nil {
			later := m // m itself stays on the stack
			e.later = &later
		} else {
			e.later.add(m)
		}
		heap.Fix(&l.all, e.inAll)
	}
}

// Restore puts marks of an earlier life into the queue, as Mark does with First
// and Last set, with two differences: a time in the future counts as now, since
// the clock was set back; and keys that the queue has already stay as they are.
func (q *MemoryQueue) Restore(marks ...Mark) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	// Reckoned from now, times stay in the past if the clock is set back later.
	past := func(t time.Time) time.Time { return now.Add(-max(0, now.Sub(t))) }
	for _, m := range marks {
		if q.lane(m.Lane).entries[m.ID] == nil {
			m.First, m.Last = past(m.First), past(m.Last)
			q.add(m.Key, marksOf(m, now, now))
		}
	}
}

// Lookup reports whether a key is in the queue: waiting, delayed or leased. It
// returns the mark that Restore needs to put it back with its times.
func (q *MemoryQueue) Lookup(key Key) (Mark, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lanes[key.Lane]; l != nil {
		if e := l.entries[key.ID]; e != nil {
			m := e.work
			if e.later != nil {
				m.add(*e.later)
			}
			return Mark{Key: key, Why: m.why, First: m.first, Last: m.last, Count: m.count, Trace: m.trace}, true
		}
	}
	return Mark{}, false
}

// Peek implements [Peeker].
func (q *MemoryQueue) Peek(ctx context.Context, key Key) (*Waiting, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, ok := q.Lookup(key)
	if !ok {
		return nil, nil
	}
	w := &Waiting{Task: Task{Key: key, First: m.First, Last: m.Last, Why: m.Why, Trace: m.Trace, Marks: m.Count}}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.lane(key.Lane).entries[key.ID]; e != nil {
		w.Attempt, w.Due, w.Leased = e.attempt, e.due, e.lease != 0
	}
	return w, nil
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
		e.lease = q.next()
		if e.work.last.After(q.leased) {
			q.leased = e.work.last
		}
		tasks = append(tasks, Task{
			Key:   Key{Lane: lane, ID: e.id},
			First: e.work.first, Last: e.work.last, Why: e.work.why, Trace: e.work.trace, Marks: e.work.count,
			Attempt: e.attempt, Token: e.lease,
		})
	}
	return tasks, nil
}

// Ack implements [Queue].
func (q *MemoryQueue) Ack(ctx context.Context, tasks ...Task) error {
	return q.release(ctx, tasks, func(l *queueLane, e *entry, _ Task) {
		if e.later == nil {
			l.remove(e)
			return
		}
		e.work = *e.later
		l.requeue(e, e.work.first, 0)
	})
}

// Retry implements [Queue].
func (q *MemoryQueue) Retry(ctx context.Context, at time.Time, tasks ...Task) error {
	return q.release(ctx, tasks, func(l *queueLane, e *entry, t Task) {
		if e.later == nil {
			l.requeue(e, at, t.Attempt)
			return
		}
		e.work.add(*e.later)
		l.requeue(e, e.work.first, 0)
	})
}

// release calls end for the entry of each task that is leased.
func (q *MemoryQueue) release(ctx context.Context, tasks []Task, end func(*queueLane, *entry, Task)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range tasks {
		l := q.lane(t.Lane)
		if e := l.entries[t.ID]; e != nil && e.lease != 0 && e.lease == t.Token {
			end(l, e, t)
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
		d = Depth{Tasks: len(l.entries), Oldest: l.all.top().oldest()}
	}
	return d, nil
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
				time:     func(e *entry) time.Time { return e.oldest() },
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
	e.lease, e.later = 0, nil
	e.due, e.attempt = due, attempt
	heap.Fix(&l.all, e.inAll)
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
