package syncer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/bits"
	"slices"
	"sync"
	"time"
)

// A skuIndex knows which product an SKU of a channel stands for: channels speak of
// SKUs, and the queue and the source of products. It is filled by what passes
// read, so a run over the catalogue fills it as a whole.
//
// It is a hint. What it says is read at the source and at the channel before
// anything is written, so an entry that is out of date costs a read.
//
// It keeps a 64-bit hash of each SKU and the product's id, that of a UUID in 16
// bytes: about 36 bytes an SKU in all, for two million at most. Entries that
// neither of the last two runs has met are dropped.
type skuIndex struct {
	mu     sync.RWMutex
	shards [indexShards]indexShard
	ids    arena
	used   int   // entries
	run    uint8 // the number of the catalogue's run
	// whole says that a run over the catalogue has filled it.
	whole bool
	// restored says that the store was asked since this process began to lead.
	restored bool
	keptAt   time.Time // only a reconciliation uses it
}

const (
	indexShards = 256
	maxIndexed  = 2_000_000
	// maxIndexedID bounds an id. A longer one is not indexed.
	maxIndexedID = 1000
)

// An indexShard is a hash table with open addressing. A hash of 0 is an empty
// slot.
type indexShard struct {
	hash []uint64
	at   []uint32 // of the id in the arena
	run  []uint8  // in which the entry was met last
	used int
}

// find returns the slot of a hash, or the one where it belongs.
func (h *indexShard) find(hash uint64) (at int, found bool) {
	place, _ := bits.Mul64(hash<<8, uint64(len(h.hash))) // the first byte is the shard's number
	for at = int(place); h.hash[at] != 0; {
		if h.hash[at] == hash {
			return at, true
		}
		if at++; at == len(h.hash) {
			at = 0
		}
	}
	return at, false
}

// room makes room for one entry more: a table is at most 7/8 full. A small one
// doubles, a large one stays lean.
func (h *indexShard) room() {
	if h.used < len(h.hash)*7/8 {
		return
	}
	old := *h
	size := max(16, len(old.hash)*2)
	if len(old.hash) >= 512 {
		size = len(old.hash) * 5 / 4
	}
	h.hash, h.at, h.run = make([]uint64, size), make([]uint32, size), make([]uint8, size)
	for i, hash := range old.hash {
		if hash != 0 {
			at, _ := h.find(hash)
			h.hash[at], h.at[at], h.run[at] = hash, old.at[i], old.run[i]
		}
	}
}

// skuHash is the same in every process.
func skuHash(list, sku string) uint64 {
	h := hashOn(hashOn(hashOn(fnvBasis, list), "\x00"), sku)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return max(1, h^h>>33)
}

// list names the set of SKUs that a target uses: those of the source's own are
// one for all.
func (t *target) list() string {
	if t.Listings == nil {
		return ""
	}
	return t.name
}

// learn notes which products the listings of a target are of. Kits are not among
// them: the host says which these are.
func (x *skuIndex) learn(t *target, wants []want) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range wants {
		if w := &wants[i]; !w.isKit() && w.sku != "" && w.stock.ProductID != "" {
			x.put(skuHash(t.list(), w.sku), w.stock.ProductID, x.run)
		}
	}
}

// put is given the index locked.
func (x *skuIndex) put(hash uint64, productID string, run uint8) {
	h := &x.shards[hash>>56]
	h.room()
	at, found := h.find(hash)
	if found {
		h.run[at] = run
		if x.ids.is(h.at[at], productID) {
			return
		}
	} else if x.used >= maxIndexed {
		return
	}
	where, ok := x.ids.add(productID)
	if !ok {
		return
	}
	if !found {
		h.used++
		x.used++
	}
	h.hash[at], h.at[at], h.run[at] = hash, where, run
}

// product returns the product that a target lists under an SKU.
func (x *skuIndex) product(t *target, sku string) (productID string, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	hash := skuHash(t.list(), sku)
	h := &x.shards[hash>>56]
	if h.used == 0 {
		return "", false
	}
	at, found := h.find(hash)
	if !found {
		return "", false
	}
	return x.ids.get(h.at[at]), true
}

// complete reports whether a run over the catalogue has filled the index.
func (x *skuIndex) complete() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.whole
}

// ran notes that a run over the catalogue has ended, and read all of it. What
// neither this run nor the one before has met is dropped.
func (x *skuIndex) ran() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.whole = true
	stale := 0
	for i := range x.shards {
		for j, hash := range x.shards[i].hash {
			if hash != 0 && x.stale(x.shards[i].run[j]) {
				stale++
			}
		}
	}
	if stale > x.used/16 || x.ids.dropped > x.ids.size/8 {
		x.rebuild()
	}
	x.run++
}

