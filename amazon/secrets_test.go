package amazon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// secretParts are what no text may have in it.
func secretParts(s *amazontest.Server) []string {
	parts := []string{"test-client-secret", "test-refresh-token", "test-access-token", "Atza|", "Atzr|", "X-Amz-Signature"}
	for _, r := range s.Requests() {
		if strings.Contains(r.URL.EscapedPath(), "%2Fdocuments/") {
			parts = append(parts, r.URL.EscapedPath(), r.URL.Path, r.URL.RawQuery)
		}
	}
	return parts
}

func keeps(t *testing.T, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		assert.NotContains(t, text, secret)
	}
}

// everything runs all that the channel does, feeds and lists too, and returns
// the errors.
func everything(t *testing.T, ch *amazon.Channel, skus []string) (texts []string) {
	t.Helper()
	note := func(err error) {
		if err != nil {
			texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
			for e := err; e != nil; e = errors.Unwrap(e) {
				texts = append(texts, e.Error())
			}
			text, _ := json.Marshal(err)
			texts = append(texts, string(text))
		}
	}
	ctx := channel.WithUrgency(t.Context(), channel.Background)
	_, _, err := ch.Resume(ctx)
	note(err)
	_, err = ch.Levels(ctx, skus)
	note(err)
	var updates []channel.Update
	for i, sku := range skus {
		updates = append(updates, to(sku, 1000+i))
	}
	note(ch.Push(ctx, updates))
	note(ch.Push(t.Context(), updates[:1]))
	for range 30 {
		_, again, err := ch.Resume(t.Context())
		note(err)
		if again == 0 {
			break
		}
		time.Sleep(again)
	}
	for _, err := range ch.SKUs(t.Context()) {
		note(err)
	}
	return texts
}

// With every answer of every host going wrong in turn, nothing that may not be
// printed is, and no credential goes to the host of the files.
func TestSecretsStayOnTheirHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	echo := func(status int, kind string) channeltest.Fault {
		return channeltest.Fault{Name: "an echo of what was sent", Apply: true, Status: status, Header: http.Header{"Content-Type": {kind}},
			Body: `{"errors":[{"code":"Atza|test-access-token-1","message":"amzn1.oa2-cs.v1.test-client-secret Atzr|test-refresh-token https://storage.amazon.test/seller%2Fdocuments/x?X-Amz-Signature=abc","details":"Atza|test-access-token-2"}],"error":"invalid_grant","error_description":"Atzr|test-refresh-token amzn1.oa2-cs.v1.test-client-secret"}`}
	}
	for _, f := range append(channeltest.Hostile(), echo(400, "application/json"), echo(403, "application/json"), echo(500, "text/html"), channeltest.Fault{}) {
		for _, host := range []string{"api.amazon.com", "sellingpartnerapi-na.amazon.com", "storage.amazon.test"} {
			for _, skip := range []int{0, 1, 3} {
				bubble(t, func(t *testing.T) {
					s := amazontest.New(amazontest.Config{})
					skus := stock(s, 60)
					jar, err := cookiejar.New(nil)
					require.NoError(t, err)
					jar.SetCookies(&url.URL{Scheme: "https", Host: "storage.amazon.test"}, []*http.Cookie{{Name: "session", Value: "hush"}})
					var logs bytes.Buffer
					ch := open(t, s, func(c *amazon.Config, cc *amazon.ChannelConfig) {
						c.HTTPClient.Jar, c.Logger = jar, logger(&logs)
						cc.FeedFrom, cc.FeedLimit = 50, time.Hour
					})
					f.Match, f.Skip, f.Times = func(r channeltest.Request) bool { return r.Host == host }, skip, -1
					if f.Delay > 0 {
						f.Times = 1
					}
					s.Inject(f)
					texts := everything(t, ch, skus)
					parts := append(secretParts(s), "hush")
					for _, text := range append(texts, logs.String()) {
						keeps(t, text, parts)
					}
					assert.Empty(t, s.Harm(), f.Name)
					if f.Name == "" { // nothing goes wrong
						assert.Len(t, s.Feeds(), 1)
						assert.NotZero(t, s.Count(func(r channeltest.Request) bool { return r.Host == "storage.amazon.test" }))
					}
					for _, r := range s.Requests() {
						known := r.Host == "api.amazon.com" || r.Host == "sellingpartnerapi-na.amazon.com" || r.Host == "storage.amazon.test"
						assert.True(t, known, "a request went to %s", r.Host)
						assert.Equal(t, r.Host == "sellingpartnerapi-na.amazon.com", r.Header.Get("x-amz-access-token") != "")
						assert.Empty(t, r.Header.Get("Authorization"))
						if r.Host != "api.amazon.com" {
							keeps(t, string(r.Body), []string{"Atzr|", "test-client-secret"})
						}
						keeps(t, r.URL.String(), []string{"Atz", "test-client-secret"})
					}
				})
			}
		}
	}
}

