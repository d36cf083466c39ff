package woocommerce_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestPushRequests(t *testing.T) {
	t.Run("250 simple products", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 250)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		require.NoError(t, ch.Push(t.Context(), updates))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 3, shop.Count(lookups))
		assert.Equal(t, 3, shop.Count(batches))
		assert.Equal(t, 250, shop.Writes())
	})
	t.Run("50 parents with 5 variations", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := variations(shop, 50, 5)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 3, shop.Count(lookups))
		assert.Equal(t, 3, shop.Count(batches))
	})
	t.Run("mixed", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := append(simple(shop, 130), variations(shop, 40, 3)...)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 3, shop.Count(lookups))
		assert.Equal(t, 4, shop.Count(batches))
	})
	t.Run("one parent with 130 variations", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := variations(shop, 1, 130)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 2, shop.Count(batches))
	})
	t.Run("unread updates are read first, and equal ones not written", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 4)
		shop.Set("S-2", 5)
		require.NoError(t, open(t, shop, woocommerce.ChannelConfig{}).Push(t.Context(), unread(5, skus...)))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 1, shop.Count(lookups))
		assert.Equal(t, 3, shop.Writes())
	})
	t.Run("nothing", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		require.NoError(t, open(t, shop, woocommerce.ChannelConfig{}).Push(t.Context(), nil))
		assert.Empty(t, shop.Requests())
	})
}

func TestPushErrorsBySKU(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	simple(shop, 2)
	shop.Add(woocommercetest.Product{SKU: `TWICE"`}, woocommercetest.Product{SKU: `TWICE"`},
		woocommercetest.Product{SKU: "EXT", Type: "external"})
	ch := open(t, shop, woocommerce.ChannelConfig{})
	huge := math.MaxInt32
	updates := append(unread(5, "S-1", "NONE", "s-2", `TWICE"`, "EXT", "0"),
		channel.Update{SKU: "HUGE", Quantity: huge + 1}, channel.Update{SKU: "TINY", Quantity: math.MinInt32},
		channel.Update{SKU: "S-2", Quantity: -math.MaxInt32})
	errs := failures(t, ch.Push(t.Context(), updates))
	for sku, want := range map[string]error{
		"NONE": channel.ErrUnknownSKU, "s-2": channel.ErrUnknownSKU, `TWICE"`: channel.ErrAmbiguousSKU, "EXT": channel.ErrNotTracked,
		"0": channel.ErrInvalid, "HUGE": channel.ErrInvalid, "TINY": channel.ErrInvalid,
	} {
		assert.ErrorIs(t, errs[sku], want, sku)
		delete(errs, sku)
	}
	assert.Empty(t, errs)
	shows(t, shop, 5, "S-1")
	shows(t, shop, -math.MaxInt32, "S-2")
}

func TestVanishedProductsDoNotStopOthers(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := append(simple(shop, 5), variations(shop, 3, 2)...)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	updates := seen(t, ch, 5, skus...)
	for _, sku := range []string{"S-3", "V-2-1"} {
		shop.Remove(idOf(t, updates, sku))
	}
	errs := failures(t, ch.Push(t.Context(), updates))
	require.Len(t, errs, 2)
	assert.ErrorIs(t, errs["S-3"], channel.ErrUnknownSKU)
	assert.ErrorIs(t, errs["V-2-1"], channel.ErrUnknownSKU)
	shows(t, shop, 5, "S-1", "S-5", "V-1-1", "V-2-2", "V-3-2")
	assert.Equal(t, 2, shop.Count(batches), "other parents' variations were written, so the id is what is wrong")
}

func idOf(t *testing.T, updates []channel.Update, sku string) (id int) {
	for _, u := range updates {
		if u.SKU == sku {
			if _, err := fmt.Sscanf(u.Seen.Ref, "product %d", &id); err != nil {
				_, err = fmt.Sscanf(u.Seen.Ref, "variation %d", &id)
				require.NoError(t, err)
			}
		}
	}
	return id
}

