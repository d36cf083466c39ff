package shopify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// open returns a channel of a client of the shop.
func open(t testing.TB, shop *shopifytest.Server, change ...func(*Config, *ChannelConfig)) *Channel {
	t.Helper()
	cfg := Config{Shop: "test-shop", Token: StaticToken("shpat_test"), HTTPClient: shop.Client()}
	ccfg := ChannelConfig{LocationID: "1"}
	for _, f := range change {
		f(&cfg, &ccfg)
	}
	client, err := New(cfg)
	require.NoError(t, err)
	ch, err := client.Channel(ccfg)
	require.NoError(t, err)
	return ch
}

// doing matches the requests of an operation.
func doing(op operation) func(channeltest.Request) bool {
	field := op.name + "("
	return func(r channeltest.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/graphql.json") && bytes.Contains(r.Body, []byte(field))
	}
}

// variables reads those of a request.
func variables(t testing.TB, r channeltest.Request, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.Body, &struct{ Variables any }{into}))
}

// answering is a fault: this answer in place of the shop's.
func answering(op operation, status int, body string) channeltest.Fault {
	return channeltest.Fault{
		Match: doing(op), Times: -1,
		Rewrite: func(int, http.Header, []byte) (int, []byte) { return status, []byte(body) },
	}
}

func once(f channeltest.Fault) channeltest.Fault { f.Times = 1; return f }

// stock adds n items to the shop, and returns their SKUs.
func stock(shop *shopifytest.Server, n int) []string {
	skus := make([]string, n)
	items := make([]shopifytest.Item, n)
	for i := range n {
		skus[i] = fmt.Sprintf("SKU-%04d", i)
		items[i] = shopifytest.Item{SKU: skus[i], Available: i}
	}
	shop.Add(items...)
	return skus
}

func levels(t testing.TB, ch *Channel, skus ...string) []channel.Level {
	t.Helper()
	levels, err := ch.Levels(t.Context(), skus)
	require.NoError(t, err)
	return levels
}

// updates sets each level to its quantity and more.
func updates(levels []channel.Level, more int) []channel.Update {
	out := make([]channel.Update, len(levels))
	for i, l := range levels {
		out[i] = channel.Update{SKU: l.SKU, Quantity: l.Quantity + more, Seen: &l}
	}
	return out
}

func available(t testing.TB, shop *shopifytest.Server, sku string) int {
	t.Helper()
	n, ok := shop.Available(sku)
	require.True(t, ok, sku)
	return n
}

func logger(into *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(into, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
