package peers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"
	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/internal/bench"
)

// A Team is what a team writes that knows the services' batches and looks before
// it writes. It reads ECOSIRE page by page, then lists what each shop shows, both
// shops at once, and writes in batches what differs: at Shopify only where the
// shop still shows what was listed. It waits when it is refused for its rate, and
// asks again where a server fails. It does not look at what it has written, holds
// nothing back, and knows nothing of events.
type Team struct {
	erp, shop, site *resty.Client
	location        string
}

// NewTeam returns the team's program in a world.
func NewTeam(w *bench.World) *Team {
	erp, shop, site := w.Clients()
	return &Team{
		erp:      client(erp, "https://api.ecosire.com/api").SetAuthToken(bench.APIKey).SetRetryAfter(atReset),
		shop:     client(shop, "https://"+bench.Shop+".myshopify.com/admin/api/2026-10").SetHeader("X-Shopify-Access-Token", bench.Token),
		site:     client(site, bench.Site+"/wp-json/wc/v3").SetBasicAuth(bench.Key, bench.Secret),
		location: w.Shopify.Location(),
	}
}

// client asks again when a server is busy or fails.
func client(c *http.Client, base string) *resty.Client {
	return resty.NewWithClient(c).SetBaseURL(base).SetRetryCount(5).SetRetryWaitTime(time.Second).SetRetryMaxWaitTime(90 * time.Second).
		AddRetryCondition(func(r *resty.Response, err error) bool {
			return err != nil || r.StatusCode() == http.StatusTooManyRequests || r.StatusCode() >= 500 ||
				strings.Contains(r.String(), `"THROTTLED"`)
		})
}

// atReset waits until ECOSIRE's minute ends.
func atReset(_ *resty.Client, r *resty.Response) (time.Duration, error) {
	reset, err := strconv.ParseInt(r.Header().Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0, nil // it is not ECOSIRE that answers: wait as always
	}
	return time.Until(time.Unix(reset, 0)), nil
}

// Reconcile makes both shops right.
func (t *Team) Reconcile(ctx context.Context) error {
	available, err := t.available(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.toShopify(ctx, available) })
	group.Go(func() error { return t.toWooCommerce(ctx, available) })
	return group.Wait()
}

// available is what ECOSIRE has, by SKU.
func (t *Team) available(ctx context.Context) (map[string]int, error) {
	available := make(map[string]int)
	for page, pages := 1, 1; page <= pages; page++ {
		var answer struct {
			Data []struct {
				SKU       string
				Available int
			}
			Meta struct{ TotalPages int }
		}
		err := check(t.erp.R().SetContext(ctx).SetResult(&answer).
			SetQueryParams(map[string]string{"limit": "100", "page": strconv.Itoa(page)}).Get("/inventory/products"))
		if err != nil {
			return nil, err
		}
		for _, p := range answer.Data {
			available[p.SKU] = max(0, p.Available)
		}
		pages = answer.Meta.TotalPages
	}
	return available, nil
}

const listItems = `query($after: String, $location: ID!) {
	inventoryItems(first: 250, after: $after) {
		nodes { id sku inventoryLevel(locationId: $location) { quantities(names: ["available"]) { quantity } } }
		pageInfo { hasNextPage endCursor }
	}
}`

const setQuantities = `mutation($input: InventorySetQuantitiesInput!, $key: String!) {
	inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { field message } }
}`

// A quantity is to be set at Shopify, if it still is what it was.
type quantity struct {
	Item     string `json:"inventoryItemId"`
	Location string `json:"locationId"`
	Is       int    `json:"quantity"`
	Was      int    `json:"changeFromQuantity"`
}

// differing lists the items that show something else than ECOSIRE has.
func (t *Team) differing(ctx context.Context, available map[string]int) (differing []quantity, err error) {
	for after := any(nil); ; {
		var page struct {
			InventoryItems struct {
				Nodes []struct {
					ID, SKU        string
					InventoryLevel *struct{ Quantities []struct{ Quantity int } }
				}
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}
		if err := t.graphQL(ctx, listItems, map[string]any{"after": after, "location": t.location}, &page); err != nil {
			return nil, err
		}
		for _, item := range page.InventoryItems.Nodes {
			want, ok := available[item.SKU]
			if !ok || item.InventoryLevel == nil {
				continue
			}
			if shows := item.InventoryLevel.Quantities[0].Quantity; shows != want {
				differing = append(differing, quantity{item.ID, t.location, want, shows})
			}
		}
		if !page.InventoryItems.PageInfo.HasNextPage {
			return differing, nil
		}
		after = page.InventoryItems.PageInfo.EndCursor
	}
}

func (t *Team) toShopify(ctx context.Context, available map[string]int) error {
	differing, err := t.differing(ctx, available)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(differing, 250) {
		var answer struct {
			InventorySetQuantities struct{ UserErrors []struct{ Message string } }
		}
		err := t.graphQL(ctx, setQuantities, map[string]any{"key": rand.Text(), "input": map[string]any{
			"name": "available", "reason": "correction", "quantities": some}}, &answer)
		if err != nil {
			return err
		}
		for _, e := range answer.InventorySetQuantities.UserErrors {
			err = errors.Join(err, errors.New(e.Message))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Team) graphQL(ctx context.Context, query string, variables, into any) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	err := check(t.shop.R().SetContext(ctx).SetResult(&answer).
		SetBody(map[string]any{"query": query, "variables": variables}).Post("/graphql.json"))
	if err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return errors.New(answer.Errors[0].Message)
	}
	return json.Unmarshal(answer.Data, into)
}

// A product is as WooCommerce lists and takes it.
type product struct {
	ID       int    `json:"id"`
	SKU      string `json:"sku,omitempty"`
	Managed  any    `json:"manage_stock"` // of a variation, also "parent"
	Quantity *int   `json:"stock_quantity"`
}

func (t *Team) toWooCommerce(ctx context.Context, available map[string]int) error {
	var differing []product
	for page, pages := 1, 1; page <= pages; page++ {
		var listed []product
		resp, err := t.site.R().SetContext(ctx).SetResult(&listed).SetQueryParams(map[string]string{
			"per_page": "100", "page": strconv.Itoa(page), "orderby": "id", "order": "asc", "_fields": "id,sku,manage_stock,stock_quantity",
		}).Get("/products")
		if err := check(resp, err); err != nil {
			return err
		}
		for _, p := range listed {
			want, ok := available[p.SKU]
			if ok && (p.Managed != true || p.Quantity == nil || *p.Quantity != want) {
				differing = append(differing, product{ID: p.ID, Managed: true, Quantity: &want})
			}
		}
		if pages, err = strconv.Atoi(resp.Header().Get("X-WP-TotalPages")); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(differing, 100) {
		var answer struct {
			Update []struct {
				ID    int
				Error *struct{ Message string }
			}
		}
		err := check(t.site.R().SetContext(ctx).SetResult(&answer).SetBody(map[string]any{"update": some}).Post("/products/batch"))
		if err != nil {
			return err
		}
		for _, u := range answer.Update {
			if u.Error != nil {
				err = errors.Join(err, fmt.Errorf("product %d: %s", u.ID, u.Error.Message))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check is the error of a request, or of an answer that is none.
func check(r *resty.Response, err error) error {
	if err == nil && r.IsError() {
		err = fmt.Errorf("%s %s: %s", r.Request.Method, r.Request.URL, r.Status())
	}
	return err
}