func TestUnmanagedProducts(t *testing.T) {
	stock := func() *woocommercetest.Server {
		shop := woocommercetest.New(woocommercetest.Config{})
		shop.Add(woocommercetest.Product{ID: 11, SKU: "SIMPLE", Stock: woocommercetest.Unmanaged},
			woocommercetest.Product{ID: 20, SKU: "VAR", Type: "variable", Stock: woocommercetest.Unmanaged},
			woocommercetest.Product{ID: 21, SKU: "VAR-A", Type: "variation", ParentID: 20, Stock: woocommercetest.Unmanaged})
		return shop
	}
	t.Run("Track: start to be managed, at 0 too", func(t *testing.T) {
		for _, quantity := range []int{0, 6} {
			shop := stock()
			ch := open(t, shop, woocommerce.ChannelConfig{Track: true})
			require.NoError(t, ch.Push(t.Context(), seen(t, ch, quantity, "SIMPLE", "VAR-A")))
			shows(t, shop, quantity, "SIMPLE", "VAR-A")

			shop = stock()
			require.NoError(t, open(t, shop, woocommerce.ChannelConfig{Track: true}).Push(t.Context(), unread(quantity, "SIMPLE", "VAR-A")))
			shows(t, shop, quantity, "SIMPLE", "VAR-A")
		}
	})
	t.Run("variable products do not", func(t *testing.T) {
		shop := stock()
		errs := failures(t, open(t, shop, woocommerce.ChannelConfig{Track: true}).Push(t.Context(), unread(6, "VAR")))
		assert.ErrorIs(t, errs["VAR"], channel.ErrNotTracked)
		assert.Zero(t, shop.Writes())
	})
	t.Run("are left alone", func(t *testing.T) {
		shop := stock()
		errs := failures(t, open(t, shop, woocommerce.ChannelConfig{}).Push(t.Context(), unread(6, "SIMPLE", "VAR-A")))
		assert.ErrorIs(t, errs["SIMPLE"], channel.ErrNotTracked)
		assert.ErrorIs(t, errs["VAR-A"], channel.ErrNotTracked)
		assert.Zero(t, shop.Writes())
	})
	t.Run("are left alone, detected late", func(t *testing.T) {
		shop := stock()
		ch := open(t, shop, woocommerce.ChannelConfig{})
		u := channel.Update{SKU: "SIMPLE", Quantity: 6, Seen: &channel.Level{SKU: "SIMPLE", Ref: "product 11"}}
		errs := failures(t, ch.Push(t.Context(), []channel.Update{u}))
		assert.ErrorIs(t, errs["SIMPLE"], channel.ErrNotTracked)
		_, ok := shop.Quantity("SIMPLE")
		assert.False(t, ok)
	})
}

func TestVariationsThatShowTheirParentsStock(t *testing.T) {
	t.Run("are shared by default", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		_, skus := shared(shop, "PAR")
		ch := open(t, shop, woocommerce.ChannelConfig{})
		errs := failures(t, ch.Push(t.Context(), unread(9, append(skus, "PAR")...)))
		require.Len(t, errs, 3)
		assert.ErrorIs(t, errs["PAR-A"], channel.ErrShared)
		shows(t, shop, 9, "PAR")
	})
	t.Run("are not detached when that is detected late", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		shared(shop, "PAR")
		for parents, want := range map[bool]error{false: channel.ErrShared, true: channel.ErrConflict} {
			ch := open(t, shop, woocommerce.ChannelConfig{WriteParents: parents})
			u := channel.Update{SKU: "PAR-A", Quantity: 9, Seen: &channel.Level{SKU: "PAR-A", Quantity: 1, Ref: "variation 12 of 11"}}
			errs := failures(t, ch.Push(t.Context(), []channel.Update{u}))
			assert.ErrorIs(t, errs["PAR-A"], want)
			shows(t, shop, 50, "PAR", "PAR-A", "PAR-B")
			p, _ := shop.Product(12)
			assert.Equal(t, woocommercetest.ByParent, p.Stock)
		}
	})
	t.Run("WriteParents writes the parent once", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		_, skus := shared(shop, "PAR")
		ch := open(t, shop, woocommerce.ChannelConfig{WriteParents: true})
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 9, append(skus, "PAR")...)))
		shows(t, shop, 9, append(skus, "PAR")...)
		assert.Equal(t, 1, shop.Writes())
		p, _ := shop.Product(12)
		assert.Equal(t, woocommercetest.ByParent, p.Stock)
	})
	t.Run("WriteParents refuses different quantities", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		_, skus := shared(shop, "PAR")
		ch := open(t, shop, woocommerce.ChannelConfig{WriteParents: true})
		updates := seen(t, ch, 9, skus...)
		updates[1].Quantity = 8
		errs := failures(t, ch.Push(t.Context(), updates))
		require.Len(t, errs, 3)
		for _, sku := range skus {
			assert.ErrorIs(t, errs[sku], channel.ErrShared)
			assert.ErrorContains(t, errs[sku], `"PAR-A" 9, "PAR-B" 8, "PAR-C" 9`)
		}
		assert.Zero(t, shop.Writes())
	})
}

