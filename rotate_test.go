package stocksync_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// A lock is a service's front door, whose key changes: it takes the good key
// for the one that the simulated service knows. Any other goes to the service as
// it is, which refuses it in its own way.
type lock struct {
	next http.RoundTripper
	real string // what the service knows

	mu     sync.Mutex
	good   string
	broken error // of the host's function
}

func (l *lock) turn(good string, broken error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.good, l.broken = good, broken
}

// key is a host's function.
func (l *lock) key(context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return "", l.broken
	}
	return l.good, nil
}

func (l *lock) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	good := l.good
	l.mu.Unlock()
	r = r.Clone(r.Context())
	for name, values := range r.Header {
		for i, v := range values {
			if kind, token, ok := strings.Cut(v, " "); ok && kind == "Basic" {
				plain, _ := base64.StdEncoding.DecodeString(token)
				v = "Basic " + base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(plain), good, l.real)))
			}
			r.Header[name][i] = strings.ReplaceAll(v, good, l.real)
		}
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.ReplaceAll(body, []byte(url.QueryEscape(good)), []byte(url.QueryEscape(l.real)))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	return l.next.RoundTrip(r)
}

// A rotated is a service whose credentials somebody replaces.
type rotated struct {
	lock *lock
	// client returns a new client, or the same one if it asks for its key anew in
	// each request, as a function that reads something.
	client func(t *testing.T, logger *slog.Logger) (read func(context.Context) error, printed any)
}

func rotatedServices(t *testing.T) map[string]rotated {
	read := func(ch channel.Channel) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := ch.(channel.Reader).Levels(ctx, []string{"MUG"})
			return err
		}
	}
	all := make(map[string]rotated)

	erp := ecosiretest.New(ecosiretest.Config{})
	erp.Add(ecosiretest.Product{SKU: "MUG", OnHand: 1})
	l := &lock{next: erp.Client().Transport, real: "eco_live_test"}
	all["ecosire"] = rotated{l, func(t *testing.T, logger *slog.Logger) (func(context.Context) error, any) {
		c, err := ecosire.New(ecosire.Config{RotatingKey: l.key, HTTPClient: &http.Client{Transport: l}, Logger: logger})
		require.NoError(t, err)
		return func(ctx context.Context) error {
			for _, err := range c.Stock(ctx) {
				return err
			}
			return nil
		}, c
	}}

	woo := woocommercetest.New(woocommercetest.Config{})
	woo.Add(woocommercetest.Product{SKU: "MUG", Quantity: 1})
	site := &lock{next: woo.Client().Transport, real: "cs_test"}
	all["woocommerce"] = rotated{site, func(t *testing.T, logger *slog.Logger) (func(context.Context) error, any) {
		c, err := woocommerce.New(woocommerce.Config{
			URL: "https://shop.example", HTTPClient: &http.Client{Transport: site}, Logger: logger,
			RotatingKey: func(ctx context.Context) (string, string, error) { s, err := site.key(ctx); return "ck_test", s, err },
		})
		require.NoError(t, err)
		ch, err := c.Channel(woocommerce.ChannelConfig{})
		require.NoError(t, err)
		return read(ch), ch
	}}

	shops := shopifytest.New(shopifytest.Config{})
	shops.Add(shopifytest.Item{SKU: "MUG", Available: 1})
	onShopify := func(l *lock, source shopify.TokenSource) func(*testing.T, *slog.Logger) (func(context.Context) error, any) {
		return func(t *testing.T, logger *slog.Logger) (func(context.Context) error, any) {
			c, err := shopify.New(shopify.Config{Shop: "test-shop", Token: source, HTTPClient: &http.Client{Transport: l}, Logger: logger})
			require.NoError(t, err)
			ch, err := c.Channel(shopify.ChannelConfig{LocationID: shops.Location()})
			require.NoError(t, err)
			return read(ch), []any{ch, source}
		}
	}
	token := &lock{next: shops.Client().Transport, real: "shpat_test"}
	all["shopify token"] = rotated{token, onShopify(token, shopify.RotatingToken(token.key))}
	app := &lock{next: shops.Client().Transport, real: "client-secret"}
	all["shopify credentials"] = rotated{app, onShopify(app, shopify.RotatingCredentials(func(ctx context.Context) (string, string, error) {
		s, err := app.key(ctx)
		return "client-id", s, err
	}))}

	tills := squaretest.New(squaretest.Config{})
	till := &lock{next: tills.Client().Transport, real: "EAAAtest"}
	source := square.RotatingToken(till.key)
	all["square"] = rotated{till, func(t *testing.T, logger *slog.Logger) (func(context.Context) error, any) {
		c, err := square.New(square.Config{Token: source, HTTPClient: &http.Client{Transport: till}, Logger: logger})
		require.NoError(t, err)
		ch, err := c.Channel(square.ChannelConfig{LocationID: "LMAIN"})
		require.NoError(t, err)
		return read(ch), []any{ch, source}
	}}

	market := amazontest.New(amazontest.Config{})
	seller := &lock{next: market.Client().Transport, real: amazontest.ClientSecret}
	credentials := amazon.RotatingCredentials(func(ctx context.Context) (string, string, string, error) {
		s, err := seller.key(ctx)
		return amazontest.ClientID, s, amazontest.RefreshToken, err
	})
	all["amazon"] = rotated{seller, func(t *testing.T, logger *slog.Logger) (func(context.Context) error, any) {
		c, err := amazon.New(amazon.Config{
			SellerID: "A1TESTSELLER", Region: amazon.NorthAmerica, Credentials: credentials, HTTPClient: &http.Client{Transport: seller}, Logger: logger,
		})
		require.NoError(t, err)
		ch, err := c.Channel(amazon.ChannelConfig{MarketplaceID: "ATVPDKIKX0DER"})
		require.NoError(t, err)
		return read(ch), []any{ch, credentials}
	}}
	return all
}

// A secret that was replaced works with the next request, without a restart and
// without an error in between. One that cannot be had is told without a secret.
func TestASecretRotatesWithoutARestart(t *testing.T) {
	for name := range rotatedServices(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := rotatedServices(t)[name]
				const first, second, third = "HUSH-first-key-1", "HUSH-second-key-2", "HUSH-third-key-3"
				var logs bytes.Buffer
				logger := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))

				s.lock.turn(first, errors.New("no vault: HUSH-in-an-error"))
				read, held := s.client(t, logger)
				err := read(t.Context())
				require.ErrorIs(t, err, channel.ErrUnavailable)
				assert.NotErrorIs(t, err, channel.ErrUnauthorized)
				assert.NotContains(t, err.Error(), "HUSH")

				s.lock.turn(first, nil)
				require.NoError(t, read(t.Context()))
				s.lock.turn(second, nil)
				if name == "amazon" || name == "shopify credentials" { // their access tokens stay good: one that is fetched now
					read, held = s.client(t, logger)
				}
				require.NoError(t, read(t.Context()), "the new one, within the same request")
				require.NoError(t, read(t.Context()))

				s.lock.turn(third, errors.New("no vault: HUSH-in-an-error"))
				if name == "amazon" || name == "shopify credentials" {
					read, held = s.client(t, logger)
				}
				err = read(t.Context())
				require.ErrorIs(t, err, channel.ErrUnauthorized, "the last one is refused, and there is no other")
				assert.NotContains(t, err.Error(), "HUSH")
				assert.NotContains(t, logs.String(), "HUSH")
				type host struct{ kept any }
				for _, v := range []any{held, host{held}, &host{held}} {
					assert.NotContains(t, printed(v), "HUSH")
				}
			})
		})
	}
}
