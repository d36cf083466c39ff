package syncer

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// Of several pins the least quantity counts, in whatever order they are, and of
// the same quantity the one that does not raise.
func TestTheLeastPinCounts(t *testing.T) {
	for _, tt := range []struct {
		pins  []Pin
		shows int
	}{
		{[]Pin{{Quantity: 5}, {Quantity: 2, Channel: "a"}}, 2},
		{[]Pin{{Quantity: 2}, {Quantity: 5, Channel: "a"}}, 2},
		{[]Pin{{Quantity: 2}, {Quantity: 0, Channel: "b"}}, 2},
		{[]Pin{{Quantity: 9, Raise: true}, {Quantity: 9, Channel: "a"}}, 7},
		{[]Pin{{Quantity: 9}, {Quantity: 9, Channel: "a", Raise: true}}, 7},
		{[]Pin{{Quantity: 9, Raise: true}, {Quantity: 9, Channel: "b"}}, 9},
		{[]Pin{{Quantity: 2, Until: time.Now().Add(-time.Minute)}}, 7},
	} {
		for i := range tt.pins {
			tt.pins[i].ProductID = "p"
		}
		p := &pass{t: &target{name: "a"}, pins: map[string][]Pin{"p": tt.pins}}
		w := want{sku: "p", stock: &channel.Stock{ProductID: "p"}, quantity: 7}
		p.pin(t.Context(), &w)
		assert.Equal(t, tt.shows, w.quantity, "%+v", tt.pins)
		assert.Equal(t, tt.shows != 7, w.pin != nil)
	}
	p := &pass{t: &target{name: "a"}, pins: map[string][]Pin{"p": {{Quantity: 7}}}}
	w := want{sku: "p", stock: &channel.Stock{ProductID: "p"}, quantity: 7}
	p.pin(t.Context(), &w)
	assert.NotNil(t, w.pin, "it shows what it is pinned to")
}

// As long as it is not known what is pinned, nothing is written by which more
// could be sold, and everything by which less can.
func TestWithoutItsPinsAPassRaisesNothing(t *testing.T) {
	for _, tt := range []struct {
		wanted  int
		seen    *channel.Level
		written bool
	}{
		{0, nil, true},
		{3, nil, false},
		{0, &channel.Level{Quantity: 5, OffSale: true}, true},
		{3, &channel.Level{Quantity: 5, OffSale: true}, false},
		{3, &channel.Level{Unset: true}, true},
		{3, &channel.Level{Unset: true, OffSale: true}, false},
		{3, &channel.Level{Quantity: 5}, true},
		{3, &channel.Level{Quantity: 3, Inexact: true}, true},
		{5, &channel.Level{Quantity: 3}, false},
		{3, &channel.Level{Quantity: 5, Err: errors.New("odd")}, false},
	} {
		c := change{want{sku: "p", stock: &channel.Stock{ProductID: "p"}, quantity: tt.wanted}, tt.seen}
		for name, p := range map[string]*pass{
			"nothing is known":     {unpinned: errors.New("down")},
			"a record makes none":  {pins: map[string][]Pin{"p": {{}, {senseless: errors.New("odd")}}}},
			"it is put back to ..": {unpinned: errors.New("down"), unsetter: struct{ channel.Unsetter }{}},
		} {
			out := new(outcome)
			written := len(p.unraised([]change{c}, out)) == 1
			assert.Equal(t, tt.written && p.unsetter == nil, written, "%s: %+v", name, tt)
			assert.Len(t, out.results, map[bool]int{false: 1}[written])
		}
		p := &pass{pins: map[string][]Pin{"q": {{senseless: errors.New("odd")}}}}
		assert.Len(t, p.unraised([]change{c}, new(outcome)), 1, "another product's")
	}
}

// A record of a pin that makes no sense keeps its product from being raised, and
// no other.
func TestAPinThatMakesNoSenseHolds(t *testing.T) {
	q, m := NewMemoryQueue(), channeltest.NewMemory("a")
	for _, sku := range []string{"0", "1"} {
		m.Set(sku, 3)
	}
	require.NoError(t, q.Save(t.Context(), pinSet, Record{"0\x00", []byte("{")}, Record{pinVersion, []byte("1")}))
	s, err := New(Config{Source: sevens(2), Queue: q, Targets: []Target{{Channel: m}}})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), "0", "1")
	require.ErrorContains(t, err, "makes no sense")
	n, _ := m.Quantity("0")
	assert.Equal(t, 3, n)
	n, _ = m.Quantity("1")
	assert.Equal(t, 7, n)
}

// What cannot be read, and is not pinned to 0, is the source's trouble, and none
// of the channel's.
func TestWhatIsPinnedAndUnreadIsNoChannelsTrouble(t *testing.T) {
	source := stocksFunc(func(id string) channel.Stock { return channel.Stock{ProductID: id, SKU: id, Err: channel.ErrInvalid} })
	m := channeltest.NewMemory("a")
	m.Set("0", 9)
	s, err := New(Config{Source: source, Targets: []Target{{Channel: m}}})
	require.NoError(t, err)
	require.NoError(t, s.Pin(t.Context(), Pin{ProductID: "0", Quantity: 3, Who: "Ana", Why: "few"}))
	assert.False(t, s.pinnedToZero(t.Context(), "0"))
	assert.False(t, s.pinnedToZero(t.Context(), "1"))
	r, err := s.SyncProducts(t.Context(), "0")
	require.ErrorIs(t, err, channel.ErrInvalid)
	assert.Equal(t, []int{1, 0}, []int{r.Unread, r.Channels[0].Failed})
}
