package syncer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

func wantsOf(pairs ...string) (wants []want) {
	for i := 0; i < len(pairs); i += 2 {
		wants = append(wants, want{sku: pairs[i], stock: &channel.Stock{ProductID: pairs[i+1]}})
	}
	return wants
}

// testID is the id of a product as ECOSIRE makes them.
func testID(i int) string { return fmt.Sprintf("018e5678-abcd-7000-8000-%012x", i) }

func TestIndexAgreesWithAMap(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	own, named := &target{name: "own"}, &target{name: "named", Target: Target{Listings: func(channel.Stock) []Listing { return nil }}}
	x, truth := new(skuIndex), map[[2]string]string{}
	ids := []string{"x", "018E5678-ABCD-7000-8000-000000000000", "ß", string(bytes.Repeat([]byte("long"), 200))}
	for n := range 30_000 {
		tg := own
		if dice.IntN(3) == 0 {
			tg = named
		}
		sku, id := fmt.Sprintf("SKU-%d", dice.IntN(5000)), testID(dice.IntN(4000))
		if dice.IntN(20) == 0 {
			id = ids[dice.IntN(len(ids))]
		}
		x.learn(tg, wantsOf(sku, id))
		truth[[2]string{tg.list(), sku}] = id
		switch n {
		case 10_000, 20_000:
			x.ran()
		case 25_000:
			var kept bytes.Buffer
			require.NoError(t, x.Keep(&kept))
			x = new(skuIndex)
			require.NoError(t, x.Restore(&kept))
			assert.True(t, x.complete())
		}
	}
	assert.Equal(t, len(truth), x.used)
	for key, id := range truth {
		tg := own
		if key[0] != "" {
			tg = named
		}
		got, ok := x.product(tg, key[1])
		require.True(t, ok)
		require.Equal(t, id, got)
	}
	_, ok := x.product(own, "never heard of")
	assert.False(t, ok)
}

// TestIndexIsSmall holds what the documentation says of its size.
func TestIndexIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	const n = 200_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	tg, x := &target{name: "a"}, new(skuIndex)
	before := heap()
	for i := range n {
		x.learn(tg, wantsOf(fmt.Sprintf("SKU-%d", i), testID(i)))
	}
	each := float64(heap()-before) / n
	t.Logf("%.1f bytes an SKU", each)
	assert.Less(t, each, 40.0)
	assert.Equal(t, n, x.used)
	for i := range n { // again, as every run does
		x.learn(tg, wantsOf(fmt.Sprintf("SKU-%d", i), testID(i)))
	}
	assert.Less(t, float64(heap()-before)/n, 40.0, "what is known takes no more room")
	runtime.KeepAlive(x)
}

func TestIndexForgetsWhatIsGone(t *testing.T) {
	tg, x := &target{name: "a"}, new(skuIndex)
	for i := range 100 {
		x.learn(tg, wantsOf(fmt.Sprintf("old-%d", i), testID(i)))
	}
	for night := range 3 {
		for i := range 50 {
			x.learn(tg, wantsOf(fmt.Sprintf("new-%d", i), testID(i)))
		}
		x.ran()
		_, ok := x.product(tg, "old-7")
		assert.Equal(t, night < 2, ok, "after run %d", night+1)
	}
	assert.Equal(t, 50, x.used)
}

func FuzzIndexRestore(f *testing.F) {
	x := new(skuIndex)
	x.learn(&target{name: "a"}, wantsOf("A", testID(1), "B", "short"))
	var kept bytes.Buffer
	require.NoError(f, x.Keep(&kept))
	f.Add(kept.Bytes())
	f.Add([]byte(indexMagic))
	f.Add([]byte("something else"))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := new(skuIndex)
		err := x.Restore(bytes.NewReader(data))
		var again bytes.Buffer
		require.NoError(t, x.Keep(&again))
		y := new(skuIndex)
		require.NoError(t, y.Restore(&again))
		if err == nil && x.used != y.used {
			t.Fatal("what was restored is not kept")
		}
	})
}
