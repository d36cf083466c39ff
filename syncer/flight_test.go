package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// A bookkeeping is a ledger of one product on two channels.
type bookkeeping struct {
	*ledger
	targets []*target
	events  []FlightEvent // of the last look
	cap     int           // of the last look, or -1
}

func inBookkeeping(t *testing.T, do func(b *bookkeeping)) {
	synctest.Test(t, func(t *testing.T) {
		targets := []*target{{name: "a"}, {name: "b"}}
		do(&bookkeeping{ledger: newLedger(&Config{}, targets), targets: targets})
	})
}

// look is a look at a channel by a pass that has read the source. It returns how
// many units are taken off what is available.
func (b *bookkeeping) look(at, shows int, read channel.Stock) (units int) {
	return b.lookAt(at, read, channel.Level{SKU: "SKU", Quantity: shows})
}

func (b *bookkeeping) lookAt(at int, read channel.Stock, shown ...channel.Level) (units int) {
	wants := []want{{sku: "SKU", stock: &read, quantity: read.Available, asOf: read.AsOf}}
	levels := index(wants, shown)
	g := &glance{at: at, looked: true, began: time.Since(b.start), share: fewFlights}
	p := &pass{t: b.targets[at]}
	p.sight(b.ledger, g, wants, levels, nil)
	b.events, b.cap = g.events, -1
	for _, o := range b.lower(g, wants, levels, nil, true) {
		units, b.cap = o.units[0], o.cap
	}
	return units
}

// readNow is what the source has now. A moment passes.
func readNow(available int) channel.Stock {
	s := channel.Stock{ProductID: "p", SKU: "SKU", Available: available, AsOf: time.Now()}
	time.Sleep(time.Second)
	return s
}

// A pass may have read the source before another one did.
func TestFlightAndAnOlderRead(t *testing.T) {
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		b.look(1, 10, readNow(10))
		older := readNow(10)
		assert.Equal(t, 1, b.look(0, 9, readNow(10)))
		assert.Equal(t, 1, b.look(1, 10, older))
		assert.Zero(t, b.look(0, 9, readNow(9)), "it is booked")
		assert.Equal(t, 1, b.look(1, 10, older), "which that read did not know")
	})
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		b.look(1, 10, readNow(10))
		older := readNow(10)
		assert.Equal(t, 1, b.look(0, 9, readNow(20)), "goods have come in")
		assert.Equal(t, 1, b.look(1, 10, older), "of which that read knows nothing; the sale is one all the same")
	})
}

// While a channel takes its time to show a write it may show either quantity.
func TestFlightWhileAWriteIsOpen(t *testing.T) {
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		wrote := func(pending bool) {
			c := change{want{sku: "SKU", stock: &channel.Stock{ProductID: "p"}, quantity: 6}, &channel.Level{SKU: "SKU", Quantity: 10}}
			b.targets[0].memory.wrote(&c, pending, time.Minute)
		}
		wrote(true)
		pos, _ := b.table.get("p")
		pos.shows[0].low, pos.shows[0].high = 6, 10
		b.table.put("p", &pos)
		assert.Zero(t, b.look(0, 10, readNow(6)))
		assert.Zero(t, b.look(0, 7, readNow(6)), "an earlier write shows first")
		assert.Equal(t, 2, b.look(0, 4, readNow(6)), "that is less than either")
		assert.Equal(t, 2, b.look(0, 4, readNow(6)), "once")
		assert.Equal(t, 2, b.look(0, 6, readNow(6)), "all that was written shows, and nothing more")
	})
}

