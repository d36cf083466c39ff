package syncer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// chain are kits each of which shares its parts with two others.
func chain(n int) func() []syncer.Listing {
	return func() (all []syncer.Listing) {
		for i := range n {
			all = append(all, syncer.Listing{SKU: fmt.Sprintf("KIT-%d", i),
				Parts: []syncer.Part{{ProductID: fmt.Sprintf("p%d", i), Units: 1}, {ProductID: fmt.Sprintf("p%d", i+1), Units: 2}}})
		}
		return all
	}
}

// A part that comes along for one kit does not bring its other kits, whose
// other parts nobody has read.
func TestKitsThatShareParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(10, 20, 30, 40, 50, 60), shop("a", 6)
		for i := range 5 {
			m.Set(fmt.Sprintf("KIT-%d", i), 50)
		}
		kit := func(i int) int { n, _ := m.Quantity(fmt.Sprintf("KIT-%d", i)); return n }
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Kits: chain(5)}}})
		p, err := s.PlanProducts(t.Context(), "p2")
		require.NoError(t, err)
		for _, l := range p.Lines {
			assert.Empty(t, l.Error, l.SKU)
		}
		r, err := s.SyncProducts(t.Context(), "p2")
		require.NoError(t, err)
		assert.Zero(t, r.Channels[0].Failed, r)
		assert.Equal(t, []int{50, 15, 20, 50, 50}, []int{kit(0), kit(1), kit(2), kit(3), kit(4)})

		defer running(t, s)()
		source.put("p3", "SKU-3", 20)
		require.NoError(t, s.Notify(t.Context(), "p3"))
		pass(time.Minute)
		assert.Equal(t, []int{50, 15, 10, 20, 50}, []int{kit(0), kit(1), kit(2), kit(3), kit(4)})
		assert.True(t, drained(t, s), "nothing is tried again")

		r, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{10, 15, 10, 20, 30}, []int{kit(0), kit(1), kit(2), kit(3), kit(4)})
		assert.Equal(t, 11, r.Channels[0].Checked, "six products and five kits")
		assert.Equal(t, 6, r.Channels[0].OnSale, "a kit is no product")
	})
}

// refusing fails a number of calls that write a kit.
type refusing struct {
	*channeltest.Memory
	err   error
	times atomic.Int32
}

func (r *refusing) Push(ctx context.Context, updates []channel.Update) error {
	if updates[0].SKU[0] == 'K' && r.times.Add(-1) >= 0 {
		if r.err == channel.ErrConflict {
			if err := r.Memory.Push(ctx, updates[1:]); err != nil {
				return err
			}
			return channel.Errors{updates[0].SKU: r.err}
		}
		return r.err
	}
	return r.Memory.Push(ctx, updates)
}

// A kit that could not be written at the end of a night is made up for, and is
// not forgotten.
func TestKitsAreMadeUpForInANight(t *testing.T) {
	for _, err := range []error{channel.ErrUnavailable, channel.ErrConflict, channel.ErrUnclear} {
		for _, forever := range []bool{false, true} {
			t.Run(fmt.Sprint(err, forever), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source, m := newStock(80, 90, 95), &refusing{Memory: shop("a", 3), err: err}
					m.times.Store(3) // two together, and each alone
					if forever {
						m.times.Store(1 << 30)
					}
					m.Set("KIT-0", 50)
					m.Set("KIT-1", 50)
					// one unit of p0 and two of p1 make a KIT-0
					s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Kits: chain(2)}}})
					r, err := s.Reconcile(t.Context())
					c := r.Channels[0]
					assert.Equal(t, 5, c.Checked, "%+v", c)
					assert.Equal(t, c.Checked, c.Updated+c.Unchanged+c.Failed+c.Unclear+c.Superseded)
					if forever {
						require.Error(t, err, "%+v", c)
						assert.GreaterOrEqual(t, c.Updated, 3)
						return
					}
					require.NoError(t, err, "%+v", c)
					n, _ := m.Quantity("KIT-0")
					k, _ := m.Quantity("KIT-1")
					assert.Equal(t, []int{45, 47}, []int{n, k})
				})
			})
		}
	}
}
