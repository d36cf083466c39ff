package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

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
//
// It asks for the parts of the answer that are needed, which is not documented.
// A shop, or a firewall before it, that does not bear that is asked for whole
// answers from then on: it is only slower.
func (c *Client) post(ctx context.Context, part []*write) ([]answer, error) {
	if c.uncut.Load() {
		return c.postAsking(ctx, part, "")
	}
	answers, err := c.postAsking(ctx, part, answerFields(len(part)))
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
	case e.Status < 300, e.Status == http.StatusInternalServerError:
		c.uncut.Store(true) // for the next request: this one may have been done
	case refusesRequest(e):
		again, err := c.postAsking(ctx, part, "")
		if err == nil {
			c.uncut.Store(true)
		}
		return again, err
	}
	return answers, err
}

// refusesRequest reports whether a request was refused, and nothing done, by
// somebody who looked at its form. WooCommerce's own codes are about what it asks.
func refusesRequest(e *Error) bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotAcceptable, http.StatusRequestEntityTooLarge:
		return !strings.HasPrefix(e.Code, "woocommerce_rest_")
	}
	return false
}

// postAsking sends one batch that asks for these fields of the answer; "" means
// all.
func (c *Client) postAsking(ctx context.Context, part []*write, fields string) ([]answer, error) {
	several := part[0].parent != part[len(part)-1].parent
	body := struct {
		Fields string   `json:"_fields,omitzero"`
		Update []update `json:"update"`
	}{fields, make([]update, len(part))}
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
// by these paths, which leave 60.
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
