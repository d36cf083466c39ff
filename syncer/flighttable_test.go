package syncer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
)

// A table holds what a map would, however its positions grow and shrink.
func TestTableIsAMap(t *testing.T) {
	racetest.Long(t)
	r := rand.New(rand.NewPCG(1, 0))
	var table table
	model := make(map[string]position)
	odd := func() int { return []int{0, 1, -1, 7, 1 << 30, -1 << 30, r.IntN(1000)}[r.IntN(7)] }
	for range 60_000 {
		id := fmt.Sprint("product-", r.IntN(20_000))
		p := position{available: odd(), reserved: odd(), asOf: durationOf(r.Int64() >> r.IntN(40))}
		for n := range r.IntN(4) {
			low := odd()
			p.shows = append(p.shows, base{at: n, sku: uint16(r.Uint32()), ref: uint16(r.Uint32()), low: low, high: low + r.IntN(3), minute: r.IntN(1 << 26)})
		}
		require.True(t, table.put(id, &p))
		model[id] = p
	}
	assert.Equal(t, len(model), table.count)
	for id, want := range model {
		got, ok := table.get(id)
		require.True(t, ok)
		got.shows = append([]base(nil), got.shows...)
		require.Equal(t, want, got, id)
	}
	_, ok := table.get("nobody")
	assert.False(t, ok)
	for b, bucket := range table.buckets { // the hash in a record is the whole one
		for i := 0; i < len(bucket); i += 1 + int(bucket[i]) {
			h := hashAt(bucket[i+1:], b)
			require.Equal(t, b, int(h%tableBuckets))
			_, from, _ := table.find(h)
			require.Equal(t, i, from)
		}
	}
}

// A product with more listings than a record has room for is not kept, and does
// no harm to its neighbours.
func TestTableRefusesWhatIsTooLong(t *testing.T) {
	var table table
	p := position{available: 5}
	require.True(t, table.put("a", &p))
	for n := range 40 {
		p.shows = append(p.shows, base{at: n, low: -1 << 30, high: 1 << 30, minute: 1 << 26})
	}
	assert.False(t, table.put("b", &p))
	require.True(t, table.put("c", &position{available: 7}))
	assert.False(t, table.put("c", &p))
	_, ok := table.get("c")
	assert.False(t, ok, "what it was is no longer true")
	assert.Equal(t, 1, table.count)
	got, ok := table.get("a")
	assert.True(t, ok)
	assert.Equal(t, 5, got.available)
}

// Two channels cost no more than what is documented.
func TestBytesOfAProduct(t *testing.T) {
	var table table
	const n = 50_000
	for i := range n {
		p := position{available: i % 300, reserved: i % 7, asOf: durationOf(int64(i) * 1e9)}
		for at := range 2 {
			p.shows = append(p.shows, base{at: at, sku: uint16(i), ref: uint16(i), low: i % 300, high: i % 300, minute: 29_000_000})
		}
		table.put(fmt.Sprint("product-", i), &p)
	}
	bytes := 0
	for _, b := range table.buckets {
		bytes += cap(b)
	}
	t.Logf("%.1f bytes for each of %d products on two channels", float64(bytes)/n, n)
	assert.LessOrEqual(t, bytes/n, 50)
}

func durationOf(n int64) time.Duration { return time.Duration(n) }

// Of a product that was never looked at it is not known that it shows 0.
func TestNothingIsKnownOfWhatWasNotLookedAt(t *testing.T) {
	_, known := newLedger(&Config{}, nil).shows("a", "p", "SKU")
	assert.False(t, known)
}
