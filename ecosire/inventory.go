package ecosire

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// A Location is a place in a warehouse. Only the id is certain to be there.
type Location struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Locations lists the warehouse locations.
func (c *Client) Locations(ctx context.Context) iter.Seq2[Location, error] {
	return list[Location]{
		path: "/inventory/locations",
		key:  func(l *Location) string { return l.ID },
		decode: func(row *strictjson.Row, _ *scratch, _ time.Time) (Location, error) {
			return Location{ID: row.Text("id"), Name: optional(row, "name")}, row.Err()
		},
	}.all(ctx, c)
}

// A Move is a movement of stock. The shape of moves is not documented; these
// are the fields that the API's other entries share.
type Move struct {
	ID        string    `json:"id"`
	ProductID string    `json:"productId"`
	CreatedAt time.Time `json:"createdAt"`
}

// Moves lists the stock moves, oldest first where ECOSIRE can sort them so.
func (c *Client) Moves(ctx context.Context) iter.Seq2[Move, error] {
	return list[Move]{
		path:  "/inventory/moves",
		sorts: []string{"createdAt"},
		key:   func(m *Move) string { return m.ID },
		decode: func(row *strictjson.Row, _ *scratch, _ time.Time) (Move, error) {
			m := Move{ID: row.Text("id"), ProductID: row.Text("productId"), CreatedAt: optionalTime(row, "createdAt")}
			return m, row.Err()
		},
	}.all(ctx, c)
}

// A TransferType says where a transfer goes.
type TransferType string

// The types of transfers.
const (
	TransferReceipt  TransferType = "receipt"  // stock comes in
	TransferDelivery TransferType = "delivery" // stock goes out
	TransferInternal TransferType = "internal" // stock moves between locations
)

// A Transfer moves products between locations once it is validated. Type and
// Status are documented; the names of the other fields are assumed.
type Transfer struct {
	ID        string         `json:"id,omitzero"`
	Type      TransferType   `json:"type"`
	Status    string         `json:"status,omitzero"` // such as "ready"; set by ECOSIRE
	FromID    string         `json:"sourceLocationId,omitzero"`
	ToID      string         `json:"destinationLocationId,omitzero"`
	LineItems []TransferLine `json:"lineItems"`
	CreatedAt time.Time      `json:"createdAt,omitzero"`
}

// A TransferLine is one product of a [Transfer].
type TransferLine struct {
	ProductID string `json:"productId"`
	Quantity  int    `json:"quantity"`
}

// A TransferFilter narrows [Client.Transfers]; its zero value means all.
type TransferFilter struct {
	Type   TransferType
	Status string
}

// Transfers lists transfers.
func (c *Client) Transfers(ctx context.Context, f TransferFilter) iter.Seq2[Transfer, error] {
	query := url.Values{}
	set(query, "type", string(f.Type))
	set(query, "status", f.Status)
	return list[Transfer]{
		path:   "/inventory/transfers",
		query:  query,
		sorts:  []string{"createdAt"},
		key:    func(t *Transfer) string { return t.ID },
		decode: func(row *strictjson.Row, _ *scratch, _ time.Time) (Transfer, error) { return transfer(row) },
	}.all(ctx, c)
}

// CreateTransfer creates a transfer and returns it as ECOSIRE stored it. Stock
// does not change before [Client.ValidateTransfer].
func (c *Client) CreateTransfer(ctx context.Context, t Transfer) (Transfer, error) {
	r, err := c.call(ctx, request{method: http.MethodPost, path: "/inventory/transfers", body: t})
	if err != nil {
		return Transfer{}, err
	}
	return one(r, transfer)
}

// Transfer reads one transfer.
func (c *Client) Transfer(ctx context.Context, id string) (Transfer, error) {
	r, err := c.call(ctx, request{method: http.MethodGet, path: path("inventory", "transfers", id)})
	if err != nil {
		return Transfer{}, err
	}
	return one(r, transfer)
}

// transfer reads a transfer.
func transfer(row *strictjson.Row) (Transfer, error) {
	t := Transfer{
		ID: row.Text("id"), Type: TransferType(optional(row, "type")), Status: optional(row, "status"),
		FromID: optional(row, "sourceLocationId"), ToID: optional(row, "destinationLocationId"),
	}
	t.CreatedAt = optionalTime(row, "createdAt")
	err := lines(row, func(line *strictjson.Row) {
		t.LineItems = append(t.LineItems, TransferLine{ProductID: line.Text("productId"), Quantity: line.Int("quantity")})
	})
	return t, err
}

// ValidateTransfer completes a transfer: its stock changes now. ECOSIRE sends
// no event for it; see Config.OnStockChange, for which the transfer is read
// once more.
func (c *Client) ValidateTransfer(ctx context.Context, id string) error {
	if _, err := c.call(ctx, request{method: http.MethodPost, path: path("inventory", "transfers", id, "validate")}); err != nil {
		return err
	}
	if c.change == nil {
		return nil
	}
	ids, err := c.productsOf(ctx, path("inventory", "transfers", id))
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelError, "a validated transfer could not be read, so not all of its products are notified",
			slog.String("op", "ValidateTransfer"), slog.String("transfer", text.Clean(id)), slog.Any("err", err))
	}
	c.changed(ctx, "ValidateTransfer", ids...)
	return nil
}

// changed tells the host about changed stock.
func (c *Client) changed(ctx context.Context, op string, productIDs ...string) {
	if c.change == nil || len(productIDs) == 0 {
		return
	}
	if err := c.change(ctx, productIDs...); err != nil {
		c.logger.LogAttrs(ctx, slog.LevelError, "OnStockChange failed", slog.String("op", op), slog.Int("products", len(productIDs)),
			slog.String("product", text.Clean(productIDs[0])), slog.Any("err", err))
	}
}

// CancelTransfer cancels a transfer.
func (c *Client) CancelTransfer(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: path("inventory", "transfers", id, "cancel")})
	return err
}

// An Adjustment corrects the stock of a product at a location. The names of
// its fields, and that Quantity is the difference, are assumed.
type Adjustment struct {
	ProductID  string `json:"productId"`
	LocationID string `json:"locationId"`
	Quantity   int    `json:"quantity"`
	Reason     string `json:"reason,omitzero"`
}

// PostAdjustment posts an adjustment. It is never repeated by itself after an
// unclear outcome, since it might then count twice. ECOSIRE sends no event for
// it; see Config.OnStockChange.
func (c *Client) PostAdjustment(ctx context.Context, a Adjustment) error {
	if a.ProductID == "" || a.LocationID == "" {
		return errors.Join(errors.New("ecosire: an adjustment needs a ProductID and a LocationID"), channel.ErrInvalid)
	}
	if _, err := c.call(ctx, request{method: http.MethodPost, path: "/inventory/adjustments", body: a}); err != nil {
		return err
	}
	c.changed(ctx, "PostAdjustment", a.ProductID)
	return nil
}

func set(query url.Values, key, value string) {
	if value != "" {
		query.Set(key, value)
	}
}
