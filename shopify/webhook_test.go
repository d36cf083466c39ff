package shopify

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/rotate"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// delivered is a delivery of a body.
func delivered(secret, topic, body string) (http.Header, []byte) {
	h := http.Header{}
	h.Set("X-Shopify-Hmac-Sha256", SignWebhook(secret, []byte(body)))
	h.Set("X-Shopify-Topic", topic)
	h.Set("X-Shopify-Shop-Domain", "test-shop.myshopify.com")
	h.Set("X-Shopify-Webhook-Id", "w-1")
	return h, []byte(body)
}

func receiver(t testing.TB, ch *Channel, secrets ...string) *Webhooks {
	t.Helper()
	w, err := ch.Webhooks(secrets...)
	require.NoError(t, err)
	return w
}

func TestDeliveriesOfTheFake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type delivery struct {
			header http.Header
			body   []byte
		}
		var got []delivery
		shop := shopifytest.New(shopifytest.Config{Deliver: func(h http.Header, b []byte) { got = append(got, delivery{h, b}) }})
		ch := open(t, shop)
		w := receiver(t, ch, "other", "client-secret")
		skus := stock(shop, 3)
		shop.Set(skus[1], 7)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: skus[2], Quantity: 8}}))
		require.Len(t, got, 2)
		for i, sku := range skus[1:] {
			e, err := w.Receive(t.Context(), got[i].header, got[i].body)
			require.NoError(t, err)
			assert.Equal(t, []string{sku}, e.SKUs)
			assert.Equal(t, "inventory_levels/update", e.Type)
			assert.NotEmpty(t, e.ID)
			assert.Empty(t, e.ProductIDs)
		}
	})
}

func TestReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		w := receiver(t, ch, "s")
		shop.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "ß 漢'\""}, shopifytest.Item{SKU: ""})
		const level = `{"inventory_item_id":%s,"location_id":%s,"available":5,"updated_at":"2026-01-01T00:00:00Z"}`
		for _, test := range []struct {
			topic, body string
			skus        []string
			err         error
		}{
			{"inventory_levels/update", fmt.Sprintf(level, "1001", "1"), []string{"A"}, nil},
			{"inventory_levels/connect", fmt.Sprintf(level, "1002", "1"), []string{"ß 漢'\""}, nil},
			{"inventory_levels/disconnect", `{"inventory_item_id":1001,"location_id":1}`, []string{"A"}, nil},
			{"inventory_levels/update", fmt.Sprintf(level, "1003", "1"), nil, nil},
			{"inventory_levels/update", fmt.Sprintf(level, "9999", "1"), nil, nil},
			{"inventory_levels/update", fmt.Sprintf(level, "1001", "2"), nil, nil},
			{"inventory_levels/update", fmt.Sprintf(level, "1001", "11"), nil, nil},
			{"orders/create", `{"id":1}`, nil, nil},
			{"app/uninstalled", `none of our business`, nil, nil},
			{"", ``, nil, nil},
			{"inventory_items/create", `{"id":55,"sku":"NEW"}`, []string{"NEW"}, nil},
			{"inventory_items/update", `{"id":56,"sku":null}`, nil, nil},
			{"inventory_items/delete", `{"id":56}`, nil, nil},
			{"inventory_items/update", `{"id":"x","sku":"A"}`, nil, channel.ErrInvalid},
			{"inventory_items/update", `{"id":5,"sku":5}`, nil, channel.ErrInvalid},
			{"inventory_levels/update", `{}`, nil, channel.ErrInvalid},
			{"inventory_levels/update", `[]`, nil, channel.ErrInvalid},
			{"inventory_levels/update", `null`, nil, channel.ErrInvalid},
			{"inventory_levels/update", `{"inventory_item_id":1001`, nil, channel.ErrInvalid},
			{"inventory_levels/update", ``, nil, channel.ErrInvalid},
			{"inventory_levels/update", fmt.Sprintf(level, "null", "1"), nil, channel.ErrInvalid},
			{"inventory_levels/update", fmt.Sprintf(level, "1001.5", "1"), nil, channel.ErrInvalid},
			{"inventory_levels/update", fmt.Sprintf(level, "-1001", "1"), nil, channel.ErrInvalid},
			{"inventory_levels/update", fmt.Sprintf(level, "0", "1"), nil, channel.ErrInvalid},
			{"inventory_levels/update", fmt.Sprintf(level, `"1001"`, "1"), nil, channel.ErrInvalid},
			{"inventory_levels/update", `{"inventory_item_id":1001,"INVENTORY_ITEM_ID":1002,"location_id":1}`, nil, channel.ErrInvalid},
			{"inventory_levels/update", fmt.Sprintf(level, "99999999999999999999", "1"), nil, channel.ErrInvalid},
		} {
			h, body := delivered("s", test.topic, test.body)
			e, err := w.Receive(t.Context(), h, body)
			if test.err != nil {
				assert.ErrorIs(t, err, test.err, test.body)
				assert.Equal(t, channel.Event{}, e)
				continue
			}
			require.NoError(t, err, test.topic, test.body)
			want := channel.Event{ID: "w-1", Type: test.topic, SKUs: test.skus}
			if len(test.skus) > 0 && strings.Contains(test.body, `"available":5`) {
				want.Shows = map[string]int{test.skus[0]: 5}
			}
			assert.Equal(t, want, e, test.body)
		}
	})
}