func TestLoweredBatchLimit(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{BatchLimit: 30})
	skus := append(simple(shop, 100), variations(shop, 20, 5)...)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	updates := seen(t, ch, 5, skus...)
	require.NoError(t, ch.Push(t.Context(), updates))
	shows(t, shop, 5, skus...)
	assert.Equal(t, 200, shop.Writes())
	assert.LessOrEqual(t, shop.Count(batches), 16, "batches are halved")

	shop.Forget()
	require.NoError(t, ch.Push(t.Context(), updates))
	assert.Equal(t, 8, shop.Count(batches), "the limit of 25 is remembered")
}

func TestBatchOfSeveralParentsNotSupported(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{SingleParent: true})
	skus := variations(shop, 6, 3)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	updates := seen(t, ch, 5, skus...)
	shop.Remove(idOf(t, updates, "V-4-2"))
	errs := failures(t, ch.Push(t.Context(), updates))
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs["V-4-2"], channel.ErrUnknownSKU)
	shows(t, shop, 5, "V-1-1", "V-2-1", "V-4-1", "V-6-3")
	assert.Equal(t, 6, shop.Count(batches))

	shop.Forget()
	require.Error(t, ch.Push(t.Context(), updates))
	for _, r := range shop.Requests() {
		assert.NotContains(t, string(r.Body), "product_id", "remembered")
	}
	assert.Equal(t, 6, shop.Count(nil))
}

func TestSentJSON(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	simple(shop, 1)
	variations(shop, 1, 2)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	require.NoError(t, ch.Push(t.Context(), unread(0, "S-1", "V-1-1", "V-1-2")))
	bodies := map[string]string{}
	for _, r := range shop.Requests() {
		assert.Equal(t, "application/json", r.Header.Get("Accept"))
		if r.Method == http.MethodPost {
			assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
			bodies[r.URL.Path] = string(r.Body)
		}
	}
	assert.Equal(t, map[string]string{
		"/wp-json/wc/v3/products/batch": `{"_fields":"update.0.id,update.0.manage_stock,update.0.stock_quantity,update.0.error",` +
			`"update":[{"id":11,"stock_quantity":0,"_fields":"id,manage_stock,stock_quantity"}]}`,
		"/wp-json/wc/v3/products/12/variations/batch": `{"_fields":"update.0.id,update.0.manage_stock,update.0.stock_quantity,update.0.error,` +
			`update.1.id,update.1.manage_stock,update.1.stock_quantity,update.1.error",` +
			`"update":[{"id":13,"stock_quantity":0},{"id":14,"stock_quantity":0}]}`,
	}, bodies)
}

// That an answer can be cut to what is needed is not documented. A shop that
// takes it otherwise, and answers nothing at all, is asked for whole answers from
// then on.
func TestAShopThatCutsItsAnswersOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 3)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		shop.Inject(channeltest.Fault{
			Match:   func(r channeltest.Request) bool { return bytes.Contains(r.Body, []byte("update.0.id")) },
			Times:   -1,
			Rewrite: rewrite("[]"),
		})
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 3, shop.Writes(), "found by reading, and not done again")

		updates := seen(t, ch, 6, skus...)
		shop.Forget()
		require.NoError(t, ch.Push(t.Context(), updates))
		shows(t, shop, 6, skus...)
		assert.Equal(t, 1, shop.Count(nil), "the answer said it")
	})
}

