package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// A recollection is a memory of one SKU of a channel.
type recollection struct {
	*testing.T
	memory
}

func (r *recollection) want(quantity int) *want {
	return &want{sku: "A", stock: &channel.Stock{ProductID: "a"}, quantity: quantity}
}

func (r *recollection) write(quantity int, seen *channel.Level, pending bool, lag time.Duration) {
	r.wrote(&change{*r.want(quantity), seen}, pending, lag)
}

func (r *recollection) judges(quantity int, seen *channel.Level, v verdict, times int, settles time.Duration) {
	r.Helper()
	for _, peek := range []bool{true, true, false} { // a look changes nothing
		gotV, got, gotSettles := r.judge(r.want(quantity), seen, peek)
		if peek && v == differs {
			got = times
		}
		assert.Equal(r, []any{v, times, settles}, []any{gotV, got, gotSettles}, "peek: %v", peek)
	}
}

func remembering(t *testing.T, f func(r *recollection, three *channel.Level)) {
	synctest.Test(t, func(t *testing.T) { f(&recollection{T: t}, &channel.Level{SKU: "A", Quantity: 3}) })
}

// A channel that goes back to what it showed before is written twice more at once,
// and then once an hour.
func TestAWriteThatIsUndoneIsRepeatedTwice(t *testing.T) {
	remembering(t, func(r *recollection, three *channel.Level) {
		r.judges(7, three, differs, 0, 0)
		for times := 1; times <= maxUndone; times++ {
			r.write(7, three, false, 0)
			r.judges(7, three, differs, times, 0)
		}
		r.write(7, three, false, 0)
		r.judges(7, three, undone, maxUndone, 0)
		time.Sleep(undoneFor - time.Second)
		r.judges(7, three, undone, maxUndone, 0)
		r.judges(7, &channel.Level{Quantity: 4}, differs, 0, 0) // which is something else
		r.judges(6, three, differs, 0, 0)                       // so is that
		time.Sleep(time.Second)
		r.judges(7, three, differs, maxUndone+1, 0)
	})
}

// Only the same write is the same one again.
func TestAnotherWriteIsNotUndoneYet(t *testing.T) {
	four, none := &channel.Level{Quantity: 4}, &channel.Level{Unset: true}
	for _, again := range []struct {
		quantity int
		seen     *channel.Level
	}{{8, nil}, {7, four}, {7, none}} {
		remembering(t, func(r *recollection, three *channel.Level) {
			for range maxUndone {
				r.write(7, three, false, 0)
				_, _, _ = r.judge(r.want(7), three, false)
			}
			seen := again.seen
			if seen == nil {
				seen = three
			}
			r.write(again.quantity, seen, false, 0)
			r.judges(again.quantity, seen, differs, 1, 0)
		})
	}
}

// After a day a write explains nothing any more.
func TestAWriteOfYesterdayIsNotUndone(t *testing.T) {
	remembering(t, func(r *recollection, three *channel.Level) {
		r.write(7, three, true, time.Hour)
		time.Sleep(remembered + time.Second)
		r.judges(7, three, differs, 0, 0)
	})
}

// A write that was accepted is waited for as long as it may take to show, and if
// it does not show by then it was undone, once.
func TestWhatNeverShowsWasUndone(t *testing.T) {
	remembering(t, func(r *recollection, three *channel.Level) {
		r.write(7, three, true, time.Hour)
		time.Sleep(10 * time.Minute)
		r.judges(7, three, notYet, 0, 50*time.Minute)
		r.judges(8, three, differs, 0, 0)
		quantity, known, open := r.lastWrite("A", 3)
		assert.Equal(t, []any{7, true, true}, []any{quantity, known, open})
		awaits, landed := r.agrees(r.want(3), false)
		assert.Equal(t, []bool{true, false}, []bool{awaits, landed}, "it shows 3, and will show 7")
		time.Sleep(time.Hour)
		_, known, open = r.lastWrite("A", 3)
		assert.Equal(t, []bool{true, false}, []bool{known, open})
		v, _, _ := r.judge(r.want(7), three, true)
		assert.Equal(t, undone, v)
		v, _, _ = r.judge(r.want(7), three, false)
		assert.Equal(t, undone, v)
		v, _, _ = r.judge(r.want(7), three, false)
		assert.Equal(t, differs, v, "it is written again")
	})
}

