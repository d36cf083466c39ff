package syncer

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
)

// Whatever is written and removed, one by one and in ranges, a range over the
// set is what a sorted map would be.
func TestMemoryStoreIsASortedMap(t *testing.T) {
	racetest.Long(t)
	ctx := t.Context()
	var s memoryStore
	random := rand.New(rand.NewPCG(7, 8))
	model := make(map[string]bool)
	key := func(n int) string { return fmt.Sprintf("%05d", n) }
	write := func(from, to int, value []byte) {
		var records []Record
		for n := from; n < to; n++ {
			records = append(records, Record{Key: key(n), Value: value})
			if value == nil {
				delete(model, key(n))
			} else {
				model[key(n)] = true
			}
		}
		require.NoError(t, s.Save(ctx, "set", records...))
	}
	for range 400 {
		from := random.IntN(3000)
		switch random.IntN(5) {
		case 0:
			write(from, from+random.IntN(600), nil)
		case 1:
			write(from, from+random.IntN(400), []byte("x"))
		case 2:
			write(from, from+1, nil)
		default:
			write(from, from+1, []byte("x"))
		}
		from = random.IntN(3600)
		var got []string
		for r, err := range s.Records(ctx, "set", key(from)) {
			require.NoError(t, err)
			got = append(got, r.Key)
		}
		want := slices.Sorted(maps.Keys(model))
		at, _ := slices.BinarySearch(want, key(from))
		require.True(t, slices.Equal(got, want[at:]))
	}
	write(0, 3600, nil)
	assert.Empty(t, s.sets, "what is empty takes no memory")
}

// Records that come in order, as they do most often, fill the chunks.
func TestMemoryStoreInOrderIsDense(t *testing.T) {
	var s memoryStore
	for i := range 100 * maxChunk {
		require.NoError(t, s.Save(context.Background(), "set", Record{Key: fmt.Sprintf("%06d", i), Value: []byte("x")}))
	}
	assert.LessOrEqual(t, len(s.sets["set"].chunks), 101)
}
