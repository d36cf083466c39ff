package woocommerce_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
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

func rewrite(body string) func(int, http.Header, []byte) (int, []byte) {
	return func(status int, _ http.Header, _ []byte) (int, []byte) { return status, []byte(body) }
}

// The shop did the work, and the answer does not say so: the work is found by
// reading and not done again.
func TestUnclearOutcomeThatWasApplied(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"504 after apply":          {Status: 504, Body: page, Apply: true},
		"500 after apply":          {Status: 500, Body: `{"code":"internal_server_error","message":"<p>critical</p>"}`, Apply: true},
		"502 after apply":          {Status: 502, Body: page, Apply: true},
		"lost answer":              {Cut: true, Apply: true},
		"HTML 200":                 {Rewrite: rewrite(page)},
		"empty 200":                {Rewrite: rewrite("")},
		"list in place of object":  {Rewrite: rewrite("[]")},
		"no items":                 {Rewrite: rewrite(`{"update":[]}`)},
		"items without stock":      {Rewrite: rewrite(`{"update":[{"id":11},{"id":12},{"id":13}]}`)},
		"items without a quantity": {Rewrite: rewrite(`{"update":[{"id":11,"manage_stock":true},{"id":12,"manage_stock":true},{"id":13,"manage_stock":true}]}`)},
		"other items":              {Rewrite: rewrite(`{"update":[{"id":1,"manage_stock":true,"stock_quantity":5},{"id":2,"manage_stock":true,"stock_quantity":5},{"id":3,"manage_stock":true,"stock_quantity":5}]}`)},
		"PHP warning before JSON": {Rewrite: func(s int, _ http.Header, b []byte) (int, []byte) {
			return s, append([]byte("<b>Warning</b>: x"), b...)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				skus := simple(shop, 3)
				ch := open(t, shop, woocommerce.ChannelConfig{})
				updates := seen(t, ch, 5, skus...)
				fault.Match = batches
				shop.Inject(fault)
				require.NoError(t, ch.Push(t.Context(), updates))
				shows(t, shop, 5, skus...)
				assert.Equal(t, 1, shop.Count(batches))
				assert.Equal(t, 3, shop.Writes())
			})
		})
	}
}

func TestParentsStockIsReadBackFromItsVariations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		_, skus := shared(shop, "PAR")
		ch := open(t, shop, woocommerce.ChannelConfig{WriteParents: true})
		updates := seen(t, ch, 5, skus...)
		shop.Inject(channeltest.Fault{Match: batches, Cut: true, Apply: true})
		require.NoError(t, ch.Push(t.Context(), updates))
		shows(t, shop, 5, skus...)
		assert.Equal(t, 1, shop.Writes())
	})
}

func TestAnswerAboutOtherProductsIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 1)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Inject(channeltest.Fault{Match: batches, Status: 200, Body: `{"update":[{"id":99,"manage_stock":true,"stock_quantity":5}]}`})
		require.NoError(t, ch.Push(t.Context(), updates))
		shows(t, shop, 5, skus...)
	})
}

// The shop did not do the work: it is done after reading.
func TestUnclearOutcomeThatWasNotApplied(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"504":               {Status: 504, Body: page},
		"cut":               {Cut: true},
		"timeout":           {Delay: 10 * time.Minute},
		"maintenance":       {Status: 503, Header: http.Header{"Retry-After": {"600"}}, Body: `{"code":"wp_die","message":"Briefly unavailable"}`},
		"coming soon, 200":  {Status: 200, Body: page},
		"empty answer, 200": {Status: 200},
		"rate limit":        {Status: 429, Header: http.Header{"Retry-After": {"3"}}, Body: page},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				skus := append(simple(shop, 3), variations(shop, 2, 2)...)
				_, same := shared(shop, "PAR")
				skus = append(skus, same...)
				ch := open(t, shop, woocommerce.ChannelConfig{WriteParents: true})
				updates := seen(t, ch, 5, skus...)
				fault.Match, fault.Times = batches, 2
				shop.Inject(fault)
				start := time.Now()
				require.NoError(t, ch.Push(t.Context(), updates))
				shows(t, shop, 5, skus...)
				assert.Equal(t, 8, shop.Writes())
				assert.Less(t, time.Since(start), 2*time.Minute)
			})
		})
	}
}

func TestTimeoutWhilePHPGoesOn(t *testing.T) {
	for _, each := range []time.Duration{25 * time.Millisecond, time.Second, 3 * time.Second} {
		t.Run(each.String()+" an item", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				skus := simple(shop, 40)
				ch := open(t, shop, woocommerce.ChannelConfig{})
				updates := seen(t, ch, 5, skus...)
				shop.ApplySlowly(each)
				assert.NoError(t, ch.Push(t.Context(), updates))
				assert.Equal(t, 40, shop.Writes(), "nothing is written twice")
				shows(t, shop, 5, skus...)
			})
		})
	}
	t.Run("for longer than is waited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := simple(shop, 100)
			ch := open(t, shop, woocommerce.ChannelConfig{})
			updates := seen(t, ch, 5, skus...)
			shop.ApplySlowly(5 * time.Second)
			errs := failures(t, ch.Push(t.Context(), updates))
			assert.ErrorIs(t, errs, channel.ErrUnavailable)
			assert.NotContains(t, errs, "S-1", "it was seen to be done")
			assert.Contains(t, errs, "S-100")
			assert.Equal(t, 1, shop.Count(batches))
			time.Sleep(10 * time.Minute)
		})
	})
}

