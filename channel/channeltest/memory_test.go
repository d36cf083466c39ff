package channeltest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

func TestMemorySells(t *testing.T) {
	m := channeltest.NewMemory("shop")
	m.Add(channel.Level{SKU: "A", Quantity: 3}, channel.Level{SKU: "OPEN", Unset: true},
		channel.Level{SKU: "BACK", Quantity: 1, SellsAtZero: true}, channel.Level{SKU: "OFF", Quantity: 9, OffSale: true},
		channel.Level{SKU: "TWICE", Quantity: 9}, channel.Level{SKU: "TWICE", Quantity: 9})
	for _, sale := range []struct {
		sku   string
		units int
		sold  bool
		shown int
	}{
		{"A", 2, true, 1},
		{"A", 2, false, 1},
		{"A", 1, true, 0},
		{"A", 1, false, 0},
		{"BACK", 3, true, -2},
		{"OFF", 1, false, 9},
		{"NO-SUCH", 1, false, 0},
		{"TWICE", 1, false, 0},
	} {
		assert.Equal(t, sale.sold, m.Sell(sale.sku, sale.units), sale)
		n, _ := m.Quantity(sale.sku)
		assert.Equal(t, sale.shown, n, sale)
	}
	assert.True(t, m.Sell("OPEN", 100), "what shows no quantity sells without a limit")
	_, ok := m.Quantity("OPEN")
	assert.False(t, ok)
	assert.Equal(t, []int{3, 3, 100, 0}, []int{m.Sold("A"), m.Sold("BACK"), m.Sold("OPEN"), m.Sold("OFF")})

	m.SetOffSale("OFF", false)
	m.SetOffSale("A", true)
	levels, err := m.Levels(t.Context(), []string{"A", "OFF", "BACK"})
	require.NoError(t, err)
	require.Len(t, levels, 3)
	assert.Equal(t, []bool{true, false, false}, []bool{levels[0].OffSale, levels[1].OffSale, levels[2].OffSale})
	assert.True(t, levels[2].SellsAtZero)
	assert.True(t, m.Sell("OFF", 9))
	m.Set("A", 5)
	assert.False(t, m.Sell("A", 1), "a quantity puts nothing on sale")
}

func TestMemoryUnsets(t *testing.T) {
	m := channeltest.NewMemory("shop")
	m.Add(channel.Level{SKU: "A", Quantity: 3})
	err := m.Unset(t.Context(), []channel.Update{{SKU: "A", Seen: &channel.Level{Quantity: 4}}})
	require.ErrorIs(t, err, channel.ErrConflict)
	require.NoError(t, m.Unset(t.Context(), []channel.Update{{SKU: "A", Seen: &channel.Level{Quantity: 3}}}))
	levels, err := m.Levels(t.Context(), []string{"A"})
	require.NoError(t, err)
	assert.True(t, levels[0].Unset)
	assert.Zero(t, levels[0].Quantity)
	reads, writes := m.Calls()
	assert.Equal(t, []int{1, 2}, []int{reads, writes})
}

func TestLagging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := channeltest.NewLagging("marketplace", time.Hour)
		m.Add(channel.Level{SKU: "A", Quantity: 1})
		push := func(n int) error {
			errs, _ := m.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: n}}).(channel.Errors)
			return errs["A"]
		}
		shown := func() int { n, _ := m.Quantity("A"); return n }
		require.NoError(t, push(1), "it is shown already")
		require.ErrorIs(t, push(5), channel.ErrPending)
		time.Sleep(time.Hour - time.Nanosecond)
		assert.Equal(t, 1, shown())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 5, shown())

		require.ErrorIs(t, push(6), channel.ErrPending)
		time.Sleep(time.Minute)
		require.ErrorIs(t, push(7), channel.ErrPending)
		require.ErrorIs(t, push(5), channel.ErrPending, "another one is under way")
		m.Set("A", 4) // a sale
		time.Sleep(time.Hour - time.Minute)
		assert.Equal(t, 4, shown(), "the first one was replaced")
		time.Sleep(time.Minute)
		assert.Equal(t, 5, shown())

		require.ErrorIs(t, push(9), channel.ErrPending)
		require.NoError(t, m.Unset(t.Context(), []channel.Update{{SKU: "A"}}))
		time.Sleep(time.Hour)
		_, ok := m.Quantity("A")
		assert.False(t, ok, "Unset ends what is under way")
	})
}
