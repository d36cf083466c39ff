package woocommercetest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

const api = "https://shop.test/wp-json/wc/v3/"

// An answer is what a shop said, decoded if it is JSON.
type answer struct {
	status int
	header http.Header
	body   any
	text   string
}

// ask sends a request with the shop's key. change may alter it.
func ask(t *testing.T, s *woocommercetest.Server, method, path, body string, change ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
	require.NoError(t, err)
	req.SetBasicAuth("ck_test", "cs_test")
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(req)
	}
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(raw)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(raw) > 0 {
		require.NoError(t, json.Unmarshal(raw, &a.body))
	}
	return a
}

func (a answer) code() string {
	object, _ := a.body.(map[string]any)
	code, _ := object["code"].(string)
	return code
}

// values returns one field of each row of a list, in order.
func (a answer) values(t *testing.T, field string) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.text)
	out := []string{}
	for _, row := range a.body.([]any) {
		out = append(out, fmt.Sprint(row.(map[string]any)[field]))
	}
	return out
}

// field returns a value out of a JSON answer, by its path.
func (a answer) field(t *testing.T, path ...any) any {
	t.Helper()
	at := a.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := at.(map[string]any)
			require.True(t, ok, a.text)
			require.Contains(t, object, step, a.text)
			at = object[step]
		case int:
			require.Greater(t, len(at.([]any)), step, a.text)
			at = at.([]any)[step]
		}
	}
	return at
}

// find asks for SKUs and returns those that came back, by id.
func find(t *testing.T, s *woocommercetest.Server, sku string) []string {
	t.Helper()
	return ask(t, s, "GET", "products?per_page=100&orderby=id&order=asc&_fields=sku&sku="+url.QueryEscape(sku), "").values(t, "sku")
}

func simple(skus ...string) (products []woocommercetest.Product) {
	for _, sku := range skus {
		products = append(products, woocommercetest.Product{SKU: sku, Quantity: 7})
	}
	return products
}
