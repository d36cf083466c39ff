package syncer_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

func parts(t *testing.T, policies []syncer.Policy, s channel.Stock) (all []int) {
	for _, p := range policies {
		n, err := p.Quantity(s)
		require.NoError(t, err)
		all = append(all, n)
	}
	return all
}

func TestSplit(t *testing.T) {
	for n, want := range map[int][]int{-3: {0, 0}, 0: {0, 0}, 1: {1, 0}, 2: {2, 0}, 3: {2, 1}, 4: {3, 1}, 5: {4, 1}, 10: {8, 2}, 99: {79, 20}} {
		assert.Equal(t, want, parts(t, syncer.Available().Split(80, 20), channel.Stock{Available: n}), "%d", n)
	}
	steps, err := syncer.Available().Split(80, 20)[1].Buffer(1).Explain(channel.Stock{Available: 13})
	require.NoError(t, err)
	assert.Equal(t, []syncer.Step{{"available", 13}, {"part 2 of split 80/20", 3}, {"buffer 1", 2}}, steps)
}

// Whatever is divided, in whatever way, is there, and no unit twice.
func TestPartsAddUpToTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		percents, left := []int{}, 100
		for range r.IntN(5) {
			percents = append(percents, r.IntN(left+1))
			left -= percents[len(percents)-1]
		}
		percents = append(percents, left)
		n := []int{r.IntN(20), r.IntN(1_000), large - r.IntN(100)}[r.IntN(3)]
		s := channel.Stock{ProductID: fmt.Sprint(r.Uint64()), Available: n}
		shown := parts(t, syncer.Available().Split(percents...), s)
		sum := 0
		for i, part := range shown {
			sum += part
			share := n/100*percents[i] + n%100*percents[i]/100
			require.True(t, part == share || part == share+1, "%v of %d: %v", percents, n, shown)
		}
		require.Equal(t, n, sum, "%v: %v", percents, shown)
		require.Equal(t, shown, parts(t, syncer.Available().Split(percents...), s), "a product's parts are stable")
	}
}

// The last units of many products do not all go to one channel.
func TestEqualPartsAreFair(t *testing.T) {
	var got [3]int
	for i := range 3_000 {
		for j, n := range parts(t, syncer.Available().Split(33, 33, 34), channel.Stock{ProductID: fmt.Sprintf("p%d", i), Available: 1}) {
			got[j] += n
		}
	}
	assert.Equal(t, [3]int{0, 0, 3000}, got, "the largest remainder decides")
	got = [3]int{}
	for i := range 3_000 {
		for j, n := range parts(t, syncer.Available().Split(40, 40, 20), channel.Stock{ProductID: fmt.Sprintf("p%d", i), Available: 1}) {
			got[j] += n
		}
	}
	assert.Equal(t, 3_000, got[0]+got[1])
	assert.InDelta(t, 1_500, got[0], 150, "%v", got)
}

func TestPoliciesThatWouldShowMoreThanThereIs(t *testing.T) {
	refused := map[string]syncer.Policy{
		"In()": syncer.In(), `In names a warehouse without an id`: syncer.In("berlin", " "),
		`"berlin" twice`: syncer.In("berlin", "hamburg", "berlin"),
		"Share(150)":     syncer.Available().Share(150), "Buffer(-3)": syncer.Available().Buffer(-3), "Cap(-1)": syncer.Available().Cap(-1),
		"Split(80, 30)": syncer.Available().Split(80, 30)[0], "Split(80, 10)": syncer.Available().Split(80, 10)[1], "Split(120, -20)": syncer.In("a").Split(120, -20)[0],
		"no function": syncer.Custom("mine", nil), `step "mine" has no function`: syncer.Available().Then("mine", nil),
	}
	for says, p := range refused {
		_, err := syncer.New(syncer.Config{Source: newStock(), Targets: []syncer.Target{{Channel: shop("a", 0), Policy: p.Buffer(0)}}})
		assert.ErrorContains(t, err, says)
		_, err = p.Quantity(channel.Stock{Available: 5})
		assert.ErrorContains(t, err, says, "it is no policy without New either")
	}
	odd := syncer.Custom("odd", func(channel.Stock) (int, error) { return -large, nil })
	for _, p := range []syncer.Policy{odd, odd.Buffer(5), odd.Share(50), odd.Cap(3), odd.Split(100)[0]} {
		n, err := p.Quantity(channel.Stock{})
		require.NoError(t, err)
		assert.Zero(t, n)
	}
	n, err := syncer.Policy{}.Buffer(2).Quantity(channel.Stock{Available: 5})
	require.NoError(t, err)
	assert.Equal(t, 3, n, "a policy that begins with no step begins with Available")
}
