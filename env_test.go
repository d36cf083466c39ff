package stocksync_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/channel"
)

// lookup looks variables up in maps; later ones count.
func lookup(sets ...map[string]string) func(string) string {
	all := make(map[string]string)
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return func(name string) string { return all[name] }
}

var (
	envECOSIRE = map[string]string{"ECOSIRE_API_KEY": "eco_live_secret"}
	envShopify = map[string]string{"SHOPIFY_SHOP": "acme", "SHOPIFY_LOCATION_ID": "1", "SHOPIFY_ACCESS_TOKEN": "shpat_secret"}
	envAmazon  = map[string]string{
		"AMAZON_SELLER_ID": "A1TESTSELLER", "AMAZON_MARKETPLACE_ID": "A1PA6795UKMFR9", "AMAZON_REGION": "eu",
		"AMAZON_CLIENT_ID": "id_secret", "AMAZON_CLIENT_SECRET": "cs_secret", "AMAZON_REFRESH_TOKEN": "rt_secret",
	}
	envSquare = map[string]string{"SQUARE_ACCESS_TOKEN": "EAAAsecret", "SQUARE_LOCATION_ID": "LMAIN"}
	envWoo    = map[string]string{"WC_SITE_URL": "https://shop.example/store", "WC_CONSUMER_KEY": "ck_secret", "WC_CONSUMER_SECRET": "cs_secret"}
)

func TestFromEnvSaysWhatItTalksTo(t *testing.T) {
	type set = map[string]string
	for _, tt := range []struct {
		name string
		sets []set
		want string
	}{
		{"both", []set{envShopify, envWoo},
			"ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com, woocommerce:shop.example/store at shop.example"},
		{"Shopify", []set{envShopify}, "ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com"},
		{"WooCommerce", []set{envWoo}, "ECOSIRE at api.ecosire.com → woocommerce:shop.example/store at shop.example"},
		{"client credentials", []set{envShopify, {"SHOPIFY_ACCESS_TOKEN": " ", "SHOPIFY_CLIENT_ID": "i", "SHOPIFY_CLIENT_SECRET": "s"}},
			"ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com"},
		{"whole name", []set{envShopify, {"SHOPIFY_SHOP": "acme.myshopify.com\n"}}, "ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com"},
		{"location by gid", []set{envShopify, {"SHOPIFY_LOCATION_ID": "gid://shopify/Location/5"}}, "ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com"},
		{"test servers", []set{envShopify, {"SHOPIFY_URL": "http://127.0.0.1:81", "ECOSIRE_URL": "http://127.0.0.1:80/api"}},
			"ECOSIRE at 127.0.0.1:80 → shopify:acme at 127.0.0.1:81"},
		{"a shop on this machine", []set{envWoo, {"WC_SITE_URL": "http://localhost"}}, "ECOSIRE at api.ecosire.com → woocommerce:localhost at localhost"},
		{"Amazon", []set{envAmazon, {"AMAZON_BUFFER": "1", "AMAZON_URL": "https://amazon.example"}},
			"ECOSIRE at api.ecosire.com → amazon:A1TESTSELLER at amazon.example (less 1)"},
		{"Amazon's test server", []set{envAmazon, {"AMAZON_URL": "http://localhost:1", "AMAZON_AUTH_URL": "http://localhost:1"}},
			"ECOSIRE at api.ecosire.com → amazon:A1TESTSELLER at localhost:1"},
		{"Square's sandbox", []set{envSquare, {"SQUARE_URL": "https://sandbox.example"}}, "ECOSIRE at api.ecosire.com → square:LMAIN at sandbox.example"},
		{"Square's booking lag", []set{envSquare, {"SQUARE_BOOKING_LAG": "15m"}}, "ECOSIRE at api.ecosire.com → square:LMAIN at connect.squareup.com"},
		{"warehouses", []set{envWoo, {"WC_WAREHOUSES": "berlin , hamburg", "WC_BUFFER": "2"}},
			"ECOSIRE at api.ecosire.com → woocommerce:shop.example/store at shop.example (in berlin and hamburg, less 2)"},
		{"policies", []set{envShopify, envWoo, {"SHOPIFY_BUFFER": "2", "SHOPIFY_SHARE": "80", "WC_CAP": "10"}},
			"ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com (80 %, less 2), woocommerce:shop.example/store at shop.example (at most 10)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(append([]set{envECOSIRE}, tt.sets...)...)})
			require.NoError(t, err)
			assert.Equal(t, tt.want, s.String())
			assert.Nil(t, s.Webhooks)
			for _, printed := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%+v", struct{ s *stocksync.Services }{s})} {
				assert.NotContains(t, printed, "secret")
			}
		})
	}
}

