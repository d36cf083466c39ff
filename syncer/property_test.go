package syncer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// TestWhateverHappensTheChannelsConverge plays random days at a merchant: stock
// changes in ECOSIRE and in the shops; events about it are lost, doubled, late,
// forged and out of order; every service fails in every way that its wire
// knows; Run is stopped in the middle of its work and begun anew. Then:
//
//   - What was acknowledged to the sender of an event is shown by every channel
//     once the services work again, by Run alone.
//   - What was not is shown after one reconciliation.
//   - No channel was ever told a quantity that ECOSIRE had only before it was read,
//     nor one that was read earlier than the one before, nor two of one SKU at a
//     time.
//
// STOCKSYNC_SEED=n plays day n alone. The waits between attempts are random in
// any case, so that a rare failure may take -count=50 to come back.
func TestWhateverHappensTheChannelsConverge(t *testing.T) {
	t.Parallel()
	first, days := 0, 150
	if testing.Short() {
		days = 50
	}
	if text := os.Getenv("STOCKSYNC_SEED"); text != "" {
		seed, err := strconv.Atoi(text)
		require.NoError(t, err, "STOCKSYNC_SEED")
		first, days = seed, 1
	}
	for seed := first; seed < first+days; seed++ {
		t.Run("STOCKSYNC_SEED="+strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { newDay(t, uint64(seed), dir).play() })
		})
	}
}

// A day is one run of the property test. Chance is asked by the test's own
// goroutine only, so that a seed always means the same day.
type day struct {
	*testing.T
	*rand.Rand
	ledger  ledger
	settle  time.Duration
	erp     *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
	orders  map[string]string // by product: an order of it
	file    string            // of the queue; "" if that is in memory
	queue   syncer.Queue
	source  *ecosire.Client
	targets []syncer.Target

	door    atomic.Pointer[syncer.Syncer] // where events are received; nil while nothing runs
	stop    func()                        // ends Run and the calls beside it
	grace   time.Duration
	beside  sync.WaitGroup // calls beside Run
	senders sync.WaitGroup // of events
}

func newDay(t *testing.T, seed uint64, dir string) *day {
	r := rand.New(rand.NewPCG(seed, 0))
	latency := func() time.Duration { return time.Duration(r.IntN(2)*r.IntN(500)) * time.Millisecond }
	d := &day{
		T: t, Rand: r, orders: make(map[string]string),
		erp:     ecosiretest.New(ecosiretest.Config{Latency: latency()}),
		shopify: shopifytest.New(shopifytest.Config{Latency: latency()}),
		woo:     woocommercetest.New(woocommercetest.Config{RequestTime: latency(), ItemWriteTime: latency() / 10}),
		grace:   []time.Duration{-1, 50 * time.Millisecond, 2 * time.Second, 10 * time.Second}[r.IntN(4)],
	}
	d.settle = -1
	if seed%2 == 1 {
		d.settle, d.ledger.fewer = 10*time.Minute, true
	}
	parent := d.woo.Add(woocommercetest.Product{Type: "variable", SKU: "SHIRT", Stock: woocommercetest.Unmanaged})[0]
	for i, sku := range []string{"MUG-1", "MUG-2", "TEA,GREEN", "00123", "SHIRT-S", "SHIRT-M", "POSTER"} {
		id := d.erp.Add(ecosiretest.Product{SKU: sku, OnHand: 10 + i})[0]
		d.ledger.add(id, sku, 10+i)
		d.shopify.Add(shopifytest.Item{SKU: sku, Available: 99})
		switch {
		case strings.HasPrefix(sku, "SHIRT-"):
			d.woo.Add(woocommercetest.Product{SKU: sku, Type: "variation", ParentID: parent, Quantity: 99})
		case sku != "POSTER": // which Shopify alone has
			d.woo.Add(woocommercetest.Product{SKU: sku, Quantity: 99})
		}
	}
	d.newClients()
	for _, id := range d.ledger.ids {
		d.change(id, func() { d.erp.Sell(id, 1) })
	}
	for o, err := range d.source.Orders(t.Context(), ecosire.OrderFilter{}) {
		require.NoError(t, err)
		d.orders[o.LineItems[0].ProductID] = o.ID
	}
	d.queue = syncer.NewMemoryQueue()
	if d.IntN(5) == 0 {
		d.file = filepath.Join(dir, "queue")
	}
	return d
}

// newClients are what a new process has.
func (d *day) newClients() {
	var err error
	d.source, err = ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: d.erp.Client()})
	require.NoError(d, err)
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: d.shopify.Client()})
	require.NoError(d, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: d.shopify.Location()})
	require.NoError(d, err)
	woo, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: d.woo.Client(),
	})
	require.NoError(d, err)
	store, err := woo.Channel(woocommerce.ChannelConfig{})
	require.NoError(d, err)
	d.targets = []syncer.Target{
		{Channel: d.ledger.watch(d.T, location), Guard: unguarded},
		{Channel: d.ledger.watch(d.T, store), Guard: unguarded},
	}
}