func (x *skuIndex) stale(run uint8) bool { return run != x.run && run != x.run-1 }

// rebuild drops what is stale.
func (x *skuIndex) rebuild() {
	old, ids := x.shards, x.ids
	x.shards, x.ids, x.used = [indexShards]indexShard{}, arena{}, 0
	for i := range old {
		for j, hash := range old[i].hash {
			if hash != 0 && !x.stale(old[i].run[j]) {
				x.put(hash, ids.get(old[i].at[j]), old[i].run[j])
			}
		}
		old[i] = indexShard{}
	}
}

// forget drops everything: another process has worked since, and has kept what it
// knows.
func (x *skuIndex) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.shards, x.ids, x.used, x.whole, x.restored = [indexShards]indexShard{}, arena{}, 0, false, false
}

// indexMagic begins what is kept, and says in which form it is.
const indexMagic = "skus 1\n"

// Keep writes the index.
func (x *skuIndex) Keep(w io.Writer) error {
	buf := []byte(indexMagic)
	for i := range x.shards {
		buf = x.appendShard(buf, i)
		if _, err := w.Write(buf); err != nil { // not locked: it may take its time
			return err
		}
		buf = buf[:0]
	}
	return nil
}

func (x *skuIndex) appendShard(buf []byte, i int) []byte {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for j, hash := range x.shards[i].hash {
		if hash != 0 {
			buf = binary.LittleEndian.AppendUint64(buf, hash)
			buf = append(buf, x.ids.packed(x.shards[i].at[j])...)
		}
	}
	return buf
}

// Restore reads what Keep wrote. What is known already is newer.
func (x *skuIndex) Restore(r io.Reader) error {
	b := bufio.NewReaderSize(r, 32<<10)
	magic := make([]byte, len(indexMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != indexMagic {
		return errors.Join(err, errors.New("it is not in a form that is known"))
	}
	var buf [8]byte
	for {
		if _, err := io.ReadFull(b, buf[:]); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		id, err := unpack(b)
		if err != nil {
			return err
		}
		x.mu.Lock()
		hash := max(1, binary.LittleEndian.Uint64(buf[:]))
		h := &x.shards[hash>>56]
		known := false
		if h.used > 0 {
			_, known = h.find(hash)
		}
		if !known {
			x.put(hash, id, x.run)
		}
		x.mu.Unlock()
	}
	x.mu.Lock()
	x.whole = true
	x.mu.Unlock()
	return nil
}

// kitParts returns the products of the kits of a target that have an SKU.
func kitParts(kits []Listing, sku string) (ids []string) {
	for _, k := range kits {
		if k.SKU == sku {
			for _, p := range k.Parts {
				ids = append(ids, p.ProductID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// indexSet is the set in which the index is kept, in pieces.
const indexSet = "index"

// recollectIndex restores what the index was when it was kept last, once for each
// time that this process begins to lead.
func (s *Syncer) recollectIndex(ctx context.Context) {
	s.index.mu.Lock()
	restored := s.index.restored
	s.index.restored = true
	s.index.mu.Unlock()
	if restored || s.forgets() {
		return
	}
	if err := s.restoreKept(ctx, indexSet, func(r *keptReader) error { return s.index.Restore(r) }); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "which product each SKU is was kept and is not restored; the next run over the catalogue finds it out again",
			slog.Any("err", err))
	}
}

// keepIndex keeps the index, seldom.
func (s *Syncer) keepIndex(ctx context.Context) {
	if s.forgets() || time.Since(s.index.keptAt) < keptSeldom && !s.index.keptAt.IsZero() {
		return
	}
	s.index.keptAt = time.Now()
	if err := s.keepIn(ctx, indexSet, func(w *keptWriter) error { return s.index.Keep(w) }); err != nil && ctx.Err() == nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "which product each SKU is cannot be kept; after a restart it is found out again", slog.Any("err", err))
	}
}

// unfound has SKUs of channels that no product of the source has, as was found
// lately.
type unfound struct {
	mu   sync.Mutex
	skus map[string]time.Time
}

func (n *unfound) has(sku string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.skus[sku]
	return ok && time.Since(at) < unfoundFor
}

func (n *unfound) add(sku string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.skus == nil || len(n.skus) >= maxUnfound {
		n.skus = make(map[string]time.Time)
	}
	n.skus[sku] = time.Now()
}
