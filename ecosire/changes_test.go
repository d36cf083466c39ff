package ecosire_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ids := server(500)
		c := client(t, s, io.Discard)
		s.Return(ids[0], 1) // before anybody watches
		got, cursor, err := c.Changes(t.Context(), "")
		require.NoError(t, err)
		assert.Empty(t, got)

		next := func() []string {
			time.Sleep(30 * time.Second)
			s.Forget()
			got, next, err := c.Changes(t.Context(), cursor)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(s.Requests()), 4)
			cursor = next
			return got
		}
		assert.Empty(t, next(), "what is known is not told again")
		s.Return(ids[1], 1)
		s.Return(ids[1], 1)
		time.Sleep(time.Second)
		s.Sell(ids[2], 1)
		assert.Equal(t, ids[1:3], next())
		assert.Empty(t, next())

		// The same instant, in two looks.
		s.Return(ids[3], 1)
		s.Forget()
		got, cursor, err = c.Changes(t.Context(), cursor)
		require.NoError(t, err)
		assert.Equal(t, []string{ids[3]}, got)
		s.Return(ids[4], 1)
		assert.Equal(t, []string{ids[4]}, next())

		// More than one look can read: the next ones catch up, and what happens
		// meanwhile is not lost either.
		for _, id := range ids[10:460] {
			s.Return(id, 1)
			time.Sleep(time.Millisecond)
		}
		seen := map[string]bool{}
		for i := range 6 {
			for _, id := range next() {
				seen[id] = true
			}
			if i == 1 {
				s.Return(ids[480], 1)
			}
		}
		assert.Len(t, seen, 451)
		assert.Empty(t, next())
	})
}

func TestChangesWhereMovesLookOtherwise(t *testing.T) {
	s, _ := server(1)
	s.Inject(channeltest.Fault{Match: channeltest.On("GET", "/moves"), Status: 200, Times: -1,
		Body: `{"data":[{"uuid":"m","product":"p"}],"meta":{"total":1,"page":1,"limit":100,"totalPages":1}}`})
	_, _, err := client(t, s, io.Discard).Changes(t.Context(), "")
	require.ErrorIs(t, err, channel.ErrUnavailable)
	assert.ErrorContains(t, err, "no id or no createdAt")
	_, _, err = client(t, s, io.Discard).Changes(t.Context(), "nonsense")
	assert.ErrorContains(t, err, "cursor")
}

func TestOnStockChange(t *testing.T) {
	s := ecosiretest.New(ecosiretest.Config{})
	ids := s.Add(ecosiretest.Product{SKU: "a"}, ecosiretest.Product{SKU: "b"})
	var told [][]string
	c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: s.Client(),
		OnStockChange: func(_ context.Context, productIDs ...string) error {
			told = append(told, productIDs)
			return fmt.Errorf("queue full")
		}})
	require.NoError(t, err)
	require.NoError(t, c.PostAdjustment(t.Context(), ecosire.Adjustment{ProductID: ids[0], LocationID: "LOC-WH01-A1", Quantity: 5}))
	tr, err := c.CreateTransfer(t.Context(), ecosire.Transfer{Type: ecosire.Receipt, LineItems: []ecosire.TransferLine{{ProductID: ids[1], Quantity: 4}, {ProductID: ids[0], Quantity: 1}}})
	require.NoError(t, err)
	require.NoError(t, c.ValidateTransfer(t.Context(), tr.ID), "the change stands")
	require.Error(t, c.ValidateTransfer(t.Context(), tr.ID))
	require.Error(t, c.PostAdjustment(t.Context(), ecosire.Adjustment{ProductID: ids[0], LocationID: "nowhere", Quantity: 5}))
	assert.Equal(t, [][]string{{ids[0]}, {ids[1], ids[0]}}, told)
}