// start begins Run, as a process that starts.
func (d *day) start() {
	if d.file != "" {
		q, err := boltqueue.Open(d.file)
		require.NoError(d, err)
		d.queue = q
	}
	hooks, err := ecosire.NewWebhooks("s3cret")
	require.NoError(d, err)
	s, err := syncer.New(syncer.Config{
		Source: d.source, Targets: d.targets, Webhooks: hooks, Queue: d.queue, Grace: d.grace,
		WatchEvery: -1, Schedule: syncer.Never(), // else these would find what events do not tell
		Settle: d.settle,
	})
	require.NoError(d, err)
	ctx, cancel := context.WithCancel(d.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	d.door.Store(s)
	d.stop = func() {
		d.door.Store(nil)
		asked := time.Now()
		cancel()
		assert.NoError(d, <-done)
		assert.LessOrEqual(d, time.Since(asked), max(0, d.grace), "Run ends within its grace")
		d.beside.Wait()
		for h, err := s.Health(d.Context()); err == nil && stuck(h); h, err = s.Health(d.Context()) {
			time.Sleep(10 * time.Millisecond) // a process that ends takes its calls with it
		}
		if q, ok := d.queue.(*boltqueue.Queue); ok {
			assert.NoError(d, q.Close())
		}
	}
}

func stuck(h syncer.Health) bool {
	return slices.ContainsFunc(h.Channels, func(c syncer.ChannelHealth) bool { return c.Stuck != "" })
}

func (d *day) play() {
	stops := d.IntN(2) == 0
	d.start()
	for range 20 + d.IntN(40) {
		switch n := d.IntN(20); {
		case n < 12:
			d.somethingChanges()
		case n < 16:
			d.somethingFails(stops)
		case n == 16:
			d.somethingBesideRun()
		case n == 17 && stops:
			d.stop()
			if d.IntN(2) == 0 {
				d.newClients()
			}
			d.wait(3 * time.Second)
			d.start()
		default:
			d.wait(time.Minute)
		}
		d.wait(2 * time.Second)
	}

	d.senders.Wait()
	d.beside.Wait()
	for _, wire := range d.wires() {
		wire.Heal()
	}
	quiet := func() {
		for deadline := time.Now().Add(10 * time.Minute); !drained(d.T, d.door.Load()); time.Sleep(time.Second) {
			require.True(d, time.Now().Before(deadline), "nothing fails any more, and marks are left")
		}
	}
	settled := func() {
		if quiet(); d.settle > 0 {
			time.Sleep(d.settle + time.Minute)
			quiet()
		}
	}
	settled()
	for _, id := range d.ledger.ids {
		if d.ledger.acknowledged(id) {
			d.isRight(id, "its change was acknowledged")
		}
	}
	r, err := d.door.Load().Reconcile(d.Context())
	require.NoError(d, err)
	require.NoError(d, r.Err())
	settled()
	for _, id := range d.ledger.ids {
		d.isRight(id, "it was reconciled")
	}
	d.stop()
}

func (d *day) wires() []*channeltest.Wire {
	return []*channeltest.Wire{d.erp.Wire, d.shopify.Wire, d.woo.Wire}
}

// wait lets some time pass, mostly little of it.
func (d *day) wait(most time.Duration) {
	time.Sleep(time.Duration(d.Float64() * d.Float64() * d.Float64() * float64(most)))
}

func (d *day) isRight(id, why string) {
	p, _ := d.erp.Product(id)
	want := max(0, p.OnHand-p.Reserved)
	n, ok := d.shopify.Available(p.SKU)
	assert.True(d, ok && n == want, "Shopify shows %d of %q, and not %d: %s", n, p.SKU, want, why)
	n, ok = d.woo.Quantity(p.SKU)
	assert.True(d, ok == (p.SKU != "POSTER") && (!ok || n == want), "WooCommerce shows %d of %q, and not %d: %s", n, p.SKU, want, why)
}

// somethingChanges changes the stock of some products, and sends an event.
func (d *day) somethingChanges() {
	id := d.ledger.ids[d.IntN(len(d.ledger.ids))]
	p, _ := d.erp.Product(id)
	switch d.IntN(6) {
	case 0: // an adjustment, perhaps below what is promised
		ids := []string{id}
		if d.IntN(2) == 0 {
			ids = append(ids, d.ledger.ids[d.IntN(len(d.ledger.ids))])
		}
		for _, id := range ids {
			on, reserved := d.IntN(30), d.IntN(12)
			d.change(id, func() { d.erp.Set(id, on, reserved) })
		}
		d.tell("inventory.adjusted", map[string]any{"productIds": ids}, ids...)
	case 1:
		d.change(id, func() { d.erp.Return(id, 1+d.IntN(3)) })
		d.tell("charge.refunded", map[string]any{"orderId": d.orders[id]}, id)
	case 2: // somebody edits the shop, and ECOSIRE hears of it
		d.shopify.Set(p.SKU, d.IntN(50))
		if p.SKU != "POSTER" {
			d.woo.Set(p.SKU, d.IntN(50))
		}
		fallthrough
	default:
		units := 1 + d.IntN(3)
		if n, ok := d.woo.Quantity(p.SKU); ok && n >= units && d.IntN(2) == 0 {
			d.woo.Sell(p.SKU, units) // the sale was there
		}
		d.change(id, func() { d.erp.Sell(id, units) })
		d.tell("checkout.completed", map[string]any{"orderId": "o", "lineItems": []any{map[string]any{"productId": id, "quantity": units}}}, id)
	}
}

func (d *day) change(id string, f func()) {
	d.ledger.change(id, func() int {
		f()
		p, _ := d.erp.Product(id)
		return p.OnHand - p.Reserved
	})
}

// tell sends an event as a network like this does: not at all, or several
// times, each at its own time, some again until they are acknowledged.
func (d *day) tell(event string, data any, ids ...string) {
	body, err := json.Marshal(map[string]any{"id": "evt_" + strconv.Itoa(d.IntN(1e9)), "event": event, "data": data})
	require.NoError(d, err)
	if d.IntN(10) == 0 {
		assert.NotEqual(d, http.StatusAccepted, d.deliver(body, "forged"))
	}
	for range []int{0, 1, 1, 1, 1, 1, 2, 3}[d.IntN(8)] {
		delay := time.Duration(d.IntN(2)*d.IntN(5000)) * time.Millisecond
		tries := 1 + d.IntN(5)
		d.senders.Go(func() {
			for range tries {
				time.Sleep(delay)
				delay = 2 * time.Second
				versions := d.ledger.versions(ids)
				if status := d.deliver(body, "s3cret"); status == http.StatusAccepted {
					d.ledger.acknowledge(versions)
					return
				} else {
					assert.Equal(d, http.StatusServiceUnavailable, status)
				}
			}
		})
	}
}

func (d *day) deliver(body []byte, secret string) int {
	s := d.door.Load()
	if s == nil {
		return http.StatusServiceUnavailable // the load balancer's
	}
	r := httptest.NewRequest("POST", "/webhooks", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, body))
	w := httptest.NewRecorder()
	s.WebhookHandler().ServeHTTP(w, r)
	return w.Code
}

