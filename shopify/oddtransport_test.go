package shopify

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// blank is a transport whose downloads are empty lines without an end, slowly, and
// know no context; or that panics instead.
type blank struct {
	http.RoundTripper
	panics bool
}

func (b blank) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return b.RoundTripper.RoundTrip(r)
	}
	if b.panics {
		panic("at " + r.URL.String())
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(b)}, nil
}

func (blank) Read(p []byte) (int, error) {
	time.Sleep(30 * time.Second)
	p[0] = '\n'
	return 1, nil
}

func TestDownloadThroughAnOddTransport(t *testing.T) {
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.HTTPClient.Transport = blank{c.HTTPClient.Transport, panics} })
			unlisted(shop)
			stock(shop, 3)
			start := time.Now()
			err := ch.Preload(t.Context())
			require.ErrorIs(t, err, channel.ErrUnavailable)
			assert.NotContains(t, err.Error(), "?", "nothing of the address")
			assert.LessOrEqual(t, time.Since(start), maxDownloads*(bulkLimit+time.Minute))
		})
	}
}
