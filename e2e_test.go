package stocksync_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// These tests run all packages together on the fakes: ECOSIRE, a Shopify shop
// and a WooCommerce shop.
type world struct {
	t       testing.TB
	ecosire *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
	ids     []string
	logs    bytes.Buffer
	*syncer.Syncer
}

// newWorld has n products of ten units, which both shops show; every fifth one
// is a variation in WooCommerce, unless simple.
func newWorld(t testing.TB, n int, simple bool, edit func(*syncer.Config)) *world {
	w := &world{
		t:       t,
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{RequestTime: 45 * time.Millisecond, ItemReadTime: 2 * time.Millisecond, ItemWriteTime: 20 * time.Millisecond}),
	}
	var products []ecosiretest.Product
	var items []shopifytest.Item
	var listed []woocommercetest.Product
	parent := 0
	if !simple {
		parent = w.woo.Add(woocommercetest.Product{Type: "variable", SKU: "PARENT", Stock: woocommercetest.Unmanaged})[0]
	}
	for i := range n {
		sku := fmt.Sprintf("SKU-%06d", i)
		products = append(products, ecosiretest.Product{SKU: sku, OnHand: 12, Reserved: 2})
		items = append(items, shopifytest.Item{SKU: sku, Available: 10})
		p := woocommercetest.Product{SKU: sku, Quantity: 10}
		if !simple && i%5 == 0 {
			p.Type, p.ParentID = "variation", parent
		}
		listed = append(listed, p)
	}
	w.ids = w.ecosire.Add(products...)
	w.shopify.Add(items...)
	w.woo.Add(listed...)

	logger := slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: w.ecosire.Client(), Logger: logger})
	require.NoError(t, err)
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: w.shopify.Client(), Logger: logger})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: w.shopify.Location()})
	require.NoError(t, err)
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: w.woo.Client(), Logger: logger})
	require.NoError(t, err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	require.NoError(t, err)
	cfg := syncer.Config{Source: source, Targets: []syncer.Target{{Channel: location}, {Channel: store}}, Logger: logger}
	if edit != nil {
		edit(&cfg)
	}
	w.Syncer, err = syncer.New(cfg)
	require.NoError(t, err)
	return w
}

func (w *world) forget() {
	w.ecosire.Forget()
	w.shopify.Forget()
	w.woo.Forget()
}

// right checks that both shops show what ECOSIRE has of every product.
func (w *world) right() {
	w.t.Helper()
	for _, p := range w.ecosire.Products() {
		want := max(0, p.OnHand-p.Reserved)
		for name, shows := range map[string]func(string) (int, bool){"Shopify": w.shopify.Available, "WooCommerce": w.woo.Quantity} {
			if n, ok := shows(p.SKU); !ok || n != want {
				w.t.Fatalf("%s shows %d of %s (%v), want %d", name, n, p.SKU, ok, want)
			}
		}
	}
}

func TestRequestsFor250Changes(t *testing.T) {
	for _, tt := range []struct {
		name          string
		simple        bool
		lookups, puts int
	}{{"simple products", true, 3, 3}, {"with variations", false, 3, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 250, tt.simple, nil)
				_, err := w.SyncProducts(t.Context(), w.ids...) // warms Shopify's map
				require.NoError(t, err)
				w.forget()
				for i, id := range w.ids {
					w.ecosire.Set(id, i%40, 0)
				}
				r, err := w.SyncProducts(t.Context(), w.ids...)
				require.NoError(t, err)
				require.NoError(t, r.Err())
				w.right()
				assert.Len(t, w.ecosire.Requests(), 3)
				mutation := func(r channeltest.Request) bool { return bytes.Contains(r.Body, []byte("mutation")) }
				assert.Equal(t, 1, w.shopify.Count(mutation), "one write to Shopify")
				assert.Len(t, w.shopify.Requests(), 2, "and one read")
				assert.Equal(t, tt.lookups, w.woo.Count(channeltest.On("GET", "")))
				assert.Equal(t, tt.puts, w.woo.Count(channeltest.On("POST", "")))
				assert.Equal(t, map[string]int64{"": 3, "shopify:test-shop": 2, "woocommerce:shop.example": int64(tt.lookups + tt.puts)}, r.Requests)

				w.forget()
				r, err = w.SyncProducts(t.Context(), w.ids...)
				require.NoError(t, err)
				assert.Equal(t, 250, r.Channels[0].Unchanged)
				assert.Zero(t, w.shopify.Count(mutation), "nothing changed, so nothing is written")
				assert.Zero(t, w.woo.Count(channeltest.On("POST", "")))
			})
		})
	}
}

