package syncer

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// skuLocks keep order among the passes on one channel. These overlap: a webhook may
// arrive while the daily reconciliation is under way, and each has read the source
// at a moment of its own. For each SKU one pass at a time is let through, first come,
// first served, and is told if its quantity is older than one already dealt with.
//
// SKUs are told apart by 64 bits of a hash. Two with one hash, which nobody can
// bring about, wait for each other, and the older of their quantities is read
// again.
type skuLocks struct {
	mu   sync.Mutex
	seed maphash.Seed
	last map[uint64]*skuLock  // the newest lock on the SKU, held or waited for
	done map[uint64]time.Time // when the newest quantity dealt with was read
	open map[time.Time]int    // when readings that are not over began
	trim int                  // size of done at which it is trimmed
	// floor is the newest time that was trimmed. About an older quantity
	// nothing is known any more, so it is not let through.
	floor time.Time
}

// A skuLock is the right to read and write some SKUs. Each waits for the locks that
// asked for one of its SKUs before it, and for no other, so that none starves and
// none waits in a circle. There is one exception: an urgent lock takes an SKU away
// from one that yields, and waits for whom that one waited for.
type skuLock struct {
	skus   []uint64 // their keys
	ahead  int      // how often a lock must be released first: once for each SKU that one has
	behind []*skuLock
	ready  chan struct{} // closed when ahead is 0
	gone   bool          // nobody waits for it any more
	over   bool
	yields bool
	lost   map[string]bool     // what was taken away
	before map[uint64]*skuLock // of one that yields: whom it waits for
}

// A manner is how a lock deals with others.
type manner int

const (
	inLine   manner = iota
	yielding        // its SKUs may be taken away until it is secured
	urgently        // takes SKUs away from those that yield
)

func newSKULocks() *skuLocks {
	return &skuLocks{
		seed: maphash.MakeSeed(),
		last: make(map[uint64]*skuLock),
		done: make(map[uint64]time.Time),
		open: make(map[time.Time]int),
		trim: 1024,
	}
}

// key tells an SKU from others.
func (l *skuLocks) key(sku string) uint64 { return maphash.String(l.seed, sku) }

// begin registers a reading that starts at now: all its quantities are as of now or
// later. end must be called once, when the last of them was dealt with.
func (l *skuLocks) begin(now time.Time) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[now]++
	return func() { l.end(now) }
}

func (l *skuLocks) end(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[began]--; l.open[began] == 0 {
		delete(l.open, began)
	}
	if len(l.done) < l.trim && len(l.open) > 0 {
		return
	}
	// A time can only hold back quantities that are older. All that are still
	// to come are of readings that are open or have not begun, so what is not
	// newer than the oldest of those is not needed: done stays as small as what
	// is under way, whatever the size of the catalogue.
	var oldest time.Time
	for t := range l.open {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	for key, t := range l.done {
		if oldest.IsZero() || !t.After(oldest) {
			delete(l.done, key)
			if t.After(l.floor) {
				l.floor = t
			}
		}
	}
	l.trim = max(1024, 2*len(l.done))
}

// lock waits until the caller has the SKUs, each of which occurs once, to itself.
// It gives up when ctx is done, or when hopeless, which it asks once a second,
// returns an error. The caller must unlock what it gets.
func (l *skuLocks) lock(ctx context.Context, skus []string, how manner, hopeless func() error) (me *skuLock, err error) {
	me = &skuLock{skus: make([]uint64, len(skus)), ready: make(chan struct{}), yields: how == yielding}
	for i, sku := range skus {
		me.skus[i] = l.key(sku)
	}
	l.mu.Lock()
	for i, key := range me.skus {
		before := l.last[key]
		for how == urgently && before != nil && before.yields {
			before.lose(skus[i])
			before = before.before[key]
		}
		if before != nil && before != me && !before.over {
			// One with several of the same SKUs is counted as often: it is taken off
			// as often.
			before.behind = append(before.behind, me)
			me.ahead++
			if me.yields {
				if me.before == nil {
					me.before = make(map[uint64]*skuLock)
				}
				me.before[key] = before
			}
		}
		l.last[key] = me
	}
	if me.ahead == 0 {
		close(me.ready)
	}
	l.mu.Unlock()
	select {
	case <-me.ready:
		return me, nil
	default:
	}
	ask := time.NewTicker(time.Second)
	defer ask.Stop()
	for err == nil {
		select {
		case <-me.ready:
			return me, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-ask.C:
			err = hopeless()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	me.gone = true
	if me.ahead == 0 { // it came all the same
		l.release(me)
	}
	return nil, err
}

func (l *skuLocks) unlock(t *skuLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(t)
}

func (t *skuLock) lose(sku string) {
	if t.lost == nil {
		t.lost = make(map[string]bool)
	}
	t.lost[sku] = true
}

// secure ends a lock's yielding, and returns the SKUs that were taken away from it:
// whoever did may have written them by now.
func (l *skuLocks) secure(t *skuLock) (lost map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.yields, t.before = false, nil
	return t.lost
}

// narrow keeps some SKUs of a lock. For the others, those that come later do not
// wait any more; those that wait already do so until it is unlocked.
func (l *skuLocks) narrow(t *skuLock, keep []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlist(t)
	t.skus = t.skus[:0]
	for _, sku := range keep {
		key := l.key(sku)
		if l.last[key] == nil {
			l.last[key] = t
		}
		t.skus = append(t.skus, key)
	}
}

// unlist takes a lock off the SKUs whose newest one it is.
func (l *skuLocks) unlist(t *skuLock) {
	for _, key := range t.skus {
		if l.last[key] == t {
			delete(l.last, key)
		}
	}
}

// release lets those behind go on. One that nobody waits for any more keeps its
// place until it comes, so that none behind it overtakes the ones before it.
func (l *skuLocks) release(t *skuLock) {
	t.over = true
	l.unlist(t)
	for _, next := range t.behind {
		if next.ahead--; next.ahead > 0 {
			continue
		}
		if next.gone {
			l.release(next)
		} else {
			close(next.ready)
		}
	}
	t.behind = nil
}

// admit returns the wants that are at least as new as all that was dealt with, and
// records that they are dealt with. The caller has their SKUs. It changes wants.
func (l *skuLocks) admit(wants []want) (admitted, stale []want) {
	l.mu.Lock()
	defer l.mu.Unlock()
	admitted = slices.DeleteFunc(wants, func(w want) bool {
		key := l.key(w.sku)
		old := w.asOf.Before(l.done[key]) || w.asOf.Before(l.floor)
		if old {
			stale = append(stale, w)
		} else {
			l.done[key] = w.asOf
		}
		return old
	})
	return admitted, stale
}
