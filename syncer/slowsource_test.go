package syncer_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// A tarpit is a source that takes a minute to fail where it is asked for one product.
type tarpit struct {
	*stock
	id string
}

func (s tarpit) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if !slices.Contains(ids, s.id) {
		return s.stock.Stock(ctx, ids...)
	}
	return func(yield func(channel.Stock, error) bool) {
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
		}
		yield(channel.Stock{}, errors.New("timeout"))
	}
}

// A product for which the source hangs is read alone, and less and less often: those
// that were marked with it are shown, and so are later ones.
func TestAProductForWhichTheSourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := tarpit{newStock(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), "p3"}
		m := shop("a", 10)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		defer running(t, s)()
		for i := range 10 {
			require.NoError(t, s.Notify(t.Context(), source.order[i]))
		}
		pass(15 * time.Minute)
		shows(t, m, 1, 2, 3, 100, 5, 6, 7, 8, 9, 10)
		late := 0
		for i := range 120 {
			source.put("p5", "SKU-5", 20+i)
			require.NoError(t, s.Notify(t.Context(), "p5"))
			pass(30 * time.Second)
			if n, _ := m.Quantity("SKU-5"); n != 20+i {
				late++
			}
		}
		assert.Less(t, late, 12)
	})
}
