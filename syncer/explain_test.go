package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A sulky shop answers with errors when it is told to.
type sulky struct {
	*channeltest.Memory
	mu    sync.Mutex
	whole error         // of every call
	lag   time.Duration // what is accepted shows so much later
}

func (m *sulky) mood(whole error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.whole = whole
}

func (m *sulky) get() (error, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whole, m.lag
}

func (m *sulky) Lag() time.Duration { _, lag := m.get(); return lag }

func (m *sulky) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	if err, _ := m.get(); err != nil {
		return nil, err
	}
	return m.Memory.Levels(ctx, skus)
}

func (m *sulky) Push(ctx context.Context, updates []channel.Update) error {
	err, lag := m.get()
	switch {
	case err != nil:
		return err
	case lag == 0:
		return m.Memory.Push(ctx, updates)
	}
	errs := channel.Errors{}
	for _, u := range updates {
		errs[u.SKU] = channel.ErrPending
	}
	time.AfterFunc(lag, func() { _ = m.Memory.Push(context.Background(), updates) })
	return errs
}

// A situation is a world with one product, p0, whose SKU is SKU-0, on a channel
// that shows 100 of it.
type situation struct {
	t      *testing.T
	source *stock
	shop   *sulky
	target syncer.Target
	queue  *syncer.MemoryQueue
	s      *syncer.Syncer
}

func newSituation(t *testing.T) *situation {
	return &situation{t: t, source: newStock(5), shop: &sulky{Memory: shop("a", 1)}, queue: syncer.NewMemoryQueue()}
}

func (w *situation) build() {
	w.target.Channel = w.shop
	w.s = configure(w.t, syncer.Config{
		Source: w.source, Queue: w.queue, Targets: []syncer.Target{w.target}, Schedule: syncer.Never(), Journal: 7 * 24 * time.Hour,
	})
}

// settled has gone through a night.
func (w *situation) settled() {
	w.build()
	_, _ = w.s.Reconcile(w.t.Context())
}

// marked has p0 marked for so long.
func (w *situation) marked(d time.Duration) {
	stop := running(w.t, w.s)
	require.NoError(w.t, w.s.Notify(w.t.Context(), "p0"))
	pass(d)
	stop()
}