func TestOneChannelDownOrSlowLeavesTheOtherItsTime(t *testing.T) {
	usual := func(t *testing.T, hurt func(*world)) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 250, true, nil)
			hurt(w)
			for _, id := range w.ids {
				w.ecosire.Set(id, 3, 0)
			}
			start := time.Now()
			done := make(chan struct{})
			go func() {
				w.SyncProducts(t.Context(), w.ids...)
				close(done)
			}()
			for took == 0 {
				time.Sleep(10 * time.Millisecond)
				if n, _ := w.woo.Quantity("SKU-000249"); n == 3 {
					took = time.Since(start)
				}
			}
			<-done
		})
		return took
	}
	alone := usual(t, func(w *world) {})
	for name, hurt := range map[string]func(*world){
		"down":             func(w *world) { w.shopify.Inject(channeltest.Fault{Times: -1, Status: 503}) },
		"cut":              func(w *world) { w.shopify.Inject(channeltest.Fault{Times: -1, Cut: true}) },
		"throttled":        func(w *world) { w.shopify.Drain(2000) },
		"unauthorized":     func(w *world) { w.shopify.Inject(channeltest.Fault{Times: -1, Status: 401}) },
		"100 times slower": func(w *world) { w.shopify.Inject(channeltest.Fault{Times: -1, Delay: 20 * time.Second}) },
	} {
		t.Run(name, func(t *testing.T) {
			assert.InDelta(t, alone.Seconds(), usual(t, hurt).Seconds(), 0.021)
		})
	}
}

// Whatever ECOSIRE or a shop answers on a bad day: no channel loses stock that
// ECOSIRE did not take away.
func TestCatastrophe(t *testing.T) {
	page := func(f func(status int, body []byte) (int, []byte)) channeltest.Fault {
		return channeltest.Fault{Match: channeltest.On("GET", "/inventory/products"), Times: -1,
			Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) { return f(status, body) }}
	}
	replace := func(old, new string) channeltest.Fault {
		return page(func(status int, body []byte) (int, []byte) {
			return status, bytes.ReplaceAll(body, []byte(old), []byte(new))
		})
	}
	for _, tt := range []struct {
		name string
		hurt func(*world)
		err  error // of the run, or of the report
		held int   // on each channel
	}{
		{"ECOSIRE answers []", func(w *world) { w.ecosire.Inject(page(func(int, []byte) (int, []byte) { return 200, []byte("[]") })) }, channel.ErrUnavailable, 0},
		{"an empty catalogue", func(w *world) { w.ecosire.Remove(w.ids...) }, syncer.ErrEmpty, 0},
		{"half the pages", func(w *world) {
			f := page(func(int, []byte) (int, []byte) {
				return 200, []byte(`{"data":[],"meta":{"total":400,"page":3,"limit":100,"totalPages":4}}`)
			})
			f.Match = func(r channeltest.Request) bool { return r.URL.Query().Get("page") > "2" }
			w.ecosire.Inject(f)
		}, channel.ErrIncomplete, 0},
		{"HTML with 200", func(w *world) {
			w.ecosire.Inject(page(func(int, []byte) (int, []byte) { return 200, []byte("<html>Welcome</html>") }))
		}, channel.ErrUnavailable, 0},
		{"every available 0", func(w *world) { w.ecosire.Inject(replace(`"available":10`, `"available":0`)) }, syncer.ErrHeld, 400},
		{"total falls by half", func(w *world) { w.ecosire.Remove(w.ids[:201]...) }, syncer.ErrShrunk, 0},
		{"quantities as strings", func(w *world) { w.ecosire.Inject(replace(`"available":10`, `"available":"0"`)) }, nil, 0},
		{"quantities null", func(w *world) { w.ecosire.Inject(replace(`"available":10`, `"available":null`)) }, nil, 0},
		{"quantities left out", func(w *world) { w.ecosire.Inject(replace(`"available":10,`, ``)) }, nil, 0},
		{"500 from page 3 on", func(w *world) {
			f := page(func(int, []byte) (int, []byte) { return 500, []byte(`{"statusCode":500}`) })
			f.Match = func(r channeltest.Request) bool { return r.URL.Query().Get("page") > "2" }
			w.ecosire.Inject(f)
		}, channel.ErrIncomplete, 0},
		{"shops that answer an empty list", func(w *world) {
			w.woo.Inject(channeltest.Fault{Match: channeltest.On("GET", "/products"), Times: -1, Status: 200, Header: http.Header{"Content-Type": {"application/json"}, "X-Wp-Total": {"0"}}, Body: "[]"})
			for _, p := range w.ecosire.Products() {
				w.shopify.Remove(p.SKU)
			}
		}, syncer.ErrForeign, 0},
		{"shops that list everything twice", func(w *world) {
			for _, p := range w.ecosire.Products() {
				w.woo.Add(woocommercetest.Product{SKU: p.SKU, Quantity: 10})
				w.shopify.Add(shopifytest.Item{SKU: p.SKU, Available: 10})
			}
		}, channel.ErrAmbiguousSKU, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 400, true, nil)
				_, err := w.Reconcile(t.Context())
				require.NoError(t, err)
				tt.hurt(w)
				r, err := w.Reconcile(t.Context())
				if err == nil {
					err = r.Err()
				}
				require.Error(t, err)
				if tt.err != nil {
					assert.ErrorIs(t, err, tt.err)
				}
				zeroed := 0
				for _, c := range r.Channels {
					assert.Equal(t, tt.held, c.Held)
					assert.Zero(t, c.Updated, "all or nothing")
					zeroed = c.Updated
				}
				lost := 0
				for i := range 400 {
					if n, ok := w.woo.Quantity(fmt.Sprintf("SKU-%06d", i)); ok && n != 10 {
						lost++
					}
				}
				assert.Equal(t, zeroed, lost)
			})
		})
	}
}

