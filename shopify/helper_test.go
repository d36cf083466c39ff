package shopify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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
	_, name, _ := strings.Cut(strings.TrimSpace(op.query), " ")
	name = " " + name[:strings.IndexAny(name, "( ")]
	return func(r channeltest.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/graphql.json") &&
			(bytes.Contains(r.Body, []byte(name+"(")) || bytes.Contains(r.Body, []byte(name+" {")))
	}
}

// unlisted makes Preload use a bulk operation whatever the size of the shop.
func unlisted(shop *shopifytest.Server) {
	shop.Inject(answering(listItems, 200, `{"errors":[{"message":"not this way"}]}`))
}

// known leaves out the levels of SKUs that may be unknown only for now.
func known(levels []channel.Level) []channel.Level {
	return slices.DeleteFunc(levels, func(l channel.Level) bool {
		return errors.Is(l.Err, channel.ErrUnknownSKU) && !channel.Permanent(l.Err)
	})
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
