package syncer

import (
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A state is what came of one listing in a pass. They are in order, from well
// to bad, and are compared: up to updated the channel shows what it should, up to
// observed nothing is left to do, and of a product with several listings the worst counts.
type state uint8

const (
	agreed     state = iota // the channel shows it already
	updated                 // it was written
	observed                // it would be written, but the target observes
	pending                 // it was accepted, and does not show yet
	unclear                 // it was sent, and whether it was applied is not known
	held                    // a guard holds it
	replanned               // it is not what the plan expects
	superseded              // not written, and not known to be right: it kept changing, or another pass has it
	failed                  // it was not written
)

// A result is what came of one listing.
type result struct {
	want
	seen *channel.Level // nil if that was not read
	err  error
	// culprit is why there was a difference; a run over the catalogue asks.
	culprit Culprit
	// settles is how long a write may take to settle, of this pass or an earlier
	// one: what the channel shows until then need not be what it was given. 0
	// means that there is nothing to wait for.
	settles time.Duration
	state   state
	unsent  bool // the channel was not even asked
	landed  bool // agreed: what was pending shows
	// danger is what a guard would hold this for, of what was only observed.
	danger danger
}

// An outcome is what came of one pass.
type outcome struct {
	results  []result
	err      error    // the channel's as a whole; it is among the results' too
	answered bool     // the channel answered something
	compared compared // products
	// moved are products of which more or less is in flight than before, and
	// sold is how many units were noticed to be sold.
	moved []string
	sold  int
	// soldIDs are the products that were sold: that may explain what a guard holds.
	soldIDs []string
	// zeros are the listings that customers can go on buying at 0.
	zeros []zeroListing
}

// A zeroListing goes on selling at 0.
type zeroListing struct {
	sku, productID string
	zero           bool // it is to show 0
}

// atZero has the listings that are to show 0 and go on selling then.
func (o *outcome) atZero() (skus []string) {
	for _, z := range o.zeros {
		if z.zero {
			skus = append(skus, z.sku)
		}
	}
	return skus
}

// uncounted takes off what was counted of listings that are looked at again.
func (o *outcome) uncounted() *outcome {
	o.compared, o.zeros = compared{}, nil
	return o
}

func (o *outcome) add(r result) { o.results = append(o.results, r) }

// fail records wants that nothing was done about.
func (o *outcome) fail(wants []want, err error) {
	for _, w := range wants {
		o.add(result{want: w, state: failed, err: err, unsent: true})
	}
}

// supersede records wants that another pass deals with, or has dealt with.
func (o *outcome) supersede(wants []want, err error) {
	for _, w := range wants {
		o.add(result{want: w, state: superseded, err: err})
	}
}

// compared are products that were compared, and whether customers can buy them.
// They are a list as long as they come in the order of their ids, as they do from
// most sources.
type compared struct {
	list []comparedProduct
	by   map[string]bool // otherwise
}

type comparedProduct struct {
	id      string
	buyable bool
}

// add adds a product, or a listing more of it.
func (c *compared) add(id string, buyable bool) {
	switch n := len(c.list); {
	case c.by == nil && (n == 0 || c.list[n-1].id < id):
		c.list = append(c.list, comparedProduct{id, buyable})
	case n > 0 && c.list[n-1].id == id:
		c.list[n-1].buyable = c.list[n-1].buyable || buyable
	default:
		c.mapped()
		c.by[id] = c.by[id] || buyable
	}
}

// mapped makes a map of the list.
func (c *compared) mapped() {
	if c.by != nil {
		return
	}
	c.by = make(map[string]bool, cap(c.list))
	for _, p := range c.list {
		c.by[p.id] = p.buyable
	}
	c.list = nil
}

func (c *compared) remove(id string) {
	c.mapped()
	delete(c.by, id)
}

func (c *compared) count() int { return len(c.list) + len(c.by) }

// onSale counts the products that customers can buy.
func (c *compared) onSale() (n int) {
	for _, p := range c.list {
		if p.buyable {
			n++
		}
	}
	for _, buyable := range c.by {
		if buyable {
			n++
		}
	}
	return n
}

// looked counts what was read. The listings of a product count as one, and so
// does a product that is looked at again.
func (o *outcome) looked(wants []want, levels levelIndex) {
	o.compared.list = slices.Grow(o.compared.list, len(wants))
	zeros := false
	for i := range wants {
		w := &wants[i]
		level, more := levels.of(w.sku)
		buyable, zero := onSale(level), sellsAtZero(level)
		for j := range more {
			buyable, zero = buyable || onSale(&more[j]), zero || sellsAtZero(&more[j])
		}
		o.compared.add(w.key(), buyable)
		if !zero {
			continue
		}
		if !zeros { // what is looked at again counts once
			zeros = true
			again := setOf(skusOf(wants))
			o.zeros = slices.DeleteFunc(o.zeros, func(z zeroListing) bool { return again[z.sku] })
		}
		o.zeros = append(o.zeros, zeroListing{w.sku, w.stock.ProductID, w.quantity <= 0})
	}
}

// sellsAtZero reports whether customers can go on buying at 0 what a level shows.
func sellsAtZero(l *channel.Level) bool {
	return l != nil && l.SellsAtZero && l.Err == nil && !l.OffSale
}