// 100,000 products are 1,000 requests to ECOSIRE. A reconciliation leaves a
// sixth of the 60 a minute to other work, so 50 go out in each minute, the
// first 50 at once: the last page is asked for when 19 minutes have passed.
// That ECOSIRE names the reset in whole seconds costs up to a second each.
func TestReconciliationOf100000ProductsUsesTheQuota(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	synctest.Test(t, func(t *testing.T) {
		const n = 100_000
		hooks, err := ecosire.NewWebhooks("s3cret")
		require.NoError(t, err)
		w := newWorld(t, n, true, func(cfg *syncer.Config) { cfg.Webhooks, cfg.Logger = hooks, nil })
		for i := 0; i < n; i += 100 {
			sku := fmt.Sprintf("SKU-%06d", i)
			w.shopify.Set(sku, 17)
			w.woo.Set(sku, 3)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()

		type result struct {
			r    *syncer.Report
			err  error
			took time.Duration
		}
		done := make(chan result, 1)
		start := time.Now()
		go func() {
			r, err := w.Reconcile(t.Context())
			done <- result{r, err, time.Since(start)}
		}()

		// Events in the middle, some at moments when the run has spent its share.
		for i := range 5 {
			time.Sleep(3*time.Minute + time.Duration(i)*7*time.Second)
			id := w.ids[n/2+i+1]
			w.ecosire.Sell(id, 4)
			deliver(t, w.WebhookHandler(), `{"event":"checkout.completed","data":{"lineItems":[{"productId":"`+id+`"}]}}`)
			sold := time.Now()
			sku := fmt.Sprintf("SKU-%06d", n/2+i+1)
			for {
				a, _ := w.shopify.Available(sku)
				b, _ := w.woo.Quantity(sku)
				if a == 6 && b == 6 {
					break
				}
				time.Sleep(10 * time.Millisecond)
				require.Less(t, time.Since(sold), 3*time.Second, "an event during a reconciliation is visible within 3 s")
			}
		}
		got := <-done
		require.NoError(t, got.err)
		require.NoError(t, got.r.Err())
		assert.Equal(t, n, got.r.Read)
		for _, c := range got.r.Channels {
			assert.Equal(t, n/100, c.Updated, c.Channel)
		}
		bound := 19 * time.Minute
		t.Logf("%v, which is %.3f of the bound of %v; requests %v", got.took, got.took.Seconds()/bound.Seconds(), bound, got.r.Requests)
		assert.Less(t, got.took.Seconds(), 1.05*bound.Seconds())
		cancel()
		require.NoError(t, <-ended)
		w.right()
	})
}

func deliver(t *testing.T, h http.Handler, body string) {
	t.Helper()
	wire := channeltest.NewWire(h)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://host.example/hook", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign("s3cret", []byte(body)))
	resp, err := wire.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
}

func TestNoCredentialIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20, false, nil)
		for _, s := range []*channeltest.Wire{w.ecosire.Wire, w.shopify.Wire, w.woo.Wire} {
			s.Inject(channeltest.Fault{Times: 1, Status: 503}, channeltest.Fault{Skip: 2, Times: 2, Cut: true},
				channeltest.Fault{Skip: 4, Times: 1, Status: 302, Header: http.Header{"Location": {"https://elsewhere.example/"}}})
		}
		for i, id := range w.ids {
			w.ecosire.Set(id, i, 0)
		}
		for range 4 {
			r, err := w.SyncProducts(t.Context(), w.ids...)
			fmt.Fprintln(&w.logs, r, err)
		}
		w.right()
		assert.NotEmpty(t, w.logs.String())
		for _, secret := range []string{"eco_live_test", "shpat_test", "ck_test", "cs_test", "Y2tfdGVzdDpjc190ZXN0"} {
			assert.NotContains(t, w.logs.String(), secret)
		}
		for _, r := range w.shopify.Requests() {
			assert.Equal(t, "test-shop.myshopify.com", r.Host)
		}
		for _, r := range w.woo.Requests() {
			assert.Equal(t, "shop.example", r.Host)
			assert.NotContains(t, r.URL.String(), "_test", "keys are never in a URL")
		}
	})
}
