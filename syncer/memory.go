package syncer

import (
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// memory is what a channel was last found or made to show, for some SKUs: it
// is bounded, and no truth. It tells whether a write was undone, has not shown
// yet, or was explained by a sale, and spares a second look at what was only
// watched. An event is never skipped for it: somebody may have changed the
// channel since.
type memory struct {
	mu         sync.Mutex
	young, old map[string]*shown // by SKU; young becomes old when it is full
	kept       int               // how many young took over from the last old
	watch      *watchlist        // nil if the channel is not watched
	scarce     map[string]bool   // products of which few units were shown last
	// deductor says that the channel deducts what it has sold in the time
	// deducts before a quantity was read. See [channel.Deductor].
	deductor bool
	deducts  time.Duration
}

const (
	// maxShown bounds each of the two maps of a memory, beside what is pending.
	maxShown = 5000
	// maxPending bounds the writes that a memory keeps while they are pending,
	// such as those of a first sync: about 20 MB. What is forgotten beyond that
	// is written once more if it is looked at before it shows.
	maxPending = 100_000
)

const (
	// fewUnits is how many units are few: the next customers may want them all.
	fewUnits = 3
	// maxScarce bounds the products that are known to be scarce.
	maxScarce = 10_000
)

// note remembers whether few units of a product are shown.
func (m *memory) note(productID string, quantity int) {
	if quantity > fewUnits {
		delete(m.scarce, productID)
	} else if len(m.scarce) < maxScarce {
		if m.scarce == nil {
			m.scarce = make(map[string]bool)
		}
		m.scarce[productID] = true
	}
}

// few reports whether few units of a product were shown last.
func (m *memory) few(productID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.scarce[productID]
}

type shown struct {
	quantity  int
	productID string        // that the SKU stood for
	before    int           // shown before it was written; meaningless if wrote is zero
	unset     bool          // no quantity was shown before it was written
	wrote     time.Time     // when it was written, or zero if it was only found
	undone    int           // how often before was found again after a write
	pending   bool          // accepted, and not seen yet
	lag       time.Duration // how long that may take
	alone     bool          // it broke the batch that it was in
	doubt     bool          // something else was found since, or a write that is not known to have landed
	at        time.Time     // when it was found or written
}

// awaited reports whether it was accepted and may not show yet.
func (e *shown) awaited() bool { return e.pending && time.Since(e.wrote) < e.lag }

// awaitsOther is awaited for a quantity that is not the one wanted.
func (e *shown) awaitsOther(w *want) bool { return e.awaited() && e.quantity != w.quantity }

// showedBefore reports whether a level is what was shown before the write.
func (e *shown) showedBefore(l *channel.Level) bool {
	return l.Unset == e.unset && (e.unset || l.Quantity == e.before)
}

// forget forgets everything: somebody else has written to the channel.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.old, m.kept, m.scarce = nil, nil, 0, nil
	m.watch.forget()
}

// get returns what is known of an SKU. It is changed by set and doubts alone.
func (m *memory) get(sku string) (e *shown, ok bool) {
	if e = m.young[sku]; e == nil {
		e = m.old[sku]
	}
	if e == nil {
		return &neverShown, false
	}
	return e, true
}

var neverShown shown

func (m *memory) set(sku string, e shown) {
	if m.young == nil || len(m.young) >= maxShown+m.kept {
		m.age()
	}
	m.young[sku] = &e
}

// age makes the young old, and forgets what was old already, but for what has
// not settled.
func (m *memory) age() {
	was := m.old
	m.young, m.old, m.kept = make(map[string]*shown), m.young, 0
	for sku, e := range was {
		if _, newer := m.old[sku]; !newer && (e.awaited() || m.unsettled(e) > 0) && m.kept < maxPending {
			m.young[sku] = e
			m.kept++
		}
	}
}

// agrees records that the channel shows what is wanted, unless another quantity
// was accepted and does not show yet: what the channel shows now will not stay,
// and awaits says so. Of SKUs that the memory does not have it takes only what
// events are about: a whole catalogue would crowd it out. landed reports whether
// that had been pending.
func (m *memory) agrees(w *want, catalogue bool) (awaits, landed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(w.sku)
	if e.awaitsOther(w) {
		return true, false
	}
	m.note(w.stock.ProductID, w.quantity)
	m.watch.learn(w.sku, w.stock.ProductID, w.quantity, 0)
	if !ok && catalogue {
		return false, false
	}
	m.set(w.sku, shown{quantity: w.quantity, productID: w.stock.ProductID, alone: e.alone, at: time.Now()})
	return false, e.pending && e.quantity == w.quantity
}

// awaitsOther is agrees for a survey, which changes nothing.
func (m *memory) awaitsOther(w *want) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _ := m.get(w.sku)
	return e.awaitsOther(w)
}

