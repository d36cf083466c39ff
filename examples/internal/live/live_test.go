package live

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLoad(t *testing.T) {
	shop := map[string]string{"SHOPIFY_SHOP": "acme", "SHOPIFY_LOCATION_ID": "1", "SHOPIFY_ACCESS_TOKEN": "t"}
	woo := map[string]string{"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "k", "WC_CONSUMER_SECRET": "s"}
	for _, tt := range []struct {
		name string
		sets []map[string]string
		want int    // channels
		err  string // or what is wrong
	}{
		{"both", []map[string]string{shop, woo}, 2, ""},
		{"Shopify", []map[string]string{shop}, 1, ""},
		{"WooCommerce", []map[string]string{woo}, 1, ""},
		{"client credentials", []map[string]string{shop, {"SHOPIFY_ACCESS_TOKEN": "", "SHOPIFY_CLIENT_ID": "i", "SHOPIFY_CLIENT_SECRET": "s"}}, 1, ""},
		{"nothing", nil, 0, "no shop is configured"},
		{"no token", []map[string]string{{"SHOPIFY_SHOP": "acme", "SHOPIFY_LOCATION_ID": "1"}}, 0, "missing: SHOPIFY_ACCESS_TOKEN (or "},
		{"no client secret", []map[string]string{shop, {"SHOPIFY_ACCESS_TOKEN": "", "SHOPIFY_CLIENT_ID": "i"}}, 0, "missing: SHOPIFY_CLIENT_SECRET"},
		{"only a token", []map[string]string{{"SHOPIFY_ACCESS_TOKEN": "t"}}, 0, "missing: SHOPIFY_SHOP, SHOPIFY_LOCATION_ID"},
		{"only a URL", []map[string]string{woo, {"SHOPIFY_URL": "https://x.example"}}, 0, "Shopify is configured by half"},
		{"no secret", []map[string]string{woo, {"WC_CONSUMER_SECRET": ""}}, 0, "missing: WC_CONSUMER_SECRET"},
		{"plain http", []map[string]string{woo, {"WC_SITE_URL": "http://shop.example"}}, 0, "https"},
		{"location by gid", []map[string]string{shop, {"SHOPIFY_LOCATION_ID": "gid://shopify/Location/5"}}, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, e := range os.Environ() {
				if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "SHOPIFY_") || strings.HasPrefix(name, "WC_") {
					t.Setenv(name, "")
				}
			}
			t.Setenv("ECOSIRE_API_KEY", "k")
			for _, set := range tt.sets {
				for name, value := range set {
					t.Setenv(name, value)
				}
			}
			s, err := Load(nil)
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			if assert.NoError(t, err) {
				assert.Len(t, s.Channels, tt.want)
			}
		})
	}
}