// somethingFails makes one service fail, for some requests or for some time.
func (d *day) somethingFails(stops bool) {
	wire := d.wires()[d.IntN(3)]
	if wire == d.woo.Wire && !stops && d.IntN(4) == 0 {
		// The shop goes on writing when nobody waits any more. A process that
		// ends meanwhile cannot know that, so this is for days without.
		d.woo.ApplySlowly(time.Duration(d.IntN(1500)) * time.Millisecond)
		return
	}
	f := channeltest.Fault{Skip: d.IntN(3), Times: 1 + d.IntN(6), Apply: d.IntN(2) == 0}
	if d.IntN(3) == 0 {
		f.Match = channeltest.On("POST", "")
	}
	switch d.IntN(8) {
	case 0:
		f.Cut = true
	case 1:
		f.Status = 429
		f.Header = http.Header{"Retry-After": {strconv.Itoa(1 + d.IntN(40))}}
		f.Apply = false
	case 2:
		f.Status, f.Apply = 401, false
	case 3:
		f.Status, f.Body = 200, "<html>Just a moment…</html>"
	case 4:
		f.Twice, f.Apply = true, false
	case 5:
		f.Delay, f.Apply = time.Duration(d.IntN(90))*time.Second, false
	case 6:
		f.Rewrite, f.Apply = func(status int, _ http.Header, body []byte) (int, []byte) { return status, body[:len(body)/2] }, false
	default:
		f.Status = []int{500, 502, 503, 504}[d.IntN(4)]
	}
	if d.IntN(4) == 0 { // it is down for a while
		f.Times, f.Skip, f.Match = -1, 0, nil
		until := time.Duration(d.IntN(120)) * time.Second
		d.senders.Go(func() {
			time.Sleep(until)
			wire.Heal()
		})
	}
	wire.Inject(f)
}

// somethingBesideRun is what the host does meanwhile.
func (d *day) somethingBesideRun() {
	ctx, cancel := context.WithTimeout(d.Context(), time.Duration(d.IntN(60))*time.Second)
	s, all := d.door.Load(), d.IntN(2) == 0
	d.beside.Go(func() {
		defer cancel()
		if all {
			_, _ = s.Reconcile(ctx)
		} else {
			_, _ = s.SyncProducts(ctx, d.ledger.ids...)
		}
	})
}

// A run that has read a newer quantity than Run holds Run's write back. If it
// then fails, what it held back must still be written.
func TestAMarkSupersededByACallThatFailsIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		source.delay = time.Second
		failing := true
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			if failing {
				failing = false
				time.Sleep(10 * time.Second)
				return channel.ErrUnavailable
			}
			return next.Push(ctx, updates)
		}}
		s := configure(t, syncer.Config{Source: source}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(200 * time.Millisecond) // Run has asked, and waits for the answer
		source.mu.Lock()
		source.delay = 0
		source.mu.Unlock()
		r, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		require.ErrorIs(t, r.Err(), channel.ErrUnavailable)
		pass(10 * time.Minute)
		assert.True(t, drained(t, s))
		shows(t, m, 5)
	})
}