// wrote records what the channel was made to show.
func (m *memory) wrote(c *change, pending bool, lag time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(c.stock.ProductID, c.quantity)
	m.watch.learn(c.sku, c.stock.ProductID, c.quantity, lag)
	e, _ := m.get(c.sku)
	now := time.Now()
	n := shown{quantity: c.quantity, productID: c.stock.ProductID, wrote: now, at: now, pending: pending, lag: lag, alone: e.alone}
	if c.seen != nil {
		n.before, n.unset = c.seen.Quantity, c.seen.Unset
	}
	if n.quantity == e.quantity && n.before == e.before && n.unset == e.unset {
		n.undone = e.undone
	}
	m.set(c.sku, n)
}

// doubts records that an SKU does not show what it was known to, or may not: it is
// looked at the next time, whatever is wanted then.
func (m *memory) doubts(sku string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.get(sku); ok {
		e.doubt = true
	}
}

// last returns what the SKU was last known to show.
func (m *memory) last(sku string) (quantity int, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(sku)
	return e.quantity, ok && !e.doubt && !e.at.IsZero()
}

// lastWrite returns what was written last, if that is known, and whether it may
// show yet where something else is shown.
func (m *memory) lastWrite(sku string, shows int) (quantity int, known, open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(sku)
	if !ok || e.wrote.IsZero() {
		return 0, false, false
	}
	return e.quantity, true, e.quantity != shows && e.awaited()
}

// unsettling reports whether the channel deducts its sales, and what it shows may
// be less by some that the source has booked.
func (m *memory) unsettling(sku string) bool {
	if !m.deductor {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(sku)
	return ok && !e.wrote.IsZero() && m.unsettled(e) > 0
}

// shows reports whether the channel was lately known to show a quantity.
func (m *memory) shows(sku string, quantity int) bool {
	n, ok := m.last(sku)
	return ok && n == quantity
}

// What a difference means in the light of the last write.
type verdict int

const (
	differs verdict = iota // write it
	notYet                 // it was written, and may take until it shows
	undone                 // it was written, and the channel shows again what it showed before
)

const (
	// maxUndone is how often the same write is repeated at once when the
	// channel goes back each time to what it showed before.
	maxUndone = 2
	// undoneFor is how long such a write is left alone then.
	undoneFor = time.Hour
	// remembered is how long a write explains what the channel shows.
	remembered = 24 * time.Hour
)

// judge says what a difference means, and of a write that has not settled how
// long that may still take. To peek changes nothing.
//
// Only the quantity that was written last can be unsettled. Another one is
// always written: whatever a channel that deducts its sales shows, what was
// sold elsewhere must come off.
func (m *memory) judge(w *want, seen *channel.Level, peek bool) (v verdict, times int, settles time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(w.sku)
	if !ok || e.wrote.IsZero() || e.quantity != w.quantity {
		return differs, 0, 0
	}
	if e.awaited() { // whatever it shows: an earlier write may show first
		return notYet, 0, e.lag - time.Since(e.wrote)
	}
	if m.deductor && !seen.Unset && seen.Quantity < w.quantity { // sold, and nothing that was undone
		if left := m.unsettled(e); left > 0 {
			return notYet, 0, left
		}
		return differs, 0, 0
	}
	if !e.showedBefore(seen) {
		return differs, 0, 0
	}
	switch age := time.Since(e.wrote); {
	case age > remembered:
		return differs, 0, 0
	case !e.pending && e.undone >= maxUndone && age < undoneFor:
		return undone, e.undone, 0
	}
	if e.pending {
		v = undone // it never showed; the next attempt writes it again
	}
	if peek {
		return v, e.undone, 0
	}
	again := *e
	again.pending = false
	again.undone++
	m.set(w.sku, again)
	return v, again.undone, 0
}

// unsettled is how long a level below what was written may be units that the
// channel has deducted and the source has booked already. It is 0 or less after
// that, and where the channel deducts nothing.
func (m *memory) unsettled(e *shown) time.Duration { return m.deducts - time.Since(e.wrote) }

// endLag ends the wait for a write that is pending for longer than usual: the channel
// is done with it, and what became of it can be read. It returns the product that the
// SKU stood for, or "".
func (m *memory) endLag(sku string, usual time.Duration) (productID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(sku)
	if ok && e.pending && e.lag > usual {
		done := *e
		done.lag = 0
		m.set(sku, done)
	}
	return e.productID
}

// rivals returns, for SKUs that were lately known as another product's, that
// product.
func (m *memory) rivals(wants []want) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rivals map[string]string
	for i := range wants {
		w := &wants[i]
		if e, ok := m.get(w.sku); ok && e.productID != "" && e.productID != w.stock.ProductID && !w.isKit() {
			if rivals == nil {
				rivals = make(map[string]string)
			}
			rivals[w.sku] = e.productID
		}
	}
	return rivals
}

// setAlone records whether an SKU broke the batch that it was in. Such an SKU is
// read and written alone until it fares well.
func (m *memory) setAlone(sku string, alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, _ := m.get(sku); e.alone != alone {
		n := *e
		n.alone = alone
		m.set(sku, n)
	}
}

func (m *memory) isAlone(sku string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _ := m.get(sku)
	return e.alone
}
