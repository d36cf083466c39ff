package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// narrow is a queue that keeps no key that is longer than some bytes, lane
// included, as those on disks and in databases do.
type narrow struct{ *syncer.MemoryQueue }

func (n narrow) Mark(ctx context.Context, marks ...syncer.Mark) error {
	for _, m := range marks {
		if len(m.Lane)+len(m.ID) > 2000 {
			return fmt.Errorf("a key of %d bytes is too long", len(m.Lane)+len(m.ID))
		}
	}
	return n.MemoryQueue.Mark(ctx, marks...)
}

// An id that no queue keeps costs the others nothing, in the inbox or behind it.
func TestOneLongIDStopsNoOther(t *testing.T) {
	for _, n := range []int{0, 1001, 2000 - len("inbox"), 40_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a := newStock(5, 6, 7), shop("a", 3)
				long := strings.Repeat("x", n)
				orders := &ordering{stock: source, products: []string{long, "p2"}}
				s := unguardedly(t, syncer.Config{Source: orders, Queue: narrow{syncer.NewMemoryQueue()}, Schedule: syncer.Never(), WatchEvery: -1,
					Webhooks: says{channel.Event{ID: "1", Type: "stock", ProductIDs: []string{long, "p1"}, OrderIDs: []string{long, "o"}}}}, a)
				defer running(t, s)()
				require.ErrorIs(t, s.Notify(t.Context(), long, "p0"), channel.ErrInvalid)
				assert.Equal(t, http.StatusAccepted, delivery(s.WebhookHandler()))
				pass(time.Minute)
				shows(t, a, 5, 6, 7)
				assert.True(t, drained(t, s))
			})
		})
	}
}

type ordering struct {
	*stock
	products []string
}

func (o *ordering) OrderProducts(context.Context, string) ([]string, error) { return o.products, nil }

type says struct{ channel.Event }

func (s says) Receive(context.Context, http.Header, []byte) (channel.Event, error) {
	return s.Event, nil
}

func delivery(h http.Handler) (status int) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(w, r)
	return w.Code
}

// deaf is a receiver that does not look at its context.
type deaf struct{ until chan struct{} }

func (d deaf) Receive(context.Context, http.Header, []byte) (channel.Event, error) {
	<-d.until
	return channel.Event{ID: "1", Type: "stock", SKUs: []string{"SKU-0"}, ProductIDs: []string{"p0"}}, nil
}

// A delivery is answered whatever its receiver does; one that does not return
// keeps its slot, so that there are never more than a hundred.
func TestADeliveryIsAnsweredThoughItsReceiverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deaf{make(chan struct{})}
		s := configure(t, syncer.Config{Source: newStock(5), Webhooks: d, Targets: []syncer.Target{{Channel: shop("a", 1), Webhooks: d}}})
		told, err := s.ChannelHandler("a")
		require.NoError(t, err)
		for _, h := range []http.Handler{s.WebhookHandler(), told} {
			for i := range 101 {
				began := time.Now()
				assert.Equal(t, http.StatusServiceUnavailable, delivery(h))
				assert.LessOrEqual(t, time.Since(began), 15*time.Second)
				if i == 100 {
					assert.Zero(t, time.Since(began), "all slots are taken")
				}
			}
		}
		close(d.until)
		synctest.Wait()
		for _, h := range []http.Handler{s.WebhookHandler(), told} {
			assert.Equal(t, http.StatusAccepted, delivery(h), "they are free again")
		}
	})
}

// What a policy makes of a product that is no quantity is that product's error,
// and never written; nor can a product be pinned to it.
func TestWhatIsNoQuantityIsNotShown(t *testing.T) {
	for _, n := range []int{math.MaxInt, math.MinInt, -large - 1} {
		synctest.Test(t, func(t *testing.T) {
			source, a := newStock(5, 6), shop("a", 2)
			a.Set("KIT", 100)
			odd := syncer.Custom("odd", func(s channel.Stock) (int, error) {
				if s.ProductID == "p0" {
					return n, nil
				}
				return s.Available, nil
			})
			kit := syncer.Listing{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 1}, {ProductID: "p1", Units: 1}}}
			s := configure(t, syncer.Config{Source: source, Booked: func(channel.Stock, channel.Stock) int { return n }, Targets: []syncer.Target{{
				Channel: a, Guard: unguarded, Policy: odd.Buffer(1), Kits: func() []syncer.Listing { return []syncer.Listing{kit} },
			}}})
			r, err := s.SyncProducts(t.Context(), "p0", "p1")
			require.ErrorIs(t, err, channel.ErrInvalid)
			assert.Equal(t, 2, r.Channels[0].Failed)
			shows(t, a, 100, 5)
			_, err = odd.Explain(channel.Stock{ProductID: "p0"})
			require.ErrorIs(t, err, channel.ErrInvalid)
			require.Error(t, s.Pin(t.Context(), syncer.Pin{ProductID: "p1", Quantity: n, Raise: true, Who: "Ana", Why: "why"}))
		})
	}
}

