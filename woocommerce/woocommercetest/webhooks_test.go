package woocommercetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestTheShopShowsItsWebhooks(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{ReadOnly: true})
	assert.Empty(t, ask(t, s, "GET", "webhooks", "").values(t, "id"))
	for range 3 {
		s.Subscribe(woocommercetest.Subscription{Handler: &hook{status: 200}, Secret: "hush"})
	}
	s.Subscribe(woocommercetest.Subscription{Handler: &hook{status: 200}, Secret: "hush"}).Disable()
	all := ask(t, s, "GET", "webhooks", "")
	assert.Equal(t, []string{"4", "3", "2", "1"}, all.values(t, "id"))
	assert.Equal(t, []string{"disabled", "active", "active", "active"}, all.values(t, "status"))
	assert.Equal(t, "4", all.header.Get("X-WP-Total"))
	assert.NotContains(t, all.text, "hush")
	assert.Equal(t, []string{"1", "2"}, ask(t, s, "GET", "webhooks?orderby=id&order=asc&per_page=2", "").values(t, "id"))
	assert.Equal(t, []string{"3", "4"}, ask(t, s, "GET", "webhooks?orderby=id&order=asc&per_page=2&page=2", "").values(t, "id"))
	assert.Equal(t, []string{"4"}, ask(t, s, "GET", "webhooks?status=disabled", "").values(t, "id"))
	assert.JSONEq(t, `[{"id":4,"status":"disabled"}]`, ask(t, s, "GET", "webhooks?per_page=1&_fields=id,status", "").text)
	for path, status := range map[string]int{
		"webhooks?per_page=101": 400, "webhooks?status=broken": 400, "webhooks?search=a": 501, "webhooks?sku=a": 501, "webhooks/1": 501,
	} {
		assert.Equal(t, status, ask(t, s, "GET", path, "").status, path)
	}
	stranger := ask(t, s, "GET", "webhooks", "", func(r *http.Request) { r.Header.Del("Authorization") })
	assert.Equal(t, 401, stranger.status)
	assert.Equal(t, "woocommerce_rest_cannot_view", stranger.code())
}
