package syncer

import "sync"

// lately remembers some of the figures that a channel was last found or made
// to show. What was noticed by watching is most often what an event has told
// before; lately spares the channel a second look at it. It is not for events:
// somebody may have changed the channel, and an event must mend that.
type lately struct {
	mu       sync.Mutex
	new, old map[string]int // by SKU; new becomes old when it is full
}

// mostLately bounds each of the two.
const mostLately = 5000

func (l *lately) put(wants ...want) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range wants {
		if l.new == nil || len(l.new) >= mostLately {
			l.new, l.old = make(map[string]int), l.new
		}
		l.new[w.SKU] = w.quantity
	}
}

// drop forgets figures that may be about to change, and returns the SKUs of
// which it had any.
func (l *lately) drop(wants []want) (had map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range wants {
		_, young := l.new[w.SKU]
		_, old := l.old[w.SKU]
		if young || old {
			if had == nil {
				had = make(map[string]bool)
			}
			had[w.SKU] = true
			delete(l.new, w.SKU)
			delete(l.old, w.SKU)
		}
	}
	return had
}

func (l *lately) shows(sku string, quantity int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.new[sku]
	if !ok {
		n, ok = l.old[sku]
	}
	return ok && n == quantity
}
