package stocksync_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/woocommerce"
)

// A webhook is a receiver by a function, and how its service signs a delivery.
type webhook struct {
	header, body string
	more         map[string]string
	sign         func(secret string, body []byte) string
	receiver     func(secrets func(context.Context) ([]string, error)) (channel.Receiver, error)
}

func webhooks(t *testing.T) map[string]webhook {
	const address = "https://host.example/hook"
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("x")})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: "1"})
	require.NoError(t, err)
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "k", ConsumerSecret: "s"})
	require.NoError(t, err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	require.NoError(t, err)
	seller, err := square.New(square.Config{Token: square.StaticToken("x")})
	require.NoError(t, err)
	till, err := seller.Channel(square.ChannelConfig{LocationID: "L1"})
	require.NoError(t, err)
	return map[string]webhook{
		"ecosire": {
			"X-Ecosire-Signature", `{"event":"subscription.renewed"}`, nil, ecosire.Sign,
			func(f func(context.Context) ([]string, error)) (channel.Receiver, error) {
				return ecosire.NewRotatingWebhooks(f)
			},
		},
		"shopify": {
			"X-Shopify-Hmac-Sha256", `{}`, map[string]string{"X-Shopify-Shop-Domain": "test-shop.myshopify.com", "X-Shopify-Topic": "app/uninstalled"}, shopify.SignWebhook,
			func(f func(context.Context) ([]string, error)) (channel.Receiver, error) {
				return location.RotatingWebhooks(f)
			},
		},
		"woocommerce": {
			"X-WC-Webhook-Signature", `{}`, map[string]string{"X-WC-Webhook-Topic": "order.created"}, woocommerce.SignWebhook,
			func(f func(context.Context) ([]string, error)) (channel.Receiver, error) {
				return store.RotatingWebhooks(f)
			},
		},
		"square": {
			"X-Square-Hmacsha256-Signature", `{"type":"location.updated"}`, nil, func(secret string, body []byte) string { return square.Sign(secret, address, body) },
			func(f func(context.Context) ([]string, error)) (channel.Receiver, error) {
				return till.RotatingWebhooks(address, f)
			},
		},
	}
}

// A webhook's secret is replaced while deliveries come: both are good for as
// long as the function says so, and a new one at once.
func TestAWebhooksSecretRotatesWithoutARestart(t *testing.T) {
	for name, w := range webhooks(t) {
		t.Run(name, func(t *testing.T) {
			var given []string
			broken := errors.New("no vault: HUSH-in-an-error")
			r, err := w.receiver(func(context.Context) ([]string, error) { return given, broken })
			require.NoError(t, err)
			deliver := func(secret string) error {
				h := make(http.Header)
				for k, v := range w.more {
					h.Set(k, v)
				}
				h.Set(w.header, w.sign(secret, []byte(w.body)))
				_, err := r.Receive(t.Context(), h, []byte(w.body))
				return err
			}
			err = deliver("HUSH-old")
			require.ErrorIs(t, err, channel.ErrUnavailable, "the service is to send it again")
			assert.NotContains(t, err.Error(), "HUSH")
			broken = nil
			require.ErrorIs(t, deliver("HUSH-old"), channel.ErrUnauthorized, "no secret means that nobody is believed")
			given = []string{"HUSH-old"}
			require.NoError(t, deliver("HUSH-old"))
			require.ErrorIs(t, deliver("forged"), channel.ErrUnauthorized)
			given = []string{"HUSH-old", "HUSH-new"}
			require.NoError(t, deliver("HUSH-new"), "at once")
			require.NoError(t, deliver("HUSH-old"))
			broken = errors.New("HUSH")
			require.NoError(t, deliver("HUSH-new"), "the last ones are used on")
			require.ErrorIs(t, deliver("forged"), channel.ErrUnauthorized)
			type host struct{ kept any }
			for _, v := range []any{r, host{r}} {
				assert.NotContains(t, printed(v), "HUSH")
			}
			_, err = w.receiver(nil)
			assert.Error(t, err)
		})
	}
}

// Without secrets of its own a receiver of Shopify's has the app's, also if that
// is replaced.
func TestTheAppsSecretSignsDeliveries(t *testing.T) {
	given := "old"
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.RotatingCredentials(func(context.Context) (string, string, error) {
		return "id", given, nil
	})})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: "1"})
	require.NoError(t, err)
	r, err := location.Webhooks()
	require.NoError(t, err)
	deliver := func(secret string) error {
		h := http.Header{"X-Shopify-Shop-Domain": {"test-shop.myshopify.com"}, "X-Shopify-Topic": {"app/uninstalled"}}
		h.Set("X-Shopify-Hmac-Sha256", shopify.SignWebhook(secret, []byte("{}")))
		_, err := r.Receive(t.Context(), h, []byte("{}"))
		return err
	}
	require.NoError(t, deliver("old"))
	given = "new"
	require.NoError(t, deliver("new"))
	require.ErrorIs(t, deliver("old"), channel.ErrUnauthorized)
}