func TestFatalErrorInMidBatch(t *testing.T) {
	for _, broken := range []int{0, 1, 50, 99} {
		t.Run(fmt.Sprint("item ", broken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				skus := simple(shop, 100)
				ch := open(t, shop, woocommerce.ChannelConfig{})
				updates := seen(t, ch, 5, skus...)
				// A plugin fails on this product: what comes before it is applied.
				shop.Inject(fatalOn(idOf(t, updates, skus[broken])))
				errs := failures(t, ch.Push(t.Context(), updates))
				require.Len(t, errs, 1)
				assert.ErrorIs(t, errs[skus[broken]], channel.ErrUnavailable)
				shows(t, shop, 1, skus[broken])
				shows(t, shop, 5, skus[:broken]...)
				shows(t, shop, 5, skus[broken+1:]...)
				assert.LessOrEqual(t, shop.Count(batches), 5)
			})
		})
	}
}

func TestSeveralProductsThatAlwaysFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 100)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		var want []string
		for i := 7; i < 100; i += 20 {
			shop.Inject(fatalOn(idOf(t, updates, skus[i])))
			want = append(want, skus[i])
		}
		errs := failures(t, ch.Push(t.Context(), updates))
		for _, sku := range want {
			assert.ErrorIs(t, errs[sku], channel.ErrUnavailable)
		}
		assert.Len(t, errs, 5)
		for _, sku := range skus {
			if errs[sku] == nil {
				shows(t, shop, 5, sku)
			}
		}
	})
}

// fatalOn makes a batch with the product end like PHP does: the item becomes a
// string, which the shop applies everything before of.
func fatalOn(id int) channeltest.Fault {
	item := fmt.Appendf(nil, `{"id":%d,`, id)
	return channeltest.Fault{Times: -1, Match: func(r channeltest.Request) bool {
		if i := bytes.Index(r.Body, item); i >= 0 && r.Method == http.MethodPost {
			end := i + bytes.IndexByte(r.Body[i:], '}') + 1
			for j := i; j < end; j++ {
				r.Body[j] = ' '
			}
			r.Body[i], r.Body[i+1] = '"', '"'
		}
		return false
	}}
}

func TestShopDownIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 500)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Forget()
		shop.Inject(channeltest.Fault{Status: 503, Header: http.Header{"Retry-After": {"600"}}, Body: page, Times: -1})
		start := time.Now()
		err := ch.Push(t.Context(), updates)
		assert.False(t, isErrors(err), "it is the shop that fails, and not each SKU")
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		wait, _ := channel.RetryAfter(err)
		assert.Equal(t, 30*time.Second, wait, "ten minutes are WordPress's constant")
		assert.Less(t, time.Since(start), 2*time.Minute)
		assert.LessOrEqual(t, shop.Count(batches), 2, "the other batches are not even tried")

		_, err = ch.Levels(t.Context(), skus)
		assert.ErrorIs(t, err, channel.ErrUnavailable)
	})
}

// unreachable is the network to a shop that nobody can connect to.
type unreachable struct{ methods []string }

func (u *unreachable) RoundTrip(r *http.Request) (*http.Response, error) {
	u.methods = append(u.methods, r.Method)
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

func TestNoConnectionIsNotUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &unreachable{}
		ch := openWith(t, woocommerce.Config{HTTPClient: &http.Client{Transport: network}}, woocommerce.ChannelConfig{})
		u := channel.Update{SKU: "S-1", Quantity: 5, Seen: &channel.Level{SKU: "S-1", Ref: "product 11"}}
		assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{u}), channel.ErrUnavailable)
		assert.NotContains(t, network.methods, http.MethodGet, "nothing to read back")
	})
}

func TestWritesThatAlwaysFailEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 100)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Inject(channeltest.Fault{Match: batches, Status: 500, Body: page, Times: -1})
		err := ch.Push(t.Context(), updates)
		assert.Len(t, failures(t, err), 100)
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Equal(t, 4, shop.Count(batches))
	})
}

func TestMaintenanceDoesNotTakeTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 1)
		shop.Inject(channeltest.Fault{Status: 503, Header: http.Header{"Retry-After": {"600"}}, Body: page, Times: 3})
		start := time.Now()
		levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), skus)
		require.NoError(t, err)
		assert.Len(t, levels, 1)
		assert.Less(t, time.Since(start), time.Minute)
	})
}
