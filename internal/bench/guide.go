package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Guide is the baseline: the steps of the Inventory Sync Guide, one SKU after
// the other, with no memory, no comparing and no batches. It is written to be
// measured. Do not use it.
//
// In four things it is kinder than the guide's text, so that it does the same
// job: it reads all pages of the catalogue; it waits when ECOSIRE refuses it
// for its rate; it speaks GraphQL, since the REST API in the guide is retired;
// and of the guide's two remedies against Shopify's limit it has the delay of
// 500 ms between items. The guide's map from SKU to WooCommerce's ids is given
// to it and costs nothing.
type Guide struct {
	World *World
	wooID map[string]int
}

// NewGuide returns the baseline in a world.
func NewGuide(w *World) *Guide {
	g := &Guide{World: w, wooID: make(map[string]int)}
	for i, id := range w.WooIDs {
		g.wooID[SKU(i)] = id
	}
	return g
}

// Reconcile is the guide's fullReconciliation.
func (g *Guide) Reconcile(ctx context.Context) error { return g.OnChange(ctx) }

// OnChange is the guide's handler for an event and for an adjustment. It does
// everything before it returns, and so before the event is answered.
func (g *Guide) OnChange(ctx context.Context, productIDs ...string) error {
	records, err := g.available(ctx, productIDs)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if g.World.Channels&Shopify != 0 {
		group.Go(func() error { return g.toShopify(ctx, records) })
	}
	if g.World.Channels&WooCommerce != 0 {
		group.Go(func() error { return g.toWooCommerce(ctx, records) })
	}
	return group.Wait()
}

// toShopify is the guide's pushToShopify.
func (g *Guide) toShopify(ctx context.Context, records []guideStock) error {
	for i, record := range records {
		if i > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(500 * time.Millisecond):
			}
		}
		var found struct {
			InventoryItems struct {
				Nodes []struct{ ID, SKU string }
			}
		}
		err := g.graphQL(ctx, `query($q: String!) { inventoryItems(first: 10, query: $q) { nodes { id sku } } }`,
			map[string]any{"q": "sku:'" + record.SKU + "'"}, &found)
		if err != nil {
			return err
		}
		for _, item := range found.InventoryItems.Nodes {
			if item.SKU != record.SKU {
				continue
			}
			err := g.graphQL(ctx, `mutation($input: InventorySetQuantitiesInput!, $key: String!) {
				inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { message } } }`,
				map[string]any{"key": fmt.Sprint(item.ID, time.Now().UnixNano()), "input": map[string]any{
					"name": "available", "reason": "correction", "quantities": []any{map[string]any{
						"inventoryItemId": item.ID, "locationId": g.World.Shopify.Location(),
						"quantity": max(0, record.Available), "changeFromQuantity": nil,
					}}}}, nil)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// toWooCommerce is the guide's pushToWooCommerce.
func (g *Guide) toWooCommerce(ctx context.Context, records []guideStock) error {
	for _, record := range records {
		id, ok := g.wooID[record.SKU]
		if !ok {
			continue
		}
		body := fmt.Appendf(nil, `{"stock_quantity":%d,"manage_stock":true}`, max(0, record.Available))
		header := http.Header{"Authorization": {"Basic Y2tfdGVzdDpjc190ZXN0"}} // ck_test:cs_test
		resp, err := g.call(ctx, 2, http.MethodPut, fmt.Sprintf("https://shop.example/wp-json/wc/v3/products/%d", id), header, body, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("guide: WooCommerce answers %d", resp.StatusCode)
		}
	}
	return nil
}
