package shopify

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

var nowhere = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func TestSubscribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		require.ErrorIs(t, ch.Subscribed(t.Context()), errors.ErrUnsupported, "nobody receives")
		assert.Empty(t, shop.Requests())
		receiver(t, ch, "client-secret")
		unsubscribe := shop.Subscribe(shopifytest.Subscription{Handler: nowhere})
		require.NoError(t, ch.Subscribed(t.Context()))
		assert.Len(t, shop.Requests(), 1)
		unsubscribe()
		err := ch.Subscribed(t.Context())
		require.ErrorIs(t, err, channel.ErrUnsubscribed)
		assert.ErrorContains(t, err, "is gone")
		shop.Subscribe(shopifytest.Subscription{Handler: nowhere})
		assert.NoError(t, ch.Subscribed(t.Context()))
	})
}

// TestASubscriptionThatTheAppIsNotShown: a person has made it, or it is in the
// app's configuration file.
func TestASubscriptionThatTheAppIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		stock(shop, 1)
		ch := open(t, shop)
		w := receiver(t, ch, "client-secret")
		deliver := func(topic string) {
			h, body := shop.Delivery("SKU-0000")
			h.Set("X-Shopify-Topic", topic)
			_, err := w.Receive(t.Context(), h, body)
			require.NoError(t, err)
		}
		quiet := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Minute) {
				err := ch.Subscribed(t.Context())
				require.ErrorIs(t, err, errors.ErrUnsupported)
				require.NotErrorIs(t, err, channel.ErrUnsubscribed)
			}
		}
		quiet(time.Hour)
		deliver("orders/create")
		require.ErrorIs(t, ch.Subscribed(t.Context()), channel.ErrUnsubscribed, "no delivery for an hour")
		deliver("inventory_levels/update")
		for range 10 {
			require.NoError(t, ch.Subscribed(t.Context()))
			time.Sleep(time.Hour)
		}

		// It is moved from there to the API, is lost, and is moved back.
		unsubscribe := shop.Subscribe(shopifytest.Subscription{Handler: nowhere})
		require.NoError(t, ch.Subscribed(t.Context()))
		unsubscribe()
		require.ErrorIs(t, ch.Subscribed(t.Context()), channel.ErrUnsubscribed)
		deliver("inventory_levels/update") // under way until now
		require.ErrorIs(t, ch.Subscribed(t.Context()), channel.ErrUnsubscribed)
		time.Sleep(10 * time.Minute)
		deliver("inventory_levels/update")
		assert.NoError(t, ch.Subscribed(t.Context()))
	})
}

func TestAForgedDeliveryIsNoSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		w := receiver(t, ch, "client-secret")
		h, body := delivered("another", "inventory_levels/update", `{}`)
		_, err := w.Receive(t.Context(), h, body)
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		require.ErrorIs(t, ch.Subscribed(t.Context()), errors.ErrUnsupported)
		time.Sleep(time.Hour)
		assert.ErrorIs(t, ch.Subscribed(t.Context()), channel.ErrUnsubscribed)
	})
}

func TestWhetherASubscriptionIsThereIsNotAlwaysKnown(t *testing.T) {
	for name, test := range map[string]struct {
		fault       channeltest.Fault
		unsupported bool
	}{
		"no right":     {answering(findSubscription, 200, `{"data":null,"errors":[{"message":"no","extensions":{"code":"ACCESS_DENIED"}}]}`), true},
		"403":          {answering(findSubscription, 403, `{"errors":"no"}`), true},
		"down":         {answering(findSubscription, 503, ``), false},
		"no list":      {answering(findSubscription, 200, `{"data":{"webhookSubscriptions":{}}}`), false},
		"null":         {answering(findSubscription, 200, `{"data":{"webhookSubscriptions":null}}`), false},
		"another list": {answering(findSubscription, 200, `{"data":{"webhookSubscriptions":{"nodes":"none"}}}`), false},
		"cut":          {channeltest.Fault{Match: doing(findSubscription), Cut: true, Times: -1}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			receiver(t, ch, "client-secret")
			shop.Subscribe(shopifytest.Subscription{Handler: nowhere})
			require.NoError(t, ch.Subscribed(t.Context()), name)
			shop.Inject(test.fault)
			err := ch.Subscribed(t.Context())
			require.Error(t, err, name)
			assert.NotErrorIs(t, err, channel.ErrUnsubscribed, name)
			assert.Equal(t, test.unsupported, errors.Is(err, errors.ErrUnsupported), "%s: %v", name, err)
		})
	}
}
