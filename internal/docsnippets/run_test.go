package docsnippets_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// newECOSIRE has n products of ten units.
func newECOSIRE(t *testing.T, n int) (*ecosiretest.Server, *ecosire.Client, []string) {
	server := ecosiretest.New(ecosiretest.Config{})
	var ids []string
	for i := range n {
		ids = append(ids, server.Add(ecosiretest.Product{SKU: sku(i), OnHand: 10})...)
	}
	client, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: server.Client()})
	require.NoError(t, err)
	return server, client, ids
}

func sku(i int) string { return fmt.Sprintf("SKU-%03d", i) }

// newWoo has n products of five units.
func newWoo(t *testing.T, n int, cfg woocommercetest.Config) (*woocommercetest.Server, *woocommerce.Client) {
	server := woocommercetest.New(cfg)
	for i := range n {
		server.Add(woocommercetest.Product{SKU: sku(i), Quantity: 5})
	}
	client, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: server.Client(),
	})
	require.NoError(t, err)
	return server, client
}

func newShelf(n, quantity int) *channeltest.Memory {
	shelf := channeltest.NewMemory("shelf")
	for i := range n {
		shelf.Set(sku(i), quantity)
	}
	return shelf
}

// A log of what the hooks told.
type told struct {
	mu      sync.Mutex
	down    []string
	retries []error
}

func (l *told) hooks() syncer.Hooks {
	return syncer.Hooks{
		Down: func(_ context.Context, name string, err error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.down = append(l.down, name)
		},
		Retry: func(_ context.Context, r syncer.Retry) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.retries = append(l.retries, r.Err)
		},
	}
}

// marked runs a Syncer on one marked product for a minute.
func marked(t *testing.T, cfg syncer.Config, id string) syncer.Health {
	cfg.Schedule, cfg.WatchEvery = syncer.Never(), -1
	s, err := syncer.New(cfg)
	require.NoError(t, err)
	require.NoError(t, s.Notify(t.Context(), id))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	require.NoError(t, s.Run(ctx))
	health, err := s.Health(t.Context())
	require.NoError(t, err)
	return health
}

func TestAReadOnlyKeyIsFoundBeforehand(t *testing.T) {
	_, site := newWoo(t, 0, woocommercetest.Config{})
	assert.NoError(t, mayWrite(t.Context(), site))
	_, site = newWoo(t, 0, woocommercetest.Config{ReadOnly: true})
	err := mayWrite(t.Context(), site)
	assert.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.ErrorContains(t, err, "The API key provided does not have write permissions.")
}

func TestAReadOnlyKeyTakesTheChannelDownOnceItHasToWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, source, ids := newECOSIRE(t, 1)
		_, site := newWoo(t, 1, woocommercetest.Config{ReadOnly: true})
		store, err := site.Channel(woocommerce.ChannelConfig{})
		require.NoError(t, err)
		var log told
		health := marked(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: store}}, Hooks: log.hooks()}, ids[0])
		assert.Equal(t, []string{"woocommerce:shop.example"}, log.down)
		require.NotEmpty(t, log.retries)
		assert.ErrorIs(t, log.retries[0], channel.ErrUnauthorized)
		assert.Greater(t, since(health.Channels[0].Oldest), 50.0)
		assert.Greater(t, since(health.Channels[0].DownSince), 50.0)
	})
}

func TestShopifyWithoutTheRightToReadIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, source, ids := newECOSIRE(t, 1)
		server := shopifytest.New(shopifytest.Config{})
		shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_wrong"), HTTPClient: server.Client()})
		require.NoError(t, err)
		location, err := shop.Channel(shopify.ChannelConfig{LocationID: server.Location()})
		require.NoError(t, err)
		var log told
		health := marked(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: location}}, Hooks: log.hooks()}, ids[0])
		assert.Equal(t, []string{"shopify:test-shop"}, log.down)
		assert.ErrorIs(t, health.Channels[0].Err, channel.ErrUnauthorized)
	})
}

func TestAWrongLocationIsOneError(t *testing.T) {
	_, source, ids := newECOSIRE(t, 1)
	server := shopifytest.New(shopifytest.Config{})
	server.Add(shopifytest.Item{SKU: sku(0), Available: 5})
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: server.Client()})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: "999"})
	require.NoError(t, err)
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: location}}})
	require.NoError(t, err)
	report, err := s.SyncProducts(t.Context(), ids...)
	require.ErrorIs(t, err, channel.ErrUnavailable)
	require.ErrorContains(t, report.Err(), "gid://shopify/Location/999 is not a location of this shop")
}

