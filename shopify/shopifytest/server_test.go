package shopifytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const shopQuery = `{ shop { name myshopifyDomain } }`

func TestAWrongTokenIsRefusedWithAPlainString(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	for _, token := range []string{"", "wrong", "shpat_test2"} {
		a := post(t, s.Client(), endpoint, token, object{"query": shopQuery})
		assert.Equal(t, http.StatusUnauthorized, a.status)
		var body struct{ Errors string }
		require.NoError(t, json.Unmarshal([]byte(a.text), &body), a.text)
		assert.NotEmpty(t, body.Errors)
	}
}

func TestTheServedVersionIsTold(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{Version: "2026-04", Shop: "acme"})
	a := ask(t, s, shopQuery, nil)
	assert.Equal(t, "2026-04", a.header.Get("X-Shopify-API-Version"))
	assert.Equal(t, "acme.myshopify.com", a.at("shop", "myshopifyDomain"))
	a = post(t, s.Client(), strings.Replace(endpoint, "2026-10", "soon", 1), "shpat_test", object{"query": shopQuery})
	assert.Equal(t, http.StatusNotFound, a.status)
}

func TestARequestThatIsNoJSONIsRefused(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	for kind, body := range map[string]string{
		"text/plain":       `{"query": "{ shop { name } }"}`,
		"application/json": `{"query"`,
	} {
		req, err := http.NewRequest("POST", endpoint, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", kind)
		req.Header.Set("X-Shopify-Access-Token", "shpat_test")
		resp, err := s.Client().Do(req)
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, kind)
	}
	assert.Equal(t, http.StatusBadRequest, post(t, s.Client(), endpoint, "shpat_test", object{}).status)
}

func grant(t *testing.T, s *shopifytest.Server, form url.Values) (int, map[string]any) {
	t.Helper()
	resp, err := s.Client().PostForm("https://test-shop.myshopify.com/admin/oauth/access_token", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var body map[string]any
	text, _ := io.ReadAll(resp.Body)
	require.NoError(t, json.Unmarshal(text, &body), "%s", text)
	return resp.StatusCode, body
}

func TestClientCredentials(t *testing.T) {
	right := url.Values{"grant_type": {"client_credentials"}, "client_id": {"client-id"}, "client_secret": {"client-secret"}}
	s := shopifytest.New(shopifytest.Config{})
	for name, change := range map[string]url.Values{
		"invalid_client":         {"client_secret": {"wrong"}},
		"unsupported_grant_type": {"grant_type": {"password"}},
	} {
		form := url.Values{}
		for k, v := range right {
			form[k] = v
		}
		for k, v := range change {
			form[k] = v
		}
		status, body := grant(t, s, form)
		assert.Equal(t, http.StatusBadRequest, status)
		assert.Equal(t, name, body["error"])
	}
	status, first := grant(t, s, right)
	assert.Equal(t, http.StatusOK, status)
	assert.EqualValues(t, 86399, first["expires_in"])
	_, second := grant(t, s, right)
	assert.NotEqual(t, first["access_token"], second["access_token"])

	works := func(token any) bool {
		return post(t, s.Client(), endpoint, token.(string), object{"query": shopQuery}).status == http.StatusOK
	}
	assert.True(t, works(first["access_token"]))
	assert.True(t, works(second["access_token"]))
	s.RevokeTokens()
	assert.False(t, works(first["access_token"]))
	assert.True(t, works("shpat_test"), "the static token stays")
	_, third := grant(t, s, right)
	assert.True(t, works(third["access_token"]))
}

func TestAGrantedTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{})
		_, body := grant(t, s, url.Values{"grant_type": {"client_credentials"}, "client_id": {"client-id"}, "client_secret": {"client-secret"}})
		token := body["access_token"].(string)
		time.Sleep(86398 * time.Second)
		assert.Equal(t, http.StatusOK, post(t, s.Client(), endpoint, token, object{"query": shopQuery}).status)
		time.Sleep(time.Second)
		assert.Equal(t, http.StatusUnauthorized, post(t, s.Client(), endpoint, token, object{"query": shopQuery}).status)
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{Latency: 300 * time.Millisecond})
		start := time.Now()
		ask(t, s, shopQuery, nil)
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
	})
}

func TestALostAnswerWasAppliedAllTheSame(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 1})[0]
	s.Inject(channeltest.Fault{Cut: true, Apply: true})
	req, err := http.NewRequest("POST", endpoint, strings.NewReader(
		`{"query":"mutation { inventorySetQuantities(input: {name: \"available\", reason: \"correction\", quantities: [`+
			`{inventoryItemId: \"`+id+`\", locationId: \"`+s.Location()+`\", quantity: 4, changeFromQuantity: null}]}) @idempotent(key: \"k\") { userErrors { code } } }"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Shopify-Access-Token", "shpat_test")
	_, err = s.Client().Do(req)
	require.ErrorIs(t, err, channeltest.ErrCut)
	n, ok := s.Available("A")
	assert.True(t, ok)
	assert.Equal(t, 4, n)
}

func TestOverASocket(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	server := httptest.NewServer(s)
	defer server.Close()
	a := post(t, server.Client(), server.URL+"/admin/api/2026-10/graphql.json", "shpat_test", object{"query": shopQuery})
	assert.Equal(t, "test-shop", a.at("shop", "name"))
	assert.NotEmpty(t, a.header.Get("X-Request-Id"))
}
