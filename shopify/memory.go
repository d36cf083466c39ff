package shopify

import (
	"sync"
	"time"
)

// A memory remembers something of at most max things, each for some time. It
// is safe for concurrent use.
type memory[V any] struct {
	max  int
	life time.Duration

	mu sync.Mutex
	m  map[uint64]remembered[V]
}

type remembered[V any] struct {
	v     V
	until time.Time
}

func (m *memory[V]) get(key uint64) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.m[key]
	if !ok {
		return v, false
	}
	if !time.Now().Before(r.until) {
		delete(m.m, key)
		return v, false
	}
	return r.v, true
}

func (m *memory[V]) put(key uint64, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = make(map[uint64]remembered[V])
	}
	if _, ok := m.m[key]; !ok && len(m.m) >= m.max {
		m.shed()
	}
	m.m[key] = remembered[V]{v, time.Now().Add(m.life)}
}

// shed makes room: it forgets what is over, or else half of it all.
func (m *memory[V]) shed() {
	now := time.Now()
	for key, r := range m.m {
		if !now.Before(r.until) {
			delete(m.m, key)
		}
	}
	for key := range m.m {
		if len(m.m) <= m.max/2 {
			return
		}
		delete(m.m, key)
	}
}

// empty reports whether nothing is remembered.
func (m *memory[V]) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.m) == 0
}

func (m *memory[V]) drop(key uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.m, key)
}

// keys returns the keys of what is remembered.
func (m *memory[V]) keys() (keys []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.m {
		if time.Now().Before(r.until) {
			keys = append(keys, key)
		}
	}
	return keys
}