func TestTroubleOfTheSourceTakesNoChannelDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := ecosiretest.New(ecosiretest.Config{APIKey: "eco_live_other"})
		source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: server.Client()})
		require.NoError(t, err)
		var log told
		health := marked(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: newShelf(1, 5)}}, Hooks: log.hooks()}, "p1")
		assert.Empty(t, log.down)
		require.NotEmpty(t, log.retries)
		assert.ErrorIs(t, log.retries[0], channel.ErrUnauthorized)
		assert.ErrorContains(t, log.retries[0], "ecosire: ")
		assert.Equal(t, 1, health.Channels[0].Tasks)
	})
}

func TestAReconciliationWithAShopDownSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, source, _ := newECOSIRE(t, 3)
		down := &channeltest.Intercept{
			Channel: newShelf(3, 5),
			OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
				return nil, channel.ErrUnavailable
			},
		}
		s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: down}}})
		require.NoError(t, err)
		report, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrNotCompared)
		assert.ErrorIs(t, report.Err(), channel.ErrUnavailable)
		assert.ErrorIs(t, report.Channels[0].Err, channel.ErrUnavailable)
	})
}

func TestLocationsAndPolicies(t *testing.T) {
	shop, err := shopify.New(shopify.Config{Shop: "acme", Token: shopify.StaticToken("shpat_test")})
	require.NoError(t, err)
	targets, err := locations(shop)
	require.NoError(t, err)
	assert.Equal(t, "shopify:acme:outlet", targets[1].Channel.Name())
	ten := channel.Stock{SKU: "A", Available: 10}
	shows := func(i int, s channel.Stock) int {
		n, err := targets[i].Policy.Quantity(s)
		require.NoError(t, err)
		return n
	}
	assert.Equal(t, 8, shows(0, ten))
	assert.Equal(t, 2, shows(1, ten))

	targets = policies(channeltest.NewMemory("a"), channeltest.NewMemory("b"), channeltest.NewMemory("c"))
	for available, want := range map[int][]int{-1: {0, 0}, 2: {0, 0}, 10: {8, 10}, 100: {50, 100}} {
		s := channel.Stock{Available: available}
		assert.Equal(t, want, []int{shows(0, s), shows(2, s)}, "%d", available)
	}
	assert.True(t, targets[1].Filter(channel.Stock{SKU: "BULK-1"}))
	assert.False(t, targets[1].Filter(ten))
}

func TestServe(t *testing.T) {
	_, source, _ := newECOSIRE(t, 1)
	cfg := syncer.Config{Source: source, Targets: []syncer.Target{{Channel: newShelf(1, 5)}}, Schedule: syncer.Never(), WatchEvery: -1}
	file := filepath.Join(t.TempDir(), "queue.db")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, serve(ctx, cfg, file, "127.0.0.1:0"))

	queue, err := boltqueue.Open(file)
	require.NoError(t, err, "serve closes its queue")
	defer queue.Close()
	assert.ErrorIs(t, serve(ctx, cfg, file, "127.0.0.1:0"), boltqueue.ErrInUse)
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, source, _ := newECOSIRE(t, 1)
		s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: newShelf(1, 5)}}})
		require.NoError(t, err)
		status := func() int {
			w := httptest.NewRecorder()
			ready(s)(w, httptest.NewRequest(http.MethodGet, "/ready", nil))
			return w.Code
		}
		assert.Equal(t, http.StatusServiceUnavailable, status())
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		mux := http.NewServeMux()
		go realTime(ctx, mux, s)
		synctest.Wait()
		assert.Equal(t, http.StatusNoContent, status())
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhooks/ecosire", nil))
		assert.Equal(t, http.StatusUnsupportedMediaType, w.Code)
		stop()
		synctest.Wait()
	})
}

