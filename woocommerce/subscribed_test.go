package woocommerce_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

var nowhere = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

var hookLists = channeltest.On(http.MethodGet, "/webhooks")

func TestSubscribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{ReadOnly: true})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		require.ErrorIs(t, ch.Subscribed(t.Context()), errors.ErrUnsupported, "nobody receives")
		assert.Empty(t, shop.Requests())
		receiver(t, ch, "s")
		err := ch.Subscribed(t.Context())
		require.ErrorIs(t, err, channel.ErrUnsubscribed)
		require.ErrorContains(t, err, "no webhook")
		hook := shop.Subscribe(woocommercetest.Subscription{Handler: nowhere, Secret: "s"})
		shop.Forget()
		require.NoError(t, ch.Subscribed(t.Context()))
		assert.Len(t, shop.Requests(), 1)
		hook.Disable()
		err = ch.Subscribed(t.Context())
		require.ErrorIs(t, err, channel.ErrUnsubscribed)
		require.ErrorContains(t, err, "webhook 1 is disabled")
		shop.Subscribe(woocommercetest.Subscription{Handler: nowhere, Secret: "s"})
		assert.NoError(t, ch.Subscribed(t.Context()))
	})
}

// TestAnothersWebhookIsNotOurs: what made a delivery, or is newer, counts.
func TestAnothersWebhookIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		skus := simple(shop, 1)
		w := receiver(t, ch, "s")
		shop.Subscribe(woocommercetest.Subscription{Handler: nowhere, Secret: "another's"})
		ours := shop.Subscribe(woocommercetest.Subscription{Handler: nowhere, Secret: "s"})
		ours.Disable()
		require.NoError(t, ch.Subscribed(t.Context()), "which one is ours is not known")
		deliver := func(secret, topic, id string) error {
			h, body := shop.Delivery("s", skus[0])
			if secret != "s" {
				h, _ = shop.Delivery(secret, skus[0])
			}
			h.Set("X-WC-Webhook-ID", id)
			h.Set("X-WC-Webhook-Topic", topic)
			_, err := w.Receive(t.Context(), h, body)
			return err
		}
		require.ErrorIs(t, deliver("forged", "product.updated", "2"), channel.ErrUnauthorized)
		require.NoError(t, deliver("s", "product.created", "2"))
		require.NoError(t, deliver("s", "product.updated", "two"))
		require.NoError(t, ch.Subscribed(t.Context()), "none of these tells")
		require.NoError(t, deliver("s", "product.updated", "2"))
		require.ErrorIs(t, ch.Subscribed(t.Context()), channel.ErrUnsubscribed)
		shop.Subscribe(woocommercetest.Subscription{Handler: nowhere, Secret: "s"})
		assert.NoError(t, ch.Subscribed(t.Context()), "it was made anew")
	})
}

func TestSevenFailuresDisableTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		skus := simple(shop, 1)
		receiver(t, ch, "s")
		broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		shop.Subscribe(woocommercetest.Subscription{Handler: broken, Secret: "s"})
		for n := 1; n <= 7; n++ {
			require.NoError(t, ch.Subscribed(t.Context()))
			shop.Sell(skus[0], 1)
			time.Sleep(time.Minute)
		}
		assert.ErrorIs(t, ch.Subscribed(t.Context()), channel.ErrUnsubscribed)
	})
}

func TestWhetherAWebhookIsActiveIsNotAlwaysKnown(t *testing.T) {
	hooks := func(status string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"id":7,"status":%q,"topic":"order.created"},`, status), n), ",") + "]"
	}
	for name, test := range map[string]struct {
		status int
		body   string
		want   error // besides that it is one
	}{
		"no right":     {403, `{"code":"woocommerce_rest_cannot_view","message":"Sorry, you cannot list resources.","data":{"status":403}}`, errors.ErrUnsupported},
		"no key":       {401, `{"code":"woocommerce_rest_cannot_view","message":"Sorry, you cannot list resources.","data":{"status":401}}`, errors.ErrUnsupported},
		"too many":     {200, hooks("active", 100), errors.ErrUnsupported},
		"a page":       {200, page, channel.ErrUnavailable},
		"no list":      {200, `{"id":1}`, channel.ErrUnavailable},
		"no status":    {200, `[{"id":1,"topic":"product.updated"}]`, channel.ErrUnavailable},
		"down":         {502, page, channel.ErrUnavailable},
		"paused":       {200, `[{"id":1,"status":"paused","topic":"product.updated"}]`, channel.ErrUnsubscribed},
		"other topics": {200, hooks("active", 99), channel.ErrUnsubscribed},
	} {
		synctest.Test(t, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			ch := open(t, shop, woocommerce.ChannelConfig{})
			receiver(t, ch, "s")
			shop.Inject(channeltest.Fault{Match: hookLists, Times: -1, Rewrite: func(_ int, h http.Header, _ []byte) (int, []byte) {
				return test.status, []byte(test.body)
			}})
			err := ch.Subscribed(t.Context())
			require.ErrorIs(t, err, test.want, name)
			assert.Equal(t, test.want == channel.ErrUnsubscribed, errors.Is(err, channel.ErrUnsubscribed), name)
		})
	}
}
