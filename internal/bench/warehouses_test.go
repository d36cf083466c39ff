package bench

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// A change that spends more requests to ECOSIRE than the table in
// docs/performance.md says fails here, whatever number of channels, names, packs
// and kits there are.
func TestRequestsByWarehouses(t *testing.T) {
	racetest.Long(t)
	const n = 1_000
	for _, tt := range []struct{ warehouses, catalogue, kits, event, burst int }{
		{0, 10, 1, 1, 1}, {1, 12, 1, 1, 1}, {3, 40, 4, 4, 4}, {10, 110, 11, 11, 11},
	} {
		t.Run(fmt.Sprint(tt.warehouses), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := make([]string, max(1, tt.warehouses))
				for i := range names {
					names[i] = fmt.Sprint("warehouse-", i)
				}
				s := ecosiretest.New(ecosiretest.Config{Latency: ecosireTime, Warehouses: names})
				shelves := []*channeltest.Memory{channeltest.NewMemory("a"), channeltest.NewMemory("b")}
				products := make([]ecosiretest.Product, n)
				for i := range n {
					at := make(map[string]ecosiretest.Units)
					for _, name := range names {
						at[name] = ecosiretest.Units{OnHand: 10}
					}
					products[i] = ecosiretest.Product{SKU: SKU(i), At: at}
					for _, shelf := range shelves {
						shelf.Set(SKU(i), 10*len(names))
					}
				}
				shelves[1].Set("KIT", 10*len(names))
				shelves[1].Set("PACK", 5*len(names))
				ids := s.Add(products...)
				source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: s.Client(), Sole: true})
				require.NoError(t, err)
				policy := syncer.Available()
				if tt.warehouses > 0 {
					policy = syncer.In(names...)
				}
				for _, kits := range []bool{false, true} {
					targets := []syncer.Target{{Channel: shelves[0], Policy: policy}, {Channel: shelves[1], Policy: policy}}
					want := tt.catalogue
					if kits {
						want += tt.kits
						targets[1].Kits = func() []syncer.Listing {
							return []syncer.Listing{
								{SKU: "KIT", Parts: []syncer.Part{{ProductID: ids[0], Units: 1}, {ProductID: ids[1], Units: 1}}},
								{SKU: "PACK", Parts: []syncer.Part{{ProductID: ids[0], Units: 2}}},
							}
						}
					}
					engine, err := syncer.New(syncer.Config{Source: source, Targets: targets})
					require.NoError(t, err)
					count := func() int { return int(source.Requests()) }
					before := count()
					r, err := engine.Reconcile(t.Context())
					require.NoError(t, err)
					require.Zero(t, r.Channels[0].Updated+r.Channels[1].Updated)
					assert.Equal(t, want, count()-before, "a catalogue")
					for products, want := range map[int]int{1: tt.event, 100: tt.burst} {
						before = count()
						_, err = engine.SyncProducts(t.Context(), ids[:products]...)
						require.NoError(t, err)
						assert.Equal(t, want, count()-before, "%d products", products)
					}
				}
			})
		})
	}
}