func TestWebhookSecrets(t *testing.T) {
	body := []byte(`{"id":"evt_1","event":"checkout.completed","data":{"productId":"p1"}}`)
	signed := func(signature string) http.Header { return http.Header{"X-Ecosire-Signature": {signature}} }
	t.Setenv("ECOSIRE_WEBHOOK_SECRET", "now")
	t.Setenv("ECOSIRE_WEBHOOK_SECRET_NEXT", "next")
	webhooks, err := rotating()
	require.NoError(t, err)
	for secret, genuine := range map[string]bool{"now": true, "next": true, "other": false, "": false} {
		_, err := webhooks.Receive(t.Context(), signed(ecosire.Sign(secret, body)), body)
		assert.Equal(t, genuine, err == nil, "signed with %q", secret)
	}

	mac, err := hex.DecodeString(ecosire.Sign("now", body))
	require.NoError(t, err)
	event, err := base64Signed{webhooks}.Receive(t.Context(), signed(base64.StdEncoding.EncodeToString(mac)), body)
	require.NoError(t, err)
	assert.Equal(t, []string{"p1"}, event.ProductIDs)
	mac[0]++
	for _, wrong := range []string{base64.StdEncoding.EncodeToString(mac), ecosire.Sign("now", body), "", "%"} {
		_, err = base64Signed{webhooks}.Receive(t.Context(), signed(wrong), body)
		assert.ErrorIs(t, err, channel.ErrUnauthorized)
	}

	t.Setenv("ECOSIRE_WEBHOOK_SECRET_NEXT", "")
	webhooks, err = rotating()
	require.NoError(t, err)
	_, err = webhooks.Receive(t.Context(), signed(ecosire.Sign("", body)), body)
	assert.ErrorIs(t, err, channel.ErrUnauthorized, "an unset variable is no secret")
}

func TestHeldLinesAreKeptApprovedAndApplied(t *testing.T) {
	server, source, ids := newECOSIRE(t, 60)
	shelf := newShelf(60, 10)
	for _, id := range ids[:50] {
		server.Set(id, 0, 0)
	}
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shelf}}})
	require.NoError(t, err)
	report, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)

	file := filepath.Join(t.TempDir(), "held.json")
	keepHeld(file)(nil, err)
	keepHeld(file)(&syncer.Report{}, nil)
	_, missing := os.Stat(file)
	require.ErrorIs(t, missing, os.ErrNotExist)
	keepHeld(file)(report, err)

	zeros := func() int {
		n := 0
		for i := range 60 {
			if q, _ := shelf.Quantity(sku(i)); q == 0 {
				n++
			}
		}
		return n
	}
	held := report.Channels[0].Held
	require.Positive(t, held)
	assert.Equal(t, 50-held, zeros())
	require.NoError(t, approve(t.Context(), s, file, func(string) bool { return false }))
	assert.Equal(t, 50-held, zeros(), "nobody agreed")
	require.NoError(t, approve(t.Context(), s, file, func(text string) bool { return strings.Count(text, "held") == held }))
	assert.Equal(t, 50, zeros())
	require.NoError(t, reconcileNow(t.Context(), s))
}

func TestMetrics(t *testing.T) {
	server, source, ids := newECOSIRE(t, 60)
	shelf := newShelf(60, 10)
	server.Set(ids[0], 4, 0)
	var m metrics
	hooks := m.hooks(slog.New(slog.DiscardHandler))
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shelf}}, Hooks: hooks})
	require.NoError(t, err)
	r, err := s.Reconcile(t.Context())
	hooks.Reconciled(t.Context(), r, err)
	assert.Equal(t, r.Started.Unix(), m.reconciled.Value())
	assert.Equal(t, "1", m.written.Get("shelf").String())

	m.reconciled.Set(0)
	for _, id := range ids {
		server.Set(id, 0, 0)
	}
	r, err = s.Reconcile(t.Context())
	hooks.Reconciled(t.Context(), r, err)
	assert.Zero(t, m.reconciled.Value(), "somebody has to look at held lines")
	assert.Positive(t, m.held.Value())
	hooks.Reconciled(t.Context(), nil, errors.New("no"))

	gauges := map[string]float64{}
	require.NoError(t, s.Notify(t.Context(), ids[:3]...))
	require.NoError(t, waiting(t.Context(), s, func(name, _ string, v float64) { gauges[name] = v }))
	assert.Equal(t, 3.0, gauges["stocksync_waiting"])
	assert.Positive(t, gauges["stocksync_oldest_seconds"])
	assert.Zero(t, gauges["stocksync_down_seconds"])
}

