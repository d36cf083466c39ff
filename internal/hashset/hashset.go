// Package hashset remembers which of very many strings came before, in a few
// bytes each.
package hashset

import "hash/maphash"

// A Set is a set of strings, of which it keeps 64-bit hashes only: in a million
// strings there are two with the same hash about once in thirty million sets.
// A million take 8 to 16 MB, where a map of the hashes takes three times that.
type Set struct {
	seed  maphash.Seed
	slots []uint64 // open addressing; 0 is empty
	n     int
}

// New returns an empty set.
func New() *Set { return &Set{seed: maphash.MakeSeed(), slots: make([]uint64, 1024)} }

// Len is the number of strings.
func (s *Set) Len() int { return s.n }

// Has reports whether a string is in the set.
func (s *Set) Has(text string) bool {
	_, found := s.find(s.hash(text))
	return found
}

// Add adds a string, and reports whether it is new.
func (s *Set) Add(text string) bool {
	h := s.hash(text)
	at, found := s.find(h)
	if found {
		return false
	}
	s.slots[at] = h
	if s.n++; s.n > len(s.slots)/8*7 {
		s.grow()
	}
	return true
}

func (s *Set) hash(text string) uint64 {
	return max(1, maphash.String(s.seed, text)) // 0 is an empty slot
}

// find returns the slot of h, or the one where it belongs. There is always an
// empty one.
func (s *Set) find(h uint64) (at int, found bool) {
	for at = int(h % uint64(len(s.slots))); s.slots[at] != 0; at = (at + 1) % len(s.slots) {
		if s.slots[at] == h {
			return at, true
		}
	}
	return at, false
}

func (s *Set) grow() {
	old := s.slots
	s.slots = make([]uint64, len(old)/2*3)
	for _, h := range old {
		if h != 0 {
			at, _ := s.find(h)
			s.slots[at] = h
		}
	}
}
