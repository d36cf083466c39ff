package woocommerce

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Requests that a real shop (WooCommerce 10.0) accepted, with a key thrown away since.
func TestOAuthSignatureAcceptedByARealShop(t *testing.T) {
	const key, secret = "ck_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", "cs_b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"
	tests := []struct {
		name, method, url, nonce, base, header string
	}{
		{
			name:   "GET with commas, blanks, ampersand, quote, plus and other scripts",
			method: "GET",
			url: "http://127.0.0.1:8081/wp-json/wc/v3/products?" + url.Values{
				"per_page": {"100"}, "sku": {"SIM-00001,A B,R&D-1,ÄÖ-日本-1,Q'1,P+1,S/1"}, "_fields": {"id,sku"},
			}.Encode(),
			nonce: "1d9d0faf6a45128befd48b17a674d66a",
			base: "GET&http%3A%2F%2F127.0.0.1%3A8081%2Fwp-json%2Fwc%2Fv3%2Fproducts&_fields%3Did%252Csku" +
				"%26oauth_consumer_key%3Dck_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1%26oauth_nonce%3D1d9d0faf6a45128befd48b17a674d66a" +
				"%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1795407897%26per_page%3D100%26sku%3DSIM-00001%252CA%2520B" +
				"%252CR%2526D-1%252C%25C3%2584%25C3%2596-%25E6%2597%25A5%25E6%259C%25AC-1%252CQ%25271%252CP%252B1%252CS%252F1",
			header: `OAuth oauth_consumer_key="ck_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", oauth_nonce="1d9d0faf6a45128befd48b17a674d66a", ` +
				`oauth_signature="GFEJ24kLCnUcBuQFimn%2FVlumwZA4xjDy3KDy6oSgrnw%3D", oauth_signature_method="HMAC-SHA256", oauth_timestamp="1795407897"`,
		},
		{
			name:   "POST, whose body is not signed",
			method: "POST",
			url:    "http://127.0.0.1:8081/wp-json/wc/v3/products/batch",
			nonce:  "d2cf4a5b30487a66cdf13b3f9d813327",
			base: "POST&http%3A%2F%2F127.0.0.1%3A8081%2Fwp-json%2Fwc%2Fv3%2Fproducts%2Fbatch&oauth_consumer_key%3D" +
				"ck_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1%26oauth_nonce%3Dd2cf4a5b30487a66cdf13b3f9d813327" +
				"%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1795407897",
			header: `OAuth oauth_consumer_key="ck_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", oauth_nonce="d2cf4a5b30487a66cdf13b3f9d813327", ` +
				`oauth_signature="Mo9K7j9vDavfEEjObQNIfqjqFx9rxxD89I9ouYz2dYI%3D", oauth_signature_method="HMAC-SHA256", oauth_timestamp="1795407897"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, tt.url, nil)
			require.NoError(t, err)
			assert.Equal(t, tt.base, oauthBase(tt.method, req.URL, map[string]string{
				"oauth_consumer_key": key, "oauth_nonce": tt.nonce,
				"oauth_signature_method": "HMAC-SHA256", "oauth_timestamp": "1795407897",
			}))
			assert.Equal(t, tt.header, oauthHeader(req, key, secret, tt.nonce, time.Unix(1795407897, 0)))
		})
	}
}
