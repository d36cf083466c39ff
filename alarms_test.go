package stocksync_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// A pager notes alarms.
type pager struct {
	mu  sync.Mutex
	all []syncer.Alarm
}

func (p *pager) note(_ context.Context, a syncer.Alarm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, a)
}

// take returns what came since the last call, in words.
func (p *pager) take() (said []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.all {
		word := "raised"
		if !a.Ended.IsZero() {
			word = "ended"
		}
		said = append(said, fmt.Sprintf("%s: %s %q", word, a.Class, a.Channel))
	}
	p.all = nil
	return said
}

// watched is a Syncer of two shops whose webhooks reach it, unless unreachable.
type watched struct {
	*world
	pager
	unreachable atomic.Bool
	stop        func()
}

func watch(t *testing.T) *watched {
	x := &watched{world: newWorld(t, 3, true, nil)}
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: x.ecosire.Client()})
	require.NoError(t, err)
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: x.shopify.Client()})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{Name: "shopify", LocationID: x.shopify.Location()})
	require.NoError(t, err)
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: x.woo.Client()})
	require.NoError(t, err)
	store, err := site.Channel(woocommerce.ChannelConfig{Name: "woocommerce"})
	require.NoError(t, err)
	first, err := location.Webhooks("client-secret")
	require.NoError(t, err)
	second, err := store.Webhooks("hook-secret")
	require.NoError(t, err)
	x.Syncer, err = syncer.New(syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: syncer.Hooks{Alarm: x.note}, Targets: []syncer.Target{
		{Channel: location, Webhooks: first}, {Channel: store, Webhooks: second}}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	x.stop = func() { cancel(); <-ended }
	return x
}

// subscribe subscribes to a shop's webhooks.
func (x *watched) subscribe(name string) {
	deliveries, err := x.ChannelHandler(name)
	require.NoError(x.t, err)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x.unreachable.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		deliveries.ServeHTTP(w, r)
	})
	if name == "shopify" {
		x.shopify.Subscribe(shopifytest.Subscription{Handler: h})
	} else {
		x.woo.Subscribe(woocommercetest.Subscription{Handler: h, Secret: "hook-secret"})
	}
}

// TestALostSubscriptionIsAnAlarm: what is in front of the handler fails, Shopify
// gives up after eight attempts to deliver again, WooCommerce after seven
// deliveries. That is told within eleven minutes, and so is that it is mended.
func TestALostSubscriptionIsAnAlarm(t *testing.T) {
	const within = 11 * time.Minute
	for name, fail := range map[string]func(x *watched){
		"shopify": func(x *watched) {
			x.shopify.Sell("SKU-000000", 1)
			for x.shopify.Subscribed() > 0 {
				time.Sleep(time.Minute)
			}
		},
		"woocommerce": func(x *watched) {
			for range 7 {
				x.woo.Sell("SKU-000000", 1)
				time.Sleep(11 * time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := watch(t)
				defer x.stop()
				x.subscribe("shopify")
				x.subscribe("woocommerce")
				time.Sleep(3 * time.Hour)
				require.Empty(t, x.take())
				asks := x.shopify.Count(nil) + x.woo.Count(nil)
				time.Sleep(time.Hour)
				assert.LessOrEqual(t, x.shopify.Count(nil)+x.woo.Count(nil)-asks, 14, "six questions an hour to each shop")

				x.unreachable.Store(true)
				fail(x)
				time.Sleep(within)
				lost := fmt.Sprintf("subscription lost %q", name)
				require.Equal(t, []string{"raised: " + lost}, x.take())
				x.unreachable.Store(false)
				time.Sleep(2 * time.Hour)
				require.Empty(t, x.take(), "it is told once")
				x.subscribe(name)
				time.Sleep(within)
				assert.Equal(t, []string{"ended: " + lost}, x.take())
			})
		})
	}
}

// TestASubscriptionThatNobodyMayAskForIsNoAlarm: neither the app nor the key has
// the right.
func TestASubscriptionThatNobodyMayAskForIsNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := watch(t)
		defer x.stop()
		denied := func(status int, body string) func(int, http.Header, []byte) (int, []byte) {
			return func(int, http.Header, []byte) (int, []byte) { return status, []byte(body) }
		}
		x.woo.Inject(channeltest.Fault{Match: channeltest.On("GET", "/webhooks"), Times: -1,
			Rewrite: denied(403, `{"code":"woocommerce_rest_cannot_view","message":"no","data":{"status":403}}`)})
		x.shopify.Inject(channeltest.Fault{Times: -1,
			Rewrite: denied(200, `{"data":null,"errors":[{"message":"no","extensions":{"code":"ACCESS_DENIED"}}]}`)})
		time.Sleep(5 * time.Hour)
		assert.Empty(t, x.take())
		assert.NotZero(t, x.woo.Count(channeltest.On("GET", "/webhooks")))
	})
}

// TestClocksThatDisagreeAreAnAlarm, for each service whose answers have a Date.
func TestClocksThatDisagreeAreAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := watch(t)
		defer x.stop()
		x.subscribe("shopify")
		x.subscribe("woocommerce")
		var ahead atomic.Int64
		clock := channeltest.Fault{Times: -1, Rewrite: func(status int, h http.Header, body []byte) (int, []byte) {
			h.Set("Date", time.Now().Add(time.Duration(ahead.Load())).UTC().Format(http.TimeFormat))
			return status, body
		}}
		for _, shop := range []interface{ Inject(...channeltest.Fault) }{x.ecosire, x.shopify, x.woo} {
			shop.Inject(clock)
		}
		work := func() {
			for range 8 {
				time.Sleep(time.Minute)
				x.shopify.Sell("SKU-000001", 1)
				x.woo.Sell("SKU-000001", 1)
			}
		}
		ahead.Store(int64(-time.Minute))
		work()
		require.Empty(t, x.take(), "a minute is none")
		ahead.Store(int64(-5 * time.Minute))
		work()
		require.ElementsMatch(t, []string{`raised: clocks disagree ""`, `raised: clocks disagree "shopify"`, `raised: clocks disagree "woocommerce"`}, x.take())
		ahead.Store(0)
		work()
		assert.ElementsMatch(t, []string{`ended: clocks disagree ""`, `ended: clocks disagree "shopify"`, `ended: clocks disagree "woocommerce"`}, x.take())
	})
}
