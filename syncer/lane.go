package syncer

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// A lane keeps order among the writes to one channel. Runs overlap: a webhook
// may arrive while the daily reconciliation is under way, and each has read
// the source at a moment of its own. For each SKU a lane lets one run through
// at a time, first come, first served, and tells a run that its quantity is
// older than one already dealt with.
//
// SKUs are told apart by 64 bits of a hash. Two with one hash, which nobody can
// bring about, wait for each other, and the older of their quantities is read
// again.
type lane struct {
	mu   sync.Mutex
	seed maphash.Seed
	last map[uint64]*turn     // the newest turn that wants the SKU
	done map[uint64]time.Time // when the newest quantity dealt with was read
	open map[time.Time]int    // when runs that are not over began to read
	trim int                  // size of done at which it is trimmed
	// floor is the newest time that was trimmed. About an older quantity
	// nothing is known any more, so it is not let through.
	floor time.Time
}

// A turn is the right to read and write some SKUs. Each turn waits for the
// turns that wanted one of its SKUs before it, and for no other, so that turns
// neither starve nor wait in a circle. There is one exception: an urgent turn takes
// an SKU away from one that yields, and waits for whom that one waited for.
type turn struct {
	skus   []uint64 // their keys
	ahead  int      // how often a turn must end first: once for each SKU that one has
	behind []*turn
	ready  chan struct{} // closed when ahead is 0
	gone   bool          // nobody waits for it any more
	over   bool
	yields bool
	lost   map[string]bool  // what was taken away
	before map[uint64]*turn // of one that yields: whom it waits for
}

// A manner is how a turn deals with others.
type manner int

const (
	inLine   manner = iota
	yielding        // its SKUs may be taken away until it insists
	urgently        // takes SKUs away from those that yield
)

func newLane() *lane {
	return &lane{
		seed: maphash.MakeSeed(),
		last: make(map[uint64]*turn),
		done: make(map[uint64]time.Time),
		open: make(map[time.Time]int),
		trim: 1024,
	}
}

// key tells an SKU from others.
func (l *lane) key(sku string) uint64 { return maphash.String(l.seed, sku) }

// begin registers a run that starts reading at now: all its quantities are as
// of now or later. end must be called once, when the last of them was dealt
// with.
func (l *lane) begin(now time.Time) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[now]++
	return func() { l.end(now) }
}

func (l *lane) end(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[began]--; l.open[began] == 0 {
		delete(l.open, began)
	}
	if len(l.done) < l.trim && len(l.open) > 0 {
		return
	}
	// A time can only hold back quantities that are older. All that are still
	// to come are from runs that are open or have not begun, so what is not
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

// enter waits for the caller's turn at the SKUs, each of which occurs once.
// leave must be called once, when the caller is done with them. It gives up
// when ctx is done, or when hopeless, which it asks now and then and may be
// nil, returns an error.
func (l *lane) enter(ctx context.Context, skus []string, hopeless func() error) (leave func(), err error) {
	me, err := l.queue(ctx, skus, inLine, hopeless)
	if err != nil {
		return nil, err
	}
	return func() { l.leave(me) }, nil
}

// queue is enter in a manner. It returns the turn, which the caller must leave.
func (l *lane) queue(ctx context.Context, skus []string, how manner, hopeless func() error) (me *turn, err error) {
	me = &turn{skus: make([]uint64, len(skus)), ready: make(chan struct{}), yields: how == yielding}
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
			// A turn that wants several of the same SKUs is counted as often: it
			// is taken off as often.
			before.behind = append(before.behind, me)
			me.ahead++
			if me.yields {
				if me.before == nil {
					me.before = make(map[uint64]*turn)
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
			if hopeless != nil {
				err = hopeless()
			}
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

func (l *lane) leave(t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release(t)
}

func (t *turn) lose(sku string) {
	if t.lost == nil {
		t.lost = make(map[string]bool)
	}
	t.lost[sku] = true
}

// insist ends a turn's yielding, and returns the SKUs that were taken away from
// it: whoever did may have written them by now.
func (l *lane) insist(t *turn) (lost map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.yields, t.before = false, nil
	return t.lost
}

// narrow keeps some SKUs of a turn. For the others later turns do not wait any
// more; those that wait already do so until it leaves.
func (l *lane) narrow(t *turn, keep []string) {
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

// unlist takes a turn off the SKUs whose newest turn it is.
func (l *lane) unlist(t *turn) {
	for _, key := range t.skus {
		if l.last[key] == t {
			delete(l.last, key)
		}
	}
}

// release lets those behind go on. A turn that nobody waits for any more
// keeps its place until it comes, so that none behind it overtakes the ones
// before it.
func (l *lane) release(t *turn) {
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

// admit records that the quantity read at asOf is dealt with, or reports false
// if a newer one was. The SKU must be the caller's.
func (l *lane) admit(sku string, asOf time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.admitLocked(sku, asOf)
}

func (l *lane) admitLocked(sku string, asOf time.Time) bool {
	key := l.key(sku)
	if asOf.Before(l.done[key]) || asOf.Before(l.floor) {
		return false
	}
	l.done[key] = asOf
	return true
}
