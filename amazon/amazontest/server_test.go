package amazontest_test

import (
	"bytes"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
)

func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		c := newCaller(t, s)
		for range 10 {
			status, _, header := c.do("GET", items+"/A?marketplaceIds="+marketplace, nil)
			assert.Equal(t, 200, status)
			assert.Equal(t, "5", header.Get("x-amzn-RateLimit-Limit"))
			assert.NotEmpty(t, header.Get("x-amzn-RequestId"))
		}
		status, body, header := c.do("GET", items+"/A?marketplaceIds="+marketplace, nil)
		assert.Equal(t, 429, status)
		assert.Equal(t, "QuotaExceeded", body["errors"].([]any)[0].(map[string]any)["code"])
		assert.Empty(t, header.Get("Retry-After"))
		assert.Empty(t, header.Get("x-amzn-RateLimit-Limit"))
		c.search("A") // has a quota of its own
		time.Sleep(200 * time.Millisecond)
		s.SetRate("getListingsItem", 2)
		status, _, header = c.do("GET", items+"/A?marketplaceIds="+marketplace, nil)
		assert.Equal(t, 200, status)
		assert.Equal(t, "2", header.Get("x-amzn-RateLimit-Limit"))
		calls, throttled := s.Calls("getListingsItem")
		assert.Equal(t, []int{12, 1}, []int{calls, throttled})
		s.Drain("searchListingsItems", 5)
		status, _, _ = c.do("GET", items+"?marketplaceIds="+marketplace, nil)
		assert.Equal(t, 429, status)
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		c := newCaller(t, s)
		details := func() string {
			status, body, _ := c.do("GET", items+"?marketplaceIds="+marketplace, nil)
			if status == 200 {
				return ""
			}
			assert.Equal(t, 403, status)
			return body["errors"].([]any)[0].(map[string]any)["details"].(string)
		}
		assert.Empty(t, details())
		time.Sleep(time.Hour)
		assert.Contains(t, details(), "has expired")
		c.token = "Atza|another"
		assert.Contains(t, details(), "invalid")
		status, body := c.login("refresh_token", "wrong")
		assert.Equal(t, 401, status)
		assert.Equal(t, "invalid_client", body["error"])
		status, body = c.login("client_credentials", amazontest.ClientSecret)
		assert.Equal(t, 400, status)
		assert.Equal(t, "unsupported_grant_type", body["error"])
		s.RotateSecret("new")
		status, _ = c.login("refresh_token", "new")
		assert.Equal(t, 200, status)
		s.Revoke()
		status, body = c.login("refresh_token", "new")
		assert.Equal(t, 400, status)
		assert.Equal(t, "invalid_grant", body["error"])
	})
}

func TestRequestsAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		c := newCaller(t, s)
		for path, want := range map[string]int{
			items + "?marketplaceIds=" + marketplace: 200,
			items:                                    400,
			items + "?marketplaceIds=OTHER":          400,
			items + "?marketplaceIds=" + marketplace + "&other=1":                     400,
			items + "?marketplaceIds=" + marketplace + "&identifiers=A":               400,
			items + "?marketplaceIds=" + marketplace + "&includedData=all":            400,
			"/listings/2021-08-01/items/A2OTHER?marketplaceIds=" + marketplace:        403,
			"/listings/2020-09-01/items/" + seller + "?marketplaceIds=" + marketplace: 403,
			"/reports/2021-06-30/reports/1":                                           404,
			"/orders/v0/orders":                                                       403, // a role is missing
			items + "?marketplaceIds=" + marketplace + "&sortBy=sku":                  501,
		} {
			status, _, _ := c.do("GET", path, nil)
			assert.Equal(t, want, status, path)
			time.Sleep(time.Second / 4) // the quota
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://api.test"+items+"?marketplaceIds="+marketplace, bytes.NewReader([]byte("{}")))
		require.NoError(t, err)
		req.Header.Set("x-amz-access-token", c.token)
		resp, err := s.Client().Do(req)
		require.NoError(t, err)
		assert.Equal(t, 400, resp.StatusCode, "a GET with a body")
		status, _, _ := c.do("DELETE", items+"/A?marketplaceIds="+marketplace, nil)
		assert.Equal(t, 403, status, "what the models here leave out")
	})
}
