package ecosire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// product is an entry of /inventory/products. Fields that are not needed are
// not decoded.
type product struct {
	ProductID string   `json:"productId"`
	SKU       string   `json:"sku"`
	OnHand    quantity `json:"onHand"`
	Reserved  quantity `json:"reserved"`
	Available quantity `json:"available"`
}

// A quantity is a whole number of units, or the reason why it is none: one
// product's bad figure must not cost the page, and must not become a 0.
type quantity struct {
	n       int
	present bool
	bad     string
}

func (q *quantity) UnmarshalJSON(text []byte) error {
	q.present = true
	n, err := strconv.Atoi(string(text))
	if err != nil {
		// 12.0 and 1.2e1 are whole numbers too.
		f, ferr := strconv.ParseFloat(string(text), 64)
		if ferr != nil || f != float64(int(f)) || f > 1<<53 || f < -1<<53 {
			q.bad = string(bytes.ToValidUTF8(text[:min(len(text), 20)], nil))
			return nil
		}
		n = int(f)
	}
	q.n = n
	return nil
}

func (q quantity) check(field string) error {
	switch {
	case !q.present:
		return fmt.Errorf("ecosire: the answer has no %q", field)
	case q.bad != "":
		return fmt.Errorf("ecosire: %q is %s, not a whole number", field, q.bad)
	}
	return nil
}

// Stock reads the stock of the named products, or of all of them when none is
// named: it is the [channel.Source] of a syncer. A hundred products cost one
// request.
//
// Available is ECOSIRE's own figure, or OnHand less Reserved where that is
// smaller; such a disagreement is logged once for each product. A product
// whose figures are missing or no whole numbers is yielded with its Err set.
//
// Of named products those that ECOSIRE does not answer are not yielded. The
// reading of the whole catalogue ends in an error that matches
// [channel.ErrIncomplete] if ECOSIRE stated more products than it listed.
func (c *Client) Stock(ctx context.Context, productIDs ...string) iter.Seq2[channel.Stock, error] {
	if len(productIDs) == 0 {
		return c.catalogue(ctx)
	}
	return func(yield func(channel.Stock, error) bool) {
		var ids []string
		for _, id := range productIDs {
			// The ids travel separated by commas.
			if strings.TrimSpace(id) == "" || strings.Contains(id, ",") {
				if !yield(channel.Stock{ProductID: id, Err: fmt.Errorf("ecosire: product id %q: %w", id, channel.ErrInvalid)}, nil) {
					return
				}
				continue
			}
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for some := range slices.Chunk(slices.Compact(ids), pageSize) {
			if !c.named(ctx, some, yield) {
				return
			}
		}
	}
}

var products = list[product]{
	path:  "/inventory/products",
	order: "productId",
	key:   func(p *product) string { return p.ProductID },
	ahead: 4,
}

func (c *Client) catalogue(ctx context.Context) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for p, err := range products.pages(ctx, c) {
			if err != nil {
				yield(channel.Stock{}, err)
				return
			}
			for _, entry := range p.entries {
				if !yield(c.stock(entry, p.sent), nil) {
					return
				}
			}
		}
	}
}

// Count returns how many products ECOSIRE has. It costs one request.
func (c *Client) Count(ctx context.Context) (int, error) {
	var answer struct {
		Meta *struct {
			Total int `json:"total"`
		} `json:"meta"`
	}
	if _, err := c.call(ctx, http.MethodGet, products.path, url.Values{"limit": {"1"}}, nil, &answer); err != nil {
		return 0, err
	}
	if answer.Meta == nil {
		return 0, &Error{Op: "GET " + products.path, Status: http.StatusOK, Message: "the answer has no meta", nonsense: true}
	}
	return answer.Meta.Total, nil
}

// ReadingTime estimates from the quota how long reading so many more products
// of the catalogue will take.
func (c *Client) ReadingTime(ctx context.Context, products int) time.Duration {
	return c.quota.time((products+pageSize-1)/pageSize, channel.Reserve(ctx))
}

