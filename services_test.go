package stocksync_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/square/squaretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// shops is an ECOSIRE and two shops, reached by the names of their hosts.
type shops struct {
	ecosire *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
	mug     string // the id of the one product
	client  *http.Client
	env     map[string]string
}

func newShops(t *testing.T) *shops {
	s := &shops{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
		env: map[string]string{
			"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api", "ECOSIRE_WEBHOOK_SECRET": "whsec",
			"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": "1", "SHOPIFY_CLIENT_ID": "client-id", "SHOPIFY_CLIENT_SECRET": "client-secret",
			"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
		},
	}
	s.client = &http.Client{Transport: hosts{"ecosire.example": s.ecosire, "test-shop.myshopify.com": s.shopify, "storage.shopify.test": s.shopify, "shop.example": s.woo}}
	s.mug = s.ecosire.Add(ecosiretest.Product{SKU: "MUG-1", OnHand: 14, Reserved: 2})[0]
	s.shopify.Add(shopifytest.Item{SKU: "MUG-1", Available: 1})
	s.woo.Add(woocommercetest.Product{SKU: "MUG-1", Quantity: 3})
	return s
}

func (s *shops) services(t *testing.T) *stocksync.Services {
	services, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(s.env), HTTPClient: s.client})
	require.NoError(t, err)
	return services
}

func (s *shops) shown() [2]int {
	a, _ := s.shopify.Available("MUG-1")
	b, _ := s.woo.Quantity("MUG-1")
	return [2]int{a, b}
}

func TestServicesPlanAndWriteNothing(t *testing.T) {
	w := newShops(t)
	services := w.services(t)
	plan, err := services.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, plan.Drift())
	some, err := services.PlanProducts(t.Context(), w.mug)
	require.NoError(t, err)
	assert.Equal(t, 2, some.Drift())
	none, err := services.PlanProducts(t.Context())
	require.NoError(t, err)
	assert.Zero(t, none.Drift(), "no product is not every product")

	// A stock change without a Writer is nobody's business.
	require.NoError(t, w.adjust(t, services))
	assert.Equal(t, [2]int{1, 3}, w.shown())
	assert.Zero(t, w.woo.Count(func(r channeltest.Request) bool { return r.Method != http.MethodGet }))
	assert.Empty(t, w.shopify.History())
}

func (s *shops) adjust(t *testing.T, services *stocksync.Services) error {
	for location, err := range services.ECOSIRE.Locations(t.Context()) {
		require.NoError(t, err)
		return services.ECOSIRE.PostAdjustment(t.Context(), ecosire.Adjustment{ProductID: s.mug, LocationID: location.ID, Quantity: 1, Reason: "count"})
	}
	return fmt.Errorf("ECOSIRE has no location")
}

func TestAWriterWrites(t *testing.T) {
	w := newShops(t)
	services := w.services(t)
	s, err := services.Writer(syncer.Config{})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), w.mug)
	require.NoError(t, err)
	assert.Equal(t, [2]int{12, 12}, w.shown())

	require.NoError(t, w.adjust(t, services))
	health, err := s.Health(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, health.Inbox.Tasks, "an adjustment of one's own is noticed without an event")
}

func TestAWriterKeepsWhatTheHostSays(t *testing.T) {
	w := newShops(t)
	services := w.services(t)
	shelf := channeltest.NewMemory("shelf")
	shelf.Set("MUG-1", 0)
	services.Targets = append(services.Targets[:1], syncer.Target{Channel: shelf})
	s, err := services.Writer(syncer.Config{})
	require.NoError(t, err)
	report, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, report.Channels, 2)
	assert.Equal(t, "shelf", report.Channels[1].Channel)

	s, err = services.Writer(syncer.Config{Targets: services.Targets[1:]})
	require.NoError(t, err)
	report, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Len(t, report.Channels, 1)

	_, err = (&stocksync.Services{}).Plan(t.Context())
	assert.ErrorContains(t, err, "Config.Source is nil")
	assert.Equal(t, "no services", (&stocksync.Services{}).String())
}

