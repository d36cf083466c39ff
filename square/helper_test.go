package square

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/square/squaretest"
)

// open returns a channel of a client of the account.
func open(t testing.TB, till *squaretest.Server, change ...func(*Config, *ChannelConfig)) *Channel {
	t.Helper()
	cfg := Config{Token: StaticToken("EAAAtest"), HTTPClient: till.Client(), Rate: 1000}
	ccfg := ChannelConfig{LocationID: "LMAIN"}
	for _, f := range change {
		f(&cfg, &ccfg)
	}
	client, err := New(cfg)
	require.NoError(t, err)
	ch, err := client.Channel(ccfg)
	require.NoError(t, err)
	return ch
}

// lag is a BookingLag.
func lag(d time.Duration) func(*Config, *ChannelConfig) {
	return func(_ *Config, c *ChannelConfig) { c.BookingLag = d }
}

// on matches the requests to an operation.
func on(path string) func(channeltest.Request) bool { return channeltest.On("", path) }

// answering is a fault: this answer in place of Square's.
func answering(path string, status int, body string) channeltest.Fault {
	return channeltest.Fault{
		Match: on(path), Times: -1,
		Rewrite: func(int, http.Header, []byte) (int, []byte) { return status, []byte(body) },
	}
}

// stock adds n variations, and returns their SKUs.
func stock(till *squaretest.Server, n int) []string {
	skus := make([]string, n)
	variations := make([]squaretest.Variation, n)
	for i := range n {
		skus[i] = fmt.Sprintf("SKU-%05d", i)
		variations[i] = squaretest.Variation{SKU: skus[i], Quantity: i}
	}
	till.Add(variations...)
	return skus
}

func levels(t testing.TB, ch *Channel, skus ...string) []channel.Level {
	t.Helper()
	levels, err := ch.Levels(t.Context(), skus)
	require.NoError(t, err)
	return levels
}

// level is the level of one SKU.
func level(t testing.TB, ch *Channel, sku string) channel.Level {
	t.Helper()
	ls := levels(t, ch, sku)
	require.Len(t, ls, 1, sku)
	return ls[0]
}

// update sets an SKU to a quantity that was read now.
func update(sku string, quantity int) channel.Update {
	return channel.Update{SKU: sku, Quantity: quantity, AsOf: time.Now()}
}

// updates sets each level to its quantity and more.
func updates(levels []channel.Level, more int) []channel.Update {
	out := make([]channel.Update, len(levels))
	for i, l := range levels {
		out[i] = update(l.SKU, l.Quantity+more)
		out[i].Seen = &l
	}
	return out
}

func shown(t testing.TB, till *squaretest.Server, sku string) int {
	t.Helper()
	n, ok := till.Quantity(sku)
	require.True(t, ok, sku)
	return n
}

func logger(into *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(into, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// withoutCursor takes the cursor off a request.
func withoutCursor(r *http.Request) *http.Request {
	raw, _ := io.ReadAll(r.Body)
	var body map[string]any
	if json.Unmarshal(raw, &body) == nil && body["cursor"] != nil {
		delete(body, "cursor")
		raw, _ = json.Marshal(body)
	}
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	return out
}

// pageOf decodes an answer of the catalog.
func pageOf(t testing.TB, c *catalog, body string, now time.Time) *page {
	t.Helper()
	a, err := read("test", &httpx.Response{Status: 200, Body: []byte(body)}, func(s string) string { return s })
	require.NoError(t, err)
	p, err := c.decodePage(a, now)
	require.NoError(t, err)
	return p
}
