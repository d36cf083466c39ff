package syncer

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/channel"
)

// Split divides what the policy shows among channels, in percent: it returns as
// many policies as there are percentages, in their order. Together these show
// exactly what this one does, for every product: each gets its share rounded
// down, and the units left over go to those with the largest remainders. Of 1 unit
// Split(80, 20) shows 1 and 0, of 4 it shows 3 and 1. Where remainders are equal
// the product's id decides, so that a product's last unit always goes to the same
// channel, and those of many products to all of them.
//
// The percentages must add up to 100; else [New] refuses the policies. Steps may
// follow: In("berlin").Split(80, 20)[1].Buffer(1).
func (p Policy) Split(percents ...int) []Policy {
	p = p.orDefault()
	parts := make([]Policy, len(percents))
	var names []string
	sum, wrong := 0, false
	for _, percent := range percents {
		wrong = wrong || percent < 0 || percent > 100
		sum += percent
		names = append(names, strconv.Itoa(percent))
	}
	text := strings.Join(names, "/")
	percents = slices.Clone(percents)
	for i := range parts {
		if wrong || sum != 100 {
			parts[i] = p.wrong(fmt.Errorf("Split(%s): the shares are from 0 to 100 %%, and add up to 100", strings.Join(names, ", ")))
			continue
		}
		parts[i] = p.add(fmt.Sprintf("part %d of split %s", i+1, text), func(s channel.Stock, n int) (int, error) {
			return split(max(0, n), percents, i, s.ProductID), nil
		})
	}
	return parts
}

// split returns the part i of n units.
func split(n int, percents []int, i int, productID string) int {
	share := func(i int) int { return n/100*percents[i] + n%100*percents[i]/100 } // in two parts, so that no quantity overflows
	remainder := func(i int) int { return n % 100 * percents[i] % 100 }
	left := n
	for j := range percents {
		left -= share(j)
	}
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(productID))
	ours, before := chance(seed.Sum64(), i), 0 // before are those that are served first
	for j := range percents {
		if j == i {
			continue
		}
		switch c := cmp.Compare(remainder(j), remainder(i)); {
		case c > 0, c == 0 && chance(seed.Sum64(), j) > ours:
			before++
		}
	}
	if before < left {
		return share(i) + 1
	}
	return share(i)
}

// chance is a number for a part of a product, which looks random (SplitMix64).
func chance(product uint64, part int) uint64 {
	x := product + uint64(part+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