// Amazon and Square, from the environment to the shop.
func TestMarketplaceAndTills(t *testing.T) {
	erp := ecosiretest.New(ecosiretest.Config{})
	erp.Add(ecosiretest.Product{SKU: "MUG-1", OnHand: 14, Reserved: 2})
	seller := amazontest.New(amazontest.Config{MarketplaceID: envAmazon["AMAZON_MARKETPLACE_ID"]})
	seller.Add(amazontest.Listing{SKU: "MUG-1", Quantity: 3})
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "MUG-1", Quantity: 5})
	services, err := stocksync.FromEnv(stocksync.Config{
		Getenv: lookup(envAmazon, envSquare, map[string]string{
			"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api",
			"AMAZON_CLIENT_ID": amazontest.ClientID, "AMAZON_CLIENT_SECRET": amazontest.ClientSecret, "AMAZON_REFRESH_TOKEN": amazontest.RefreshToken,
			"AMAZON_URL": "https://amazon.example", "AMAZON_AUTH_URL": "https://login.example", "AMAZON_SHARE": "50",
			"SQUARE_ACCESS_TOKEN": "EAAAtest", "SQUARE_URL": "https://square.example", "SQUARE_CAP": "8",
		}),
		HTTPClient: &http.Client{Transport: hosts{"ecosire.example": erp, "amazon.example": seller, "login.example": seller, "square.example": till}},
	})
	require.NoError(t, err)
	plan, err := services.PlanProducts(t.Context(), erp.Products()[0].ID)
	require.NoError(t, err)
	wanted := make(map[string]int)
	for _, l := range plan.Lines {
		wanted[l.Channel] = l.Wanted - *l.Shown
	}
	assert.Equal(t, map[string]int{"amazon:A1TESTSELLER": 6 - 3, "square:LMAIN": 8 - 5}, wanted)

	s, err := services.Writer(syncer.Config{})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), erp.Products()[0].ID)
	require.NoError(t, err)
	plan, err = services.PlanProducts(t.Context(), erp.Products()[0].ID)
	require.NoError(t, err)
	assert.Zero(t, plan.Drift())
	assert.Empty(t, seller.Harm())
}

// recorder is a network that only notes where requests would go.
type recorder struct {
	mu     sync.Mutex
	asked  map[string]bool
	answer hosts
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.asked[req.URL.Host] = true
	r.mu.Unlock()
	return r.answer.RoundTrip(req)
}

// What a person reads is where the requests go.
func TestTheHostsShownAreThoseAsked(t *testing.T) {
	for name, set := range map[string]map[string]string{"Shopify": envShopify, "WooCommerce": envWoo, "Amazon": envAmazon, "Square": envSquare} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				erp := ecosiretest.New(ecosiretest.Config{})
				erp.Add(ecosiretest.Product{SKU: "MUG-1", OnHand: 14})
				seller := amazontest.New(amazontest.Config{ClientID: "id_secret", ClientSecret: "cs_secret", RefreshToken: "rt_secret"})
				network := &recorder{asked: make(map[string]bool), answer: hosts{"ecosire.example": erp, "login.example": seller}}
				more := map[string]string{"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api"}
				if name == "Amazon" {
					more["AMAZON_AUTH_URL"] = "https://login.example"
				}
				services, err := stocksync.FromEnv(stocksync.Config{
					Getenv:     lookup(set, more),
					HTTPClient: &http.Client{Transport: network},
				})
				require.NoError(t, err)
				_, _ = services.PlanProducts(t.Context(), erp.Products()[0].ID)
				delete(network.asked, "login.example") // gives out tokens only
				for host := range network.asked {
					assert.Contains(t, services.String(), " at "+host)
				}
				assert.Len(t, network.asked, 2)
			})
		})
	}
}

// The root package is for programs that want all of it. The engine and the
// adapters do not, so a program that imports these links nothing else.
func TestNobodyInsideImportsTheRoot(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./channel/...", "./syncer/...", "./ecosire/...", "./shopify/...", "./woocommerce/...", "./amazon/...", "./square/...").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(out))
	assert.NotContains(t, packages, "github.com/ecosire/stocksync")
	assert.Contains(t, packages, "github.com/ecosire/stocksync/channel")

	out, err = exec.CommandContext(t.Context(), "go", "list", "-deps", "./syncer").Output()
	require.NoError(t, err)
	for _, client := range []string{"ecosire", "shopify", "woocommerce", "amazon", "square"} {
		assert.NotContains(t, strings.Fields(string(out)), "github.com/ecosire/stocksync/"+client)
	}
}
