package woocommerce

import (
	"context"
	"slices"
	"sync"
	"time"
)

// load decides how many requests the shop bears at once. With a number to keep
// to it only counts. Otherwise it learns from the time that large requests
// take: one more in flight is worth it if at least half of it is gained. What is
// not gained somebody waits for, be it the shop's customers.
type load struct {
	mu     sync.Mutex
	limit  int // of requests in flight
	learns bool
	flying int
	queue  []chan struct{} // those who wait, each for its channel to be closed

	best     [2]time.Duration         // for one item of a read and of a write, unhurried
	sample   []float64                // slowness of large requests at this limit, newest last
	slowness [maxParallel + 1]float64 // by limit, when it was last measured; 0 if it was not
	since    int                      // counts changes of limit
	patience int                      // samples that are wanted before one more is tried
}

const (
	defaultParallel = 2
	maxParallel     = 8
	largeRequest    = 50 // items whose time says something
	enoughSamples   = 4
	maxPatience     = 256
)

func newLoad(parallel int) *load {
	if parallel > 0 {
		return &load{limit: parallel}
	}
	return &load{limit: defaultParallel, learns: true, patience: enoughSamples}
}

// A flight is a request that the shop bears.
type flight struct {
	since int
	full  bool // as many as may be are in flight
}

// take waits for its turn.
func (l *load) take(ctx context.Context) (flight, error) {
	l.mu.Lock()
	if l.flying >= l.limit {
		turn := make(chan struct{})
		l.queue = append(l.queue, turn)
		l.mu.Unlock()
		select {
		case <-turn:
			l.mu.Lock()
			return l.start(), nil // its place was kept
		case <-ctx.Done():
		}
		l.mu.Lock()
		if i := slices.Index(l.queue, turn); i >= 0 {
			l.queue = slices.Delete(l.queue, i, i+1)
		} else {
			l.flying--
			l.next()
		}
		l.mu.Unlock()
		return flight{}, ctx.Err()
	}
	l.flying++
	return l.start(), nil
}

// start unlocks l.
func (l *load) start() flight {
	f := flight{since: l.since, full: l.flying >= l.limit}
	l.mu.Unlock()
	return f
}

// give ends a request.
func (l *load) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	l.next()
}

// next lets those go whose turn it is, and keeps their places.
func (l *load) next() {
	for l.flying < l.limit && len(l.queue) > 0 {
		close(l.queue[0])
		l.queue = l.queue[1:]
		l.flying++
	}
}

// width is the number of requests that there may be at once.
func (l *load) width() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

// learn takes in how long a request with a number of items took. kind is 0 for a
// read and 1 for a write.
func (l *load) learn(f flight, kind, items int, took time.Duration) {
	if !l.learns || items < largeRequest || took <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	each := took / time.Duration(items)
	if best := l.best[kind]; best == 0 || each < best {
		l.best[kind] = each
	} else {
		l.best[kind] += best / 1000 // a shop may get slower for good
	}
	if f.since != l.since {
		return
	}
	slowness := float64(each) / float64(l.best[kind])
	if !f.full {
		return // with more it may be slower
	}
	l.sample = append(l.sample, slowness)
	if len(l.sample) < enoughSamples {
		return
	}
	recent := slices.Sorted(slices.Values(l.sample[len(l.sample)-enoughSamples:]))
	l.slowness[l.limit] = (recent[1] + recent[2]) / 2
	switch {
	case l.limit > 1 && !l.pays():
		l.change(-1)
		l.patience = min(2*l.patience, maxPatience)
	case len(l.sample) >= l.patience && l.limit < maxParallel:
		if l.limit > 1 {
			l.patience = enoughSamples
		}
		l.change(+1)
	case len(l.sample) > maxPatience:
		l.sample = l.sample[len(l.sample)-maxPatience:]
	}
}

// pays reports whether the latest of the requests in flight gains at least half
// of what it would if the shop had nothing else to do.
func (l *load) pays() bool {
	n := float64(l.limit)
	with, without := n/l.slowness[l.limit], n-1
	if before := l.slowness[l.limit-1]; before > 0 {
		without /= before
	}
	return with-without >= without/(n-1)/2
}

func (l *load) change(by int) {
	l.limit += by
	l.since++
	l.sample = l.sample[:0]
	l.next()
}