// What a channel may have in flight is bounded, to the unit.
func TestFlightBounds(t *testing.T) {
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 100, readNow(100))
		assert.Equal(t, 10, b.look(0, 90, readNow(100)), "in one minute that may be sold")
		assert.Equal(t, 10, b.look(0, 79, readNow(100)), "that is an edit")
		assert.Equal(t, 79, b.cap, "which is not raised")
		b.look(1, 100, readNow(100))
		assert.Equal(t, -1, b.cap, "elsewhere it does not count")
		assert.Equal(t, 10, b.soldBy("a"))
		assert.Zero(t, b.soldBy("b"))
		b.look(1, 30, readNow(100))
		assert.Equal(t, 30, b.cap)
		b.look(0, 79, readNow(100))
		assert.Equal(t, 79, b.cap, "each channel has its own edit")
		for _, shown := range [][]channel.Level{nil, {{SKU: "SKU", Unset: true}}, {{SKU: "SKU", Err: channel.ErrShared}}} {
			b.lookAt(0, readNow(100), shown...)
			assert.Equal(t, -1, b.cap, "nobody knows what it shows")
		}
	})
	inBookkeeping(t, func(b *bookkeeping) {
		g := &glance{at: 0, share: 2}
		for _, tt := range []struct {
			id     string
			units  int
			flies  bool
			reason string
		}{
			{"p", 1, true, "the first product"},
			{"q", 1, true, "the second"},
			{"r", 1, false, "one too many"},
			{"p", 2*unitsEach - 3, true, "all the units that there may be but one"},
			{"q", 2, false, "one more than those"},
		} {
			before := b.soldBy("a")
			b.add(g, tt.id, "SKU", tt.units, 1000)
			got := b.soldBy("a") - before
			assert.Equal(t, tt.flies, got == tt.units, tt.reason)
			assert.True(t, tt.flies || got == 0, tt.reason)
		}
		b.cancel(g, "q", "SKU", 1)
		for i, flies := range []bool{true, false} { // in the place of q
			before := b.soldBy("a")
			b.add(g, []string{"s", "t"}[i], "SKU", 1, 1000)
			assert.Equal(t, flies, b.soldBy("a") > before)
		}
	})
}

// A cancelled order may have been all that a channel had in flight, and ends
// nothing that another one has.
func TestFlightCancelled(t *testing.T) {
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		b.look(1, 10, readNow(10))
		b.look(0, 8, readNow(10))
		assert.Equal(t, 3, b.look(1, 9, readNow(10)))
		assert.Equal(t, 3, b.look(0, 9, readNow(10)), "half of it")
		assert.Equal(t, 1, b.look(0, 11, readNow(10)), "all of it")
		assert.Equal(t, []int{0, 1}, []int{b.soldBy("a"), b.soldBy("b")})
		if assert.Len(t, b.events, 1) {
			assert.Equal(t, FlightCancelled, b.events[0].Kind)
		}
		assert.Equal(t, 1, b.look(0, 13, readNow(10)), "there is nothing any more to be cancelled")
		assert.Empty(t, b.events)
	})
}

// What a channel does not tell, or not as a quantity, was not sold; and after
// that nobody knows what it was.
func TestFlightOfWhatIsNotShown(t *testing.T) {
	for _, shown := range [][]channel.Level{nil, {{SKU: "SKU", Unset: true}}, {{SKU: "SKU", Err: channel.ErrShared}}} {
		inBookkeeping(t, func(b *bookkeeping) {
			b.look(0, 5, readNow(5))
			assert.Zero(t, b.lookAt(0, readNow(5), shown...))
			assert.Zero(t, b.look(0, 3, readNow(5)))
			assert.Equal(t, 1, b.look(0, 2, readNow(5)))
		})
	}
}

// What the source books before a channel was looked at may be its sale, until it
// is looked at.
func TestFlightThatWasBookedBefore(t *testing.T) {
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		b.look(1, 10, readNow(10))
		b.look(0, 10, readNow(8))
		assert.Zero(t, b.look(1, 8, readNow(8)), "that is what is booked")
		b.look(0, 10, readNow(7))
		assert.Equal(t, 1, b.look(1, 6, readNow(7)), "one of two is booked, and the first two are over")
	})
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		b.look(1, 10, readNow(10))
		b.look(0, 10, readNow(8)) // over the counter
		assert.Zero(t, b.look(1, 10, readNow(8)))
		assert.Empty(t, b.flights, "nothing is kept of what is over")
		assert.Equal(t, map[string]bool{"p": true}, b.dirty)
		assert.Equal(t, 2, b.look(1, 8, readNow(8)), "later sales are their own")
	})
}

// Where no other channel could have sold it, what the source books is over.
func TestFlightThatNobodyElseSold(t *testing.T) {
	inBookkeeping(t, func(b *bookkeeping) {
		b.look(0, 10, readNow(10))
		b.look(0, 10, readNow(8))
		assert.Empty(t, b.flights)
	})
}

// What was never loaded is never saved: the store may know more.
func TestWhatWasNotLoadedIsNotSaved(t *testing.T) {
	q := struct{ Queue }{NewMemoryQueue()} // which outlives the process, as far as anybody knows
	s := &Syncer{queue: q, ledger: newLedger(&Config{}, nil)}
	saved := func() (n int) {
		require.NoError(t, s.keepFlights(t.Context(), nil))
		for _, err := range q.Records(t.Context(), flightSet, "") {
			require.NoError(t, err)
			n++
		}
		return n
	}
	s.ledger.table.put("p0", &position{available: 10})
	assert.Zero(t, saved())
	s.ledger.loaded = true
	assert.Equal(t, 2, saved(), "the head and a bucket")
}