// Whoever refuses the request for its form has done nothing, and gets another one
// at once. After PHP's end it is the next attempt.
func TestAShopThatDoesNotBearWhatItIsAsked(t *testing.T) {
	for _, fault := range []channeltest.Fault{
		{Status: 400, Body: `{"code":"rest_invalid_param","message":"Invalid parameter(s): _fields"}`},
		{Status: 403, Body: page},
		{Status: 406, Body: page},
		{Status: 413, Body: page},
		{Status: 500, Body: `{"code":"internal_server_error","message":"<p>critical</p>"}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := append(simple(shop, 3), variations(shop, 1, 2)...)
			ch := open(t, shop, woocommerce.ChannelConfig{})
			fault.Times = -1
			fault.Match = func(r channeltest.Request) bool { return bytes.Contains(r.Body, []byte("update.0.id")) }
			shop.Inject(fault)
			require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)), fault.Status)
			shows(t, shop, 5, skus...)

			updates := seen(t, ch, 6, skus...)
			shop.Forget()
			require.NoError(t, ch.Push(t.Context(), updates), fault.Status)
			shows(t, shop, 6, skus...)
			assert.Equal(t, 2, shop.Count(nil), "%d: remembered", fault.Status)
		})
	}
}

// A refusal that is WooCommerce's own is not about the form.
func TestAReadOnlyKeyIsNotAskedTwice(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{ReadOnly: true})
	ch := open(t, shop, woocommerce.ChannelConfig{})
	updates := seen(t, ch, 5, simple(shop, 1)...)
	shop.Forget()
	require.ErrorIs(t, ch.Push(t.Context(), updates), channel.ErrUnauthorized)
	assert.Equal(t, 1, shop.Count(nil))
}

// Of a hundred items the answer is some 60 bytes each, in place of 2.4 kB.
func TestAnswersAreSmall(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	ch := open(t, shop, woocommerce.ChannelConfig{})
	updates := append(seen(t, ch, 5, simple(shop, 100)...), seen(t, ch, 5, variations(shop, 1, 100)...)...)
	var size atomic.Int64
	shop.Inject(channeltest.Fault{Match: batches, Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		size.Add(int64(len(body)))
		return status, body
	}})
	require.NoError(t, ch.Push(t.Context(), updates))
	assert.Equal(t, 2, shop.Count(batches))
	assert.Less(t, size.Load(), int64(200*70))
}

// overlap finds products that are written by two requests at once.
type overlap struct {
	next http.RoundTripper

	mu    sync.Mutex
	now   map[float64]bool
	calls int
	most  int
	bad   []float64
}

func (o *overlap) RoundTrip(r *http.Request) (*http.Response, error) {
	var ids []float64
	if r.Method == http.MethodPost {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
		var body struct{ Update []map[string]any }
		if err := json.Unmarshal(data, &body); err != nil {
			return nil, err
		}
		for _, item := range body.Update {
			ids = append(ids, item["id"].(float64))
		}
	}
	o.mu.Lock()
	o.calls++
	o.most = max(o.most, o.calls)
	for _, id := range ids {
		if o.now[id] {
			o.bad = append(o.bad, id)
		}
		o.now[id] = true
	}
	o.mu.Unlock()
	resp, err := o.next.RoundTrip(r)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls--
	for _, id := range ids {
		delete(o.now, id)
	}
	return resp, err
}

func TestConcurrentPushesNeverOverlapOnOneProduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{RequestTime: 40 * time.Millisecond, ItemWriteTime: 20 * time.Millisecond})
		skus := append(simple(shop, 150), variations(shop, 30, 5)...)
		_, same := shared(shop, "PAR")
		watch := &overlap{next: shop, now: map[float64]bool{}}
		ch := openWith(t, woocommerce.Config{HTTPClient: &http.Client{Transport: watch}, Parallel: 3}, woocommerce.ChannelConfig{WriteParents: true})
		updates := seen(t, ch, 5, skus...)
		updates = append(updates, seen(t, ch, 5, same...)...)
		var wg sync.WaitGroup
		for i := range 4 {
			mine := append([]channel.Update(nil), updates...)
			for j := range mine {
				mine[j].Quantity = 10 * (i + 1)
			}
			wg.Go(func() { assert.NoError(t, ch.Push(t.Context(), mine)) })
		}
		wg.Wait()
		assert.Empty(t, watch.bad)
		assert.Equal(t, 3, watch.most, "Parallel is used, and not exceeded")
		// No batch of one push lands in the middle of another one's.
		first, _ := shop.Quantity(skus[0])
		shows(t, shop, first, skus[:100]...)
	})
}

func TestPushEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 300)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Inject(channeltest.Fault{Match: batches, Times: -1, Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		errs := failures(t, ch.Push(ctx, updates))
		assert.Len(t, errs, 300)
		assert.ErrorIs(t, errs["S-1"], ctx.Err())
		assert.ErrorIs(t, errs["S-300"], ctx.Err())
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}
