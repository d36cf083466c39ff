package woocommerce

import (
	"sync"
	"time"
)

// A memory keeps what was learned of some items for a day. It holds a bounded
// number, and forgets all of them rather than grow: what still matters is soon
// learned again. It is safe for concurrent use; the zero value is ready.
type memory[K comparable, V any] struct {
	mu    sync.Mutex
	items map[K]remembered[V]
}

type remembered[V any] struct {
	value V
	at    time.Time
}

const (
	maxRemembered = 10_000
	rememberFor   = 24 * time.Hour
)

func (m *memory[K, V]) get(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.items[key]
	if !ok || time.Since(r.at) >= rememberFor {
		return value, false
	}
	return r.value, true
}

func (m *memory[K, V]) has(key K) bool {
	_, ok := m.get(key)
	return ok
}

func (m *memory[K, V]) put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.items == nil || len(m.items) >= maxRemembered {
		m.items = make(map[K]remembered[V])
	}
	m.items[key] = remembered[V]{value, time.Now()}
}

func (m *memory[K, V]) remove(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, key)
}
