package stocksync_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/woocommerce"
)

// printed is all that fmt, slog and encoding/json make of a value.
func printed(v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	if text, err := json.Marshal(v); err == nil {
		b.Write(text)
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "v", v)
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
	return b.String()
}

// Nothing that holds a credential prints it, wherever a host keeps it. A Config
// whose key is a string is the one exception: in an unexported field fmt asks
// nobody how it is to be printed.
func TestNothingPrintsACredential(t *testing.T) {
	const secret = "HUSH1234HUSH"
	userinfo := "https://name:" + secret + "@shop.example"
	must := func(v any, err error) any { require.NoError(t, err); return v }
	shop := must(shopify.New(shopify.Config{Shop: "acme", Token: shopify.StaticToken(secret)})).(*shopify.Client)
	location := must(shop.Channel(shopify.ChannelConfig{LocationID: "1"})).(*shopify.Channel)
	site := must(woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: secret, ConsumerSecret: secret})).(*woocommerce.Client)
	till := must(square.New(square.Config{Token: square.StaticToken(secret)})).(*square.Client)
	counter := must(till.Channel(square.ChannelConfig{LocationID: "L1"})).(*square.Channel)
	credentials := amazon.NewCredentials(secret, secret, secret)
	seller := must(amazon.New(amazon.Config{SellerID: "A1", Region: amazon.Europe, Credentials: credentials})).(*amazon.Client)
	for _, v := range []any{
		must(ecosire.New(ecosire.Config{APIKey: secret})), must(ecosire.NewWebhooks(secret)),
		shop, location, must(location.Webhooks(secret)), shopify.Config{Token: shopify.StaticToken(secret)},
		must(shopify.New(shopify.Config{Shop: "acme", Token: shopify.ClientCredentials("id", secret)})), shopify.ClientCredentials("id", secret),
		site, must(site.Channel(woocommerce.ChannelConfig{})),
		till, counter, must(counter.Webhooks("https://host.example/hook", secret)), square.Config{Token: square.StaticToken(secret)},
		seller, must(seller.Channel(amazon.ChannelConfig{MarketplaceID: "A1PA6795UKMFR9"})), credentials, amazon.Config{Credentials: credentials},
	} {
		type host struct{ kept any }
		for _, v := range []any{v, host{v}, &host{v}, []any{v}, map[string]any{"": v}, struct{ Kept any }{v}} {
			assert.NotContains(t, printed(v), secret, "%T", v)
		}
	}
	for _, v := range []any{
		ecosire.Config{APIKey: secret}, woocommerce.Config{ConsumerKey: secret, ConsumerSecret: secret},
		ecosire.Config{BaseURL: userinfo}, woocommerce.Config{URL: userinfo}, shopify.Config{BaseURL: userinfo},
		square.Config{BaseURL: userinfo}, amazon.Config{BaseURL: userinfo, AuthURL: userinfo},
	} {
		for _, v := range []any{v, &v, []any{v}, map[string]any{"": v}, struct{ Kept any }{v}} {
			text := printed(v)
			assert.False(t, strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)), "%T", v)
		}
	}
}
