package syncer_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A depot is a source with three warehouses: what it has in all is at the first,
// but for one unit at the second.
type depot struct {
	*stock
	lost string // a warehouse that it does not answer for
	ids  []string
	all  bool
}

func (d *depot) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	d.mu.Lock()
	d.ids, d.all = channel.Warehouses(ctx)
	named, lost := d.ids, d.lost
	d.mu.Unlock()
	return func(yield func(channel.Stock, error) bool) {
		for s, err := range d.stock.Stock(ctx, ids...) {
			for _, w := range named {
				if s.Warehouses == nil {
					s.Warehouses = make(map[string]channel.Quantity)
				}
				switch w {
				case lost:
				case "berlin":
					s.Warehouses[w] = channel.Quantity{OnHand: s.OnHand - 1, Reserved: s.Reserved, Available: s.Available - 1}
				case "hamburg":
					s.Warehouses[w] = channel.Quantity{OnHand: 1, Available: 1}
				default:
					s.Warehouses[w] = channel.Quantity{}
				}
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

func (d *depot) asked() (ids []string, total bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids, d.all
}

func TestPoliciesByWarehouse(t *testing.T) {
	source := &depot{stock: newStock(10)}
	for _, tt := range []struct {
		name     string
		policies []syncer.Policy
		asked    []string
		total    bool
		shown    []int
	}{
		{"none", []syncer.Policy{{}}, nil, true, []int{10}},
		{"one", []syncer.Policy{syncer.In("berlin")}, []string{"berlin"}, false, []int{9}},
		{"two of three, with steps", []syncer.Policy{syncer.In("berlin", "hamburg").Buffer(1), syncer.In("hamburg")}, []string{"berlin", "hamburg"}, false, []int{9, 1}},
		{"and the total", []syncer.Policy{syncer.In("koeln"), {}}, []string{"koeln"}, true, []int{0, 10}},
		{"a step that may use the total", []syncer.Policy{syncer.In("hamburg").Then("half", func(s channel.Stock, n int) (int, error) {
			return n + s.Available/2, nil
		})}, []string{"hamburg"}, true, []int{6}},
		{"parts of a warehouse", syncer.In("berlin").Split(80, 20), []string{"berlin"}, false, []int{7, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var targets []syncer.Target
			var shops []*channeltest.Memory
			for i, p := range tt.policies {
				shops = append(shops, shop(string(rune('a'+i)), 1))
				targets = append(targets, syncer.Target{Channel: shops[i], Policy: p, Guard: unguarded})
			}
			s, err := syncer.New(syncer.Config{Source: source, Targets: targets})
			require.NoError(t, err)
			for _, read := range []func() (*syncer.Report, error){
				func() (*syncer.Report, error) { return s.SyncProducts(t.Context(), "p0") },
				func() (*syncer.Report, error) { return s.Reconcile(t.Context()) },
			} {
				for i := range shops {
					shops[i].Set("SKU-0", 99)
				}
				_, err = read()
				require.NoError(t, err)
				ids, total := source.asked()
				assert.Equal(t, tt.asked, ids)
				assert.Equal(t, tt.total, total)
				for i, want := range tt.shown {
					shows(t, shops[i], want)
				}
			}
		})
	}
}

// What a host asks for by its own context stays asked for.
func TestWarehousesOfTheHost(t *testing.T) {
	source := &depot{stock: newStock(10)}
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shop("a", 1), Policy: syncer.In("berlin")}}})
	require.NoError(t, err)
	_, err = s.SyncProducts(channel.WithWarehouses(t.Context(), false, "hamburg"), "p0")
	require.NoError(t, err)
	ids, total := source.asked()
	assert.Equal(t, []string{"berlin", "hamburg"}, ids)
	assert.False(t, total)
	_, err = s.SyncProducts(channel.WithWarehouses(t.Context(), true, "hamburg"), "p0")
	require.NoError(t, err)
	_, total = source.asked()
	assert.True(t, total)
}

// A quantity that is missing is an error of its product, in real time, too, and
// changes nothing.
func TestAWarehouseThatWasNotReadIsNoZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &depot{stock: newStock(10), lost: "hamburg"}, shop("a", 1)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{
			{Channel: m, Policy: syncer.In("berlin", "hamburg"), Guard: unguarded}}})
		r, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorContains(t, err, `the stock in warehouse "hamburg" was not read`)
		assert.Equal(t, 1, r.Channels[0].Failed)
		assert.NoError(t, r.Channels[0].Err, "the channel is not to blame")
		_, err = s.Reconcile(t.Context())
		require.Error(t, err)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		shows(t, m, 100)
		source.mu.Lock()
		source.lost = ""
		source.mu.Unlock()
		pass(10 * time.Minute)
		shows(t, m, 10)
	})
}

// What the source has promised in the warehouses of a policy explains a loss, and
// nothing that is elsewhere.
func TestSoldOutIsMeantOfThePolicysWarehouses(t *testing.T) {
	source, m := &depot{stock: newStock(10)}, shop("a", 1)
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Policy: syncer.In("koeln")}}})
	plan, err := s.PlanProducts(t.Context(), "p0")
	require.NoError(t, err)
	require.Len(t, plan.Lines, 1)
	assert.True(t, plan.Lines[0].SoldOut)
}
