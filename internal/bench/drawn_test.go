package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// drawn returns a source of random numbers whose seed the test prints.
func drawn(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// between draws a number, small ones as often as large ones.
func between(random *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, random.Float64())
}

// Virtual time depends on no machine.
func TestCatalogueOfAnySize(t *testing.T) {
	long(t)
	random := drawn(t)
	for _, n := range []int{100 + random.IntN(5_901), int(between(random, 100, 6_000)), 6_001 + random.IntN(7_000)} {
		t.Run(number(n), func(t *testing.T) { measure(t, n, Both).within(t) })
	}
	for _, n := range []int{100 + random.IntN(5_901), 100 + random.IntN(5_901), 6_001 + random.IntN(7_000)} {
		t.Run(number(n)+" on Shopify", func(t *testing.T) {
			measure(t, n, Shopify).within(t)
			measureWarm(t, n).within(t)
		})
	}
}

// How late events are, at any rate that the quota can carry.
func TestEventsOfAnyRate(t *testing.T) {
	long(t)
	random := drawn(t)
	for _, l := range []load{
		{between(random, 0.05, 40), 300, alone, 1600 * time.Millisecond},
		{between(random, 5, 25), 400, surprise, 1800 * time.Millisecond},
		{between(random, 8, 12), 2_400, reconciling, 1800 * time.Millisecond},
		{between(random, 60, 90), 2_500, lagging, 5 * time.Second},
	} {
		t.Run(fmt.Sprintf("%.3g a second %s", l.perSecond, l.way), func(t *testing.T) {
			d := latencyFrom(t, random, l.events, l.perSecond, l.way)
			t.Log("p50", p50(d.shopify), "p99", p99(d.shopify), "worst minute", worstMinute(d.shopify))
			assert.LessOrEqual(t, p99(d.shopify), l.most)
			if l.way == reconciling {
				assert.LessOrEqual(t, worstMinute(d.shopify), l.most)
			}
			if l.way == alone && l.perSecond < .9 { // half of them find a request at once
				assert.LessOrEqual(t, p50(d.shopify), 600*time.Millisecond)
			}
		})
	}
}