// The end of a write's lag can be brought forward, if it is longer than usual.
func TestALongLagEndsWhenItsOutcomeCanBeRead(t *testing.T) {
	for lag, v := range map[time.Duration]verdict{time.Hour: notYet, time.Hour + 1: undone} {
		remembering(t, func(r *recollection, three *channel.Level) {
			r.write(7, three, true, lag)
			assert.Equal(t, "a", r.endLag("A", time.Hour))
			assert.Empty(t, r.endLag("B", time.Hour))
			got, _, _ := r.judge(r.want(7), three, true)
			assert.Equal(t, v, got)
		})
	}
}

// What a channel deducts of what it was given is unsettled, and what it was found
// to show is not.
func TestOnlyAWriteIsUnsettled(t *testing.T) {
	remembering(t, func(r *recollection, three *channel.Level) {
		for _, catalogue := range []bool{true, false} {
			awaits, landed := r.agrees(r.want(3), catalogue)
			assert.Equal(t, []bool{false, false}, []bool{awaits, landed})
			_, known, open := r.lastWrite("A", 3)
			assert.Equal(t, []bool{false, false}, []bool{known, open}, "it was not written")
		}
		r.deducts = time.Hour
		assert.False(t, r.unsettling("A"), "the channel deducts nothing")
		r.deductor = true
		assert.False(t, r.unsettling("A"))
		assert.False(t, r.unsettling("B"))
		r.write(7, three, false, 0)
		assert.True(t, r.unsettling("A"))
		time.Sleep(time.Hour)
		assert.False(t, r.unsettling("A"))
	})
}

func TestAnSKUIsAloneUntilItFaresWell(t *testing.T) {
	var m memory
	m.setAlone("A", false)
	assert.Empty(t, m.young)
	assert.False(t, m.isAlone("A"))
	m.setAlone("A", true)
	m.setAlone("A", true)
	assert.True(t, m.isAlone("A"))
	assert.False(t, m.isAlone("B"))
	m.setAlone("A", false)
	assert.False(t, m.isAlone("A"))
}

// A kit is made of several products, whichever limits it: none is its rival.
func TestAKitHasNoRivals(t *testing.T) {
	var m memory
	p, q := &channel.Stock{ProductID: "p"}, &channel.Stock{ProductID: "q"}
	m.agrees(&want{sku: "KIT", stock: p, bundle: &bundle{parts: []Part{{"p", 1}, {"q", 1}}}}, false)
	m.agrees(&want{sku: "A", stock: p}, false)
	assert.Nil(t, m.rivals([]want{{sku: "KIT", stock: q, bundle: &bundle{parts: []Part{{"p", 1}, {"q", 1}}}}}))
	assert.Equal(t, map[string]string{"A": "p"}, m.rivals([]want{{sku: "A", stock: q}, {sku: "B", stock: q}}))
	assert.Nil(t, m.rivals([]want{{sku: "A", stock: p}}))
}

// Few units are few until more are shown, found or written.
func TestWhatIsScarce(t *testing.T) {
	remembering(t, func(r *recollection, three *channel.Level) {
		assert.False(t, r.few("a"))
		r.agrees(r.want(3), true)
		assert.True(t, r.few("a"))
		r.write(4, three, false, 0)
		assert.False(t, r.few("a"))
		r.write(3, three, false, 0)
		assert.True(t, r.few("a"))
		r.watch = new(watchlist)
		r.agrees(r.want(3), true)
		r.forget()
		assert.False(t, r.few("a"))
		assert.Empty(t, r.watch.choose(1), "somebody else has written")
	})
}

// A quantity that the channel shows is written all the same while another one that
// it has accepted is still to come.
func TestWhatIsShownIsWrittenIfAnotherQuantityIsToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		available := 7
		source := stocksFunc(func(id string) channel.Stock {
			return channel.Stock{ProductID: id, SKU: id, OnHand: available, Available: available, AsOf: time.Now()}
		})
		m := &market{lag: time.Hour, items: map[string]offer{"0": {quantity: 3, shows: time.Now()}}}
		s, err := New(Config{Source: source, Targets: []Target{{Channel: m, Guard: Guard{Losses: -1, Gains: -1}}}})
		require.NoError(t, err)
		for _, available = range []int{7, 3} {
			r, err := s.SyncProducts(t.Context(), "0")
			require.NoError(t, err)
			assert.Equal(t, 1, r.Channels[0].Pending)
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 2, m.written())
		time.Sleep(2 * time.Hour)
		assert.Equal(t, 3, *m.items["0"].now())
	})
}