func TestFromEnvNamesWhatIsMissing(t *testing.T) {
	type set = map[string]string
	for _, tt := range []struct {
		name string
		sets []set
		errs []string
	}{
		{"no shop", []set{envECOSIRE}, []string{"set SHOPIFY_SHOP, WC_SITE_URL, AMAZON_SELLER_ID or SQUARE_ACCESS_TOKEN"}},
		{"no ECOSIRE", []set{envShopify}, []string{"ECOSIRE_API_KEY is missing"}},
		{"no ECOSIRE key", []set{envWoo, {"ECOSIRE_URL": "https://x.example"}}, []string{"ECOSIRE_API_KEY is missing"}},
		{"a webhook secret alone", []set{{"ECOSIRE_WEBHOOK_SECRET": "whsec"}}, []string{"ECOSIRE_API_KEY is missing", "no shop is named"}},
		{"a policy alone", []set{{"WC_BUFFER": "2"}}, []string{"ECOSIRE_API_KEY is missing", "WC_SITE_URL, WC_CONSUMER_KEY, WC_CONSUMER_SECRET missing (set: WC_BUFFER)"}},
		{"the guide's", []set{envECOSIRE, envWoo, {"SHOPIFY_LOCATION_ID": "1", "SHOPIFY_ACCESS_TOKEN": "shpat_secret"}},
			[]string{"Shopify is configured in part: SHOPIFY_SHOP missing (set: SHOPIFY_LOCATION_ID, SHOPIFY_ACCESS_TOKEN)"}},
		{"no token", []set{envECOSIRE, {"SHOPIFY_SHOP": "acme", "SHOPIFY_LOCATION_ID": "1"}},
			[]string{"SHOPIFY_CLIENT_ID (with SHOPIFY_CLIENT_SECRET; or SHOPIFY_ACCESS_TOKEN) missing"}},
		{"no client secret", []set{envECOSIRE, envShopify, {"SHOPIFY_ACCESS_TOKEN": "", "SHOPIFY_CLIENT_ID": "i"}}, []string{"SHOPIFY_CLIENT_SECRET missing"}},
		{"no client id", []set{envECOSIRE, envShopify, {"SHOPIFY_ACCESS_TOKEN": "", "SHOPIFY_CLIENT_SECRET": "s"}}, []string{"SHOPIFY_CLIENT_ID missing"}},
		{"two kinds of credentials", []set{envECOSIRE, envShopify, {"SHOPIFY_CLIENT_ID": "i", "SHOPIFY_CLIENT_SECRET": "s"}},
			[]string{"two kinds of credentials: unset SHOPIFY_ACCESS_TOKEN, or "}},
		{"only a token", []set{envECOSIRE, {"SHOPIFY_ACCESS_TOKEN": "t"}}, []string{"SHOPIFY_SHOP, SHOPIFY_LOCATION_ID missing (set: SHOPIFY_ACCESS_TOKEN)"}},
		{"only a URL", []set{envECOSIRE, envWoo, {"SHOPIFY_URL": "https://x.example"}}, []string{"Shopify is configured in part"}},
		{"only a policy", []set{envECOSIRE, envWoo, {"SHOPIFY_SHARE": "50"}}, []string{"Shopify is configured in part"}},
		{"no site", []set{envECOSIRE, envWoo, {"WC_SITE_URL": ""}}, []string{"WC_SITE_URL missing"}},
		{"no secret", []set{envECOSIRE, envWoo, {"WC_CONSUMER_SECRET": " \n"}}, []string{"WC_CONSUMER_SECRET missing"}},
		{"no seller", []set{envECOSIRE, envAmazon, {"AMAZON_SELLER_ID": ""}}, []string{"Amazon is configured in part: AMAZON_SELLER_ID missing"}},
		{"no refresh token", []set{envECOSIRE, envAmazon, {"AMAZON_REFRESH_TOKEN": ""}}, []string{"AMAZON_REFRESH_TOKEN missing"}},
		{"no such region", []set{envECOSIRE, envAmazon, {"AMAZON_REGION": "mars"}}, []string{"AMAZON_REGION"}},
		{"Amazon's tokens from elsewhere", []set{envECOSIRE, envAmazon, {"AMAZON_URL": "http://127.0.0.1:1"}}, []string{"AMAZON_AUTH_URL", "one is on this machine"}},
		{"Amazon's tokens here", []set{envECOSIRE, envAmazon, {"AMAZON_AUTH_URL": "http://127.0.0.1:1"}}, []string{"AMAZON_URL", "one is on this machine"}},
		{"no location of Square's", []set{envECOSIRE, envSquare, {"SQUARE_LOCATION_ID": ""}}, []string{"SQUARE_LOCATION_ID missing (set: SQUARE_ACCESS_TOKEN)"}},
		{"only Square's URL", []set{envECOSIRE, envWoo, {"SQUARE_URL": "https://sandbox.example"}}, []string{"Square is configured in part"}},
		{"a booking lag without a unit", []set{envECOSIRE, envSquare, {"SQUARE_BOOKING_LAG": "15"}}, []string{"SQUARE_BOOKING_LAG", "such as 15m"}},
		{"a negative booking lag", []set{envECOSIRE, envSquare, {"SQUARE_BOOKING_LAG": "-1m"}}, []string{"SQUARE_BOOKING_LAG"}},
		{"a booking lag of days", []set{envECOSIRE, envSquare, {"SQUARE_BOOKING_LAG": "48h"}}, []string{"SQUARE_BOOKING_LAG", "22h"}},
		{"a booking lag alone", []set{envECOSIRE, envWoo, {"SQUARE_BOOKING_LAG": "1m"}}, []string{"Square is configured in part"}},
		{"several at once", []set{{"SHOPIFY_SHOP": "acme"}, {"WC_SITE_URL": "https://shop.example"}},
			[]string{"ECOSIRE_API_KEY is missing", "SHOPIFY_LOCATION_ID", "WC_CONSUMER_KEY, WC_CONSUMER_SECRET missing"}},
		{"plain http", []set{envECOSIRE, envWoo, {"WC_SITE_URL": "http://shop.example"}}, []string{"WC_SITE_URL", "https"}},
		{"plain http to ECOSIRE", []set{envECOSIRE, envWoo, {"ECOSIRE_URL": "http://eco.example"}}, []string{"ECOSIRE_URL", "https"}},
		{"a URL for a name", []set{envECOSIRE, envShopify, {"SHOPIFY_SHOP": "https://acme.example"}}, []string{"SHOPIFY_SHOP", "not a shop's name"}},
		{"a name for a location", []set{envECOSIRE, envShopify, {"SHOPIFY_LOCATION_ID": "Berlin"}}, []string{"SHOPIFY_LOCATION_ID"}},
		{"a policy that is no number", []set{envECOSIRE, envShopify, {"SHOPIFY_BUFFER": "two"}}, []string{`SHOPIFY_BUFFER is "two", and must be a whole number from 0`}},
		{"a share of nothing", []set{envECOSIRE, envWoo, {"WC_SHARE": "0"}}, []string{"WC_SHARE", "from 1 to 100"}},
		{"a share of more", []set{envECOSIRE, envWoo, {"WC_SHARE": "101"}}, []string{"WC_SHARE", "from 1 to 100"}},
		{"a cap of nothing", []set{envECOSIRE, envWoo, {"WC_CAP": "0"}}, []string{"WC_CAP", "from 1 to"}},
		{"a negative buffer", []set{envECOSIRE, envWoo, {"WC_BUFFER": "-1"}}, []string{"WC_BUFFER"}},
		{"a warehouse twice", []set{envECOSIRE, envWoo, {"WC_WAREHOUSES": "berlin,hamburg, berlin"}}, []string{`WC_WAREHOUSES names the warehouse "berlin" twice`}},
		{"a warehouse without an id", []set{envECOSIRE, envWoo, {"WC_WAREHOUSES": "berlin,,hamburg"}}, []string{`WC_WAREHOUSES is "berlin,,hamburg", and must be ids`}},
		{"only warehouses", []set{envECOSIRE, envWoo, {"SHOPIFY_WAREHOUSES": "berlin"}}, []string{"Shopify is configured in part"}},
		{"a test server and a real shop", []set{envECOSIRE, envWoo, {"ECOSIRE_URL": "http://localhost:8080/api"}},
			[]string{"ECOSIRE_URL is on this machine (localhost:8080) and WooCommerce is not (shop.example)"}},
		{"a test server and one real shop", []set{envECOSIRE, envShopify, envWoo, {"ECOSIRE_URL": "http://[::1]:8080/api", "SHOPIFY_URL": "http://127.0.0.1:1"}},
			[]string{"WooCommerce is not (shop.example)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(tt.sets...)})
			assert.Nil(t, s)
			assert.NotErrorIs(t, err, stocksync.ErrNoEnv)
			for _, says := range tt.errs {
				assert.ErrorContains(t, err, says)
			}
			assert.NotContains(t, err.Error(), "secret", "credentials stay out of errors")
		})
	}
}

