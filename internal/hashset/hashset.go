// Package hashset remembers which of very many strings came before, in memory
// that does not grow with their number.
package hashset

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"math/bits"
	"os"
	"slices"
	"sort"
)

// maxSlots bounds the table in memory, at a megabyte. About a hundred thousand
// strings need no file.
const maxSlots = 1 << 17

const (
	size  = 8   // bytes of a hash in the file
	block = 512 // hashes that are read at a time
)

// A Set is a set of strings, of which it keeps 64-bit hashes only: in a million
// strings there are two with the same hash about once in thirty million sets.
//
// Hashes that do not fit into memory go to a temporary file, eight bytes each.
// It has no name where the system allows that, so that it is gone with the
// process. Where no file can be had the set stays in memory, and takes 9 to 18
// bytes for each string.
//
// A Set is for one goroutine at a time.
type Set struct {
	seed  maphash.Seed
	slots []uint64 // open addressing; 0 is empty
	used  int      // slots
	max   int      // slots; then a file is needed

	file  temporary // sorted hashes that are not in slots
	filed int       // their number; 0 while there is no file
	read  []byte    // of the file
}

// New returns an empty set.
func New() *Set { return NewFor(0) }

// NewFor returns an empty set with room for about n strings.
func NewFor(n int) *Set {
	size := 1 << bits.Len(uint(max(n, 448)*8/7))
	return &Set{seed: maphash.MakeSeed(), slots: make([]uint64, min(size, maxSlots)), max: maxSlots}
}

// Distinct returns each text once, in order. Where all differ, as they do most often,
// it returns texts itself.
func Distinct(texts []string) []string {
	seen := NewFor(len(texts))
	defer seen.Close()
	if !slices.ContainsFunc(texts, func(text string) bool {
		isNew, err := seen.Add(text)
		return err != nil || !isNew
	}) {
		return texts
	}
	known := make(map[string]bool, len(texts)) // or two have one hash
	some := make([]string, 0, len(texts))
	for _, text := range texts {
		if !known[text] {
			known[text] = true
			some = append(some, text)
		}
	}
	return some
}

// Close ends the use of the set.
func (s *Set) Close() { s.file.discard() }

// Len is the number of strings.
func (s *Set) Len() int { return s.used + s.filed }

// Has reports whether a string is in the set. It fails only if the file cannot
// be read.
func (s *Set) Has(text string) (bool, error) {
	h := s.hash(text)
	if _, found := s.find(h); found {
		return true, nil
	}
	return s.inFile(h)
}

// Add adds a string, and reports whether it is new. It fails only if the file
// cannot be read.
func (s *Set) Add(text string) (bool, error) {
	h := s.hash(text)
	at, found := s.find(h)
	if !found {
		var err error
		if found, err = s.inFile(h); err != nil {
			return false, err
		}
	}
	if found {
		return false, nil
	}
	s.slots[at] = h
	if s.used++; s.used > len(s.slots)/8*7 {
		if len(s.slots) < s.max || !s.spill() {
			s.grow()
		}
	}
	return true, nil
}

func (s *Set) hash(text string) uint64 {
	return max(1, maphash.String(s.seed, text)) // 0 is an empty slot
}

// find returns the slot of h, or the one where it belongs. There is always an
// empty one.
func (s *Set) find(h uint64) (at int, found bool) {
	mask := len(s.slots) - 1 // their number is a power of two
	for at = int(h) & mask; s.slots[at] != 0; at = (at + 1) & mask {
		if s.slots[at] == h {
			return at, true
		}
	}
	return at, false
}

func (s *Set) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, h := range old {
		if h != 0 {
			at, _ := s.find(h)
			s.slots[at] = h
		}
	}
}

// inFile looks h up in the file.
func (s *Set) inFile(h uint64) (bool, error) {
	if s.filed == 0 {
		return false, nil
	}
	found, err := search(s.file, s.filed, h, s.read)
	if err != nil {
		return false, fmt.Errorf("reading a temporary file: %w", err)
	}
	return found, nil
}

// search looks h up among n sorted hashes, a block at a time into buf. Hashes
// are spread evenly, so that its place is known to within a block or two.
func search(r io.ReaderAt, n int, h uint64, buf []byte) (bool, error) {
	place, _ := bits.Mul64(h, uint64(n))
	at := int(place) - block/2
	for first, end := 0, n; first < end; {
		at = max(first, at)
		some := min(block, end-at)
		if _, err := r.ReadAt(buf[:some*size], int64(at)*size); err != nil {
			return false, err
		}
		hash := func(i int) uint64 { return binary.BigEndian.Uint64(buf[i*size:]) }
		switch {
		case h < hash(0):
			end, at = at, at-block
		case h > hash(some-1):
			first = at + some
		default:
			i := sort.Search(some, func(i int) bool { return hash(i) >= h })
			return hash(i) == h, nil
		}
	}
	return false, nil
}

// spill moves the hashes in memory to the file. If that cannot be done it
// reports false, and the set stays in memory from then on.
func (s *Set) spill() bool {
	some := slices.DeleteFunc(slices.Clone(s.slots), func(h uint64) bool { return h == 0 })
	slices.Sort(some)
	file, err := s.merged(some)
	if err != nil {
		s.max = math.MaxInt
		return false
	}
	s.file.discard()
	s.file, s.filed = file, s.filed+len(some)
	s.read = make([]byte, block*size)
	clear(s.slots)
	s.used = 0
	return true
}

// merged makes a new file of the file and of some further hashes, which are
// sorted.
func (s *Set) merged(some []uint64) (file temporary, err error) {
	if file, err = create(); err != nil {
		return file, err
	}
	defer func() {
		if err != nil {
			file.discard()
		}
	}()
	w := bufio.NewWriterSize(file, 1<<16)
	var buf [size]byte
	write := func(h uint64) {
		binary.BigEndian.PutUint64(buf[:], h)
		_, _ = w.Write(buf[:]) // Flush has the error, too
	}
	old := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, int64(s.filed)*size), 1<<16)
	for range s.filed {
		if _, err := io.ReadFull(old, buf[:]); err != nil {
			return file, err
		}
		h := binary.BigEndian.Uint64(buf[:])
		for len(some) > 0 && some[0] < h {
			write(some[0])
			some = some[1:]
		}
		write(h)
	}
	for _, h := range some {
		write(h)
	}
	return file, w.Flush()
}

// A temporary is an open file. It has no name where the system lets a file go
// on without one.
type temporary struct {
	*os.File
	named bool
}

func create() (temporary, error) {
	file, err := os.CreateTemp("", "stocksync-*")
	if err != nil {
		return temporary{}, err
	}
	return temporary{file, os.Remove(file.Name()) != nil}, nil
}

func (t temporary) discard() {
	if t.File == nil {
		return
	}
	t.Close()
	if t.named {
		os.Remove(t.Name())
	}
}