// A redirect of the storage, or an answer that names another host for a file,
// gets neither the file nor a token.
func TestNoHostIsTrustedWithMoreThanItsOwn(t *testing.T) {
	for address, sent := range map[string]bool{
		"https://evil.example/x?X-Amz-Signature=1": true, // Amazon's word is good for where its files are
		"http://evil.example/x":                    false,
		"https://user:pass@evil.example/x":         false,
		"file:///etc/passwd":                       false,
		"":                                         false,
	} {
		bubble(t, func(t *testing.T) {
			s := amazontest.New(amazontest.Config{})
			skus := stock(s, 60)
			ch := open(t, s, func(_ *amazon.Config, cc *amazon.ChannelConfig) { cc.FeedFrom, cc.FeedLimit = 50, 10*time.Minute })
			s.Inject(channeltest.Fault{Match: channeltest.On("POST", "/documents"), Times: -1, Rewrite: func(int, http.Header, []byte) (int, []byte) {
				return 201, []byte(`{"feedDocumentId":"x","url":"` + address + `"}`)
			}})
			everything(t, ch, skus)
			there := s.Count(func(r channeltest.Request) bool { return r.Host == "evil.example" })
			assert.Equal(t, sent, there > 0, address)
			for _, r := range s.Requests() {
				if r.Host == "evil.example" {
					assert.Empty(t, r.Header.Get("x-amz-access-token"))
				}
			}
			assert.Empty(t, s.Feeds())
		})
	}
}

func TestSecretsAreOutOfReachForPrinting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A"})
		cfg := amazon.Config{SellerID: "A1TESTSELLER", Region: "na", Credentials: credentials(), HTTPClient: s.Client()}
		c, err := amazon.New(cfg)
		require.NoError(t, err)
		require.NoError(t, readA.do(t, c)) // it has a token now
		ch, err := c.Channel(amazon.ChannelConfig{MarketplaceID: "ATVPDKIKX0DER"})
		require.NoError(t, err)
		type host struct {
			Open   any
			hidden any
			cfg    amazon.Config
			keys   *amazon.Credentials
			client *amazon.Client
			ch     *amazon.Channel
		}
		var logs bytes.Buffer
		for _, v := range []any{cfg, &cfg, cfg.Credentials, c, ch, host{cfg, cfg, cfg, cfg.Credentials, c, ch}, &host{cfg.Credentials, cfg.Credentials, cfg, cfg.Credentials, c, ch}} {
			text := fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v)
			slog.New(slog.NewTextHandler(&logs, nil)).Info("x", slog.Any("v", v))
			slog.New(slog.NewJSONHandler(&logs, nil)).Info("x", slog.Any("v", v))
			encoded, _ := json.Marshal(v)
			for _, text := range []string{text, logs.String(), string(encoded)} {
				keeps(t, text, []string{"test-client-secret", "test-refresh-token", "test-access-token"})
			}
		}
		assert.Contains(t, fmt.Sprint(cfg.Credentials), "redacted")
	})
}
