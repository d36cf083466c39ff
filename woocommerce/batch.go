package woocommerce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/ecosire/stocksync/internal/httpx"
)

// An update is an item of a batch. WooCommerce validates nothing in a batch:
// it makes a number of whatever comes.
type update struct {
	ID          int64  `json:"id"`
	ProductID   int64  `json:"product_id,omitzero"`
	ManageStock bool   `json:"manage_stock,omitzero"`
	Quantity    int    `json:"stock_quantity"`
	Fields      string `json:"_fields,omitzero"`
}

// An answer is an item of the answer to a batch.
type answer struct {
	ID       int64      `json:"id"`
	Stock    stock      `json:"manage_stock"`
	Quantity figure     `json:"stock_quantity"`
	Error    *itemError `json:"error"`
}

type itemError struct {
	Code, Message string
	Data          json.RawMessage
}

func (e *itemError) status() int {
	var data struct{ Status int }
	if json.Unmarshal(e.Data, &data) != nil || data.Status == 0 {
		return http.StatusBadRequest
	}
	return data.Status
}

// path is the endpoint for a batch of products, or for one of variations.
func path(part []*write) string {
	if part[0].parent == 0 {
		return "products/batch"
	}
	return fmt.Sprintf("products/%d/variations/batch", part[0].parent)
}

// post sends one batch. Without an error there is an answer to each item, in
// their order, that has an error or shows a figure.
func (c *Client) post(ctx context.Context, part []*write) ([]answer, error) {
	several := part[0].parent != part[len(part)-1].parent
	body := struct {
		Fields string   `json:"_fields,omitzero"`
		Update []update `json:"update"`
	}{Update: make([]update, len(part))}
	for i, w := range part {
		u := update{ID: w.id, ManageStock: w.manage, Quantity: w.quantity}
		if several {
			u.ProductID = w.parent
		}
		if w.parent == 0 {
			u.Fields = "id,manage_stock,stock_quantity"
		}
		body.Update[i] = u
	}
	cut := !c.uncut.Load()
	if cut {
		body.Fields = answerFields(len(part))
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, http.MethodPost, path(part), nil, data)
	if err != nil {
		return nil, err
	}
	answers, err := decodeAnswers(resp, part)
	if err != nil {
		if cut { // and if that was too much, not again
			c.uncut.Store(true)
		}
		return nil, c.nonsense(http.MethodPost, path(part), resp, err.Error())
	}
	return answers, nil
}

func decodeAnswers(resp *httpx.Response, part []*write) ([]answer, error) {
	got := struct {
		Update []answer `json:"update"`
	}{make([]answer, 0, len(part))}
	if err := httpx.Decode(resp, &got); err != nil {
		return nil, err
	}
	if len(got.Update) != len(part) {
		return nil, fmt.Errorf("the answer has %d items where %d were sent", len(got.Update), len(part))
	}
	for i, a := range got.Update {
		if a.Error == nil && (a.ID != part[i].id || a.Stock == "" || !a.Quantity.shown) {
			return nil, fmt.Errorf("item %d of the answer does not show the stock of product %d", i+1, part[i].id)
		}
	}
	return got.Update, nil
}

// answerFields are the fields of n answers. WooCommerce shows each product
// whole, in 2.4 kB, unless it is asked in two ways that are not documented: by
// the fields of each item, which are for products only and leave 270 bytes, and
// by these paths, which leave 60. A shop that knows neither is only slower.
func answerFields(n int) string {
	b := make([]byte, 0, n*90)
	for i := range n {
		for _, field := range [...]string{"id", "manage_stock", "stock_quantity", "error"} {
			b = append(b, "update."...)
			b = strconv.AppendInt(b, int64(i), 10)
			b = append(append(append(b, '.'), field...), ',')
		}
	}
	return string(b[:len(b)-1])
}

// lower remembers that the shop takes no more than n items a batch.
func (c *Client) lower(n int) {
	for {
		limit := c.limit.Load()
		if int64(n) >= limit || c.limit.CompareAndSwap(limit, int64(n)) {
			return
		}
	}
}