// Pace waits, for a moment at most while requests are left, so that steady
// work has some until the minute's end rather than none in its second half. A
// syncer's Run asks before it decides what to read.
func (c *Client) Pace(ctx context.Context) error { return c.quota.pace(ctx) }

// named reads at most a page of products, whose ids are sorted. It reports
// whether to go on.
//
// The parameter productIds is in ECOSIRE's Inventory Sync Guide and not in its
// API reference. A server that does not know it lists the whole catalogue:
// then reading on is pointless, and what was asked for and is not on the first
// page stays unread.
func (c *Client) named(ctx context.Context, ids []string, yield func(channel.Stock, error) bool) bool {
	few := products
	few.order, few.ahead = "", 0
	few.query = url.Values{"productIds": {strings.Join(ids, ",")}}
	for p, err := range few.pages(ctx, c) {
		if _, short := errors.AsType[*shortError](err); short {
			return true // what is missing is for the caller to see
		}
		if err != nil {
			yield(channel.Stock{}, err)
			return false
		}
		ignored := false
		for _, entry := range p.entries {
			if _, asked := slices.BinarySearch(ids, entry.ProductID); !asked {
				ignored = true
				continue
			}
			if !yield(c.stock(entry, p.sent), nil) {
				return false
			}
		}
		if ignored {
			c.once.Do(func() {
				c.logger.Warn("ECOSIRE answered products that were not asked for: it seems not to know the parameter productIds")
			})
			return true
		}
	}
	return true
}

// stock checks an entry's figures.
func (c *Client) stock(p product, asOf time.Time) channel.Stock {
	s := channel.Stock{ProductID: p.ProductID, SKU: p.SKU, AsOf: asOf}
	if p.ProductID == "" {
		s.Err = errors.New("ecosire: the answer has no productId")
		return s
	}
	if s.Err = errors.Join(p.OnHand.check("onHand"), p.Reserved.check("reserved"), p.Available.check("available")); s.Err != nil {
		return s
	}
	s.OnHand, s.Reserved, s.Available = p.OnHand.n, p.Reserved.n, p.Available.n
	if computed := s.OnHand - s.Reserved; computed != s.Available {
		s.Available = min(s.Available, computed)
		if c.oddFor(p.ProductID) {
			c.logger.Warn("ECOSIRE's available is not onHand less reserved; the smaller one is used",
				slog.String("product", p.ProductID), slog.String("sku", p.SKU),
				slog.Int("available", p.Available.n), slog.Int("computed", computed))
		}
	}
	return s
}

// oddFor reports whether this product's disagreement is new. It remembers a
// bounded number of products, and is quiet about the others.
func (c *Client) oddFor(productID string) bool {
	const most = 10_000
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, logged := c.odd[productID]; logged || len(c.odd) >= most {
		return false
	}
	c.odd[productID] = struct{}{}
	return true
}

// A LocationStock is how much of a product is at one location.
type LocationStock struct {
	LocationID   string `json:"locationId"`
	LocationName string `json:"locationName"`
	Quantity     int    `json:"quantity"`
}

// StockByLocation reads where the units on hand of a product are.
func (c *Client) StockByLocation(ctx context.Context, productID string) ([]LocationStock, error) {
	type row struct {
		LocationStock
		Quantity quantity `json:"quantity"`
	}
	var rows *[]row
	p := path("inventory", "products", productID, "stock")
	if _, err := c.call(ctx, http.MethodGet, p, nil, nil, &rows); err != nil {
		return nil, err
	}
	if rows == nil {
		return nil, &Error{Op: "GET " + p, Status: http.StatusOK, Message: "the answer is null", nonsense: true}
	}
	stock := make([]LocationStock, 0, len(*rows))
	for _, r := range *rows {
		if err := r.Quantity.check("quantity"); err != nil {
			return nil, fmt.Errorf("location %q: %w", r.LocationID, err)
		}
		r.LocationStock.Quantity = r.Quantity.n
		stock = append(stock, r.LocationStock)
	}
	return stock, nil
}