// What cannot be kept under its name, or comes back as another one, is refused
// alone: what the guard holds of it could never be approved.
func TestAProductWithoutAUsableNameIsRefusedAlone(t *testing.T) {
	for _, bad := range []channel.Stock{
		{ProductID: "caf\xe9", SKU: "BAD"}, {ProductID: "bad", SKU: "caf\xe9"},
		{ProductID: "bad", SKU: strings.Repeat("x", 1001)}, {ProductID: strings.Repeat("x", 1001), SKU: "BAD"},
	} {
		synctest.Test(t, func(t *testing.T) {
			source, a := newStock(5, 6), shop("a", 2)
			source.put(bad.ProductID, bad.SKU, 3)
			a.Set(bad.SKU, 100)
			s := unguardedly(t, syncer.Config{Source: source}, a)
			r, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, channel.ErrInvalid)
			assert.Equal(t, 1, r.Unread)
			shows(t, a, 5, 6)
			n, _ := a.Quantity(bad.SKU)
			assert.Equal(t, 100, n)

			s = configure(t, syncer.Config{Source: newStock(7, 8), Targets: []syncer.Target{{Channel: a, Guard: unguarded, Listings: func(s channel.Stock) []syncer.Listing {
				if s.ProductID == "p1" && bad.SKU != "BAD" {
					return []syncer.Listing{{SKU: bad.SKU}}
				}
				return []syncer.Listing{{SKU: s.SKU}}
			}}}})
			_, err = s.Reconcile(t.Context())
			assert.Equal(t, bad.SKU != "BAD", errors.Is(err, channel.ErrInvalid), "so it is with a listing's")
			n, _ = a.Quantity(bad.SKU)
			assert.Equal(t, 100, n)
		})
	}
}

// fragile is a log handler that panics.
type fragile struct{ slog.Handler }

func (fragile) Enabled(context.Context, slog.Level) bool { return true }
func (fragile) Handle(context.Context, slog.Record) error {
	panic("the log is full")
}

func TestALogThatPanicsStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5), shop("a", 1)
		s := unguardedly(t, syncer.Config{Source: source, Logger: slog.New(fragile{slog.DiscardHandler}), ReconcileAtStart: true}, a)
		defer running(t, s)()
		pass(time.Minute)
		shows(t, a, 5)
	})
}

// stiff is a queue that does not return from saving what is in flight, for an hour.
type stiff struct {
	*syncer.MemoryQueue
	hangs bool
}

func (q *stiff) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if set == "flights" && q.hangs {
		time.Sleep(time.Hour)
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

// Whoever waits for a queue that hangs waits where its context counts, and not
// for a mutex.
func TestAHungSaveHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(5), shop("a", 1), shop("b", 1)
		q := &stiff{syncer.NewMemoryQueue(), true}
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, []channel.Channel{a, b}...)
		began := time.Now()
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		assert.Less(t, time.Since(began), 3*time.Minute)
		shows(t, a, 5)
		shows(t, b, 5)
		time.Sleep(2 * time.Hour)
	})
}

// endless is a channel whose quota is no number that JSON has.
type endless struct {
	*channeltest.Memory
	quota channel.Quota
}

func (e endless) Quota() (channel.Quota, bool) { return e.quota, true }

func TestAQuotaThatIsNoNumberIsLeftOut(t *testing.T) {
	for _, q := range []channel.Quota{{Left: math.NaN(), Limit: 1}, {Left: 1, Limit: math.Inf(1)}, {Left: math.Inf(-1)}, {Left: math.Inf(1), Limit: math.Inf(-1)}} {
		s := build(t, newStock(1), endless{shop("a", 1), q})
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Nil(t, h.Channels[0].Quota)
		_, err = json.Marshal(h)
		assert.NoError(t, err)
	}
}

