package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
)

// The same with the real Shopify client and a bulk operation that runs and runs.
func TestABulkOperationThatNeverEndsEndsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{BulkTime: 1000 * time.Hour})
		shop.Add(shopifytest.Item{SKU: "SKU-0", Available: 100})
		c, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client()})
		require.NoError(t, err)
		loc, err := c.Channel(shopify.ChannelConfig{LocationID: shop.Location()})
		require.NoError(t, err)
		good := channeltest.NewMemory("good")
		good.Set("SKU-0", 100)
		s := build(t, newStock(5), good, loc)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
		defer cancel()
		_, err = s.Reconcile(ctx)
		t.Log("Reconcile of one product took", time.Since(start), err, "requests", len(shop.Requests()))
		assert.Less(t, time.Since(start), time.Hour)
	})
}

// Whatever the host supplies may panic: it is an error of that channel or
// product, and of nothing else.
func TestPanics(t *testing.T) {
	boom := func() { panic("boom") }
	for name, hurt := range map[string]func(cfg *syncer.Config, c *channeltest.Intercept){
		"Push": func(_ *syncer.Config, c *channeltest.Intercept) {
			c.OnPush = func(context.Context, channel.Channel, []channel.Update) error { boom(); return nil }
		},
		"Levels": func(_ *syncer.Config, c *channeltest.Intercept) {
			c.OnLevels = func(context.Context, channel.Reader, []string) ([]channel.Level, error) { boom(); return nil, nil }
		},
		"Filter": func(cfg *syncer.Config, _ *channeltest.Intercept) {
			cfg.Targets[0].Filter = func(s channel.Stock) bool {
				if s.ProductID == "p0" {
					boom()
				}
				return true
			}
		},
		"Policy": func(cfg *syncer.Config, _ *channeltest.Intercept) {
			cfg.Targets[0].Policy = syncer.Custom("odd", func(s channel.Stock) (int, error) {
				if s.ProductID == "p0" {
					boom()
				}
				return s.Available, nil
			})
		},
		"hooks": func(cfg *syncer.Config, _ *channeltest.Intercept) {
			cfg.Hooks = syncer.Hooks{
				Work:    func(context.Context, syncer.Work) (context.Context, func(syncer.WorkDone)) { boom(); return nil, nil },
				Marked:  func(context.Context, []string) { boom() },
				Changed: func(context.Context, string, syncer.Change) { boom() },
				Pushed:  func(context.Context, syncer.Pushed) { boom() },
			}
		},
		"the schedule": func(cfg *syncer.Config, _ *channeltest.Intercept) { cfg.Schedule = badSchedule{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a, b := newStock(5, 6), shop("a", 2), shop("b", 2)
				ill := &channeltest.Intercept{Channel: a}
				cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: ill}, {Channel: b}}}
				hurt(&cfg, ill)
				s := configure(t, cfg)
				defer running(t, s)()
				require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
				pass(time.Hour)
				shows(t, b, 5, 6)
				switch name {
				case "Filter", "Policy":
					shows(t, a, 100, 6)
				case "hooks", "the schedule":
					shows(t, a, 5, 6)
				}
				_, err := s.SyncProducts(t.Context(), "p0", "p1")
				switch name {
				case "hooks", "the schedule":
					assert.NoError(t, err)
				default:
					assert.ErrorContains(t, err, "boom")
				}
			})
		})
	}
}

type badSchedule struct{}

func (badSchedule) Next(time.Time) time.Time { panic("boom") }

// A call that does not return holds down its channel alone, and keeps its SKUs
// until it does.
func TestACallThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(5, 6), shop("a", 2), shop("b", 2)
		release := make(chan struct{})
		first := true
		ill := &channeltest.Intercept{Channel: a, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			if first {
				first = false
				<-release // whatever ctx says
			}
			return next.Push(context.WithoutCancel(ctx), updates)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, ill, b)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Hour)
		shows(t, b, 5, 6)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "Push", h.Channels[0].Stuck)
		assert.False(t, h.Channels[0].DownSince.IsZero())
		source.put("p0", "SKU-0", 3)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		start := time.Now()
		_, err = s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrNotCompared)
		assert.Less(t, time.Since(start), 20*time.Minute)
		shows(t, b, 3, 6)

		close(release) // now the old quantity lands, and then the new one
		pass(time.Minute)
		shows(t, a, 3, 6)
		h, err = s.Health(t.Context())
		require.NoError(t, err)
		assert.Empty(t, h.Channels[0].Stuck)
		assert.True(t, h.Channels[0].DownSince.IsZero())
		stop()
	})
}

// Run ends within its grace, and says which call it leaves behind.
func TestRunSaysWhatItLeavesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		ill := &channeltest.Intercept{Channel: shop("a", 1), OnPush: func(context.Context, channel.Channel, []channel.Update) error {
			<-release // whatever ctx says
			return nil
		}}
		logger, left := saying("Run ends, and leaves a call behind that has not returned")
		s := configure(t, syncer.Config{Source: newStock(5), Schedule: syncer.Never(), Logger: logger}, ill)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		assert.Zero(t, left())
		stop()
		assert.Equal(t, 1, left())
		close(release)
		synctest.Wait()
		running(t, s)()
		assert.Equal(t, 1, left())
	})
}

// A source that says nothing any more ends the reading, not the syncer.
func TestASourceThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &silent{stock: newStock(5, 6), release: make(chan struct{})}
		m := shop("a", 2)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "said nothing")
		close(source.release)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		shows(t, m, 5, 6)
	})
}

type silent struct {
	*stock
	release chan struct{}
}

func (s *silent) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	<-s.release
	return s.stock.Stock(ctx, ids...)
}

// The same id in SyncProducts.
func TestARefusedIDSpoilsNoOtherInACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newERP(t, 1500)
		a := channeltest.NewMemory("a")
		for i := range 1500 {
			a.Set(fmt.Sprintf("S%05d", i), 7)
		}
		e.Wire.Inject(channeltest.Fault{Times: -1, Status: 422, Body: `{"statusCode":422,"message":["each value in productIds must be a UUID"]}`,
			Match: func(r channeltest.Request) bool {
				return strings.Contains(r.URL.Query().Get("productIds"), "000") && strings.Contains(r.URL.Query().Get("productIds"), "0-not-an-id")
			}})
		s := build(t, e.client, a)
		r, err := s.SyncProducts(t.Context(), append([]string{"0-not-an-id"}, e.ids...)...)
		t.Log(err, "updated", r.Channels[0].Updated, "unread", r.Unread, "of 1501")
		assert.Equal(t, 1500, r.Channels[0].Updated)
	})
}
