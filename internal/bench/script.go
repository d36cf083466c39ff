package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Script is what a team would write who knows the services' batches: it reads
// all pages of ECOSIRE's, lists Shopify's items, and writes every quantity, 250
// and 100 in a request, whether it differs or not. It reads nothing before it
// writes, so it can undo a sale, and it does not check its writes. The
// map from SKU to WooCommerce's ids is given to it, as to [Guide]; so are the
// guide's waits and requests. It is written to be measured.
type Script struct{ guide *Guide }

// NewScript returns the script in a world.
func NewScript(w *World) *Script { return &Script{NewGuide(w)} }

// Reconcile makes both shops right.
func (s *Script) Reconcile(ctx context.Context) error {
	records, err := s.guide.available(ctx, nil)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if s.guide.World.Channels&Shopify != 0 {
		group.Go(func() error { return s.toShopify(ctx, records) })
	}
	if s.guide.World.Channels&WooCommerce != 0 {
		group.Go(func() error { return s.toWooCommerce(ctx, records) })
	}
	return group.Wait()
}

// items lists Shopify's items.
func (s *Script) items(ctx context.Context) (map[string]string, error) {
	ids := make(map[string]string)
	for after := any(nil); ; {
		var page struct {
			InventoryItems struct {
				Nodes    []struct{ ID, SKU string }
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}
		err := s.guide.graphQL(ctx, `query($after: String) { inventoryItems(first: 250, after: $after) {
			nodes { id sku } pageInfo { hasNextPage endCursor } } }`, map[string]any{"after": after}, &page)
		if err != nil {
			return nil, err
		}
		for _, item := range page.InventoryItems.Nodes {
			ids[item.SKU] = item.ID
		}
		if !page.InventoryItems.PageInfo.HasNextPage {
			return ids, nil
		}
		after = page.InventoryItems.PageInfo.EndCursor
	}
}

func (s *Script) toShopify(ctx context.Context, records []guideStock) error {
	ids, err := s.items(ctx)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(records, shopifyPage) {
		var quantities []any
		for _, r := range some {
			if id := ids[r.SKU]; id != "" {
				quantities = append(quantities, map[string]any{"inventoryItemId": id, "locationId": s.guide.World.Shopify.Location(),
					"quantity": max(0, r.Available), "changeFromQuantity": nil})
			}
		}
		err := s.guide.graphQL(ctx, `mutation($input: InventorySetQuantitiesInput!, $key: String!) {
			inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { message } } }`,
			map[string]any{"key": fmt.Sprint(time.Now().UnixNano()), "input": map[string]any{
				"name": "available", "reason": "correction", "quantities": quantities}}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Script) toWooCommerce(ctx context.Context, records []guideStock) error {
	type update struct {
		ID       int  `json:"id"`
		Quantity int  `json:"stock_quantity"`
		Manage   bool `json:"manage_stock"`
	}
	for some := range slices.Chunk(records, wooPage) {
		var body struct {
			Update []update `json:"update"`
		}
		for _, r := range some {
			if id, ok := s.guide.wooID[r.SKU]; ok {
				body.Update = append(body.Update, update{id, max(0, r.Available), true})
			}
		}
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		header := http.Header{"Authorization": {"Basic Y2tfdGVzdDpjc190ZXN0"}} // ck_test:cs_test
		resp, err := s.guide.call(ctx, 2, http.MethodPost, "https://shop.example/wp-json/wc/v3/products/batch", header, text, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("script: WooCommerce answers %d", resp.StatusCode)
		}
	}
	return nil
}
