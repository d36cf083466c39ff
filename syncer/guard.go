package syncer

import "cmp"

// A Guard limits what a reconciliation may do to one channel before anybody
// has looked. Its zero value is the default guard.
//
// The limits are a running budget. Lines pass while they are within it, and
// past it they are held: the run goes on with everything else, ends with
// [ErrHeld], and its report has the held lines as a plan to look at, approve
// and apply.
//
// A channel that cannot be read is not guarded: nobody knows what it loses.
type Guard struct {
	// Zeroed is the share of a channel's products that may go from stock to
	// none; 0 means 0.1, and a negative share no limit. It is of the products
	// compared so far.
	Zeroed float64
	// Units is the share of all units shown that may be lost; 0 means 0.5, and
	// a negative share no limit.
	Units float64
	// Lines is how many figures may be written; 0 means no limit.
	Lines int
	// Few is how many products may go to none, and how many may lose units,
	// whatever the shares say; 0 means 20, and a negative number none.
	Few int
}

func (g Guard) orDefault() Guard {
	g.Zeroed = cmp.Or(g.Zeroed, 0.1)
	g.Units = cmp.Or(g.Units, 0.5)
	g.Few = max(0, cmp.Or(g.Few, 20))
	return g
}

// A budget is a guard's account of one run on one channel.
type budget struct {
	Guard
	compared, shown     int  // products, and the units that they showed
	fixed               bool // the two are known beforehand
	zeroed, fewer, lost int  // what passed: products gone to none, products with less, units
	lines               int
}

// pass takes changes within the budget off it, in their order, and holds the
// others. compared and shown are what was compared to find them.
func (b *budget) pass(changes []change, compared, shown int) (passed, held []change) {
	if !b.fixed {
		b.compared += compared
		b.shown += shown
	}
	for _, c := range changes {
		was, lost := 0, 0
		if c.seen != nil && !c.seen.Unset {
			was = max(0, c.seen.Quantity)
			lost = max(0, was-max(0, c.quantity))
		}
		zeroes := was > 0 && c.quantity <= 0
		switch {
		case b.Lines > 0 && b.lines >= b.Lines,
			zeroes && b.Zeroed >= 0 && b.zeroed >= max(b.Few, int(b.Zeroed*float64(b.compared))),
			lost > 0 && b.Units >= 0 && b.fewer >= b.Few && float64(b.lost+lost) > b.Units*float64(b.shown):
			held = append(held, c)
			continue
		}
		b.lines++
		b.lost += lost
		if zeroes {
			b.zeroed++
		}
		if lost > 0 {
			b.fewer++
		}
		passed = append(passed, c)
	}
	return passed, held
}
