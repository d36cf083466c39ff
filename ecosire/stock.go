package ecosire

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// Stock reads the stock of the named products, or of all of them when none is
// named: it is the [channel.Source] of a syncer. A hundred products cost one
// request.
//
// Available is ECOSIRE's own quantity, or OnHand less Reserved where that is
// smaller; such a disagreement is logged once for each product. A product
// whose entry is not as documented, such as one with a quantity that is missing
// or no whole number, is yielded with its Err set and with as much of a name as
// could be read; so is an id that ECOSIRE refuses. Neither costs the others.
//
// Of named products those that ECOSIRE does not answer are not yielded. The
// reading of the whole catalogue ends in an error that matches
// [channel.ErrIncomplete] if ECOSIRE stated more products than it listed.
func (c *Client) Stock(ctx context.Context, productIDs ...string) iter.Seq2[channel.Stock, error] {
	if len(productIDs) == 0 {
		return c.catalogue(ctx, 0, "")
	}
	return func(yield func(channel.Stock, error) bool) {
		n := &naming{Client: c, ctx: ctx, yield: yield}
		var ids []string
		for _, id := range productIDs {
			// The ids travel separated by commas.
			if strings.TrimSpace(id) == "" || strings.Contains(id, ",") || len(id) > maxID {
				n.put(channel.Stock{ProductID: id, Err: fmt.Errorf("ecosire: product id %q: %w", text.Clean(id), channel.ErrInvalid)})
				continue
			}
			ids = append(ids, id)
		}
		slices.Sort(ids)
		if ids = slices.Compact(ids); !n.stopped && len(ids) > 0 {
			n.read(ids)
		}
	}
}

// StockAfter reads the catalogue behind a product, as Stock reads all of it: it
// makes Client a [channel.Continuer]. It reads the page again that has the
// product, and needs ECOSIRE to sort the list by id: where it does not, or where
// products that were deleted meanwhile have moved the place to an earlier page,
// the error matches [errors.ErrUnsupported].
func (c *Client) StockAfter(ctx context.Context, productID string, before int) iter.Seq2[channel.Stock, error] {
	return c.catalogue(ctx, max(1, (before+pageSize-1)/pageSize), productID)
}

// Count returns how many products ECOSIRE has. It costs one request.
func (c *Client) Count(ctx context.Context) (int, error) { return c.count(ctx, "") }

// count counts the products in a warehouse, or in all.
func (c *Client) count(ctx context.Context, warehouse string) (int, error) {
	query := url.Values{"limit": {"1"}}
	set(query, "warehouseId", warehouse)
	v, r, err := c.get(ctx, c.products(ctx).path, query)
	if err != nil {
		return 0, err
	}
	var top, meta strictjson.Row
	top.Read(v)
	meta.Read(top.Value("meta"))
	total := meta.Int("total")
	rows, _ := top.Value("data").Elements()
	switch err := cmp.Or(top.Err(), meta.Err()); {
	case err != nil:
		return 0, r.nonsense(`"meta": ` + err.Error())
	case total < len(rows):
		return 0, r.nonsense(fmt.Sprintf("a total of %d, and %d products", total, len(rows)))
	}
	return total, nil
}

// ReadingTime estimates from the quota how long reading that many more products
// of the catalogue will take, with what is in the warehouses that ctx names.
func (c *Client) ReadingTime(ctx context.Context, products int) time.Duration {
	return c.quota.time((products + pageSize - 1) / pageSize * requestsOf(ctx))
}

// requestsOf is how many requests a page of products costs with what ctx asks for.
func requestsOf(ctx context.Context) int {
	warehouses, total := channel.Warehouses(ctx)
	if total || len(warehouses) > 1 {
		return len(warehouses) + 1
	}
	return len(warehouses)
}

// Pace waits, for about a second at most while requests are left, so that steady
// work has some until the minute's end rather than none in its second half. A
// syncer's Run asks before it decides what to read.
func (c *Client) Pace(ctx context.Context) error { return c.quota.pace(ctx) }

// A LocationStock is how much of a product is at one location.
type LocationStock struct {
	LocationID   string `json:"locationId"`
	LocationName string `json:"locationName"`
	Quantity     int    `json:"quantity"`
}

// StockByLocation reads where the units on hand of a product are. A quantity
// that makes no sense is an error.
func (c *Client) StockByLocation(ctx context.Context, productID string) ([]LocationStock, error) {
	v, r, err := c.get(ctx, path("inventory", "products", productID, "stock"), nil)
	if err != nil {
		return nil, err
	}
	rows, err := v.Elements()
	if err != nil {
		return nil, r.nonsense("the answer is " + err.Error())
	}
	stock := make([]LocationStock, 0, len(rows))
	var row strictjson.Row
	for _, v := range rows {
		row.Read(v)
		l := LocationStock{LocationID: row.Text("locationId"), Quantity: row.Int("quantity")}
		if row.Has("locationName") {
			l.LocationName = row.Text("locationName")
		}
		if err := row.Err(); err != nil {
			return nil, r.nonsense(fmt.Sprintf("location %q: %v", text.Clean(row.Name("locationId")), err))
		}
		stock = append(stock, l)
	}
	return stock, nil
}
