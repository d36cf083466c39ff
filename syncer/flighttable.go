package syncer

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A position is what was last known of a product: what the source had, and what
// the channels showed.
type position struct {
	available, reserved int // not clamped
	asOf                time.Duration
	shows               []base
	changed             bool
}

// A base is what a listing shows: one quantity, or a range as long as it is not
// known whether what was written shows.
type base struct {
	at        int    // the channel, or foreign
	sku, ref  uint16 // short for the listing's, within a product
	low, high int
	minute    int // when it was looked at
}

func (p *position) base(at int, sku string) *base {
	s := short(sku)
	for i := range p.shows {
		if b := &p.shows[i]; b.at == at && b.sku == s {
			return b
		}
	}
	return nil
}

func (p *position) set(b base) {
	p.changed = true
	for i := range p.shows {
		if old := &p.shows[i]; old.at == b.at && old.sku == b.sku {
			*old = b
			return
		}
	}
	p.shows = append(p.shows, b)
}

func (p *position) drop(at int, sku string) {
	s := short(sku)
	for i, b := range p.shows {
		if b.at == at && b.sku == s {
			p.shows, p.changed = append(p.shows[:i], p.shows[i+1:]...), true
			return
		}
	}
}

// A table has the positions of all products in little memory: about 20 bytes a
// product and 12 for each of its listings, 45 for a product on two channels. Products are told apart by 64 bits of a hash. It has a fixed
// number of buckets, each of which is one record of the store.
type table struct {
	buckets [tableBuckets][]byte
	changed [tableBuckets]bool
	count   int
	scratch [24]base
	got     slot // of the last get, until the next put
}

// A slot is where the record of a product is, or belongs if from is to.
type slot struct {
	id       string
	hash     uint64
	bucket   int
	from, to int
	good     bool
}

const (
	tableBuckets = 1024
	// maxPositions bounds a table: about 45 MB with two channels. Of further
	// products nothing is known, and so nothing in flight.
	maxPositions = 1 << 20
)

// The basis and the prime of FNV-1a.
const (
	fnvBasis = 14695981039346656037
	fnvPrime = 1099511628211
)

// hashOn goes on with a hash like FNV-1a, but for eight bytes at a time. Its
// hashes are stored, so it must never change.
func hashOn(h uint64, s string) uint64 {
	for ; len(s) >= 8; s = s[8:] {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h = (h ^ word) * fnvPrime
		h ^= h >> 32
	}
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

func hash64(s string) uint64 { return hashOn(fnvBasis, s) }

// short tells the few listings of one product apart.
func short(s string) uint16 {
	h := hash64(s)
	return uint16(h ^ h>>16 ^ h>>32 ^ h>>48)
}

// find returns where the record of a product is in its bucket. A record is its
// length, seven bytes of the hash, and what encode appends; the rest of the hash
// is the bucket's number.
func (t *table) find(h uint64) (bucket, from, to int) {
	bucket = int(h % tableBuckets)
	b := t.buckets[bucket]
	for i := 0; i+recordHead <= len(b); {
		end := i + 1 + int(b[i])
		if end > len(b) {
			break
		}
		if binary.LittleEndian.Uint32(b[i+1:]) == uint32(h>>32) && hashAt(b[i+1:], bucket) == h {
			return bucket, i, end
		}
		i = end
	}
	return bucket, len(b), len(b)
}

const recordHead = 1 + 7 // its length, and the hash

func hashAt(b []byte, bucket int) uint64 {
	return uint64(binary.LittleEndian.Uint32(b))<<32 | uint64(binary.LittleEndian.Uint16(b[4:]))<<16 | uint64(b[6])<<10&0xffff | uint64(bucket)
}

func appendHash(b []byte, h uint64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(h>>32))
	b = binary.LittleEndian.AppendUint16(b, uint16(h>>16))
	return append(b, byte(h>>10&0x3f))
}