type inTheYear int

func (y inTheYear) Next(time.Time) time.Time { return time.Date(int(y), 1, 1, 0, 0, 0, 0, time.UTC) }

// A schedule that says never by a time far away does not spoil what is told as JSON.
func TestATimeFarAwayIsNever(t *testing.T) {
	for year, next := range map[inTheYear]bool{9999: true, 10_000: false, 300_000: false} {
		synctest.Test(t, func(t *testing.T) {
			s := unguardedly(t, syncer.Config{Source: newStock(1), Schedule: year}, shop("a", 1))
			defer running(t, s)()
			pass(time.Hour)
			h, err := s.Health(t.Context())
			require.NoError(t, err)
			assert.Equal(t, next, !h.Next.IsZero())
			_, err = json.Marshal(h)
			assert.NoError(t, err)
		})
	}
}

// The hook of a guard that trips may ask what is held.
func TestAHookMayAskHowThingsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(), shop("a", 12)
		for i := range 12 {
			source.put(fmt.Sprint("p", i), fmt.Sprint("SKU-", i), 0)
		}
		var s *syncer.Syncer
		held, approved := 0, error(nil)
		s = configure(t, syncer.Config{Source: source, Hooks: syncer.Hooks{Tripped: func(ctx context.Context, name string, _ syncer.Trip) {
			h, err := s.Held(ctx)
			assert.NoError(t, err)
			_, err = s.Health(ctx)
			assert.NoError(t, err)
			held = len(h[0].Lines)
			approved = s.Approve(ctx, syncer.Approval{Channel: name, Who: "Ana", Hash: h[0].Hash})
		}}}, a)
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.Equal(t, 12, held)
		assert.NoError(t, approved)
	})
}

// innumerable is a source whose Count does not return, whatever its context says.
type innumerable struct {
	*stock
	until chan struct{}
}

func (c innumerable) Count(context.Context) (int, error) {
	<-c.until
	return 1, nil
}

// Who only wants to know how far a run is does not keep it, nor its channels, from
// going on.
func TestProgressHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := innumerable{newStock(5, 6), make(chan struct{})}
		a, b := shop("a", 2), shop("b", 2)
		s := unguardedly(t, syncer.Config{Source: c, Hooks: syncer.Hooks{Progress: func(context.Context, syncer.Progress) { time.Sleep(time.Second) }}}, a, b)
		began := time.Now()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(began), 2*time.Minute)
		shows(t, a, 5, 6)
		shows(t, b, 5, 6)
		close(c.until)
	})
}

// hoarder is a channel whose Restore, or Keep, does not return, whatever its
// context says; and it does not say either how its service's clock goes.
type hoarder struct {
	*channeltest.Memory
	hangs map[string]bool
	until chan struct{}
}

func (f hoarder) wait(op string) {
	if f.hangs[op] {
		<-f.until
	}
}

func (f hoarder) Keep(w io.Writer) error {
	f.wait("Keep")
	_, err := w.Write([]byte("what it knows"))
	return err
}

func (f hoarder) Restore(io.Reader) error { f.wait("Restore"); return nil }

func (f hoarder) Skew() (time.Duration, bool) { f.wait("Skew"); return 0, true }

// What only saves requests keeps neither its own channel from work, nor another.
func TestWhatAChannelKeepsHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, until := newStock(5, 6), make(chan struct{})
		q := narrow{syncer.NewMemoryQueue()}
		a, b := shop("a", 2), shop("b", 2)
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}
		_, err := unguardedly(t, cfg, hoarder{Memory: a}, hoarder{Memory: b}).Reconcile(t.Context())
		require.NoError(t, err)

		s := unguardedly(t, cfg, hoarder{a, map[string]bool{"Keep": true, "Restore": true, "Skew": true}, until}, b)
		stop := running(t, s)
		source.put("p0", "SKU-0", 7)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		shows(t, a, 7, 6)
		shows(t, b, 7, 6)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		pass(3 * time.Hour)
		source.put("p1", "SKU-1", 8)
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(time.Minute)
		shows(t, a, 7, 8)
		began := time.Now()
		stop()
		assert.LessOrEqual(t, time.Since(began), 10*time.Second)
		close(until)
	})
}
