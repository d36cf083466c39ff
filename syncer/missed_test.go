package syncer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// aNight is the end of a run's night for one channel.
func aNight(t *testing.T) *night {
	t.Helper()
	s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	return &night{s: s, t: s.targets[0], account: s.newAccounts()[0], kitting: withoutKits, tell: func(*account) {}}
}

func lostChange(id, sku string) change {
	return change{want{sku: sku, stock: &channel.Stock{ProductID: id}}, &channel.Level{SKU: sku, Quantity: 3}}
}

// A run that misses more products than it remembers compares those that it does,
// and says that it is not complete.
func TestMoreThanARunRemembersIsMissing(t *testing.T) {
	n := aNight(t)
	n.missed.count = maxMissed - 3
	n.miss([]string{"a"})
	var two, none idList
	two.add("b", "c")
	n.missAll(&two, 0)
	assert.Equal(t, []int{maxMissed, 0}, []int{n.missed.count, n.lost})
	n.miss([]string{"d", "e"})
	two.add("f", "g")
	n.missAll(&two, 0)
	n.missAll(&none, 3)
	assert.Equal(t, []int{maxMissed, 7}, []int{n.missed.count, n.lost})

	n.missed = idList{}
	n.finish(t.Context(), true)
	assert.False(t, n.whole)
	require.ErrorIs(t, n.account.report.Err, ErrNotCompared)
	require.ErrorContains(t, n.account.report.Err, "7 are missing")
	require.ErrorContains(t, n.account.report.Err, "7 of these are more than a run remembers")
}

// A product is missed once, however many of its listings are compared again.
func TestAProductIsMissedOnce(t *testing.T) {
	for _, err := range []error{nil, channel.ErrUnavailable} {
		n := aNight(t)
		var missing []string
		n.missing = &missing
		o := &outcome{err: err}
		for _, c := range []change{lostChange("b", "B"), lostChange("a", "A"), lostChange("b", "B-6")} {
			if err == nil {
				o.supersede([]want{c.want}, channel.ErrConflict)
			} else {
				o.fail([]want{c.want}, err)
			}
		}
		n.add(t.Context(), deed{outcome: o})
		assert.Equal(t, []string{"a", "b"}, slices.Collect(n.missed.all()))
		assert.Equal(t, []string{"a", "b"}, missing)
		assert.Zero(t, n.account.report.Checked)
	}
}

// What is compared again is no longer aside, and all the rest is: the guard counts
// what is too much to be listed, too.
func TestOnlyWhatIsComparedAgainIsTakenBack(t *testing.T) {
	n := aNight(t)
	n.putAside([]change{lostChange("a", "A"), lostChange("a", "A-6"), lostChange("b", "B")})
	a := &n.aside[loss]
	a.products["c"], a.products["d"] = true, true // and are not listed
	again := slices.Values([]string{"a", "c", "x"})
	n.kitting = kitsAlone
	n.forget(again)
	assert.Len(t, a.products, 4, "a kit that was put aside stays")
	n.kitting = withoutKits
	n.forget(again)
	assert.Equal(t, map[string]bool{"b": true, "d": true}, a.products)
	assert.Equal(t, map[string]bool{"B": true}, a.skus)
	require.Len(t, a.changes, 1)
	assert.Equal(t, "B", a.changes[0].sku)
}

// A guard that holds more than is listed says how much, and lists no more.
func TestMoreThanIsListedIsHeld(t *testing.T) {
	n := aNight(t)
	n.putAside([]change{lostChange("a", "A"), lostChange("b", "B")})
	n.aside[loss].products["c"] = true
	n.hold(t.Context(), loss, &Trip{Losses: 3})
	assert.Equal(t, []int{3, 3}, []int{n.account.report.Checked, n.account.report.Held})
	held, err := n.s.Held(t.Context())
	require.NoError(t, err)
	require.Len(t, held, 1)
	require.Len(t, held[0].Lines, 2)
	for _, l := range held[0].Lines {
		assert.Equal(t, ReasonHeld, l.Reason)
	}

	n = aNight(t)
	n.aside[loss] = aside{make(map[string]bool), make(map[string]bool), make([]change, maxListed)}
	n.putAside([]change{lostChange("a", "A")})
	assert.Len(t, n.aside[loss].changes, maxListed)
	assert.Len(t, n.aside[loss].products, 1)
}
