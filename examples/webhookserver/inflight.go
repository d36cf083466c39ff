package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// The story of a sale, second by second.
const (
	booksAt = 6
	endsAt  = 8
	units   = 5
)

// saleInAShop sells a unit in the WooCommerce shop, of which ECOSIRE does not
// know until six seconds later, and prints what everybody shows meanwhile. It
// fails if the unit was on sale elsewhere when ECOSIRE booked it, or was counted
// twice after that.
func (w *world) saleInAShop(ctx context.Context, base string, second time.Duration) error {
	// The shops tell the service of what changes: see docs/setup.md for where
	// this is set up in a real one.
	unsubscribe := w.shopify.Subscribe(shopifytest.Subscription{
		Handler: forward(base + "/webhooks/shopify"), Delay: func() time.Duration { return second / 2 },
	})
	defer unsubscribe()
	hook := w.woo.Subscribe(woocommercetest.Subscription{
		Handler: forward(base + "/webhooks/woocommerce"), Secret: worldSecret, Cron: func() time.Duration { return second / 2 },
	})
	defer hook.Disable()

	p := w.products[0]
	w.ecosire.Set(p.ID, units, 0)
	if err := send(ctx, base+"/webhooks/ecosire", stockEvent(p.ID)); err != nil {
		return err
	}
	shown := func() (ecosire, shopify, woo int) {
		now, _ := w.ecosire.Product(p.ID)
		shopify, _ = w.shopify.Available(p.SKU)
		woo, _ = w.woo.Quantity(p.SKU)
		return now.OnHand - now.Reserved, shopify, woo
	}
	for range 20 {
		if _, a, b := shown(); a == units && b == units {
			break
		}
		pause(ctx, second/4)
	}
	pause(ctx, 2*second) // what the shops tell of these writes is an echo

	fmt.Fprintf(w.out, "\nOne %s of %d is sold in the WooCommerce shop. ECOSIRE will have the order in %d s.\n\n", p.SKU, units, booksAt)
	fmt.Fprintf(w.out, "  %3s  %8s  %8s  %12s\n", "s", "ECOSIRE", "Shopify", "WooCommerce")
	w.woo.Sell(p.SKU, 1)
	off := false // the other shop
	for s := 0; s <= endsAt && ctx.Err() == nil; s++ {
		note := ""
		switch s {
		case 0:
			note = "sold"
		case booksAt:
			w.ecosire.Sell(p.ID, 1)
			note = "booked"
			if err := send(ctx, base+"/webhooks/ecosire", stockEvent(p.ID)); err != nil {
				return err
			}
		}
		e, a, b := shown()
		if !off && a == units-1 {
			off, note = true, "the unit is in flight: off Shopify, too"
			if s >= booksAt {
				return fmt.Errorf("the unit was on sale on Shopify until ECOSIRE had booked it")
			}
		}
		fmt.Fprintf(w.out, "  %3d  %8d  %8d  %12d  %s\n", s, e, a, b, w.out.Paint(show.Bold, note))
		pause(ctx, second)
	}
	if e, a, b := shown(); ctx.Err() == nil && (e != units-1 || a != e || b != e) {
		return fmt.Errorf("in the end ECOSIRE has %d, Shopify shows %d and WooCommerce %d", e, a, b)
	}
	fmt.Fprintln(w.out, "\nIt was counted once: booked, it is in flight no longer.")
	return nil
}

// stockEvent is an event about a product, as ECOSIRE would send it.
func stockEvent(id string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_stock","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, id)
}

// forward brings what a simulated shop delivers to the service.
func forward(to string) http.Handler {
	at, err := url.Parse(to)
	if err != nil {
		panic(err) // it is this program's own
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = at, at.Host }}
}
