package syncer_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/syncer"
)

// Both forms of a plan say the same, whatever text is in it: an odd SKU keeps to
// its cell.
func TestAPlanAsText(t *testing.T) {
	nine := 9
	plan := &syncer.Plan{
		Channels: []syncer.ChannelPlan{
			{Channel: "a", Checked: 5, Agreed: 2, Extra: 1, SellsAtZero: 2, AtZero: []string{"OUT"}, Retired: []syncer.Line{{SKU: "OLD|1"}}},
			{Channel: "b", Error: "the shop | is\ndown"},
		},
		Lines: []syncer.Line{
			{Channel: "a", SKU: "x|y<b>", Shown: &nine, Wanted: 7, Reason: syncer.ReasonOver},
			{Channel: "a", SKU: "new", Wanted: 3, Reason: syncer.ReasonNoQuantity, SellsAtZero: true},
			{ProductID: "p3", Reason: syncer.ReasonUnread, Error: "no answer"},
		},
	}
	assert.Equal(t, `| channel | checked | agreed | differing | not in the source | |
|---|--:|--:|--:|--:|---|
| a | 5 | 2 | 2 | 1 |  |
| b | 0 | 0 | 0 | 0 | the shop \| is down |

| channel | SKU | shown | wanted | delta | why |
|---|---|--:|--:|--:|---|
| a | x\|y&lt;b> | 9 | 7 | -2 | over |
| a | new | none | 3 |  | no quantity, sells at zero |
| source | product p3 |  |  |  | unread: no answer |

a: customers can go on buying 2 listings at zero; without stock are "OUT"

a: the source does not have "OLD\|1", and customers can buy it
`, plan.Markdown())
	bare := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	assert.Equal(t, bare(`channel checked agreed differing not in the source a 5 2 2 1 b 0 0 0 0 the shop | is down
		channel SKU shown wanted delta why a x|y<b> 9 7 -2 over a new none 3 no quantity, sells at zero
		source product p3 unread: no answer a: customers can go on buying 2 listings at zero; without stock are "OUT"
		a: the source does not have "OLD|1", and customers can buy it`), bare(plan.String()))
}
