package amazontest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
)

const (
	seller      = "A1TESTSELLER"
	marketplace = "ATVPDKIKX0DER"
	items       = "/listings/2021-08-01/items/" + seller
	feeds       = "/feeds/2021-06-30/feeds"
	documents   = "/feeds/2021-06-30/documents"
)

// A caller speaks the API without a client's help.
type caller struct {
	t     *testing.T
	s     *amazontest.Server
	token string
	until time.Time // when the token ends
}

func newCaller(t *testing.T, s *amazontest.Server) *caller {
	c := &caller{t: t, s: s}
	c.renew()
	return c
}

func (c *caller) renew() {
	_, body := c.login("refresh_token", amazontest.ClientSecret)
	c.token, _ = body["access_token"].(string)
	require.NotEmpty(c.t, c.token)
	c.until = time.Now().Add(time.Hour)
}

func (c *caller) login(grant, secret string) (int, map[string]any) {
	c.t.Helper()
	form := url.Values{
		"grant_type": {grant}, "client_id": {amazontest.ClientID}, "client_secret": {secret},
		"refresh_token": {amazontest.RefreshToken},
	}
	resp, err := c.s.Client().PostForm("https://auth.test/auth/o2/token", form)
	require.NoError(c.t, err)
	return resp.StatusCode, read(c.t, resp)
}

func read(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var body map[string]any
	if len(bytes.TrimSpace(text)) > 0 && text[0] == '{' {
		require.NoError(t, json.Unmarshal(text, &body), "%s", text)
	}
	return body
}

// do sends a request, and checks the answer against the models if the request
// is in them.
func (c *caller) do(method, path string, body any) (int, map[string]any, http.Header) {
	c.t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		require.NoError(c.t, err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://api.test"+path, bytes.NewReader(text))
	require.NoError(c.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("x-amz-access-token", c.token)
	resp, err := c.s.Client().Do(req)
	require.NoError(c.t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	if id, _ := amazontest.ValidateRequest(method, req.URL, text); id != "" && resp.StatusCode != http.StatusNotImplemented {
		assert.NoError(c.t, amazontest.ValidateAnswer(id, resp.StatusCode, answer), "%s", answer)
	}
	var decoded map[string]any
	if len(answer) > 0 {
		require.NoError(c.t, json.Unmarshal(answer, &decoded), "%s", answer)
	}
	return resp.StatusCode, decoded, resp.Header
}

func (c *caller) patch(sku string, patch map[string]any) map[string]any {
	c.t.Helper()
	status, body, _ := c.do("PATCH", items+"/"+url.PathEscape(sku)+"?marketplaceIds="+marketplace,
		map[string]any{"productType": "PRODUCT", "patches": []any{patch}})
	require.Equal(c.t, 200, status, body)
	return body
}

// set is a patch of the quantity.
func set(op string, quantity any) map[string]any {
	return map[string]any{"op": op, "path": "/attributes/fulfillment_availability", "value": []any{
		map[string]any{"fulfillment_channel_code": "DEFAULT", "quantity": quantity},
	}}
}

func (c *caller) search(skus ...string) (found []string, body map[string]any) {
	c.t.Helper()
	status, body, _ := c.do("GET", items+"?"+url.Values{
		"marketplaceIds": {marketplace}, "identifiersType": {"SKU"}, "identifiers": {strings.Join(skus, ",")},
		"includedData": {"fulfillmentAvailability"},
	}.Encode(), nil)
	require.Equal(c.t, 200, status, body)
	for _, item := range body["items"].([]any) {
		found = append(found, item.(map[string]any)["sku"].(string))
	}
	return found, body
}

// feed creates a feed of messages.
func (c *caller) feed(kind, version string, messages ...any) (id string) {
	c.t.Helper()
	content, err := json.Marshal(map[string]any{
		"header": map[string]any{"sellerId": seller, "version": version}, "messages": messages,
	})
	require.NoError(c.t, err)
	const contentType = "application/json; charset=UTF-8"
	status, file, _ := c.do("POST", documents, map[string]any{"contentType": contentType})
	require.Equal(c.t, 201, status, file)
	assert.Equal(c.t, 200, c.put(file["url"].(string), contentType, content))
	status, made, _ := c.do("POST", feeds, map[string]any{
		"feedType": kind, "marketplaceIds": []string{marketplace}, "inputFeedDocumentId": file["feedDocumentId"],
	})
	require.Equal(c.t, 202, status, made)
	return made["feedId"].(string)
}

func (c *caller) put(address, contentType string, content []byte, header ...string) int {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "PUT", address, bytes.NewReader(content))
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.s.Client().Do(req)
	require.NoError(c.t, err)
	return resp.StatusCode
}

func message(id int, sku string, patch map[string]any) map[string]any {
	return map[string]any{"messageId": id, "sku": sku, "operationType": "PATCH", "productType": "PRODUCT", "patches": []any{patch}}
}

// status waits until a feed is over.
func (c *caller) status(id string) map[string]any {
	c.t.Helper()
	for range 1000 {
		if !time.Now().Before(c.until) {
			c.renew()
		}
		_, body, _ := c.do("GET", feeds+"/"+id, nil)
		if s := body["processingStatus"]; s != "IN_QUEUE" && s != "IN_PROGRESS" {
			return body
		}
		time.Sleep(time.Minute)
	}
	c.t.Fatal("the feed does not end")
	return nil
}

func some(format string, n int) (skus []string, listings []amazontest.Listing) {
	for i := range n {
		sku := fmt.Sprintf(format, i)
		skus = append(skus, sku)
		listings = append(listings, amazontest.Listing{SKU: sku, Quantity: i})
	}
	return skus, listings
}
