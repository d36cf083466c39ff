package square

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

// open returns a channel of a client of the account.
func open(t testing.TB, till *squaretest.Server, change ...func(*Config, *ChannelConfig)) *Channel {
	t.Helper()
	cfg := Config{Token: StaticToken("EAAAtest"), HTTPClient: till.Client()}
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
