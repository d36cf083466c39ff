package syncer

import (
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A state is what came of one listing in a pass. They are in order, from well
// to bad, and are compared: up to updated the channel shows what it should, and
// of a product with several listings the worst counts.
type state uint8

const (
	agreed     state = iota // the channel shows it already
	updated                 // it was written
	pending                 // it was accepted, and does not show yet
	unclear                 // it was sent, and whether it was applied is not known
	held                    // a guard holds it
	replanned               // it is not what the plan expects
	superseded              // it changed again and again meanwhile, or another run had a newer quantity
	failed                  // it was not written
)

// A result is what came of one listing.
type result struct {
	want
	seen   *channel.Level // nil if that was not read
	state  state
	err    error
	unsent bool // the channel was not even asked
	// settles is how long a write may take to settle, of this pass or an earlier
	// one: what the channel shows until then need not be what it was given. 0
	// means that there is nothing to wait for.
	settles time.Duration
	landed  bool // agreed: what was pending shows
	// culprit is why there was a difference; a run over the catalogue asks.
	culprit Culprit
}

// An outcome is what came of one pass.
type outcome struct {
	results  []result
	err      error // the channel's as a whole; it is among the results' too
	answered bool  // the channel answered something
	// compared counts the products that were compared, and onSale those of them
	// that customers can buy.
	compared, onSale int
	// sellsAtZero counts the listings that customers can go on buying at 0, and
	// atZero has those of them that are to show 0.
	sellsAtZero int
	atZero      []string
}

// uncounted takes off what was counted of listings that are looked at again.
func (o *outcome) uncounted() *outcome {
	o.compared, o.onSale, o.sellsAtZero, o.atZero = 0, 0, 0, nil
	return o
}

func (o *outcome) add(r result) { o.results = append(o.results, r) }

// fail records wants that nothing was done about.
func (o *outcome) fail(wants []want, err error) {
	for _, w := range wants {
		o.add(result{want: w, state: failed, err: err, unsent: true})
	}
}

// looked counts what was read. The listings of a product come one after
// another, and count as one.
func (o *outcome) looked(wants []want, levels []channel.Level) {
	if levels == nil {
		return
	}
	buyable := make(map[string]bool, len(levels))
	var wanted map[string]int // quantities, if anything sells at zero
	for i := range levels {
		l := &levels[i]
		if onSale(l) {
			buyable[l.SKU] = true
		}
		if !l.SellsAtZero || l.Err != nil || l.OffSale {
			continue
		}
		o.sellsAtZero++
		if wanted == nil {
			wanted = make(map[string]int, len(wants))
			for i := range wants {
				wanted[wants[i].sku] = wants[i].quantity
			}
		}
		if n, ok := wanted[l.SKU]; ok && n <= 0 {
			o.atZero = append(o.atZero, l.SKU)
		}
	}
	last, counted := "", false
	for i := range wants {
		id := wants[i].stock.ProductID
		if id != last {
			o.compared++
			last, counted = id, false
		}
		if !counted && buyable[wants[i].sku] {
			o.onSale++
			counted = true
		}
	}
}
