package syncer

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"sync"
)

// A memoryStore is a [Store] in memory.
type memoryStore struct {
	mu   sync.Mutex
	sets map[string]*recordSet
}

// Save implements [Store].
func (s *memoryStore) Save(ctx context.Context, set string, records ...Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.sets[set]
	if m == nil {
		m = &recordSet{values: make(map[string][]byte)}
	}
	for _, r := range records {
		m.put(r.Key, bytes.Clone(r.Value))
	}
	if len(m.values) == 0 {
		delete(s.sets, set)
		return nil
	}
	if s.sets == nil {
		s.sets = make(map[string]*recordSet)
	}
	s.sets[set] = m
	return nil
}

// Load implements [Store].
func (s *memoryStore) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.sets[set]; m != nil {
		return bytes.Clone(m.values[key]), nil
	}
	return nil, nil
}

// Records implements [Store].
func (s *memoryStore) Records(ctx context.Context, set, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for from := from; ; {
			if err := ctx.Err(); err != nil {
				yield(Record{}, err)
				return
			}
			page := s.page(set, from)
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			from = page[len(page)-1].Key + "\x00" // the least key that is greater
		}
	}
}

// page copies some records, so that none of the caller's code runs under mu.
func (s *memoryStore) page(set, from string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.sets[set]
	if m == nil {
		return nil
	}
	keys := m.from(from)
	page := make([]Record, len(keys))
	for i, key := range keys {
		page[i] = Record{Key: key, Value: bytes.Clone(m.values[key])}
	}
	return page
}

// A recordSet has its keys in order too, in chunks of at most maxChunk keys: so
// a new key moves few others.
type recordSet struct {
	values map[string][]byte
	chunks [][]string // none is empty
}

const maxChunk = 256

// put sets a value, or removes it if it is nil.
func (m *recordSet) put(key string, value []byte) {
	_, exists := m.values[key]
	if value != nil {
		m.values[key] = value
	} else {
		delete(m.values, key)
	}
	if exists == (value != nil) {
		return // the keys stay the same
	}
	c := max(0, m.chunk(key)-1) // the last chunk that begins at or before key
	if value == nil {
		at, _ := slices.BinarySearch(m.chunks[c], key)
		m.chunks[c] = slices.Delete(m.chunks[c], at, at+1)
		if len(m.chunks[c]) == 0 {
			m.chunks = slices.Delete(m.chunks, c, c+1)
		}
		return
	}
	if len(m.chunks) == 0 {
		m.chunks = [][]string{nil}
	}
	at, _ := slices.BinarySearch(m.chunks[c], key)
	keys := slices.Insert(m.chunks[c], at, key)
	m.chunks[c] = keys
	if len(keys) <= maxChunk {
		return
	}
	// Keys often come in order: then full chunks stay behind.
	half := len(keys) / 2
	if at == len(keys)-1 {
		half = at
	}
	m.chunks = slices.Insert(m.chunks, c+1, slices.Clone(keys[half:]))
	clear(keys[half:])
	m.chunks[c] = keys[:half]
}

// chunk returns the first chunk that begins after key.
func (m *recordSet) chunk(key string) int {
	at, _ := slices.BinarySearchFunc(m.chunks, key, func(keys []string, key string) int {
		if keys[0] <= key {
			return -1
		}
		return 1
	})
	return at
}

// from returns some keys in order, from the first that is not less than key;
// none if there is none.
func (m *recordSet) from(key string) []string {
	c := m.chunk(key)
	if c > 0 {
		before := m.chunks[c-1]
		if at, _ := slices.BinarySearch(before, key); at < len(before) {
			return before[at:]
		}
	}
	if c < len(m.chunks) {
		return m.chunks[c]
	}
	return nil
}
