package syncer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
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
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A tattler reads deliveries that are events in JSON, signed "good".
type tattler struct{}

func (tattler) Receive(_ context.Context, h http.Header, body []byte) (e channel.Event, err error) {
	if h.Get("X-Signature") != "good" {
		return e, fmt.Errorf("wrong signature: %w", channel.ErrUnauthorized)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("not an event")
	}
	return e, nil
}

// gossip is a channel that reads its deliveries itself.
type gossip struct {
	tattler
	*channeltest.Memory
}

// tells delivers that an SKU of a channel has changed.
func tells(t *testing.T, h http.Handler, e channel.Event) int {
	t.Helper()
	body, err := json.Marshal(e)
	require.NoError(t, err)
	return post(h, "good", string(body))
}

func post(h http.Handler, signature, body string) int {
	r := httptest.NewRequest("POST", "/any/path", strings.NewReader(body))
	r.Header.Set("X-Signature", signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func handler(t *testing.T, s *syncer.Syncer, name string) http.Handler {
	t.Helper()
	h, err := s.ChannelHandler(name)
	require.NoError(t, err)
	return h
}

func sold(sku string) channel.Event { return channel.Event{Type: "sold", SKUs: []string{sku}} }

func TestChannelHandler(t *testing.T) {
	q := syncer.NewMemoryQueue()
	s := configure(t, syncer.Config{Source: newStock(5), Queue: q, Targets: []syncer.Target{{Channel: shop("deaf", 1)}}}, gossip{Memory: shop("a", 1)})
	for _, name := range []string{"b", "", "deaf"} {
		_, err := s.ChannelHandler(name)
		assert.ErrorContains(t, err, name, "there is nobody to ask")
	}
	h := handler(t, s, "a")
	_, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	assert.Equal(t, 202, tells(t, h, sold("SKU-0")))
	assert.Equal(t, 200, tells(t, h, channel.Event{Type: "ping"}))
	assert.Equal(t, 401, post(h, "bad", "{}"))
	assert.Equal(t, 400, post(h, "good", "nonsense"))
	assert.Equal(t, 413, post(h, "good", strings.Repeat("x", 300<<10)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	assert.Equal(t, 405, w.Code)
	assert.Empty(t, w.Body.String())
	waiting, err := q.Peek(t.Context(), syncer.Key{Lane: "inbox", ID: "p0"})
	require.NoError(t, err)
	require.NotNil(t, waiting)
	assert.Equal(t, syncer.CauseChannel, waiting.Why)
	_, err = syncer.New(syncer.Config{Source: newStock(), Targets: []syncer.Target{{Channel: shop("a", 1), Webhooks: (*gossip)(nil)}}})
	require.Error(t, err)
}

// TestAThousandDeliveriesAreTwoReads: a burst for one product is one task that
// counts them, and forged ones are nothing.
func TestAThousandDeliveriesAreTwoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(100), shop("a", 1), shop("b", 1)
		q := syncer.NewMemoryQueue()
		s := unguardedly(t, syncer.Config{Source: source, Queue: q}, gossip{Memory: a}, b)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		h := handler(t, s, "a")
		for range 1000 {
			require.Equal(t, 202, tells(t, h, sold("SKU-0")))
			require.Equal(t, 401, post(h, "forged", `{"SKUs":["SKU-0"]}`))
		}
		waiting, err := q.Peek(t.Context(), syncer.Key{Lane: "inbox", ID: "p0"})
		require.NoError(t, err)
		assert.Equal(t, 1000, waiting.Marks, "each is counted")
		defer running(t, s)()
		pass(time.Second)
		before := source.asked()
		levels, _ := a.Calls()
		for n := range 1000 {
			require.Equal(t, 202, tells(t, h, sold("SKU-0")))
			require.Equal(t, 401, post(h, "forged", `{"SKUs":["SKU-0"]}`))
			if n%100 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		pass(10 * time.Second)
		assert.LessOrEqual(t, source.asked()-before, 2)
		now, writes := a.Calls()
		assert.LessOrEqual(t, now-levels, 4)
		assert.LessOrEqual(t, writes, 1)
		assert.True(t, drained(t, s))
	})
}

func TestAnEchoIsNotLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(7), shop("a", 1)
		s := unguardedly(t, syncer.Config{Source: source}, gossip{Memory: a})
		h := handler(t, s, "a")
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, a, 7)
		asked := source.asked()
		echo := channel.Event{SKUs: []string{"SKU-0"}, Shows: map[string]int{"SKU-0": 7}}
		for range 10 {
			assert.Equal(t, 202, tells(t, h, echo))
		}
		pass(time.Second)
		assert.Equal(t, asked, source.asked(), "it is what was written")
		a.Set("SKU-0", 6)
		assert.Equal(t, 202, tells(t, h, channel.Event{SKUs: []string{"SKU-0"}, Shows: map[string]int{"SKU-0": 6}}))
		pass(time.Second)
		assert.Equal(t, asked+1, source.asked(), "anything else is news")
		assert.Equal(t, 202, tells(t, h, channel.Event{SKUs: []string{"SKU-0"}}))
		pass(10 * time.Second)
		assert.Equal(t, asked+2, source.asked(), "and so is what says nothing")
	})
}

