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
	young, old map[string]shown // by SKU; young becomes old when it is full
}

// maxShown bounds each of the two maps of a memory.
const maxShown = 5000

type shown struct {
	quantity  int
	productID string        // that the SKU stood for
	before    int           // shown before it was written; meaningless if wrote is zero
	wrote     time.Time     // when it was written, or zero if it was only found
	undone    int           // how often before was found again after a write
	pending   bool          // accepted, and not seen yet
	lag       time.Duration // how long that may take
	alone     bool          // it broke the batch that it was in
}

func (m *memory) get(sku string) (shown, bool) {
	e, ok := m.young[sku]
	if !ok {
		e, ok = m.old[sku]
	}
	return e, ok
}

func (m *memory) set(sku string, e shown) {
	if m.young == nil || len(m.young) >= maxShown {
		m.young, m.old = make(map[string]shown), m.young
	}
	m.young[sku] = e
}

// found records what the channel shows. Of SKUs that the memory does not have
// it takes only what events are about: a whole catalogue would crowd it out.
func (m *memory) found(w *want, quantity int, catalogue bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(w.sku)
	if !ok && catalogue {
		return
	}
	m.set(w.sku, shown{quantity: quantity, productID: w.stock.ProductID, alone: e.alone})
}

// wrote records what the channel was made to show.
func (m *memory) wrote(c *change, pending bool, lag time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _ := m.get(c.sku)
	n := shown{quantity: c.quantity, productID: c.stock.ProductID, wrote: time.Now(), pending: pending, lag: lag, alone: e.alone}
	if c.seen != nil {
		n.before = c.seen.Quantity
	}
	if n.quantity == e.quantity && n.before == e.before {
		n.undone = e.undone
	}
	m.set(c.sku, n)
}

// last returns what the SKU was last known to show.
func (m *memory) last(sku string) (quantity int, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(sku)
	return e.quantity, ok
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

// judge says what a difference means. To peek changes nothing.
func (m *memory) judge(w *want, seen *channel.Level, peek bool) (v verdict, times int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(w.sku)
	if !ok || e.wrote.IsZero() || e.quantity != w.quantity || seen.Unset {
		return differs, 0
	}
	if e.pending && time.Since(e.wrote) < e.lag { // whatever it shows: an earlier write may show first
		return notYet, 0
	}
	if seen.Quantity != e.before {
		return differs, 0
	}
	switch age := time.Since(e.wrote); {
	case age > remembered:
		return differs, 0
	case !e.pending && e.undone >= maxUndone && age < undoneFor:
		return undone, e.undone
	}
	v = differs
	if e.pending {
		v = undone // it never showed; the next attempt writes it again
	}
	if !peek {
		e.pending = false
		e.undone++
		m.set(w.sku, e)
	}
	return v, e.undone
}

// awaits reports whether another quantity than the one wanted was accepted and
// does not show yet: what the channel shows now will not stay.
func (m *memory) awaits(w *want) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(w.sku)
	return ok && e.pending && e.quantity != w.quantity && time.Since(e.wrote) < e.lag
}

// expect forgets that a write of the SKU is pending for longer than usual: what
// became of that can be read. It returns the product.
func (m *memory) expect(sku string, usual time.Duration) (productID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.get(sku)
	if ok && e.pending && e.lag > usual {
		e.lag = 0
		m.set(sku, e)
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
		if e, ok := m.get(w.sku); ok && e.productID != "" && e.productID != w.stock.ProductID && len(w.parts) < 2 {
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
	e, ok := m.get(sku)
	if ok && e.alone != alone || !ok && alone {
		e.alone = alone
		m.set(sku, e)
	}
}

func (m *memory) isAlone(sku string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _ := m.get(sku)
	return e.alone
}
