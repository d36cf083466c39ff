package stocksync_test

import (
	"fmt"

	"github.com/ecosire/stocksync"
)

// Many merchants in one process: each has services of its own, from variables
// with a prefix, and quotas and queues that it shares with nobody.
func ExampleFromEnv_manyTenants() {
	env := map[string]string{ // os.Getenv, in a program of yours
		"ACME_ECOSIRE_API_KEY": "eco_live_a", "ACME_ECOSIRE_URL": "https://ecosire.example/api", "ACME_SHOPIFY_SHOP": "acme", "ACME_SHOPIFY_LOCATION_ID": "1",
		"ACME_SHOPIFY_CLIENT_ID": "id", "ACME_SHOPIFY_CLIENT_SECRET": "secret", "ACME_SHOPIFY_BUFFER": "2",
		"EMCA_ECOSIRE_API_KEY": "eco_live_e", "EMCA_WC_SITE_URL": "https://emca.example",
		"EMCA_WC_CONSUMER_KEY": "ck", "EMCA_WC_CONSUMER_SECRET": "cs", "EMCA_ECOSIRE_URL": "https://ecosire.example/api",
		"OLDE_ECOSIRE_API_KEY": "eco_live_o", "OLDE_WC_SITE_URL": "https://olde.example",
	}
	for _, tenant := range []string{"ACME", "EMCA", "OLDE"} {
		services, err := stocksync.FromEnv(stocksync.Config{
			Getenv: func(name string) string { return env[tenant+"_"+name] },
		})
		if err != nil {
			fmt.Println(tenant, err)
			continue
		}
		fmt.Println(tenant, services)
	}
	// Output:
	// ACME ECOSIRE at ecosire.example → shopify:acme at acme.myshopify.com (less 2)
	// EMCA ECOSIRE at ecosire.example → woocommerce:emca.example at emca.example
	// OLDE stocksync: the environment: WooCommerce is configured in part: WC_CONSUMER_KEY, WC_CONSUMER_SECRET missing (set: WC_SITE_URL)
}