// finder is a source that can be searched.
type finder struct {
	*stock
	mu    sync.Mutex
	asked []string
	fail  error
}

func (f *finder) Find(_ context.Context, sku string) (ids []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, sku)
	f.stock.mu.Lock()
	defer f.stock.mu.Unlock()
	for id, p := range f.products {
		if p.SKU == sku {
			ids = append(ids, id)
		}
	}
	return ids, f.fail
}

func (f *finder) searched() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *finder) failing(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func TestAnUnknownSKUIsSearchedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := &finder{stock: newStock(5, 6)}, shop("a", 2)
		s := unguardedly(t, syncer.Config{Source: source}, gossip{Memory: a})
		h := handler(t, s, "a")
		source.failing(channel.ErrUnavailable)
		assert.Equal(t, 202, tells(t, h, sold("SKU-1")))
		assert.Empty(t, source.searched(), "not in the request")
		defer running(t, s)()
		pass(time.Second)
		assert.NotEmpty(t, source.searched())
		source.failing(nil)
		pass(time.Minute)
		shows(t, a, 100, 6)
		searches := len(source.searched())
		assert.Equal(t, 202, tells(t, h, sold("SKU-1")))
		pass(time.Minute)
		assert.Len(t, source.searched(), searches, "from then on it is known")

		for i := range 100 {
			assert.Equal(t, 202, tells(t, h, sold(fmt.Sprintf("nobody's %d", i))))
		}
		pass(5 * time.Minute)
		assert.LessOrEqual(t, len(source.searched())-searches, 4+5*4, "a few a minute")
		pass(time.Hour)
		n := len(source.searched())
		assert.Equal(t, searches+100, n)
		for i := range 100 {
			assert.Equal(t, 202, tells(t, h, sold(fmt.Sprintf("nobody's %d", 99-i))))
		}
		pass(20 * time.Minute)
		assert.Less(t, len(source.searched())-n, 40, "what was in vain is not repeated soon")
	})
}

// TestASKUWaitsForTheCatalogue: a source that cannot be searched is read as a
// whole first.
func TestASKUWaitsForTheCatalogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5, 6), shop("a", 2)
		logger, nobodys := saying("a channel told of an SKU that no product has")
		s := unguardedly(t, syncer.Config{Source: source, Logger: logger}, gossip{Memory: a})
		h := handler(t, s, "a")
		defer running(t, s)()
		assert.Equal(t, 202, tells(t, h, sold("SKU-1")))
		pass(10 * time.Minute)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		asked := source.asked()
		pass(2 * time.Minute)
		assert.Equal(t, asked+1, source.asked())
		assert.Zero(t, nobodys())
		assert.Equal(t, 202, tells(t, h, sold("nobody's")))
		pass(2 * time.Minute)
		assert.Equal(t, asked+1, source.asked(), "nothing is read for it")
		assert.Equal(t, 1, nobodys(), "and it waits no longer")
	})
}

func TestTheIndexSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	source := newStock(5)
	for run := range 2 {
		q, err := boltqueue.Open(file)
		require.NoError(t, err)
		a := shop("a", 1)
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Gather: -1}, gossip{Memory: a})
		if run == 0 {
			_, err = s.Reconcile(t.Context())
			require.NoError(t, err)
		} else {
			x, err := s.Explain(t.Context(), syncer.Question{SKU: "SKU-0", Remembered: true})
			require.NoError(t, err, "Explain knows it, too")
			assert.Equal(t, "p0", x.ProductID)
			require.Equal(t, 202, tells(t, handler(t, s, "a"), sold("SKU-0")))
			stop := running(t, s)
			require.Eventually(t, func() bool { n, _ := a.Quantity("SKU-0"); return n == 5 }, 20*time.Second, 5*time.Millisecond)
			stop()
		}
		require.NoError(t, q.Close())
	}
}

// TestAnyReplicaTakesDeliveries: one that does not lead leaves the SKU to who
// does.
func TestAnyReplicaTakesDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(1, 2), shop("shop", 2)
		cfg := syncer.Config{Source: source, Targets: targets(gossip{Memory: m})}
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		pass(2 * time.Second)
		_, err := a.Reconcile(t.Context())
		require.NoError(t, err)
		require.Equal(t, syncer.RoleStandby, b.role(t))
		m.Set("SKU-0", 9)
		assert.Equal(t, 202, tells(t, handler(t, b.Syncer, "shop"), sold("SKU-0")))
		pass(2 * time.Second)
		shows(t, m, 1, 2)
		a.stop() // b leads, and has the index from the store
		pass(2 * time.Second)
		require.Equal(t, syncer.RoleLeader, b.role(t))
		m.Set("SKU-1", 9)
		assert.Equal(t, 202, tells(t, handler(t, b.Syncer, "shop"), sold("SKU-1")))
		pass(2 * time.Second)
		shows(t, m, 1, 2)
	})
}

func TestAKitTellsOfItsParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(10, 4), shop("a", 0), shop("b", 2)
		a.Set("KIT", 2)
		s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{
			Channel: gossip{Memory: a}, Guard: unguarded, Listings: func(channel.Stock) []syncer.Listing { return nil },
			Kits: func() []syncer.Listing {
				return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 2}, {ProductID: "p1", Units: 1}}}}
			},
		}, {Channel: b, Guard: unguarded}}})
		defer running(t, s)()
		assert.Equal(t, 202, tells(t, handler(t, s, "a"), sold("KIT")))
		pass(2 * time.Second)
		shows(t, b, 10, 4)
		n, _ := a.Quantity("KIT")
		assert.Equal(t, 4, n)
	})
}

// TestDeliveriesNeverWrite: whatever is delivered, the source alone says what is
// shown.
func TestDeliveriesNeverWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(3, 4))
		source, a, b := newStock(5, 6, 7), shop("a", 3), shop("b", 3)
		s := unguardedly(t, syncer.Config{Source: source}, gossip{Memory: a}, gossip{Memory: b})
		defer running(t, s)()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		handlers := []http.Handler{handler(t, s, "a"), handler(t, s, "b")}
		words := []string{"SKU-0", "SKU-1", "SKU-2", "sku-0", "", " ", "p0", "\x00", "a\x00SKU-0", "ß", strings.Repeat("x", 2000), "SKU-0\n"}
		for range 2000 {
			e := channel.Event{Shows: map[string]int{}}
			for range dice.IntN(4) {
				word := words[dice.IntN(len(words))]
				e.SKUs = append(e.SKUs, word)
				e.Shows[word] = dice.IntN(1000) - 500
			}
			body, err := json.Marshal(e)
			require.NoError(t, err)
			signature := "good"
			switch dice.IntN(4) {
			case 0:
				signature = "forged"
			case 1:
				body = body[:dice.IntN(len(body))]
			case 2:
				body = bytes.Repeat(body, dice.IntN(100))
			}
			post(handlers[dice.IntN(2)], signature, string(body))
			if dice.IntN(50) == 0 {
				time.Sleep(time.Second)
			}
		}
		pass(10 * time.Second)
		shows(t, a, 5, 6, 7)
		shows(t, b, 5, 6, 7)
		_, writes := a.Calls()
		assert.Equal(t, 1, writes, "that of the first run")
	})
}