func TestUndo(t *testing.T) {
	_, source, ids := newECOSIRE(t, 5)
	shelf := newShelf(5, 7)
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shelf}}})
	require.NoError(t, err)
	all := func(want int) {
		t.Helper()
		for i := range ids {
			n, _ := shelf.Quantity(sku(i))
			require.Equal(t, want, n)
		}
	}
	report, err := s.SyncProducts(t.Context(), ids...)
	require.NoError(t, err)
	all(10)
	require.NoError(t, undo(t.Context(), s, report))
	all(7)
	require.NoError(t, pushNow(t.Context(), s, ids))
	all(10)
	_, err = s.Apply(t.Context(), undoOf("shelf", report.Channels[0].Changes))
	require.NoError(t, err)
	all(7)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, len(ids), plan.Drift(), "the next reconciliation wants the source's quantities again")
}

func TestMigrated(t *testing.T) {
	server, source, ids := newECOSIRE(t, 250)
	require.NoError(t, fetch(t.Context(), source))
	assert.Equal(t, 3, server.Count(nil), "more than the first hundred")
	require.NoError(t, fetch(t.Context(), source, ids[7]))
	server.Forget()
	server.Inject(channeltest.Fault{Status: http.StatusForbidden})
	assert.ErrorIs(t, fetch(t.Context(), source), channel.ErrUnauthorized)

	for name, value := range map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "SHOPIFY_ACCESS_TOKEN": "shpat_test", "SHOPIFY_LOCATION_ID": "71234567890",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
	} {
		t.Setenv(name, value)
	}
	_, err := newSource()
	require.NoError(t, err)
	location, err := newShopify()
	require.NoError(t, err)
	store, err := newWooCommerce()
	require.NoError(t, err)
	s, err := newSyncer(source, nil, nil, location, store)
	require.NoError(t, err)
	require.NoError(t, stockWasAdjusted(t.Context(), s, ids[:2]))
	health, err := s.Health(t.Context())
	require.NoError(t, err)
	for _, c := range health.Channels {
		assert.Equal(t, 2, c.Tasks, c.Channel)
	}
	_, err = adjusting(func() *syncer.Syncer { return s })
	require.NoError(t, err)
	_, err = at(source, []syncer.Target{{Channel: location}}, time.UTC)
	require.NoError(t, err)
}

// Whoever greps the page for an error finds it: by its name and by its text.
func TestTroubleshootingListsEveryError(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	require.NoError(t, err)
	for name, err := range map[string]error{
		"channel.ErrUnknownSKU": channel.ErrUnknownSKU, "channel.ErrAmbiguousSKU": channel.ErrAmbiguousSKU,
		"channel.ErrNotTracked": channel.ErrNotTracked, "channel.ErrNotStocked": channel.ErrNotStocked,
		"channel.ErrShared": channel.ErrShared, "channel.ErrInvalid": channel.ErrInvalid,
		"channel.ErrConflict": channel.ErrConflict, "channel.ErrNotApplied": channel.ErrNotApplied,
		"channel.ErrUnauthorized": channel.ErrUnauthorized, "channel.ErrUnavailable": channel.ErrUnavailable,
		"channel.ErrIncomplete": channel.ErrIncomplete,
		"syncer.ErrHeld":        syncer.ErrHeld, "syncer.ErrShrunk": syncer.ErrShrunk, "syncer.ErrEmpty": syncer.ErrEmpty,
		"syncer.ErrForeign": syncer.ErrForeign, "syncer.ErrNoProduct": syncer.ErrNoProduct,
		"syncer.ErrReconciling": syncer.ErrReconciling, "syncer.ErrRunning": syncer.ErrRunning,
		"boltqueue.ErrInUse": boltqueue.ErrInUse, "boltqueue.ErrDamaged": boltqueue.ErrDamaged, "boltqueue.ErrFormat": boltqueue.ErrFormat, "boltqueue.ErrGone": boltqueue.ErrGone,
	} {
		assert.Contains(t, string(page), "`"+name+"`")
		assert.Contains(t, string(page), strings.TrimPrefix(err.Error(), "syncer: "))
	}
}

func TestPauses(t *testing.T) {
	shop := channeltest.NewMemory("shopify:acme")
	_, source, _ := newECOSIRE(t, 1)
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shop}}})
	require.NoError(t, err)
	require.NoError(t, pauses(t.Context(), s))
	h, err := s.Health(t.Context())
	require.NoError(t, err)
	require.NotNil(t, h.Channels[0].Paused)
	assert.Equal(t, "ann", h.Channels[0].Paused.Who)
}
