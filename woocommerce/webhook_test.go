package woocommerce_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func receiver(t testing.TB, ch *woocommerce.Channel, secrets ...string) *woocommerce.Webhooks {
	t.Helper()
	w, err := ch.Webhooks(secrets...)
	require.NoError(t, err)
	return w
}

// delivered is a delivery of a body.
func delivered(secret, topic, body string) (http.Header, []byte) {
	h := http.Header{}
	h.Set("X-WC-Webhook-Signature", woocommerce.SignWebhook(secret, []byte(body)))
	h.Set("X-WC-Webhook-Topic", topic)
	h.Set("X-WC-Webhook-Delivery-ID", "d-1")
	return h, []byte(body)
}

// TestRecordedDeliveries reads what a real shop has sent.
func TestRecordedDeliveries(t *testing.T) {
	w := receiver(t, open(t, woocommercetest.New(woocommercetest.Config{}), woocommerce.ChannelConfig{}), `s3cr3t-&<>"'-webhook`)
	for file, want := range map[string]channel.Event{
		"webhook_ping.json":      {Type: woocommerce.Ping, ID: "1"},
		"webhook_product.json":   {Type: "product.updated", ID: "61e3446cd2dd7af4f99b5649b2edcb46", SKUs: []string{"SIM-00001"}, Shows: map[string]int{"SIM-00001": 61}},
		"webhook_variation.json": {Type: "product.updated", ID: "d2d26a929e6c6293c7c45026c12ff6af", SKUs: []string{"VAR-001-A"}, Shows: map[string]int{"VAR-001-A": 5}},
		"webhook_order.json":     {Type: "order.created", ID: "c84c4b0c2435d356314c24f3e6b4eb77"},
	} {
		data, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		var recorded struct {
			Headers [][2]string `json:"headers"`
			Body    string      `json:"body_base64"`
		}
		require.NoError(t, json.Unmarshal(data, &recorded))
		body, err := base64.StdEncoding.DecodeString(recorded.Body)
		require.NoError(t, err)
		header := http.Header{}
		for _, h := range recorded.Headers {
			header.Set(h[0], h[1])
		}
		e, err := w.Receive(t.Context(), header, body)
		require.NoError(t, err, file)
		assert.Equal(t, want, e, file)
	}
}

func TestDeliveriesOfTheFake(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	w := receiver(t, open(t, shop, woocommerce.ChannelConfig{}), "next", "current")
	skus := simple(shop, 1)
	variants := variations(shop, 1, 2)
	shop.Sell(skus[0], 1)
	before := len(shop.Requests())
	for _, sku := range append(skus, variants...) {
		h, body := shop.Delivery("current", sku)
		e, err := w.Receive(t.Context(), h, body)
		require.NoError(t, err)
		assert.Equal(t, []string{sku}, e.SKUs)
		n, _ := shop.Quantity(sku)
		assert.Equal(t, map[string]int{sku: n}, e.Shows)
	}
	assert.Len(t, shop.Requests(), before, "a product is named by its delivery")
}

// TestAParentNamesItsVariations: where a parent has the stock, an order changes
// the parent.
func TestAParentNamesItsVariations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		w := receiver(t, open(t, shop, woocommerce.ChannelConfig{}), "s")
		parent, skus := shared(shop, "PAR")
		h, body := shop.Delivery("s", "PAR")
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				e, err := w.Receive(t.Context(), h, body)
				assert.NoError(t, err)
				assert.ElementsMatch(t, append([]string{"PAR"}, skus...), e.SKUs)
			})
		}
		wg.Wait()
		assert.Len(t, shop.Requests(), 1, "they are read once")
		shop.Add(woocommercetest.Product{Type: "variation", ParentID: parent, SKU: "PAR-NEW", Stock: woocommercetest.ByParent})
		h, body = shop.Delivery("s", "PAR")
		e, err := w.Receive(t.Context(), h, body)
		require.NoError(t, err)
		assert.Contains(t, e.SKUs, "PAR-NEW", "a new one changes the delivery")

		shop.Add(woocommercetest.Product{Type: "variation", ParentID: parent, SKU: "PAR-NEWER", Stock: woocommercetest.ByParent})
		h, body = shop.Delivery("s", "PAR")
		shop.Inject(channeltest.Fault{Cut: true, Times: -1})
		_, err = w.Receive(t.Context(), h, body)
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.NotErrorIs(t, err, channel.ErrUnauthorized)
	})
}

