package amazon_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

var tokenRequests = channeltest.On("POST", "/auth/o2/token")

func TestTokensAreKeptAndRenewedEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: time.Second})
		s.Add(amazontest.Listing{SKU: "A"})
		c := client(t, s)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { assert.NoError(t, readA.do(t, c)) })
		}
		wg.Wait()
		assert.Equal(t, 1, s.Count(tokenRequests), "one for all")
		time.Sleep(54 * time.Minute)
		assert.NoError(t, readA.do(t, c))
		assert.Equal(t, 1, s.Count(tokenRequests))
		time.Sleep(2 * time.Minute)
		s.Inject(channeltest.Fault{Match: tokenRequests, Times: -1, Status: 503})
		assert.NoError(t, readA.do(t, c), "the old one is still good")
		s.Heal()
		s.Forget()
		time.Sleep(90 * time.Second)
		assert.NoError(t, readA.do(t, c))
		assert.Equal(t, 1, s.Count(tokenRequests))
		assert.Equal(t, 1, s.Count(channeltest.On("GET", "")), "no request with an expired token")
		assert.EqualValues(t, 1+5+1+7+1+2, c.Requests(), "those for tokens too")
	})
}

func TestAnExpiredTokenIsRenewedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		c := client(t, s)
		require.NoError(t, readA.do(t, c))
		time.Sleep(10 * time.Minute)
		s.ExpireTokens()
		s.Forget()
		require.NoError(t, readA.do(t, c))
		assert.Equal(t, []int{1, 2}, []int{s.Count(tokenRequests), s.Count(channeltest.On("GET", ""))})

		// Whole-service spells of 403 with good tokens: no storm of tokens.
		time.Sleep(10 * time.Minute)
		s.Forget()
		s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Status: 403, Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":"The access token you provided has expired."}]}`})
		for range 20 {
			err := readA.do(t, c)
			assert.ErrorIs(t, err, channel.ErrUnauthorized)
			assert.False(t, channel.Permanent(err), "not for good")
		}
		assert.LessOrEqual(t, s.Count(tokenRequests), 2)
		s.Heal()
		assert.NoError(t, readA.do(t, c))
	})
}

func TestAForbiddenPathIsNoReasonForAToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		c := client(t, s)
		err := query{http.MethodGet, "/orders/v0/orders", nil}.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "Product Listing")
		assert.ErrorContains(t, err, "request-")
		assert.Equal(t, 1, s.Count(tokenRequests))
		assert.Equal(t, 1, s.Count(channeltest.On("GET", "")))
	})
}

func TestTheClientSecretIsReplacedWhileRunning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		keys := credentials()
		c := client(t, s, func(c *amazon.Config) { c.Credentials = keys })
		require.NoError(t, readA.do(t, c))
		s.RotateSecret("amzn1.oa2-cs.v1.new")
		require.NoError(t, readA.do(t, c), "the token is good yet")
		time.Sleep(2 * time.Hour)
		err := readA.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "invalid_client")
		assert.ErrorContains(t, err, "180 days")
		keys.Rotate("amzn1.oa2-cs.v1.new")
		assert.NoError(t, readA.do(t, c))

		time.Sleep(10 * time.Minute)
		s.Revoke()
		err = readA.do(t, c)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.ErrorContains(t, err, "invalid_grant")
		assert.ErrorContains(t, err, "revoked")
	})
}

func TestASecretThatIsReplacedMeanwhileIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{ClientSecret: "new"})
		s.Add(amazontest.Listing{SKU: "A"})
		keys := credentials()
		c := client(t, s, func(c *amazon.Config) { c.Credentials = keys })
		s.Inject(channeltest.Fault{Match: tokenRequests, Delay: time.Second, Apply: true, Status: 401, Body: `{"error":"invalid_client","error_description":"Client authentication failed"}`})
		time.AfterFunc(time.Second/2, func() { keys.Rotate("new") })
		assert.NoError(t, readA.do(t, c))
	})
}