// get returns the position of a product. It is good until the next get.
func (t *table) get(id string) (p position, ok bool) {
	h := hash64(id)
	bucket, from, to := t.find(h)
	t.got = slot{id, h, bucket, from, to, true}
	p.shows = t.scratch[:0:len(t.scratch)]
	if from == to {
		return p, false
	}
	if p.decode(t.buckets[bucket][from+recordHead:to]) != nil {
		return position{shows: t.scratch[:0:len(t.scratch)]}, false
	}
	return p, true
}

// put keeps the position of a product, and reports whether there was room. If not
// nothing is known of the product.
func (t *table) put(id string, p *position) bool {
	if t.got.good && t.got.id == id { // as a rule it was got moments before
		return t.putAt(t.got, p)
	}
	return t.putHash(hash64(id), p)
}

func (t *table) putHash(h uint64, p *position) bool {
	bucket, from, to := t.find(h)
	return t.putAt(slot{hash: h, bucket: bucket, from: from, to: to}, p)
}

func (t *table) putAt(at slot, p *position) bool {
	t.got.good = false
	if at.from == at.to && t.count >= maxPositions {
		return false
	}
	var buf [256]byte
	rec := append(buf[:0], 0)
	rec = p.encode(appendHash(rec, at.hash))
	b := t.buckets[at.bucket]
	if len(rec) > 256 { // some twenty listings: what is not kept must not stay as it was
		if at.from < at.to {
			t.buckets[at.bucket] = splice(b, at.from, at.to, nil)
			t.count--
			t.changed[at.bucket] = true
		}
		return false
	}
	rec[0] = byte(len(rec) - 1)
	if at.from == at.to {
		t.count++
	}
	if len(rec) == at.to-at.from {
		copy(b[at.from:], rec)
	} else {
		t.buckets[at.bucket] = splice(b, at.from, at.to, rec)
	}
	t.changed[at.bucket] = true
	return true
}

// tableSlack is the room that a bucket has for a few records more: as many
// buckets as there are take little of it, and a small catalogue does not copy
// one for each product.
const tableSlack = 128

// splice replaces a part of b, and leaves little room at its end.
func splice(b []byte, from, to int, with []byte) []byte {
	n := len(b) - (to - from) + len(with)
	if n > cap(b) {
		grown := make([]byte, len(b), n+max(n/8, tableSlack))
		copy(grown, b)
		b = grown
	}
	tail := len(b) - to
	b = b[:max(n, len(b))]
	copy(b[from+len(with):], b[to:to+tail])
	copy(b[from:], with)
	return b[:n]
}

func (p *position) encode(b []byte) []byte {
	b = binary.AppendVarint(b, int64(p.available))
	b = binary.AppendVarint(b, int64(p.reserved))
	b = binary.AppendVarint(b, int64(p.asOf))
	for _, s := range p.shows {
		b = append(b, byte(s.at))
		b = binary.LittleEndian.AppendUint16(b, s.sku)
		b = binary.LittleEndian.AppendUint16(b, s.ref)
		b = binary.AppendVarint(b, int64(s.low))
		b = binary.AppendVarint(b, int64(s.high-s.low))
		b = binary.AppendUvarint(b, uint64(max(0, s.minute)))
	}
	return b
}

func (p *position) decode(b []byte) error {
	var err error
	varint := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			err, b = errPosition, nil
			return 0
		}
		b = b[n:]
		return v
	}
	p.available, p.reserved, p.asOf = int(varint()), int(varint()), time.Duration(varint())
	for len(b) > 5 {
		s := base{at: int(b[0]), sku: binary.LittleEndian.Uint16(b[1:]), ref: binary.LittleEndian.Uint16(b[3:])}
		b = b[5:]
		s.low = int(varint())
		s.high = s.low + int(varint())
		m, n := binary.Uvarint(b)
		if n <= 0 || m > 1<<40 {
			return errPosition
		}
		b, s.minute = b[n:], int(m)
		p.shows = append(p.shows, s)
	}
	if err == nil && len(b) > 0 {
		err = errPosition
	}
	return err
}

var errPosition = fmt.Errorf("a record of what products were known to be makes no sense")
