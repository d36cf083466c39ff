package syncer_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// TestWhateverIsSoldStaysSold plays random trades of three products on two or
// three channels, with policies, packs, and channels with and without
// compare-and-set. In every trade there are orders of several units; bookings
// that are late, in parts, out of order, and with events that are lost or
// doubled; goods that come in, or orders that ship (in one look both hide a
// booking); channels and a source that do not answer; runs over the catalogue;
// and restarts. Then:
//
//   - No increase on a channel ever undoes a sale of its own that is not
//     booked: it leaves at most what its policy makes of the stock less these.
//     What the source has booked of another channel's sales before anybody has
//     looked at that channel may be taken for these.
//   - Whenever all is quiet every channel shows what its policy makes of what is
//     available less what is sold and not booked: no unit is missing, and none is
//     counted twice.
//
// A wild trade has, too, what nobody can tell apart for certain: orders that
// are cancelled in time, late, or in another shop's favour, orders that are
// never paid, edits, sales at the source's own counter, writes in doubt, and
// channels that lag. In the end every channel shows what its policy makes of
// what is available.
//
// STOCKSYNC_TRADE=n plays trade n alone; odd ones are wild.
func TestWhateverIsSoldStaysSold(t *testing.T) {
	t.Parallel()
	first, trades := 0, 40
	if testing.Short() {
		trades = 12
	}
	if text := os.Getenv("STOCKSYNC_TRADE"); text != "" {
		seed, err := strconv.Atoi(text)
		require.NoError(t, err, "STOCKSYNC_TRADE")
		first, trades = seed, 1
	}
	for seed := first; seed < first+trades; seed++ {
		t.Run("STOCKSYNC_TRADE="+strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newTrade(t, uint64(seed)).play() })
		})
	}
}

const tradeProducts = 3

// tell sends an event of a product: now, twice, later, or never.
func (d *trade) tell(id string) {
	switch d.IntN(8) {
	case 0:
	case 1:
		d.owed = append(d.owed, id)
	case 2:
		require.NoError(d, d.syncer.Notify(d.Context(), id, id))
		fallthrough
	default:
		require.NoError(d, d.syncer.Notify(d.Context(), id))
	}
	if len(d.owed) > 0 && d.IntN(4) == 0 {
		at := d.IntN(len(d.owed))
		require.NoError(d, d.syncer.Notify(d.Context(), d.owed[at]))
		d.owed = append(d.owed[:at], d.owed[at+1:]...)
	}
}

func (d *trade) play() {
	d.begin()
	_, err := d.syncer.Reconcile(d.Context())
	require.NoError(d, err)
	d.quiet("it was reconciled")
	for range 60 {
		d.step()
		d.bookWhatIsOld()
		// An odd time: nothing else happens in the same moment.
		time.Sleep(10*time.Second + time.Duration(d.Int64N(int64(80*time.Second))))
		if d.IntN(15) == 0 && !d.wild {
			d.quiet("all works")
		}
		if d.Failed() {
			return
		}
	}
	for _, o := range d.orders {
		if o.left() > 0 {
			d.book(o, o.left())
		}
	}
	if d.wild {
		d.heal()
		require.NoError(d, d.syncer.Notify(d.Context(), d.erp.ids()...))
		pass(2 * time.Hour)
		d.orders = nil // those that were never paid have expired
	}
	d.quiet("all is booked")
	d.stop()
}

func (d *trade) step() {
	product, sh := d.IntN(tradeProducts), d.IntN(len(d.shops))
	id := fmt.Sprint("p", product)
	kinds := 11
	if d.wild {
		kinds = 17
	}
	switch d.IntN(kinds) {
	case 0, 1, 2, 3:
		if d.sell(sh, product) && d.IntN(2) == 0 {
			d.tell(id)
		}
	case 4, 5:
		if o := d.anOrder(); o != nil {
			d.book(o, 1+d.IntN(o.left()))
			d.tell(fmt.Sprint("p", o.product))
		}
	case 6, 7:
		if !d.ships || d.wild && d.IntN(2) == 0 {
			d.change(product, 1+d.IntN(20), 0)
			d.tell(id)
			return
		}
		d.note("p%d ships", product)
		d.mu.Lock()
		d.erp.edit(id, func(s *channel.Stock) {
			n := d.IntN(1 + max(0, s.Reserved))
			s.OnHand, s.Reserved = s.OnHand-n, s.Reserved-n
		})
		d.mu.Unlock()
		d.tell(id)
	case 8:
		if d.IntN(3) == 0 {
			d.down.Store(d.IntN(2) == 0)
		} else {
			d.shops[sh].noReads.Store(d.IntN(2) == 0)
		}
		d.note("the source is down: %v; shop-%d cannot be read: %v", d.down.Load(), sh, d.shops[sh].noReads.Load())
	case 9:
		d.note("a run, or a call for p%d", product)
		if d.IntN(2) == 0 {
			_, _ = d.syncer.Reconcile(d.Context())
		} else {
			_, _ = d.syncer.SyncProducts(d.Context(), id)
		}
	case 10:
		if d.IntN(3) == 0 {
			d.note("a restart")
			d.stop()
			d.begin()
		}
	default:
		d.wildStep(sh, product)
		d.tell(id)
	}
}

