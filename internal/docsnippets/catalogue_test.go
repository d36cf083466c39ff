package docsnippets_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// The snippets of docs/catalogue.md.

func renamed(store channel.Channel) syncer.Target {
	return syncer.Target{
		Channel:  store,
		Listings: syncer.Renamed(func(s channel.Stock) string { return "EU-" + s.SKU }),
	}
}

func aliased(store channel.Channel, aliases map[string]string) syncer.Target {
	return syncer.Target{
		Channel: store,
		// What the table does not have is left out: "" means "not here".
		Listings: syncer.Renamed(func(s channel.Stock) string { return aliases[s.SKU] }),
	}
}

func packed(store channel.Channel) syncer.Target {
	return syncer.Target{
		Channel: store,
		Listings: func(s channel.Stock) []syncer.Listing {
			single := syncer.Listing{SKU: s.SKU}
			if !strings.HasPrefix(s.SKU, "MUG-") {
				return []syncer.Listing{single}
			}
			return []syncer.Listing{single, syncer.Pack(s.SKU+"-X6", s, 6)}
		},
	}
}

// bundles is a list that may change while the syncer runs.
var bundles atomic.Pointer[[]syncer.Listing]

func kitted(store channel.Channel, mug, tea string) syncer.Target {
	bundles.Store(&[]syncer.Listing{
		{SKU: "BREAKFAST", Parts: []syncer.Part{{ProductID: mug, Units: 2}, {ProductID: tea, Units: 1}}},
	})
	return syncer.Target{
		Channel: store,
		Kits:    func() []syncer.Listing { return *bundles.Load() },
	}
}

func warehouses(berlin, hamburg, web channel.Channel) []syncer.Target {
	return []syncer.Target{
		{Channel: berlin, Policy: syncer.In("berlin")},
		{Channel: hamburg, Policy: syncer.In("hamburg")},
		// The steps work on what the two have together.
		{Channel: web, Policy: syncer.In("berlin", "hamburg").Buffer(2)},
	}
}

func shared(shop, marketplace channel.Channel) []syncer.Target {
	parts := syncer.In("berlin").Split(80, 20)
	return []syncer.Target{
		{Channel: shop, Policy: parts[0]},
		{Channel: marketplace, Policy: parts[1].Buffer(1)},
	}
}

func copies(site *woocommerce.Client) (*woocommerce.Channel, error) {
	return site.Channel(woocommerce.ChannelConfig{Duplicates: channel.DuplicatesForSale})
}

func retiring(store channel.Channel) syncer.Target {
	return syncer.Target{
		Channel: store,
		// What begins so is ECOSIRE's; vouchers and services are not.
		Retire: func(sku string) bool { return strings.HasPrefix(sku, "EU-") },
	}
}

func byTheMetre(apiKey string) (*ecosire.Client, error) {
	return ecosire.New(ecosire.Config{APIKey: apiKey, RoundDown: true})
}

func explained(p syncer.Policy, s channel.Stock) error {
	steps, err := p.Explain(s)
	for _, step := range steps {
		fmt.Println(step.Name, step.Quantity) // in berlin, hamburg 25 · buffer 2 23
	}
	return err
}

// sold is what a target shows of a mug of 25 units and a tea of 9.
func sold(t *testing.T, target func(channel.Channel, *ecosiretest.Server, []string) syncer.Target) func(sku string) int {
	server := ecosiretest.New(ecosiretest.Config{})
	ids := server.Add(ecosiretest.Product{SKU: "MUG-1", OnHand: 25}, ecosiretest.Product{SKU: "TEA", OnHand: 9})
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: server.Client()})
	require.NoError(t, err)
	m := channeltest.NewMemory("shop")
	for _, sku := range []string{"MUG-1", "TEA", "EU-MUG-1", "EU-TEA", "MUG-1-X6", "BREAKFAST", "EU-VASE", "VOUCHER"} {
		m.Set(sku, 99)
	}
	tg := target(m, server, ids)
	tg.Guard = syncer.Guard{Losses: -1}
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{tg}})
	require.NoError(t, err)
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	return func(sku string) int {
		n, _ := m.Quantity(sku)
		return n
	}
}

func TestShapesOfACatalogue(t *testing.T) {
	shows := sold(t, func(c channel.Channel, _ *ecosiretest.Server, _ []string) syncer.Target { return renamed(c) })
	assert.Equal(t, []int{25, 9, 99}, []int{shows("EU-MUG-1"), shows("EU-TEA"), shows("MUG-1")})

	shows = sold(t, func(c channel.Channel, _ *ecosiretest.Server, _ []string) syncer.Target {
		return aliased(c, map[string]string{"MUG-1": "EU-MUG-1"})
	})
	assert.Equal(t, []int{25, 99, 99}, []int{shows("EU-MUG-1"), shows("EU-TEA"), shows("TEA")})

	shows = sold(t, func(c channel.Channel, _ *ecosiretest.Server, _ []string) syncer.Target { return packed(c) })
	assert.Equal(t, []int{25, 4, 9}, []int{shows("MUG-1"), shows("MUG-1-X6"), shows("TEA")})

	shows = sold(t, func(c channel.Channel, _ *ecosiretest.Server, ids []string) syncer.Target {
		return kitted(c, ids[0], ids[1])
	})
	assert.Equal(t, []int{25, 9, 9}, []int{shows("MUG-1"), shows("BREAKFAST"), shows("TEA")})

	shows = sold(t, func(c channel.Channel, _ *ecosiretest.Server, _ []string) syncer.Target { return retiring(c) })
	assert.Equal(t, []int{25, 0, 99}, []int{shows("MUG-1"), shows("EU-VASE"), shows("VOUCHER")})
}

func TestPoliciesOfACatalogue(t *testing.T) {
	s := channel.Stock{ProductID: "p", Warehouses: map[string]channel.Quantity{"berlin": {Available: 18}, "hamburg": {Available: 7}}}
	shows := func(targets []syncer.Target) (all []int) {
		for _, tg := range targets {
			n, err := tg.Policy.Quantity(s)
			require.NoError(t, err)
			all = append(all, n)
		}
		return all
	}
	a, b, c := channeltest.NewMemory("a"), channeltest.NewMemory("b"), channeltest.NewMemory("c")
	assert.Equal(t, []int{18, 7, 23}, shows(warehouses(a, b, c)))
	assert.Equal(t, []int{14, 3}, shows(shared(a, b)))
	require.NoError(t, explained(warehouses(a, b, c)[2].Policy, s))

	_, site := newWoo(t, 1, woocommercetest.Config{})
	store, err := copies(site)
	require.NoError(t, err)
	assert.NotNil(t, store)
	source, err := byTheMetre("eco_live_test")
	require.NoError(t, err)
	assert.NotNil(t, source)
}
