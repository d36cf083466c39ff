package woocommerce

import (
	"fmt"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// written remembers what was written lately, and what was shown before, to
// tell a shop that takes a quantity and goes on showing the old one. It keeps
// two generations of at most maxWritten items each.
type written struct {
	mu         sync.Mutex
	young, old map[int64]lastWrite
}

type lastWrite struct {
	before   quantity
	quantity int
	at       time.Time
	again    bool // a later read showed what was shown before
	denied   int  // how often such a write was looked at and not shown
}

const maxWritten = 10_000

func (m *written) get(id int64) (lastWrite, bool) {
	if last, ok := m.young[id]; ok {
		return last, true
	}
	last, ok := m.old[id]
	return last, ok
}

func (m *written) put(id int64, last lastWrite) {
	if m.young == nil || len(m.young) >= maxWritten {
		m.young, m.old = make(map[int64]lastWrite, len(m.young)), m.young
	}
	m.young[id] = last
}

// read notices what shows again what it showed before it was written.
func (m *written) read(rows []found, asked time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young)+len(m.old) == 0 {
		return
	}
	for i := range rows {
		r := rows[i].row
		id, shown := r.id, r.quantity
		switch r.stock {
		case byParent:
			id = r.parent
		case unmanaged:
			shown = quantity{none: true}
		}
		if last, ok := m.get(id); ok && r.err == nil && !asked.Before(last.at) && last.again != (shown == last.before) {
			last.again = !last.again
			m.put(id, last)
		}
	}
}

// add remembers a write that was shown, at a time.
func (m *written) add(w *write, now time.Time) {
	if !w.known || w.before == (quantity{n: w.quantity}) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(w.id, lastWrite{before: w.before, quantity: w.quantity, at: now})
}

// denied remembers a write that was answered well and is not shown, and
// returns how often that has happened.
func (m *written) denied(w *write) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, _ := m.get(w.id)
	// The first time it was believed.
	last = lastWrite{before: w.before, quantity: w.quantity, at: time.Now(), again: true, denied: max(1, last.denied) + 1}
	m.put(w.id, last)
	return last.denied
}

func (m *written) forget(id int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, id)
	delete(m.old, id)
}

// refuse says why an item is not written now: it shows again what it showed
// before it was written, more than once. If that is the first time, the write
// becomes one that is looked at.
func (m *written) refuse(w *write) error {
	if !w.known || w.unset {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	last, ok := m.get(w.id)
	if !ok || !last.again || w.before != last.before {
		return nil
	}
	w.doubt = true
	if last.denied == 0 || w.quantity != last.quantity {
		return nil
	}
	rest := min(time.Minute<<min(last.denied-2, 10), time.Hour)
	if left := rest - time.Since(last.at); left > 0 {
		return fmt.Errorf("%w: the shop took %d and went on showing %v, %d times; it is written again in %v",
			channel.ErrNotApplied, last.quantity, last.before, last.denied, left.Round(time.Second))
	}
	return nil
}