func TestFromEnvWithNothingSet(t *testing.T) {
	_, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(map[string]string{"ECOSIRE_API_KEY": " ", "HOME": "/"})})
	assert.ErrorIs(t, err, stocksync.ErrNoEnv)
}

func TestFromEnvReadsTheProcess(t *testing.T) {
	for _, set := range []map[string]string{envECOSIRE, envShopify, envWoo, envAmazon, envSquare, {
		"ECOSIRE_WEBHOOK_SECRET": "whsec", "ECOSIRE_URL": "", "SHOPIFY_URL": "", "SHOPIFY_CLIENT_ID": "", "SHOPIFY_CLIENT_SECRET": "",
		"AMAZON_URL": "", "AMAZON_AUTH_URL": "", "SQUARE_URL": "", "SQUARE_BOOKING_LAG": "", "AMAZON_CAP": "", "SQUARE_CAP": "",
		"SHOPIFY_WAREHOUSES": "", "WC_WAREHOUSES": "", "AMAZON_WAREHOUSES": "", "SQUARE_WAREHOUSES": "",
		"SHOPIFY_SHARE": "", "SHOPIFY_BUFFER": "", "SHOPIFY_CAP": "", "WC_SHARE": "", "WC_BUFFER": "", "WC_CAP": "",
	}} {
		for name, value := range set {
			t.Setenv(name, value)
		}
	}
	s, err := stocksync.FromEnv(stocksync.Config{})
	require.NoError(t, err)
	assert.Len(t, s.Targets, 4)
	assert.NotNil(t, s.Webhooks)
}