func TestDeliveriesThatAreNotTheShops(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "A"})
	w := receiver(t, ch, "next", "current")
	const body = `{"inventory_item_id":1001,"location_id":1,"available":5}`
	for name, change := range map[string]func(http.Header, []byte) []byte{
		"no signature":    func(h http.Header, b []byte) []byte { h.Del("X-Shopify-Hmac-Sha256"); return b },
		"another secret":  func(h http.Header, b []byte) []byte { h.Set("X-Shopify-Hmac-Sha256", SignWebhook("old", b)); return b },
		"an empty secret": func(h http.Header, b []byte) []byte { h.Set("X-Shopify-Hmac-Sha256", SignWebhook("", b)); return b },
		"another body":    func(h http.Header, b []byte) []byte { return append(b, ' ') },
		"hexadecimal": func(h http.Header, b []byte) []byte {
			h.Set("X-Shopify-Hmac-Sha256", fmt.Sprintf("%x", rotate.Sum("current", b)))
			return b
		},
		"URL encoding": func(h http.Header, b []byte) []byte {
			h.Set("X-Shopify-Hmac-Sha256", base64.URLEncoding.EncodeToString(rotate.Sum("current", b))+"-")
			return b
		},
		"half a signature": func(h http.Header, b []byte) []byte {
			h.Set("X-Shopify-Hmac-Sha256", h.Get("X-Shopify-Hmac-Sha256")[:20])
			return b
		},
		"another shop": func(h http.Header, b []byte) []byte { h.Set("X-Shopify-Shop-Domain", "other.myshopify.com"); return b },
		"no shop":      func(h http.Header, b []byte) []byte { h.Del("X-Shopify-Shop-Domain"); return b },
		"a shop like this": func(h http.Header, b []byte) []byte {
			h.Set("X-Shopify-Shop-Domain", "test-shop.myshopify.com.evil.example")
			return b
		},
		"signature of none": func(h http.Header, b []byte) []byte {
			h.Set("X-Shopify-Hmac-Sha256", SignWebhook("current", nil))
			return b
		},
	} {
		h, b := delivered("current", "inventory_levels/update", body)
		e, err := w.Receive(t.Context(), h, change(h, b))
		require.ErrorIs(t, err, channel.ErrUnauthorized, name)
		assert.Equal(t, channel.Event{}, e)
		for _, text := range []string{"next", "current", h.Get("X-Shopify-Hmac-Sha256")} {
			if text != "" {
				assert.NotContains(t, err.Error(), text)
			}
		}
	}
	assert.Empty(t, shop.Requests())
	for _, secret := range []string{"next", "current"} {
		h, b := delivered(secret, "inventory_levels/update", body)
		e, err := w.Receive(t.Context(), h, b)
		require.NoError(t, err)
		assert.Equal(t, []string{"A"}, e.SKUs)
	}
	h, b := delivered("", "inventory_levels/update", body)
	_, err := new(Webhooks).Receive(t.Context(), h, b)
	assert.ErrorIs(t, err, channel.ErrUnauthorized, "the zero value refuses")
}

func TestWebhookSecrets(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	_, err := ch.Webhooks()
	assert.ErrorContains(t, err, "no secret")
	_, err = ch.Webhooks("a", " ")
	assert.ErrorContains(t, err, "empty")
	// The app's own secret signs.
	ch = open(t, shop, func(c *Config, _ *ChannelConfig) { c.Token = ClientCredentials("client-id", "client-secret") })
	shop.Add(shopifytest.Item{SKU: "A"})
	h, b := shop.Delivery("A")
	e, err := receiver(t, ch).Receive(t.Context(), h, b)
	require.NoError(t, err)
	assert.Equal(t, []string{"A"}, e.SKUs)
}

func TestABurstOfDeliveriesCostsFewReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{Latency: 100 * time.Millisecond})
		ch := open(t, shop)
		w := receiver(t, ch, "client-secret")
		skus := stock(shop, 300)
		var group sync.WaitGroup
		start := time.Now()
		for i := range 1000 {
			group.Go(func() {
				h, b := shop.Delivery(skus[i%300])
				e, err := w.Receive(t.Context(), h, b)
				assert.NoError(t, err)
				assert.Equal(t, []string{skus[i%300]}, e.SKUs)
			})
		}
		group.Wait()
		assert.LessOrEqual(t, shop.Count(nil), 8)
		assert.Less(t, time.Since(start), time.Second)
		shop.Forget()
		for _, sku := range skus {
			h, b := shop.Delivery(sku)
			_, err := w.Receive(t.Context(), h, b)
			require.NoError(t, err)
		}
		assert.Empty(t, shop.Requests(), "they are known for an hour")

		// What Levels reads is known, too: a new name at once.
		shop.Rename(skus[0], "RENAMED")
		levels(t, ch, "RENAMED")
		shop.Forget()
		h, b := shop.Delivery("RENAMED")
		e, err := w.Receive(t.Context(), h, b)
		require.NoError(t, err)
		assert.Equal(t, []string{"RENAMED"}, e.SKUs)
		assert.Empty(t, shop.Requests())
	})
}

func TestDeliveryWhoseItemCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		w := receiver(t, ch, "client-secret")
		shop.Add(shopifytest.Item{SKU: "A"})
		h, b := shop.Delivery("A")
		shop.Inject(channeltest.Fault{Delay: time.Hour, Times: -1})
		start := time.Now()
		_, err := w.Receive(t.Context(), h, b)
		require.Error(t, err)
		assert.NotErrorIs(t, err, channel.ErrUnauthorized)
		assert.NotErrorIs(t, err, channel.ErrInvalid, "Shopify is to send it again")
		assert.Less(t, time.Since(start), 5*time.Second, "as long as Shopify waits")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() { w.Receive(t.Context(), h, b) })
		time.Sleep(time.Millisecond)
		_, err = w.Receive(ctx, h, b)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "one that waits for another's read may leave")
		group.Wait()

		shop.Heal()
		e, err := w.Receive(t.Context(), h, b)
		require.NoError(t, err)
		assert.Equal(t, []string{"A"}, e.SKUs)
	})
}

func TestNewItemIsKnownByItsWebhook(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	w := receiver(t, ch, "s")
	id := shop.Add(shopifytest.Item{SKU: "NEW", Available: 4, Unindexed: true})[0]
	h, b := delivered("s", "inventory_items/create", `{"id":`+strings.TrimPrefix(id, itemPrefix)+`,"sku":"NEW"}`)
	_, err := w.Receive(t.Context(), h, b)
	require.NoError(t, err)
	assert.Equal(t, 4, levels(t, ch, "NEW")[0].Quantity, "the search does not find it")
	assert.Zero(t, shop.Count(doing(findItems)))
}

func FuzzReceive(f *testing.F) {
	for _, topic := range []string{"inventory_levels/update", "inventory_items/create", "x"} {
		for _, body := range []string{`{"inventory_item_id":1001,"location_id":1}`, `{"id":7,"sku":"A"}`, `[]`, `null`, "\xff", `{"id":1e400}`} {
			f.Add(topic, []byte(body))
		}
	}
	shop := shopifytest.New(shopifytest.Config{})
	shop.Add(shopifytest.Item{SKU: "A"})
	w := receiver(f, open(f, shop), "s")
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		h, _ := delivered("s", "", string(body))
		h["X-Shopify-Topic"] = []string{topic}
		e, err := w.Receive(t.Context(), h, body)
		if err != nil && !errors.Is(err, channel.ErrInvalid) {
			t.Fatalf("a signed body is refused with %v, which is not ErrInvalid", err)
		}
		if len(e.SKUs) > 1 || len(e.Type) > 200 {
			t.Fatalf("not an event: %+v", e)
		}
		h.Set("X-Shopify-Hmac-Sha256", SignWebhook("t", body))
		if _, err := w.Receive(t.Context(), h, body); !errors.Is(err, channel.ErrUnauthorized) {
			t.Fatal("a wrong signature is accepted")
		}
	})
}