// wildStep is what only happens in wild trades.
func (d *trade) wildStep(shop, product int) {
	sh, sku := d.shops[shop], fmt.Sprint("SKU-", product)
	shown, _ := sh.Quantity(sku)
	kind := d.IntN(5)
	d.note("wild: %s of %s, which shows %d of %s", []string{"a cancellation", "an edit", "an unpaid order", "a sale at the source", "writes in doubt"}[kind], sh.Name(), shown, sku)
	switch kind {
	case 0: // an order is cancelled, and its shop shows the units again, or another one does
		if o := d.anOrder(); o != nil {
			d.mu.Lock()
			o.units = o.booked
			d.mu.Unlock()
			d.shops[o.shop].Set(sku, shown+1)
		} else {
			d.change(product, 0, -1)
			sh.Set(sku, shown+1)
		}
	case 1:
		sh.Set(sku, d.IntN(2*shown+2))
	case 2: // an order is never paid
		sh.Sell(sku, min(shown, 1+d.IntN(2)))
	case 3:
		d.change(product, 0, 1)
	case 4:
		sh.doubtful.Store(int32(d.IntN(3)))
	}
}

// sell sells up to three units, and reports whether it did.
func (d *trade) sell(shop, product int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	sh, n := d.shops[shop], 1+d.IntN(3)
	if !sh.Sell(fmt.Sprint("SKU-", product), n) {
		return false
	}
	d.note("%s sells %d of SKU-%d", sh.Name(), n, product)
	d.orders = append(d.orders, &tradeOrder{product: product, shop: shop, units: n * sh.pack, at: time.Now()})
	return true
}

// anOrder is one that is not all booked, or nil.
func (d *trade) anOrder() *tradeOrder {
	for _, at := range d.Perm(len(d.orders)) {
		if o := d.orders[at]; o.left() > 0 {
			return o
		}
	}
	return nil
}

func (d *trade) change(product, onHand, reserved int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note("the source has %+d on hand and %+d reserved of p%d", onHand, reserved, product)
	d.erp.change(fmt.Sprint("p", product), onHand, reserved)
}

func (d *trade) book(o *tradeOrder, units int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note("%d of p%d are booked for shop-%d", units, o.product, o.shop)
	o.booked += units
	d.bookings = append(d.bookings, tradeBooking{o.product, o.shop, units, time.Now(), o.at})
	d.erp.change(fmt.Sprint("p", o.product), 0, units)
}

// bookWhatIsOld books before it would expire.
func (d *trade) bookWhatIsOld() {
	for _, o := range d.orders {
		if o.left() > 0 && time.Since(o.at) > 15*time.Minute {
			d.book(o, o.left())
			d.tell(fmt.Sprint("p", o.product))
		}
	}
}

func (d *trade) heal() {
	d.down.Store(false)
	for _, sh := range d.shops {
		sh.noReads.Store(false)
		sh.doubtful.Store(0)
	}
}

// quiet waits until nothing is left to do, and checks what is shown.
func (d *trade) quiet(why string) {
	d.note("all works from now on: %s", why)
	d.heal()
	for deadline := time.Now().Add(time.Hour); !drained(d.T, d.syncer); pass(time.Second) {
		require.True(d, time.Now().Before(deadline), "nothing fails any more, and marks are left")
	}
	require.NoError(d, d.syncer.Notify(d.Context(), d.erp.ids()...))
	pass(2 * time.Minute)
	for p, s := range d.erp.products {
		n := s.OnHand - s.Reserved
		for _, o := range d.orders {
			if o.product == p {
				n -= o.left()
			}
		}
		for _, sh := range d.shops {
			got, _ := sh.Quantity(s.SKU)
			assert.Equal(d, sh.quantity(n), got, "%s shows of %s, of which %d are left: %s", sh.Name(), s.SKU, n, why)
		}
	}
}
