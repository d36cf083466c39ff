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
	mu     sync.Mutex
	seed   maphash.Seed
	places map[uint64]*skuPlace
	open   map[time.Time]int // when readings that are not over began
	trim   int               // number of places at which they are trimmed
	// floor is the newest time that was trimmed. About an older quantity
	// nothing is known any more, so it is not let through.
	floor time.Time
}

// A skuPlace is what is known of one SKU.
type skuPlace struct {
	last *skuLock  // the newest lock on it, held or waited for, or nil
	done time.Time // when the newest quantity dealt with was read
}

// A skuLock is the right to read and write some SKUs. Each waits for the locks that
// asked for one of its SKUs before it, and for no other, so that none starves and
// none waits in a circle. There is one exception: an urgent lock takes an SKU away
// from one that yields, and waits for whom that one waited for.
type skuLock struct {
	skus   []string
	places []*skuPlace // of these
	ahead  int         // how often a lock must be released first: once for each SKU that one has
	behind []*skuLock
	ready  chan struct{} // closed when ahead is 0
	gone   bool          // nobody waits for it any more
	over   bool
	yields bool
	lost   map[string]bool        // what was taken away
	before map[*skuPlace]*skuLock // of one that yields: whom it waits for
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
		seed:   maphash.MakeSeed(),
		places: make(map[uint64]*skuPlace),
		open:   make(map[time.Time]int),
		trim:   1024,
	}
}

// placesOf returns the places of SKUs.
func (l *skuLocks) placesOf(skus []string) []*skuPlace {
	places := make([]*skuPlace, len(skus))
	var unused []skuPlace
	for i, sku := range skus {
		key := maphash.String(l.seed, sku)
		p := l.places[key]
		if p == nil {
			if len(unused) == 0 {
				unused = make([]skuPlace, min(len(skus)-i, 64)) // few, since one in use keeps all
			}
			p, unused = &unused[0], unused[1:]
			l.places[key] = p
		}
		places[i] = p
	}
	return places
}

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
	if len(l.places) < l.trim && len(l.open) > 0 {
		return
	}
	// A time can only hold back quantities that are older. All that are still
	// to come are of readings that are open or have not begun, so what is not
	// newer than the oldest of those is not needed: there are as few places as
	// there are SKUs under way, whatever the size of the catalogue.
	var oldest time.Time
	for t := range l.open {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	for key, p := range l.places {
		if p.last == nil && (oldest.IsZero() || !p.done.After(oldest)) {
			delete(l.places, key)
			if p.done.After(l.floor) {
				l.floor = p.done
			}
		}
	}
	l.trim = max(1024, 2*len(l.places))
}

// lock waits until the caller has the SKUs, each of which occurs once, to itself.
// It gives up when ctx is done, or when hopeless, which it asks once a second,
// returns an error. The caller must unlock what it gets.
func (l *skuLocks) lock(ctx context.Context, skus []string, how manner, hopeless func() error) (me *skuLock, err error) {
	me = &skuLock{skus: skus, ready: make(chan struct{}), yields: how == yielding}
	l.mu.Lock()
	me.places = l.placesOf(skus)
	for i, p := range me.places {
		before := p.last
		for how == urgently && before != nil && before.yields {
			before.lose(skus[i])
			if before = before.before[p]; before != nil && !slices.Contains(before.places, p) {
				before = nil // it was narrowed to others since
			}
		}
		if before != nil && before != me && !before.over {
			// One with several of the same SKUs is counted as often: it is taken off
			// as often.
			before.behind = append(before.behind, me)
			me.ahead++
			if me.yields {
				if me.before == nil {
					me.before = make(map[*skuPlace]*skuLock)
				}
				me.before[p] = before
			}
		}
		p.last = me
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
	t.unlist()
	t.skus, t.places = keep, l.placesOf(keep)
	for _, p := range t.places {
		if p.last == nil {
			p.last = t
		}
	}
}

// unlist takes a lock off the SKUs whose newest one it is.
func (t *skuLock) unlist() {
	for _, p := range t.places {
		if p.last == t {
			p.last = nil
		}
	}
}

// release lets those behind go on. One that nobody waits for any more keeps its
// place until it comes, so that none behind it overtakes the ones before it.
func (l *skuLocks) release(t *skuLock) {
	t.over = true
	t.unlist()
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
// records that they are dealt with. The lock is on their SKUs. It changes wants.
func (l *skuLocks) admit(t *skuLock, wants []want) (admitted, stale []want) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := len(wants) == len(t.skus)
	for i := 0; all && i < len(wants); i++ {
		all = wants[i].sku == t.skus[i]
	}
	places := t.places
	if !all {
		places = l.placesOf(skusOf(wants))
	}
	admitted = wants[:0]
	for i := range wants {
		w, p := &wants[i], places[i]
		if w.asOf.Before(p.done) || w.asOf.Before(l.floor) {
			stale = append(stale, *w)
			continue
		}
		p.done = w.asOf
		if n := len(admitted); n == i {
			admitted = wants[:n+1] // where it is
		} else {
			admitted = append(admitted, *w)
		}
	}
	clear(wants[len(admitted):])
	return admitted, stale
}
