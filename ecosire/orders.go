package ecosire

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// An Order is a sales order. Stock is reserved from its confirmation on.
type Order struct {
	ID        string     `json:"id"`
	Status    string     `json:"status"` // draft, confirmed, in_progress, delivered, done, cancelled
	LineItems []LineItem `json:"lineItems"`
	CreatedAt time.Time  `json:"createdAt"`
	UpdatedAt time.Time  `json:"updatedAt"`
}

// A LineItem is one product of an [Order].
type LineItem struct {
	ProductID   string `json:"productId"`
	ProductName string `json:"productName"`
	Quantity    int    `json:"quantity"`
}

// An OrderFilter narrows [Client.Orders]; its zero value means all.
type OrderFilter struct {
	Status    string
	ContactID string
	From, To  time.Time // when the order was created
}

// Orders lists orders, the oldest first.
func (c *Client) Orders(ctx context.Context, f OrderFilter) iter.Seq2[Order, error] {
	query := url.Values{}
	set(query, "status", f.Status)
	set(query, "contactId", f.ContactID)
	if !f.From.IsZero() {
		query.Set("from", f.From.UTC().Format(time.RFC3339))
	}
	if !f.To.IsZero() {
		query.Set("to", f.To.UTC().Format(time.RFC3339))
	}
	return list[Order]{
		path:   "/orders",
		query:  query,
		sorts:  []string{"createdAt"},
		key:    func(o *Order) string { return o.ID },
		decode: func(row *strictjson.Row, _ *scratch, _ time.Time) (Order, error) { return order(row) },
	}.all(ctx, c)
}

// Order reads one order.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	r, err := c.call(ctx, request{method: http.MethodGet, path: path("orders", id)})
	if err != nil {
		return Order{}, err
	}
	return one(r, order)
}

// order reads an order.
func order(row *strictjson.Row) (Order, error) {
	o := Order{
		ID: row.Text("id"), Status: optional(row, "status"),
		CreatedAt: optionalTime(row, "createdAt"), UpdatedAt: optionalTime(row, "updatedAt"),
	}
	err := lines(row, func(line *strictjson.Row) {
		o.LineItems = append(o.LineItems, LineItem{
			ProductID: optional(line, "productId"), ProductName: optional(line, "productName"), Quantity: line.Int("quantity"),
		})
	})
	return o, err
}

// OrderProducts returns the products of an order: what an event about the
// order may have changed, each once. Lines that do not say
// which product they are about are left out, and logged, as long as others do.
func (c *Client) OrderProducts(ctx context.Context, orderID string) (productIDs []string, err error) {
	ids, err := c.productsOf(ctx, path("orders", orderID))
	if err != nil && len(ids) > 0 {
		c.odd.once(ctx, slog.LevelError, "not all products of an order can be read", orderID,
			slog.String("order", text.Clean(orderID)), slog.Any("err", err))
		return ids, nil
	}
	return ids, err
}