func TestExplain(t *testing.T) {
	const night = "    2000-01-01 00:00:00 UTC  wrote: 100 → 5; never written before (reconcile), run reconcile\n"
	for _, tt := range []struct {
		name  string
		given func(w *situation)
		want  string // what the channel's part says
	}{
		{"agreed", func(w *situation) { w.settled() }, `
  SKU-0 shows 5, as it should.
` + night},
		{"the way of a policy", func(w *situation) {
			w.target.Policy = syncer.Available().Share(80).Buffer(1)
			w.settled()
		}, `
  SKU-0 shows 3, as it should.
    available → 5, share 80 % → 4, buffer 1 → 3
    2000-01-01 00:00:00 UTC  wrote: 100 → 3; never written before (reconcile), run reconcile
`},
		{"never looked at", func(w *situation) { w.build() }, `
  SKU-0 shows 100 and should show 5.
  It is not marked: the next event or reconciliation deals with it.
`},
		{"never read", func(w *situation) {
			w.build()
			w.source.put("p0", "", 5)
		}, `
  (no SKU): invalid: the product has no SKU.
  It is not marked: the next event or reconciliation deals with it.
`},
		{"waiting", func(w *situation) {
			w.settled()
			w.source.put("p0", "SKU-0", 4)
			require.NoError(w.t, w.queue.Mark(w.t.Context(), syncer.Mark{Key: syncer.Key{Lane: "channel/a", ID: "p0"}, Why: syncer.CauseEvent}))
		}, `
  SKU-0 shows 5 and should show 4.
  It was marked at 2000-01-01 00:00:00 UTC (event), and waits for its turn.
` + night},
		{"channel down", func(w *situation) {
			w.settled()
			w.source.put("p0", "SKU-0", 4)
			w.shop.mood(channel.ErrUnavailable)
			w.marked(time.Minute)
		}, `
  The channel fails since 2000-01-01 00:00:00 UTC: unavailable. What is due for it is done when it works again.
  SKU-0 was last known to show 5, at 2000-01-01 00:00:00 UTC, and should show 4: unavailable.
  It was marked at 2000-01-01 00:00:00 UTC (notify), and is looked at again at ….
    2000-01-01 00:00:00 UTC  wrote: 100 → 5; never written before (reconcile), run reconcile
`},
		{"retried", func(w *situation) {
			w.settled()
			p := w.source.products["p0"]
			p.Err = errors.New("ecosire: \"available\" is 1.5, not a whole number")
			w.source.products["p0"] = p
			w.marked(time.Minute)
		}, `
  It was tried several times in vain, and is tried again at …: ecosire: "available" is 1.5, not a whole number.
    2000-01-01 00:00:00 UTC  wrote: 100 → 5; never written before (reconcile), run reconcile
`},
		{"given up as unknown", func(w *situation) {
			w.build()
			w.shop.Remove("SKU-0")
			w.marked(time.Second)
		}, `
  SKU-0 should show 5: the channel does not have this SKU.
  It was given up at 2000-01-01 00:00:00 UTC, until it changes or the next reconciliation.
    2000-01-01 00:00:00 UTC  gave up (notify): unknown SKU "SKU-0", run event
`},
		{"ambiguous in the channel", func(w *situation) {
			w.build()
			w.shop.Add(channel.Level{SKU: "SKU-0", Quantity: 7, Ref: "draft"})
			w.marked(time.Second)
		}, `
  SKU-0: ambiguous SKU "SKU-0": it stands for 2 items.
  It was given up at 2000-01-01 00:00:00 UTC, until it changes or the next reconciliation.
    2000-01-01 00:00:00 UTC  gave up (notify): ambiguous SKU "SKU-0": it stands for draft and item 1, run event
`},
		{"ambiguous at the source", func(w *situation) {
			w.source.put("p1", "SKU-0", 3)
			w.settled()
		}, `
  SKU-0 shows 100 and what it should show is not known: ambiguous SKU "SKU-0": several products of the source claim it.
  It was given up at 2000-01-01 00:00:00 UTC, until it changes or the next reconciliation.
`},
		{"filtered out", func(w *situation) {
			w.target.Filter = func(channel.Stock) bool { return false }
			w.settled()
		}, `
  The channel is not to show it: the target's Filter or Listings leave it out.
`},
		{"a pack", func(w *situation) {
			w.shop.Set("SKU-0-x2", 9)
			w.target.Listings = func(s channel.Stock) []syncer.Listing { return []syncer.Listing{syncer.Pack(s.SKU+"-x2", s, 2)} }
			w.settled()
		}, `
  SKU-0-x2 shows 2, as it should.
    available → 5, in packs of 2
    2000-01-01 00:00:00 UTC  wrote: 9 → 2; never written before (reconcile), run reconcile
`},
		{"a kit", func(w *situation) {
			w.source.put("p1", "SKU-1", 8)
			w.shop.Set("KIT", 9)
			w.target.Listings = func(channel.Stock) []syncer.Listing { return nil }
			w.target.Kits = func() []syncer.Listing {
				return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 2}, {ProductID: "p1", Units: 1}}}}
			}
			w.settled()
		}, `
  KIT shows 2, as it should.
    a kit takes 2 of p0, 1 of p1
    2000-01-01 00:00:00 UTC  wrote: 9 → 2; never written before (reconcile), run reconcile
`},
		{"held", func(w *situation) {
			for i := range 40 {
				sku := "MORE-" + string(rune('A'+i))
				w.source.put("q"+sku, sku, 0)
				w.shop.Set(sku, 3)
			}
			w.source.put("p0", "SKU-0", 0)
			w.settled()
		}, `
  SKU-0 shows 100 and should show 0. The guard holds the change since 2000-01-01 00:00:00 UTC: 41 products would go off sale or show less than half, of 41 on sale; 5 may. Nobody has approved it yet.
    2000-01-01 00:00:00 UTC  held: 100 → 0; never written before (reconcile), run reconcile
`},
		{"held and approved", func(w *situation) {
			for i := range 40 {
				sku := "MORE-" + string(rune('A'+i))
				w.source.put("q"+sku, sku, 0)
				w.shop.Set(sku, 3)
			}
			w.source.put("p0", "SKU-0", 0)
			w.settled()
			held, err := w.s.Held(w.t.Context())
			require.NoError(w.t, err)
			require.NoError(w.t, w.s.Approve(w.t.Context(), syncer.Approval{Channel: "a", Who: "Ada", Hash: held[0].Hash}))
		}, `
  SKU-0 shows 100 and should show 0. The guard holds the change since 2000-01-01 00:00:00 UTC: 41 products would go off sale or show less than half, of 41 on sale; 5 may. Ada has approved it.
    2000-01-01 00:00:00 UTC  held: 100 → 0; never written before (reconcile), run reconcile
`},
		{"approved and done", func(w *situation) {
			for i := range 40 {
				sku := "MORE-" + string(rune('A'+i))
				w.source.put("q"+sku, sku, 0)
				w.shop.Set(sku, 3)
			}
			w.source.put("p0", "SKU-0", 0)
			w.settled()
			held, err := w.s.Held(w.t.Context())
			require.NoError(w.t, err)
			require.NoError(w.t, w.s.Approve(w.t.Context(), syncer.Approval{Channel: "a", Who: "Ada", Hash: held[0].Hash}))
			stop := running(w.t, w.s)
			pass(time.Minute)
			stop()
		}, `
  SKU-0 shows 0, as it should.
    2000-01-01 00:00:00 UTC  wrote: 100 → 0 (approved by Ada), run apply
    2000-01-01 00:00:00 UTC  held: 100 → 0; never written before (reconcile), run reconcile
`},
		{"pending", func(w *situation) {
			w.shop.lag = 10 * time.Minute
			w.build()
			w.marked(time.Minute)
		}, `
  SKU-0 shows 100 and should show 5. The channel accepted 5 at 2000-01-01 00:00:00 UTC, which does not show yet.
  It was marked at 2000-01-01 00:00:00 UTC (notify), and is looked at again at ….
    2000-01-01 00:00:00 UTC  sent: 100 → 5 (notify), run event
`},
		{"landed", func(w *situation) {
			w.shop.lag = 10 * time.Minute
			w.build()
			w.marked(12 * time.Minute)
		}, `
  SKU-0 shows 5, as it should.
    2000-01-01 00:10:00 UTC  landed: shows 5 (notify), run event
    2000-01-01 00:00:00 UTC  sent: 100 → 5 (notify), run event
`},
		{"written a second ago by another run", func(w *situation) {
			w.settled()
			w.source.put("p0", "SKU-0", 4)
			_, err := w.s.SyncProducts(w.t.Context(), "p0")
			require.NoError(w.t, err)
			pass(time.Second)
		}, `
  SKU-0 shows 4, as it should.
    2000-01-01 00:00:00 UTC  wrote: 5 → 4 (sync), run sync
    2000-01-01 00:00:00 UTC  wrote: 100 → 5; never written before (reconcile), run reconcile
`},
		{"sold in the shop", func(w *situation) {
			w.settled()
			pass(24 * time.Hour)
			w.shop.Set("SKU-0", 3)
			_, err := w.s.Reconcile(w.t.Context())
			require.NoError(w.t, err)
		}, `
  SKU-0 shows 3, as it should.
    2000-01-01 00:00:00 UTC  wrote: 100 → 5; never written before (reconcile), run reconcile
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSituation(t)
				tt.given(w)
				x, err := w.s.Explain(t.Context(), syncer.Question{ProductID: "p0"})
				require.NoError(t, err)
				_, said, _ := strings.Cut(x.String(), "\na")
				assert.Equal(t, tt.want, golden(said))
				_, err = json.Marshal(x)
				require.NoError(t, err)
			})
		})
	}
}

// golden is an explanation without what chance decides: names of runs, and
// when something is tried again.
func golden(said string) string {
	said = regexp.MustCompile(`(event|sync|apply|reconcile)-\w+-\w+`).ReplaceAllString(said, "$1")
	said = regexp.MustCompile(`again at [-0-9: ]+ UTC`).ReplaceAllString(said, "again at …")
	return regexp.MustCompile(`tried \d+ times`).ReplaceAllString(said, "tried several times")
}
