package shopify

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/internal/racetest"
)

func items(x *index, sku string) []uint64 {
	found := x.find(nil, sku)
	slices.Sort(found)
	return found
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestIndexIsCompact(t *testing.T) {
	const n = 100_000
	sku := func(i uint64) string { return fmt.Sprintf("PRODUCT-LINE-%07d-BLUE", i) }
	before := heap()
	x := newIndex()
	for i := range uint64(n) {
		x.add(sku(i), 43_000_000_000_000+i)
	}
	first := heap() - before
	assert.Less(t, first/n, uint64(12), "bytes an item")
	for i := range uint64(n) {
		x.add(sku(i), 43_000_000_000_000+i)
	}
	assert.LessOrEqual(t, heap()-before, first+100_000, "again, and it has not grown")
	assert.Equal(t, n, x.size())
	assert.Equal(t, []uint64{43_000_000_000_007}, items(x, "product-line-0000007-blue"))
}

func TestIndex(t *testing.T) {
	x := newIndex()
	x.add("a b", 1)
	x.add("A B", 2)
	x.add("AB", 3)
	x.add("AB", 3)
	assert.Equal(t, []uint64{1, 2, 3}, items(x, "ab"))
	assert.Equal(t, 3, x.count("ab"))
	x.drop("ab", 1)
	x.drop("ab", 9)
	x.drop("none", 9)
	assert.Equal(t, []uint64{2, 3}, items(x, "ab"))
	x.drop("ab", 3)
	x.drop("ab", 2)
	assert.Empty(t, items(x, "ab"))
	assert.Zero(t, x.size())
}

func TestIndexHoldsNumbersOfAnySize(t *testing.T) {
	x := newIndex()
	numbers := []uint64{1, 1<<32 - 1, 1 << 32, maxCompact, maxCompact + 1, 1<<63 - 1}
	for _, n := range numbers {
		x.add("A", n)
		x.add("A", n)
	}
	assert.Equal(t, numbers, items(x, "a"))
	for _, n := range numbers {
		x.drop("A", n)
	}
	assert.Empty(t, items(x, "A"))
	assert.Zero(t, x.size())
	assert.Empty(t, x.large)
}

func TestTheHashOfAnSKU(t *testing.T) {
	for _, sku := range []string{"", "a", "A b\tC", "ÄÖ x", "\u212aelvin", "a\u00a0b", "漢字"} {
		assert.Equal(t, hashOf(fold(sku)), hashOf(sku), "%q", sku)
	}
	assert.NotEqual(t, hashOf("a"), hashOf("b"))
	// A kept index lasts only as long as this does.
	assert.Equal(t, uint64(0xb49059b76a8ca54), hashOf("MUG-RED"))
}

// What an index finds is what was added and not dropped.
func TestIndexAgainstAMap(t *testing.T) {
	racetest.Long(t)
	x := newIndex()
	want := map[string]map[uint64]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		sku, id := fmt.Sprint("S", r.IntN(3000)), r.Uint64N(5)+1<<40
		if want[sku] == nil {
			want[sku] = map[uint64]bool{}
		}
		if r.IntN(3) == 0 {
			x.drop(sku, id)
			delete(want[sku], id)
		} else {
			x.add(sku, id)
			want[sku][id] = true
		}
	}
	total := 0
	for sku, ids := range want {
		total += len(ids)
		found := items(x, sku)
		if len(found) != len(ids) {
			t.Fatalf("%s: %v, want %v", sku, found, ids)
		}
		for _, id := range found {
			if !ids[id] {
				t.Fatalf("%s: %d", sku, id)
			}
		}
	}
	assert.Equal(t, total, x.size())
	n := 0
	for e := range x.entries() {
		y := newIndex()
		y.addEntry(e)
		n++
	}
	assert.Equal(t, total, n)
}
