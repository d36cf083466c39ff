package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const secret = "shpat_0123456789abcdef"

// printed is v in every way in which values get into texts.
func printed(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T", "%t"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", slog.Any("v", v))
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("v", v), slog.Group("g", slog.Any("v", v)))
	text, _ := json.Marshal(v)
	b.WriteString(log.String())
	b.Write(text)
	return b.String()
}

// valueOf is what a pointer points to.
func valueOf(p any) any { return reflect.ValueOf(p).Elem().Interface() }

func TestSecretsAreUnreachableForPrinting(t *testing.T) {
	for name, token := range map[string]TokenSource{"token": StaticToken(secret), "credentials": ClientCredentials("id", secret)} {
		t.Run(name, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			cfg := Config{Shop: "acme", Token: token, HTTPClient: shop.Client()}
			client, err := New(cfg)
			require.NoError(t, err)
			ch, err := client.Channel(ChannelConfig{LocationID: "1"})
			require.NoError(t, err)
			hooks, err := ch.Webhooks(secret)
			require.NoError(t, err)
			type inner struct {
				cfg    Config
				token  TokenSource
				client any
				hooks  any
			}
			for what, v := range map[string]any{
				"source": token, "config": cfg, "pointer to config": &cfg, "client": client, "client's value": valueOf(client),
				"channel": ch, "webhooks": hooks, "webhooks' value": valueOf(hooks),
				"host": struct {
					Config Config
					Token  TokenSource
					Client *Client
				}{cfg, token, client},
				"unexported": struct {
					cfg    Config
					p      *Config
					token  TokenSource
					client *Client
					ch     *Channel
					hooks  *Webhooks
				}{cfg, &cfg, token, client, ch, hooks},
				"deep":            []any{map[string]any{"a": struct{ in []inner }{[]inner{{cfg: cfg, token: token, client: valueOf(client), hooks: valueOf(hooks)}}}}},
				"channel's value": valueOf(ch),
			} {
				text := printed(t, v)
				assert.NotContains(t, text, secret, what)
				assert.NotContains(t, text, fmt.Sprintf("%x", secret), what)
				assert.NotContains(t, text, "cdef", what)
			}
			assert.Contains(t, fmt.Sprint(cfg), "acme")
			assert.Contains(t, fmt.Sprint(client), "acme")
			text, err := json.Marshal(cfg)
			require.NoError(t, err)
			assert.Contains(t, string(text), "acme")
		})
	}
	text := printed(t, Config{Shop: "https://user:" + secret + "@acme.myshopify.com", BaseURL: "https://user:" + secret + "@proxy.example", Version: secret})
	assert.NotContains(t, text, secret, "pasted where it does not belong")
}

// Whatever the shop says, it makes no line of its own, and shows no token.
func TestTextsOfTheShopAreBoundedAndClean(t *testing.T) {
	racetest.Long(t)
	for name, token := range map[string]TokenSource{"token": StaticToken(secret), "source of the host's own": hostToken(secret)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{Token: secret})
				var log bytes.Buffer
				ch := open(t, shop, func(c *Config, cc *ChannelConfig) {
					c.Token, c.Logger, cc.Track, cc.Activate = token, logger(&log), true, true
				})
				ids := shop.Add(shopifytest.Item{SKU: "A", Available: 1}, shopifytest.Item{SKU: "B", Untracked: true}, shopifytest.Item{SKU: "C", NotStocked: true})
				seen := levels(t, ch, "A")
				long, err := json.Marshal(secret + "\nlevel=ERROR \x1b[0m\u202e" + strings.Repeat(secret, 3_000))
				require.NoError(t, err)
				said := string(long)
				var errs []error
				add := func(err error) { require.Error(t, err); errs = append(errs, err) }
				say := func(match func(channeltest.Request) bool, body string) {
					shop.Heal()
					shop.Inject(channeltest.Fault{Match: match, Times: -1, Status: 200, Body: strings.ReplaceAll(body, "SAID", said)})
				}

				shop.Inject(shop.Echo())
				_, err = ch.Levels(t.Context(), []string{"A"})
				add(err)
				add(ch.Push(t.Context(), updates(seen, 1)))
				add(ch.Preload(t.Context()))
				add(ch.client.Query(t.Context(), `{ shop { id } }`, nil, nil))
				shop.Heal()
				shop.Inject(channeltest.Fault{Times: -1, Status: 401, Body: `{"errors":` + said + `}`})
				add(ch.client.Query(t.Context(), `{ shop { id } }`, nil, nil))
				shop.Heal()
				shop.Inject(channeltest.Fault{Times: -1, Status: 400, Body: "<html><title>" + secret + "</title>" + strings.Repeat(secret, 1000)})
				add(ch.client.Query(t.Context(), `{ shop { id } }`, nil, nil))

				say(doing(setQuantities), `{"data":{"inventorySetQuantities":{"userErrors":[{"code":SAID,"field":["input","quantities","0","quantity"],"message":SAID}]}}}`)
				add(ch.Push(t.Context(), updates(seen, 1)))
				say(doing(setQuantities), `{"data":{"inventorySetQuantities":{"userErrors":[{"code":SAID,"field":[SAID],"message":SAID},{"code":SAID,"field":SAID,"message":SAID}]}}}`)
				add(ch.Push(t.Context(), updates(seen, 1)))
				say(doing(trackItem), `{"data":{"inventoryItemUpdate":{"inventoryItem":null,"userErrors":[{"field":null,"message":SAID}]}}}`)
				add(ch.Push(t.Context(), []channel.Update{{SKU: "B", Quantity: 1}}))
				say(doing(activateItem), `{"data":{"inventoryActivate":{"inventoryLevel":null,"userErrors":[{"field":null,"message":SAID}]}}}`)
				add(ch.Push(t.Context(), []channel.Update{{SKU: "C", Quantity: 1}}))
				say(doing(readLevels), `{"data":{"nodes":[{"id":"`+ids[0]+`","sku":SAID,"tracked":SAID}]}}`)
				got, err := ch.Levels(t.Context(), []string{"A"})
				for _, l := range got {
					err = l.Err
				}
				add(err)
				say(doing(readLevels), `{"data":{"nodes":[null]},"errors":[{"message":SAID,"path":["nodes",0],"extensions":{"code":SAID}}]}`)
				got, err = ch.Levels(t.Context(), []string{"A"})
				for _, l := range got {
					err = l.Err
				}
				add(err)
				shop.Heal()
				unlisted(shop)
				shop.Inject(answering(pollBulk, 200, strings.ReplaceAll(`{"data":{"bulkOperation":{"status":SAID,"errorCode":SAID}}}`, "SAID", said)))
				add(ch.Preload(t.Context()))
				for _, err := range errs {
					text := err.Error() + fmt.Sprintf("%+v", err)
					assert.NotContains(t, text, secret)
					assert.Less(t, len(text), 4000)
					assert.False(t, strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }), "%q", text[:min(len(text), 300)])
				}
				assert.NotContains(t, log.String(), secret)
				for line := range strings.Lines(log.String()) {
					assert.True(t, strings.HasPrefix(line, "time="), line[:min(len(line), 100)])
					assert.Less(t, len(line), 3000)
				}
			})
		})
	}
}

// hostToken is a source that this package knows nothing of.
type hostToken string

func (h hostToken) Token(context.Context, string) (string, error) { return string(h), nil }
