package ecosire

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
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
		path:  "/orders",
		query: query,
		order: "createdAt",
		key:   func(o *Order) string { return o.ID },
	}.all(ctx, c)
}

// Order reads one order.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	var o Order
	_, err := c.call(ctx, http.MethodGet, path("orders", id), nil, nil, &o)
	return o, err
}

// OrderProducts returns the products of an order: what an event about the
// order may have changed.
func (c *Client) OrderProducts(ctx context.Context, orderID string) (productIDs []string, err error) {
	o, err := c.Order(ctx, orderID)
	for _, item := range o.LineItems {
		if item.ProductID != "" {
			productIDs = append(productIDs, item.ProductID)
		}
	}
	return productIDs, err
}
