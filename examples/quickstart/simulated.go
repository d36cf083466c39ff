package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// amazonLag is how long Amazon takes to show what it has accepted, and four times
// as long as it takes to list its SKUs. The real one takes minutes for both.
const amazonLag = 2 * time.Second

// simulated does the job for a merchant in memory, then sells and takes back
// something, and looks into the shops themselves.
func simulated(ctx context.Context, out *show.Output) error {
	fmt.Fprintln(out, out.Paint(show.Bold, "Simulated services:"), "ECOSIRE and three shops in this process. Nothing leaves it.")
	w := newWorld()
	services, err := w.services()
	if err != nil {
		return err
	}
	if err := (job{services: services, out: out}).run(ctx, true); err != nil {
		return err
	}
	w.requests(out)

	out.Head("An order for 3 mugs is confirmed in ECOSIRE, and 2 shirts come back")
	w.ecosire.Sell(w.mug, 3)
	w.ecosire.Return(w.shirt, 2)
	s, err := services.Writer(syncer.Config{})
	if err != nil {
		return err
	}
	report, err := s.SyncProducts(ctx, w.mug, w.shirt)
	if err != nil {
		return err
	}
	out.Summary(show.OfReport(report), 0)
	w.requests(out)
	if err := report.Err(); err != nil {
		return err
	}
	time.Sleep(amazonLag)
	return w.verify(out)
}

// A world is a merchant with a few hundred products, two shops, and some of the
// products at Amazon.
type world struct {
	ecosire    *ecosiretest.Server
	shopify    *shopifytest.Server
	woo        *woocommercetest.Server
	amazon     *amazontest.Server
	products   []string // ids
	mug, shirt string
}

func newWorld() *world {
	w := &world{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
		amazon:  amazontest.New(amazontest.Config{Lag: amazonLag, MaxLag: amazonLag, ReportTime: amazonLag / 4}),
	}
	for _, operation := range []string{"searchListingsItems", "getListingsItem", "patchListingsItem"} {
		w.amazon.SetRate(operation, 50) // ten times what Amazon grants
	}
	for i := range 240 {
		w.add(fmt.Sprintf("MUG-%03d", i), 1+i%17, 0)
	}
	for i := range 12 {
		parent := w.woo.Add(woocommercetest.Product{Type: "variable", SKU: fmt.Sprintf("SHIRT-%02d", i), Stock: woocommercetest.Unmanaged})[0]
		for _, size := range []string{"S", "M", "L", "XL"} {
			w.add(fmt.Sprintf("SHIRT-%02d-%s", i, size), 3+i, parent)
		}
	}
	// SKUs that are legal, and that a hasty lookup gets wrong.
	for _, sku := range []string{"TEA,GREEN", `19" RACK`, "O'RING 3/4", "R&D+1", "ÄÖ-日本-1", "00123", "123", "50% OFF"} {
		w.add(sku, 5, 0)
	}
	// In one shop only; in no shop; and almost: a slip of the pen.
	w.products = append(w.products, w.ecosire.Add(ecosiretest.Product{SKU: "POSTER-1", OnHand: 4}, ecosiretest.Product{SKU: "SERVICE-1", OnHand: 1},
		ecosiretest.Product{SKU: "CAP-RED", OnHand: 9})...)
	w.shopify.Add(shopifytest.Item{SKU: "POSTER-1", Available: 1}, shopifytest.Item{SKU: "Cap-Red", Available: 1})
	w.woo.Add(woocommercetest.Product{SKU: "cap-red", Quantity: 1})
	w.mug, w.shirt = w.products[42], w.products[243]
	return w
}

