package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

const secret = "whsec_test"

// A merchant is an ECOSIRE and two shops in memory.
type merchant struct {
	ecosire  *ecosiretest.Server
	shopify  *shopifytest.Server
	woo      *woocommercetest.Server
	tea, cup string // product ids
}

func newMerchant() *merchant {
	m := &merchant{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
	}
	ids := m.ecosire.Add(ecosiretest.Product{SKU: "TEA-1", OnHand: 20, Reserved: 4}, ecosiretest.Product{SKU: "CUP-1", OnHand: 7})
	m.tea, m.cup = ids[0], ids[1]
	m.shopify.Add(shopifytest.Item{SKU: "TEA-1", Available: 20}, shopifytest.Item{SKU: "CUP-1", Available: 7})
	m.woo.Add(woocommercetest.Product{SKU: "TEA-1", Quantity: 1}, woocommercetest.Product{SKU: "CUP-1", Quantity: 7})
	return m
}

// config is what stands in for the environment and the network.
func (m *merchant) config() stocksync.Config {
	env := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api", "ECOSIRE_WEBHOOK_SECRET": secret,
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": m.shopify.Location(),
		"SHOPIFY_CLIENT_ID": "client-id", "SHOPIFY_CLIENT_SECRET": "client-secret",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test", "WC_CAP": "10",
	}
	return stocksync.Config{Getenv: func(name string) string { return env[name] }, HTTPClient: &http.Client{Transport: m}}
}

// RoundTrip makes the merchant a network.
func (m *merchant) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "ecosire.example":
		return m.ecosire.RoundTrip(req)
	case "shop.example":
		return m.woo.RoundTrip(req)
	}
	return m.shopify.RoundTrip(req)
}

// drive uses the service, and tells what it sees.
func drive(ctx context.Context, m *merchant, url string) error {
	body, err := request(ctx, http.MethodGet, url+"/stock/plan", nil, http.StatusOK)
	if err != nil {
		return err
	}
	var plan syncer.Plan
	if err := json.Unmarshal(body, &plan); err != nil {
		return err
	}
	fmt.Printf("the plan has %d lines\n", plan.Drift())

	if _, err := request(ctx, http.MethodPost, url+"/stock/"+m.tea+"/sync", nil, http.StatusOK); err != nil {
		return err
	}
	if err := m.verify("TEA-1"); err != nil {
		return fmt.Errorf("after the sync: %w", err)
	}
	fmt.Println("a product was synced")

	m.ecosire.Sell(m.tea, 3)
	if _, err := deliver(ctx, url, secret, m.tea, http.StatusAccepted); err != nil {
		return err
	}
	if err := m.await(ctx); err != nil {
		return fmt.Errorf("after the event: %w", err)
	}
	fmt.Println("an order for 3 is on every channel")

	if _, err := request(ctx, http.MethodPost, url+"/stock/"+m.cup+"/count", nil, http.StatusOK); err != nil {
		return err
	}
	if err := m.await(ctx); err != nil {
		return fmt.Errorf("after the count: %w", err)
	}
	fmt.Println("a count of 5 more is on every channel")

	if _, err := deliver(ctx, url, "whsec_forged", m.tea, http.StatusUnauthorized); err != nil {
		return err
	}
	fmt.Println("a forged event was refused")

	for {
		body, err = request(ctx, http.MethodGet, url+"/healthz", nil, http.StatusOK)
		if err != nil {
			return err
		}
		if string(body) == "2 channels, 0 waiting" {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("health says %s: %w", body, err)
		}
	}
}

// deliver sends an event as ECOSIRE would, signed with key.
func deliver(ctx context.Context, url, key, productID string, want int) ([]byte, error) {
	body := fmt.Appendf(nil, `{"id":"evt_1","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":3}]}}`, productID)
	header := http.Header{"Content-Type": {"application/json"}, "X-Ecosire-Signature": {ecosire.Sign(key, body)}}
	return send(ctx, http.MethodPost, url+"/webhooks/ecosire", header, body, want)
}

func request(ctx context.Context, method, url string, body []byte, want int) ([]byte, error) {
	return send(ctx, method, url, nil, body, want)
}

func send(ctx context.Context, method, url string, header http.Header, body []byte, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s, and not %d: %s", method, url, resp.Status, want, answer)
	}
	return answer, err
}

// await waits until both shops are right.
func (m *merchant) await(ctx context.Context) error {
	for {
		err := m.verify("TEA-1", "CUP-1")
		if err == nil {
			return nil
		}
		if ended := pause(ctx); ended != nil {
			return errors.Join(ended, err)
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Millisecond):
		return nil
	}
}

// verify compares what the shops show with what ECOSIRE has.
func (m *merchant) verify(skus ...string) error {
	for _, p := range m.ecosire.Products() {
		for _, sku := range skus {
			if p.SKU != sku {
				continue
			}
			available := p.OnHand - p.Reserved
			if n, _ := m.shopify.Available(sku); n != available {
				return fmt.Errorf("Shopify shows %d of %s, and should show %d", n, sku, available)
			}
			if n, _ := m.woo.Quantity(sku); n != min(available, 10) {
				return fmt.Errorf("WooCommerce shows %d of %s, and should show %d", n, sku, min(available, 10))
			}
		}
	}
	return nil
}
