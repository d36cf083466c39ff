package syncer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// A list of ids gives back what it was given, in order, however it is filled and
// taken from.
func TestIDListIsAQueue(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 1))
	odd := []string{"", "x", "ß", "018E5678-ABCD-7000-8000-000000000000", strings.Repeat("long", 10_000)}
	var list idList
	var model []string
	for range 2000 {
		switch dice.IntN(4) {
		case 0:
			some := list.take(dice.IntN(700))
			require.Equal(t, append([]string{}, model[:len(some)]...), some)
			model = model[len(some):]
		case 1:
			var more idList
			for i := range dice.IntN(10) {
				more.add(testID(i))
				model = append(model, testID(i))
			}
			list.join(&more)
			require.Zero(t, more.count)
		default:
			for range dice.IntN(200) {
				id := testID(dice.IntN(1 << 20))
				if dice.IntN(50) == 0 {
					id = odd[dice.IntN(len(odd))]
				}
				list.add(id)
				model = append(model, id)
			}
		}
		require.Equal(t, len(model), list.count)
	}
	assert.Equal(t, append([]string{}, model...), list.take(len(model)+1))
	assert.Empty(t, list.take(1))
}

// What a channel that is behind remembers of a product is as little as is
// documented.
func TestBytesOfAProductLeftBehind(t *testing.T) {
	var list idList
	for i := range 100_000 {
		list.add(testID(i))
	}
	bytes := 0
	for _, c := range list.chunks {
		bytes += cap(c)
	}
	t.Logf("%.1f bytes", float64(bytes)/100_000)
	assert.Less(t, float64(bytes)/100_000, 17.5)
}

// A night whose channel is behind with more than it may remember compares what it
// remembers, and says of how many that is not so.
func TestANightForgetsWhatIsTooMuch(t *testing.T) {
	page := make([]string, groupSize)
	for i := range page {
		page[i] = testID(i)
	}
	n := &night{account: &account{}}
	for range maxMissed / groupSize {
		n.miss(page)
	}
	assert.Equal(t, maxMissed, n.missed.count)
	assert.Zero(t, n.lost)
	n.miss(page[:7])
	assert.Equal(t, 7, n.lost)
	n.missed.take(10)
	var more idList
	more.add(page[:30]...)
	n.missAll(&more, 5)
	assert.Equal(t, maxMissed, n.missed.count, "what fits is remembered")
	assert.Equal(t, 7+5+20, n.lost)
}

// A fan leaves no more behind than a night remembers.
func TestAFanForgetsWhatIsTooMuch(t *testing.T) {
	f := &fan{behind: make([]idList, 1), lost: make([]int, 1)}
	g := &group{stocks: make([]channel.Stock, groupSize)}
	for i := range g.stocks {
		g.stocks[i].ProductID = testID(i)
	}
	for range maxMissed/groupSize + 2 {
		f.miss(0, g)
	}
	assert.Equal(t, maxMissed, f.behind[0].count)
	assert.Equal(t, 2*groupSize, f.lost[0])
}