// add puts a product into ECOSIRE and into both shops, as a variation if it
// has a parent in WooCommerce. The shops have drifted for some of the products.
func (w *world) add(sku string, onHand, parent int) {
	n := len(w.products)
	reserved := onHand / 5
	if n%40 == 7 {
		reserved = onHand // sold out
	}
	w.products = append(w.products, w.ecosire.Add(ecosiretest.Product{SKU: sku, Name: name(sku), OnHand: onHand, Reserved: reserved})...)
	inShopify, inWoo := onHand-reserved, onHand-reserved
	switch {
	case n%40 == 7: // nobody told the shops
		inShopify, inWoo = onHand, onHand
	case n%11 == 3:
		inShopify++ // a sale over the counter
	case n%11 == 5:
		inShopify = max(0, inShopify-2) // an edit by hand
	case n%13 == 4:
		inWoo += 2
	case n%13 == 8:
		inWoo = max(0, inWoo-1) // a return
	}
	if n%6 == 0 {
		w.amazon.Add(amazontest.Listing{SKU: sku, Quantity: inWoo})
	}
	w.shopify.Add(shopifytest.Item{SKU: sku, Available: inShopify})
	p := woocommercetest.Product{SKU: sku, Quantity: inWoo}
	if parent != 0 {
		p.Type, p.ParentID = "variation", parent
	}
	w.woo.Add(p)
}

// name is what people call a product.
func name(sku string) string {
	for prefix, kind := range map[string]string{"MUG-": "Mug, glazed", "SHIRT-": "Shirt, organic cotton"} {
		if strings.HasPrefix(sku, prefix) {
			return kind
		}
	}
	return sku
}

// services are built as yours are, but for what the variables say, and for the
// HTTP client, which leads to the world's servers.
func (w *world) services() (*stocksync.Services, error) {
	env := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api",
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": w.shopify.Location(),
		"SHOPIFY_CLIENT_ID": "client-id", "SHOPIFY_CLIENT_SECRET": "client-secret",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
		"AMAZON_SELLER_ID": "A1TESTSELLER", "AMAZON_MARKETPLACE_ID": "ATVPDKIKX0DER", "AMAZON_REGION": "na",
		"AMAZON_CLIENT_ID": amazontest.ClientID, "AMAZON_CLIENT_SECRET": amazontest.ClientSecret, "AMAZON_REFRESH_TOKEN": amazontest.RefreshToken,
		"AMAZON_URL": "https://amazon.example", "AMAZON_AUTH_URL": "https://login.example",
	}
	return stocksync.FromEnv(stocksync.Config{
		Getenv:     func(name string) string { return env[name] },
		HTTPClient: &http.Client{Transport: w},
	})
}

// RoundTrip makes the world a network, which goes nowhere else.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "ecosire.example":
		return w.ecosire.RoundTrip(req)
	case "shop.example":
		return w.woo.RoundTrip(req)
	case "amazon.example", "login.example", "storage.amazon.test": // the last is where its reports are
		return w.amazon.RoundTrip(req)
	}
	return w.shopify.RoundTrip(req)
}

// verify compares the shops themselves with ECOSIRE itself.
func (w *world) verify(out *show.Output) error {
	for _, shop := range []struct {
		name  string
		shows func(sku string) (int, bool)
	}{{"Shopify", w.shopify.Available}, {"WooCommerce", w.woo.Quantity}, {"Amazon", w.amazon.Quantity}} {
		right := 0
		for _, p := range w.ecosire.Products() {
			n, ok := shop.shows(p.SKU)
			if !ok {
				continue // the shop does not have it
			}
			if want := max(0, p.OnHand-p.Reserved); n != want {
				return fmt.Errorf("%s shows %d of %q, and ECOSIRE has %d: %w", shop.name, n, p.SKU, want, channel.ErrNotApplied)
			}
			right++
		}
		fmt.Fprintf(out, "%s The simulated %s shop shows ECOSIRE's quantity for all %d products that it has.\n", out.Paint(show.Green, "✓"), shop.name, right)
	}
	return nil
}

// requests prints what the last step cost.
func (w *world) requests(out *show.Output) {
	fmt.Fprintln(out, out.Paint(show.Dim, fmt.Sprintf("Requests: %d to ECOSIRE, %d to Shopify, %d to WooCommerce, %d to Amazon.",
		len(w.ecosire.Requests()), len(w.shopify.Requests()), len(w.woo.Requests()), len(w.amazon.Requests()))))
	w.ecosire.Forget()
	w.shopify.Forget()
	w.woo.Forget()
	w.amazon.Forget()
}
