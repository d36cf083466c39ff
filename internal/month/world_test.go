package month_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

const (
	products = 200
	day      = 24 * time.Hour
)

// durable is a queue that outlives processes, in memory.
type durable struct{ *syncer.MemoryQueue }

// A shop is a channel in memory, which takes its time for large questions: so a night
// lasts.
type shop struct {
	*channeltest.Memory
	channel.Channel
}

func newShop(name string) *shop {
	m := channeltest.NewMemory(name)
	return &shop{m, &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		if len(skus) >= 50 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(5 * time.Minute):
			}
		}
		return next.Levels(ctx, skus)
	}}}
}

// sized has the syncer ask for 50 SKUs at a time.
type sized struct{ channel.Channel }

func (s sized) Unwrap() channel.Channel { return s.Channel }
func (sized) BatchSize() int            { return 50 }

// A merchant is an ERP with two shops, a service that is deployed twice a day, and
// whoever sells, writes beside it, and mends.
type merchant struct {
	t     *testing.T
	rng   *rand.Rand
	erp   *ecosiretest.Server
	ids   []string
	skus  []string
	shops []*shop
	queue durable
	began time.Time

	mu      sync.Mutex
	observe bool
	pilot   func(channel.Stock) bool
	plugin  func(sku string) bool // what the old plugin still writes; nil for nothing
	secrets []string              // that the service knows
	signs   string                // with what the ERP signs
	silent  bool                  // no deliveries
	reports []*syncer.Report
	failed  []error
	alarms  []syncer.Alarm

	syncer atomic.Pointer[syncer.Syncer]
	stop   func()
}

func newMerchant(t *testing.T) *merchant {
	m := &merchant{
		t: t, rng: rand.New(rand.NewPCG(1, 2)), erp: ecosiretest.New(ecosiretest.Config{}), queue: durable{syncer.NewMemoryQueue()}, began: time.Now(),
		shops: []*shop{newShop("shopify:acme"), newShop("woocommerce:acme")}, secrets: []string{"old"}, signs: "old", observe: true,
		plugin: func(string) bool { return true },
	}
	for i := range products {
		sku := fmt.Sprintf("MUG-%04d", i)
		m.skus = append(m.skus, sku)
		m.ids = append(m.ids, m.erp.Add(ecosiretest.Product{SKU: sku, OnHand: 20 + m.rng.IntN(40)})...)
		for j, s := range m.shops {
			switch { // what nobody has looked at for years
			case i%50 == 7+j:
				s.Set(strings.ToLower(sku), 5)
			case i%100 == 31+j:
				s.Set(strings.ReplaceAll(sku, "-", "_"), 5)
			default:
				s.Set(sku, m.available(i))
			}
		}
	}
	return m
}

func (m *merchant) available(i int) int {
	p, _ := m.erp.Product(m.ids[i])
	return max(0, p.OnHand-p.Reserved)
}

// deploy ends the service that runs and starts a new one, with what is set by now.
func (m *merchant) deploy() {
	m.end()
	m.mu.Lock()
	webhooks, err := ecosire.NewWebhooks(m.secrets...)
	require.NoError(m.t, err)
	cfg := syncer.Config{
		Queue: m.queue, Webhooks: webhooks, WatchEvery: 20 * time.Minute, Schedule: syncer.Daily(2, 0, time.UTC), Journal: 7 * day,
		Hooks: syncer.Hooks{
			Reconciled: func(_ context.Context, r *syncer.Report, err error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.reports, m.failed = append(m.reports, r), append(m.failed, err)
			},
			Alarm: func(_ context.Context, a syncer.Alarm) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.alarms = append(m.alarms, a)
			},
		},
	}
	for _, s := range m.shops {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: sized{s.Channel}, Observe: m.observe, Pilot: m.pilot})
	}
	m.mu.Unlock()
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: m.erp.Client()})
	require.NoError(m.t, err)
	cfg.Source = source
	s, err := syncer.New(cfg)
	require.NoError(m.t, err)
	m.syncer.Store(s)
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	m.stop = func() {
		cancel()
		assert.NoError(m.t, <-done)
		m.erp.Forget()
	}
}

func (m *merchant) end() {
	if m.stop != nil {
		m.stop()
		m.stop = nil
	}
}

// deliver sends ECOSIRE's event about a product to the service.
func (m *merchant) deliver(i int) {
	m.mu.Lock()
	silent, secret := m.silent, m.signs
	m.mu.Unlock()
	if silent {
		return
	}
	body := fmt.Appendf(nil, `{"id":"evt_%d","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, m.rng.Uint32(), m.ids[i])
	req := httptest.NewRequestWithContext(m.t.Context(), http.MethodPost, "/webhooks/ecosire", strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, body))
	m.syncer.Load().WebhookHandler().ServeHTTP(httptest.NewRecorder(), req)
}

// trade sells one unit somewhere, which the ERP books two minutes later; or something
// comes in.
func (m *merchant) trade() {
	i := m.rng.IntN(products)
	if where := m.rng.IntN(3); where < 2 {
		if !m.shops[where].Sell(m.skus[i], 1) {
			return
		}
		time.Sleep(2 * time.Minute)
		m.erp.Sell(m.ids[i], 1)
	} else {
		p, _ := m.erp.Product(m.ids[i])
		m.erp.Set(m.ids[i], p.OnHand+1+m.rng.IntN(3), p.Reserved)
	}
	m.deliver(i)
	m.plug(i)
}

// plug is the old plugin: it adds and subtracts what events tell, forgets one in
// eight, and takes one in ten for two.
func (m *merchant) plug(i int) {
	m.mu.Lock()
	plugin := m.plugin
	m.mu.Unlock()
	if plugin == nil || !plugin(m.skus[i]) || m.rng.IntN(8) == 0 {
		return
	}
	n := m.available(i)
	if m.rng.IntN(10) == 0 {
		n--
	}
	for _, s := range m.shops {
		if _, ok := s.Quantity(m.skus[i]); ok {
			s.Set(m.skus[i], max(0, n))
		}
	}
}

// wrong counts what the shops show that is not what there is.
func (m *merchant) wrong() (n int) {
	for i, sku := range m.skus {
		for _, s := range m.shops {
			if got, ok := s.Quantity(sku); !ok || got != m.available(i) {
				n++
			}
		}
	}
	return n
}

// writes counts what the service wrote.
func (m *merchant) writes() (n int) {
	for _, s := range m.shops {
		_, w := s.Calls()
		n += w
	}
	return n
}

// mend does what a shop's manager does with the survey.
func (m *merchant) mend(c *syncer.Coverage) (mended int) {
	for _, g := range c.Gaps {
		for _, s := range m.shops {
			if g.Channel == s.Memory.Name() && g.Kind == syncer.GapNear {
				n, _ := s.Quantity(g.Nearly)
				s.Memory.Remove(g.Nearly)
				s.Set(g.SKU, n)
				mended++
			}
		}
	}
	return mended
}

// until sleeps until a day, counted from 1, and a time of it.
func (m *merchant) until(day int, at time.Duration) {
	time.Sleep(time.Until(m.began.Add(time.Duration(day-1)*24*time.Hour + at)))
}

// raised returns when an alarm of a class was raised, and when it was over, after a
// time.
func (m *merchant) raised(class syncer.AlarmClass, after time.Time) (raised, ended time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.alarms {
		switch {
		case a.Class != class || a.Raised.Before(after):
		case a.Ended.IsZero():
			raised = a.Raised
		default:
			ended = a.Ended
		}
	}
	return raised, ended
}
