package ecosire_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ecosiretest.New(ecosiretest.Config{})
		ids := s.Add(
			ecosiretest.Product{SKU: "A-1"}, ecosiretest.Product{SKU: "A-10"}, ecosiretest.Product{SKU: "a-1"},
			ecosiretest.Product{SKU: "x&y=ß, %41"}, ecosiretest.Product{SKU: "twice"}, ecosiretest.Product{SKU: "twice"}, ecosiretest.Product{SKU: "C", Name: "like A-1"},
		)
		s.Break(ids[3], "onHand", `"many"`)
		c := client(t, s, io.Discard)
		for sku, want := range map[string][]string{
			"A-1": {ids[0]}, "A-10": {ids[1]}, "a-1": {ids[2]}, "A": nil, "gone": nil, "x&y=ß, %41": {ids[3]}, "twice": ids[4:6],
		} {
			before := c.Requests()
			got, err := c.Find(t.Context(), sku)
			require.NoError(t, err, sku)
			assert.ElementsMatch(t, want, got, sku)
			assert.EqualValues(t, 1, c.Requests()-before)
		}
		for i := range 150 {
			s.Add(ecosiretest.Product{SKU: fmt.Sprintf("many-%d", i)})
		}
		_, err := c.Find(t.Context(), "many-")
		require.ErrorIs(t, err, channel.ErrIncomplete)
		for _, sku := range []string{"", " \t", string(make([]byte, 5000))} {
			_, err = c.Find(t.Context(), sku)
			require.ErrorIs(t, err, channel.ErrInvalid)
		}
		s.Inject(channeltest.Fault{Cut: true, Times: -1})
		_, err = c.Find(t.Context(), "A-1")
		require.ErrorIs(t, err, channel.ErrUnavailable)
	})
}
