package bench

import (
	"cmp"
	pile "container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The model of a day of sales, which is made of a seed alone.
//
//   - There are 500 products: of a fifth there are 1 to 3 units, of the
//     others 20 to 60.
//   - Over the day 3,000 customers come, at random moments whose rate follows
//     a sine with its peak at 18:00 and its trough, a tenth of that, at 06:00.
//     What they want follows Zipf's law, with a weight of (20+rank)^-1.1, over
//     a random order of the products. 85 in a hundred want one unit, 10 want
//     two, and 5 three.
//   - At 18:00 there is a flash sale of ten products with 120 units each: for
//     ten minutes four more customers come every second for one of them.
//   - On a scarce day there are 1 to 5 units of each product, also of these.
//   - Half of them come to each shop. On a day with sales at ECOSIRE one in ten
//     comes to its counter instead, where nothing is sold that a shop has sold
//     already, and which the customer takes along: on hand falls. So whatever
//     is oversold is the shops' doing.
//   - A shop sells what it shows, and shows as much less from then on. ECOSIRE
//     books the order after the delay of its import: it reserves the units and
//     sends its event.
//   - On a disturbed day two orders in a hundred are never paid and never booked,
//     and their units count as unsold. Four in a hundred are cancelled within
//     an hour: the shop shows the units again at once, and ECOSIRE gets them
//     back after the delay of its import, unless it has not booked them yet, and
//     then never does. Twenty times somebody sets a shop 1 to 5 units higher or
//     lower, and twenty times 10 to 40 units come in, of which ECOSIRE sends an
//     event.
//
// A unit is oversold when it is sold while no unit is truly unsold. A customer
// is wrongly sent away when the shop shows fewer units than the customer wants,
// although as many are truly unsold; since they can be sold once, a unit that
// stays unsold turns away one customer, and not all who come after.
const (
	dayProducts = 500
	dayOrders   = 3_000
	flashItems  = 10
	flashOrders = 2_400
	flashAt     = 18 * time.Hour
	flashFor    = 10 * time.Minute
)

// A dayKind is what is special about a day.
type dayKind struct {
	name                       string
	disturbed, scarce, counter bool
}

var (
	cleanDay     = dayKind{name: "clean"}
	disturbedDay = dayKind{name: "disturbed", disturbed: true}
	scarceDay    = dayKind{name: "scarce", scarce: true}
	counterDay   = dayKind{name: "10 % sold at ECOSIRE", counter: true}
)

const counter = 2 // where ECOSIRE itself sells, beside the shops 0 and 1

// An incident is one thing that happens on a day.
type incident struct {
	at      time.Duration // since midnight
	kind    incidentKind
	product int
	units   int
	where   int
	unpaid  bool          // of a customer: the order is never booked
	cancels time.Duration // of a customer: when the order is cancelled, or 0
	serial  int           // in the order of making
}

type incidentKind int

const (
	customer incidentKind = iota
	edit
	restock
	booking
	cancellation
	unbooking
)

// script returns the stock at midnight and what happens, in order. What follows
// from sales is not in it.
func (k dayKind) script(seed uint64) (stock []int, all []incident) {
	random := rand.New(rand.NewPCG(seed, 1))
	stock = make([]int, dayProducts)
	for i := range stock {
		switch {
		case k.scarce:
			stock[i] = 1 + random.IntN(5)
		case i < flashItems:
			stock[i] = 120
		case random.IntN(5) == 0:
			stock[i] = 1 + random.IntN(3)
		default:
			stock[i] = 20 + random.IntN(41)
		}
	}
	order := random.Perm(dayProducts)
	zipf := rand.NewZipf(random, 1.1, 20, dayProducts-1)
	come := func(at time.Duration, product int) {
		c := incident{at: at, kind: customer, product: product, units: 1, where: random.IntN(2)}
		if n := random.IntN(100); n >= 95 {
			c.units = 3
		} else if n >= 85 {
			c.units = 2
		}
		if k.counter && random.IntN(10) == 0 {
			c.where = counter
		}
		if n := random.IntN(100); k.disturbed && c.where != counter {
			c.unpaid = n < 2
			if n >= 2 && n < 6 {
				c.cancels = at + time.Duration(random.Int64N(int64(time.Hour)))
			}
		}
		all = append(all, c)
	}
	for len(all) < dayOrders {
		at := time.Duration(random.Int64N(int64(24 * time.Hour)))
		rate := 0.55 + 0.45*math.Cos(2*math.Pi*(at-18*time.Hour).Hours()/24)
		if random.Float64() < rate {
			come(at, order[zipf.Uint64()])
		}
	}
	for range flashOrders {
		come(flashAt+time.Duration(random.Int64N(int64(flashFor))), random.IntN(flashItems))
	}
	if k.disturbed {
		for range 20 {
			any := func() time.Duration { return time.Duration(random.Int64N(int64(24 * time.Hour))) }
			by := 1 + random.IntN(5)
			if random.IntN(2) == 0 {
				by = -by
			}
			all = append(all,
				incident{at: any(), kind: edit, product: order[zipf.Uint64()], units: by, where: random.IntN(2)},
				incident{at: any(), kind: restock, product: order[zipf.Uint64()], units: 10 + random.IntN(31)})
		}
	}
	slices.SortStableFunc(all, func(a, b incident) int { return cmp.Compare(a.at, b.at) })
	for i := range all {
		all[i].serial = i
	}
	return stock, all
}

// A trade is where a day takes place.
type trade interface {
	// until lets the time since midnight come.
	until(at time.Duration)
	// shows is what a shop shows, and set sets that.
	shows(shop, product int) int
	set(shop, product, units int, sale bool)
	// change changes what ECOSIRE has, which sends an event.
	change(product, onHand, reserved int)
}

// A dayResult says what became of a day.
type dayResult struct {
	customers, away, sold, oversold, wrongly int
	asked, reads, writes                     int // requests to ECOSIRE, and to the shops
}

// live lives through a day: m is as stock says at midnight.
func live(m trade, stock []int, script []incident, delay time.Duration) (d dayResult) {
	unsold := slices.Clone(stock)
	missed := make([]int, len(stock)) // of these, what somebody would have bought
	booked := make(map[int]bool)      // orders, by the customer's serial
	cancelled := make(map[int]bool)   // likewise
	due := incidents(slices.Clone(script))
	pile.Init(&due)
	later := func(i incident, kind incidentKind, at time.Duration) {
		i.kind, i.at = kind, at
		pile.Push(&due, i)
	}
	for len(due) > 0 {
		i := pile.Pop(&due).(incident)
		m.until(i.at)
		p := i.product
		switch i.kind {
		case customer:
			d.customers++
			if i.where == counter {
				if unsold[p] < i.units {
					d.away++
				}
				if unsold[p] >= i.units {
					unsold[p] -= i.units
					d.sold += i.units
					m.change(p, -i.units, 0)
				}
				continue
			}
			shown := m.shows(i.where, p)
			if shown < i.units {
				d.away++
				if unsold[p]-missed[p] >= i.units {
					d.wrongly++
					missed[p] += i.units
				}
				continue
			}
			m.set(i.where, p, shown-i.units, true)
			if i.unpaid {
				continue
			}
			d.sold += i.units
			d.oversold += max(0, i.units-max(0, unsold[p]))
			unsold[p] -= i.units
			missed[p] = min(missed[p], max(0, unsold[p]))
			later(i, booking, i.at+delay)
			if i.cancels > 0 {
				later(i, cancellation, i.cancels)
			}
		case booking:
			if !cancelled[i.serial] {
				booked[i.serial] = true
				m.change(p, 0, i.units)
			}
		case cancellation:
			cancelled[i.serial] = true
			unsold[p] += i.units
			m.set(i.where, p, m.shows(i.where, p)+i.units, false)
			if booked[i.serial] {
				later(i, unbooking, i.at+delay)
			}
		case unbooking:
			m.change(p, 0, -i.units)
		case edit:
			m.set(i.where, p, max(0, m.shows(i.where, p)+i.units), false)
		case restock:
			unsold[p] += i.units
			m.change(p, i.units, 0)
		}
	}
	return d
}

// incidents are a heap.
type incidents []incident

func (h incidents) Len() int { return len(h) }
func (h incidents) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].serial < h[j].serial
}
func (h incidents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *incidents) Push(x any)   { *h = append(*h, x.(incident)) }
func (h *incidents) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// ideal is a trade whose channels show what ECOSIRE has at the very moment of
// its event.
type ideal struct {
	onHand, reserved []int
	shops            [2][]int
}

func newIdeal(stock []int) *ideal {
	return &ideal{onHand: slices.Clone(stock), reserved: make([]int, len(stock)), shops: [2][]int{slices.Clone(stock), slices.Clone(stock)}}
}

func (m *ideal) until(time.Duration)                  {}
func (m *ideal) shows(shop, product int) int          { return m.shops[shop][product] }
func (m *ideal) set(shop, product, units int, _ bool) { m.shops[shop][product] = units }
func (m *ideal) change(product, onHand, reserved int) {
	m.onHand[product] += onHand
	m.reserved[product] += reserved
	for i := range m.shops {
		m.shops[i][product] = max(0, m.onHand[product]-m.reserved[product])
	}
}