func TestBookingLagFromTheEnvironment(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 0, "15m": 15 * time.Minute} {
		s, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(envECOSIRE, envSquare, map[string]string{"SQUARE_BOOKING_LAG": value})})
		require.NoError(t, err)
		d, ok := channel.As[channel.Deductor](s.Targets[0].Channel)
		require.True(t, ok)
		assert.InDelta(t, want.Seconds(), d.Deducts().Seconds(), 5)
	}
}

func TestPoliciesFromTheEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		set  map[string]string
		want int
	}{
		"available":                   {nil, 12},
		"share":                       {map[string]string{"WC_SHARE": "80"}, 9},
		"buffer":                      {map[string]string{"WC_BUFFER": "2"}, 10},
		"cap":                         {map[string]string{"WC_CAP": "5"}, 5},
		"the share before the buffer": {map[string]string{"WC_SHARE": "50", "WC_BUFFER": "4"}, 2},
		"the cap last":                {map[string]string{"WC_BUFFER": "4", "WC_CAP": "7"}, 7},
		"one warehouse":               {map[string]string{"WC_WAREHOUSES": "LOC-WH01-A1", "WC_BUFFER": "1"}, 11},
		"of another shop":             {map[string]string{"SHOPIFY_BUFFER": "9"}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			w := newShops(t)
			set := maps.Clone(tt.set)
			s, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(w.env, set), HTTPClient: w.client})
			require.NoError(t, err)
			plan, err := s.PlanProducts(t.Context(), w.mug)
			require.NoError(t, err)
			for _, l := range plan.Lines {
				if l.Channel == "woocommerce:shop.example" {
					assert.Equal(t, tt.want, l.Wanted)
				}
			}
			assert.NotEmpty(t, plan.Lines)
		})
	}
}