func TestReceive(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	w := receiver(t, open(t, shop, woocommerce.ChannelConfig{}), "s")
	const row = `{"id":%s,"type":%s,"sku":%s,"parent_id":0,"manage_stock":%s,"stock_quantity":%s,"stock_status":"instock"}`
	for _, test := range []struct {
		topic, body string
		skus        []string
		shows       bool
		odd         bool
		err         error
	}{
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `"A"`, "true", "5"), skus: []string{"A"}, shows: true},
		{topic: "product.created", body: fmt.Sprintf(row, "1", `"simple"`, `"ß 漢'\""`, "true", "5"), skus: []string{`ß 漢'"`}, shows: true},
		{topic: "product.restored", body: fmt.Sprintf(row, "1", `"simple"`, `"A,B"`, "false", "null"), skus: []string{"A,B"}},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `"A"`, "true", `"5 pcs"`), skus: []string{"A"}, odd: true},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `"A"`, "true", `2.5`), skus: []string{"A"}},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `"A"`, `"parent"`, `3`), skus: []string{"A"}},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `""`, "true", "5")},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `"0"`, "true", "5")},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `"`+strings.Repeat("x", 9000)+`"`, "true", "5")},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `"simple"`, `7`, "true", "5"), odd: true},
		{topic: "product.deleted", body: `{"id":1}`},
		{topic: "order.created", body: `{"id":1}`},
		{topic: "coupon.updated", body: `none of our business`},
		{topic: "", body: ``},
		{topic: "product.updated", body: `{}`, err: channel.ErrInvalid},
		{topic: "product.updated", body: `[]`, err: channel.ErrInvalid},
		{topic: "product.updated", body: `null`, err: channel.ErrInvalid},
		{topic: "product.updated", body: `{"id":1`, err: channel.ErrInvalid},
		{topic: "product.updated", body: fmt.Sprintf(row, "0", `"simple"`, `"A"`, "true", "5"), err: channel.ErrInvalid},
		{topic: "product.updated", body: fmt.Sprintf(row, `"x"`, `"simple"`, `"A"`, "true", "5"), err: channel.ErrInvalid},
		{topic: "product.updated", body: fmt.Sprintf(row, "1", `""`, `"A"`, "true", "5"), err: channel.ErrInvalid},
		{topic: "product.updated", body: "webhook_id=1", err: channel.ErrInvalid}, // signed, it is no ping
	} {
		h, body := delivered("s", test.topic, test.body)
		e, err := w.Receive(t.Context(), h, body)
		if test.err != nil {
			assert.ErrorIs(t, err, test.err, test.body)
			assert.Equal(t, channel.Event{}, e)
			continue
		}
		require.NoError(t, err, test.topic, test.body)
		assert.Equal(t, test.skus, e.SKUs, test.body)
		assert.Equal(t, test.shows, e.Shows != nil, test.body)
		assert.Equal(t, test.odd, e.Odd != "", test.body)
	}
	assert.Empty(t, shop.Requests())
}

func TestDeliveriesThatAreNotTheShops(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	ch := open(t, shop, woocommerce.ChannelConfig{})
	simple(shop, 1)
	w := receiver(t, ch, "next", "current")
	for name, change := range map[string]func(http.Header, []byte) []byte{
		"no signature": func(h http.Header, b []byte) []byte { h.Del("X-WC-Webhook-Signature"); return b },
		"another secret": func(h http.Header, b []byte) []byte {
			h.Set("X-WC-Webhook-Signature", woocommerce.SignWebhook("old", b))
			return b
		},
		"an empty secret": func(h http.Header, b []byte) []byte {
			h.Set("X-WC-Webhook-Signature", woocommerce.SignWebhook("", b))
			return b
		},
		"another body": func(_ http.Header, b []byte) []byte { return append(b, ' ') },
		"half a signature": func(h http.Header, b []byte) []byte {
			h.Set("X-WC-Webhook-Signature", h.Get("X-WC-Webhook-Signature")[:20])
			return b
		},
		"signature of nothing": func(h http.Header, b []byte) []byte {
			h.Set("X-WC-Webhook-Signature", woocommerce.SignWebhook("current", nil))
			return b
		},
		"more than a ping": func(h http.Header, _ []byte) []byte {
			h.Del("X-WC-Webhook-Signature")
			return []byte("webhook_id=1&sku=S-1")
		},
		"a ping without a number": func(h http.Header, _ []byte) []byte {
			h.Del("X-WC-Webhook-Signature")
			return []byte("webhook_id=")
		},
	} {
		h, body := shop.Delivery("current", "S-1")
		body = change(h, bytes.Clone(body))
		e, err := w.Receive(t.Context(), h, body)
		assert.ErrorIs(t, err, channel.ErrUnauthorized, name)
		assert.Equal(t, channel.Event{}, e, name)
	}
	h, body := shop.Delivery("current", "S-1")
	_, err := new(woocommerce.Webhooks).Receive(t.Context(), h, body)
	require.ErrorIs(t, err, channel.ErrUnauthorized, "the zero value")
	for _, secrets := range [][]string{nil, {""}, {"s", " "}} {
		_, err := ch.Webhooks(secrets...)
		assert.Error(t, err)
	}
}

func TestWebhookSecretsAreNotPrinted(t *testing.T) {
	w := receiver(t, open(t, woocommercetest.New(woocommercetest.Config{}), woocommerce.ChannelConfig{}), "s3cr3t")
	for _, v := range []any{w, *w, struct{ w *woocommerce.Webhooks }{w}, struct{ w woocommerce.Webhooks }{*w}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), "s3cr3t")
			assert.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", "s3cr3t"))
		}
	}
	_, err := w.Receive(t.Context(), http.Header{"X-Wc-Webhook-Signature": {"x"}}, []byte("s3cr3t"))
	assert.NotContains(t, errors.Join(err).Error(), "s3cr3t")
}

func FuzzReceive(f *testing.F) {
	f.Add("product.updated", []byte(`{"id":1,"type":"simple","sku":"A","manage_stock":true,"stock_quantity":5}`))
	f.Add("product.updated", []byte(`{"id":1,"type":"variable","sku":"A","manage_stock":true,"stock_quantity":5,"variations":[2]}`))
	f.Add("", []byte("webhook_id=7"))
	shop := woocommercetest.New(woocommercetest.Config{})
	client, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: shop.Client()})
	require.NoError(f, err)
	ch, err := client.Channel(woocommerce.ChannelConfig{})
	require.NoError(f, err)
	w := receiver(f, ch, "s")
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		h, _ := delivered("s", topic, string(body))
		e, err := w.Receive(t.Context(), h, body)
		if err != nil && (e.SKUs != nil || errors.Is(err, channel.ErrUnauthorized)) {
			t.Fatal(e, err)
		}
		for _, sku := range e.SKUs {
			if strings.TrimSpace(sku) == "" || sku == "0" {
				t.Fatalf("%q is no SKU to ask for", sku)
			}
		}
	})
}
