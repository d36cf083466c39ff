package shopify

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

const (
	shardBits = 10
	// maxCompact is the largest number of an item that fits into 48 bits. Those
	// of 2026 need 46.
	maxCompact = 1<<48 - 1
)

// An index remembers which items an SKU may stand for. It keeps numbers and no
// text, 10 bytes an item and a little room to grow, so that a million items
// fit: the key is a hash of the SKU without case and blanks, so one key holds
// the items that an SKU names and those that it nearly names. What it says is
// a hint: the SKUs of the items are read before they are relied on.
//
// The keys are spread over shards, each of which is sorted, so that the index
// grows a thousandth at a time.
type index struct {
	mu     sync.RWMutex
	shards [1 << shardBits]shard
	large  map[uint64][]uint64 // items whose numbers do not fit, by the whole hash
	len    int
}

// A shard is three columns of one table, sorted by hash.
type shard struct {
	hash []uint32
	low  []uint32
	high []uint16
}

func newIndex() *index { return &index{} }

// hashOf is the hash of the folded SKU: FNV-1a with a finalizer, since its
// upper bits choose the shard. It is the same in every process, so that an
// index can be kept. Short SKUs of ASCII, which nearly all are, are folded
// without a copy of them on the heap.
func hashOf(sku string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(sku) {
		c := sku[i]
		switch {
		case c >= 0x80:
			h = offset
			for _, b := range []byte(fold(sku)) {
				h = (h ^ uint64(b)) * prime
			}
			return mix(h)
		case c == ' ' || c >= '\t' && c <= '\r':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * prime
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// fold drops what people overlook: case, and blanks anywhere.
func fold(sku string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, sku)
}

func (x *index) at(hash uint64) (*shard, uint32) {
	return &x.shards[hash>>(64-shardBits)], uint32(hash >> (64 - shardBits - 32))
}

// span returns where the entries of a key are, or belong. Hashes are spread
// evenly, so that the place of one is known to within a few.
func (s *shard) span(key uint32) (start, end int) {
	start = int(uint64(key) * uint64(len(s.hash)) >> 32)
	for start > 0 && s.hash[start-1] >= key {
		start--
	}
	for start < len(s.hash) && s.hash[start] < key {
		start++
	}
	for end = start; end < len(s.hash) && s.hash[end] == key; end++ {
	}
	return start, end
}

func (s *shard) item(i int) uint64 { return uint64(s.high[i])<<32 | uint64(s.low[i]) }

// find appends the items that the SKU may stand for, in no order.
func (x *index) find(to []uint64, sku string) []uint64 {
	hash := hashOf(sku)
	x.mu.RLock()
	defer x.mu.RUnlock()
	s, key := x.at(hash)
	start, end := s.span(key)
	for i := start; i < end; i++ {
		to = append(to, s.item(i))
	}
	return append(to, x.large[hash]...)
}

// count is how many these are.
func (x *index) count(sku string) int {
	hash := hashOf(sku)
	x.mu.RLock()
	defer x.mu.RUnlock()
	s, key := x.at(hash)
	start, end := s.span(key)
	return end - start + len(x.large[hash])
}

// size is how many items there are.
func (x *index) size() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.len
}

func (x *index) add(sku string, item uint64) {
	hash := hashOf(sku)
	x.mu.Lock()
	defer x.mu.Unlock()
	if item > maxCompact {
		if !slices.Contains(x.large[hash], item) {
			if x.large == nil {
				x.large = make(map[uint64][]uint64)
			}
			x.large[hash] = append(x.large[hash], item)
			x.len++
		}
		return
	}
	s, key := x.at(hash)
	if s.add(key, item) {
		x.len++
	}
}

func (s *shard) add(key uint32, item uint64) bool {
	start, end := s.span(key)
	for i := start; i < end; i++ {
		if s.item(i) == item {
			return false
		}
	}
	s.grow()
	s.hash = slices.Insert(s.hash, end, key)
	s.low = slices.Insert(s.low, end, uint32(item))
	s.high = slices.Insert(s.high, end, uint16(item>>32))
	return true
}

// grow makes room for an entry, in smaller steps than append would.
func (s *shard) grow() {
	n := len(s.hash)
	if n < cap(s.hash) {
		return
	}
	room := n + n/16 + 8
	s.hash = append(make([]uint32, 0, room), s.hash...)
	s.low = append(make([]uint32, 0, room), s.low...)
	s.high = append(make([]uint16, 0, room), s.high...)
}

func (x *index) drop(sku string, item uint64) {
	hash := hashOf(sku)
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := slices.Index(x.large[hash], item); i >= 0 {
		x.large[hash] = slices.Delete(x.large[hash], i, i+1)
		if len(x.large[hash]) == 0 {
			delete(x.large, hash)
		}
		x.len--
	}
	s, key := x.at(hash)
	start, end := s.span(key)
	for i := start; i < end; i++ {
		if s.item(i) == item {
			s.hash = slices.Delete(s.hash, i, i+1)
			s.low = slices.Delete(s.low, i, i+1)
			s.high = slices.Delete(s.high, i, i+1)
			x.len--
			return
		}
	}
}

// An entry is the hash of a folded SKU, as far as the index keeps it, and an
// item.
type entry struct{ hash, item uint64 }

// entries yields all entries in the order of their hashes; those with large
// numbers are left out. The index may change meanwhile.
func (x *index) entries() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for i := range x.shards {
			x.mu.RLock()
			some := make([]entry, len(x.shards[i].hash))
			for j, key := range x.shards[i].hash {
				some[j] = entry{uint64(i)<<(64-shardBits) | uint64(key)<<(64-shardBits-32), x.shards[i].item(j)}
			}
			x.mu.RUnlock()
			for _, e := range some {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// addEntry adds what entries yielded.
func (x *index) addEntry(e entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, key := x.at(e.hash)
	if s.add(key, e.item) {
		x.len++
	}
}

const itemPrefix = "gid://shopify/InventoryItem/"

func itemNumber(gid string) (uint64, bool) {
	digits, ok := strings.CutPrefix(gid, itemPrefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && (digits[0] != '0' || digits == "0")
}

func itemID(n uint64) string {
	var b [len(itemPrefix) + 20]byte
	return string(strconv.AppendUint(append(b[:0], itemPrefix...), n, 10))
}
