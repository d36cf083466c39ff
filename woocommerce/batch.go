package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// An answer is what the answer to a batch says of one item.
type answer struct {
	stock    stock
	quantity quantity
	refused  *Error
	odd      error // it makes no sense, or there is none
}

// path is the endpoint for a batch of products, or for one of variations.
func path(part []*write) string {
	if part[0].parent == 0 {
		return "products/batch"
	}
	return fmt.Sprintf("products/%d/variations/batch", part[0].parent)
}

// post sends one batch. Without an error there is an answer to each item, in
// their order, that has an error or shows a quantity.
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
	data := appendBatch(make([]byte, 0, len(fields)+128*len(part)), part, fields)
	r := request{method: http.MethodPost, path: path(part), body: data, items: len(part)}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	answers, err := c.decodeAnswers(resp, part)
	if err != nil {
		return nil, c.nonsense(r, resp, err.Error())
	}
	return answers, nil
}

// appendBatch appends the body of a batch. WooCommerce validates nothing in one:
// it makes a number of whatever comes.
func appendBatch(b []byte, part []*write, fields string) []byte {
	several := part[0].parent != part[len(part)-1].parent
	b = append(b, '{')
	if fields != "" {
		b = append(append(append(b, `"_fields":"`...), fields...), `",`...)
	}
	b = append(b, `"update":[`...)
	for i, w := range part {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"id":`...), w.id, 10)
		if several {
			b = strconv.AppendInt(append(b, `,"product_id":`...), w.parent, 10)
		}
		if w.unset || w.manage {
			b = strconv.AppendBool(append(b, `,"manage_stock":`...), w.manage)
		}
		if !w.unset {
			b = strconv.AppendInt(append(b, `,"stock_quantity":`...), int64(w.quantity), 10)
		} else if w.status != "" {
			b = append(append(append(b, `,"stock_status":"`...), w.status...), '"')
		}
		if w.parent == 0 {
			b = append(b, `,"_fields":"id,manage_stock,stock_quantity"`...)
		}
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// decodeAnswers finds the answer to each item, by place where there are as many
// as were sent, or else by id. That to an item may make no sense; if none does,
// the answer is no answer.
func (c *Client) decodeAnswers(resp *httpx.Response, part []*write) ([]answer, error) {
	body, err := strictjson.Parse(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s is not JSON", httpx.Describe(resp))
	}
	var top, r strictjson.Row
	top.Read(body)
	rows := top.Elements("update")
	if err := top.Err(); err != nil {
		return nil, fmt.Errorf("%s is not the answer to a batch: %w", httpx.Describe(resp), err)
	}
	var ids map[int64]int // if their places do not tell
	if len(rows) != len(part) {
		ids = make(map[int64]int, len(rows))
		for i, v := range rows {
			r.Read(v)
			ids[int64(r.Int("id"))] = i
		}
	}
	answers := make([]answer, len(part))
	understood := 0
	for i, w := range part {
		at, ok := i, true
		if ids != nil {
			at, ok = ids[w.id]
		}
		if !ok {
			answers[i].odd = errors.New("the answer does not have it")
			continue
		}
		r.Read(rows[at])
		if answers[i] = c.decodeAnswer(&r, w); answers[i].odd == nil {
			understood++
		}
	}
	if understood == 0 && len(part) > 0 {
		return nil, fmt.Errorf("of %d items that were sent the answer shows none: %w", len(part), answers[0].odd)
	}
	return answers, nil
}

func (c *Client) decodeAnswer(r *strictjson.Row, w *write) (a answer) {
	if r.Has("error") {
		var e strictjson.Row
		e.Read(r.Value("error"))
		a.refused = &Error{Op: c.op(request{method: http.MethodPost, path: path([]*write{w})}), Status: http.StatusBadRequest, item: true}
		a.refused.Code, a.refused.Message = c.plain(e.Text("code")), c.plain(e.Text("message"))
		if a.odd = cmp.Or(r.Err(), e.Err()); a.odd != nil {
			a.refused = nil
		} else if e.Has("data") {
			var data strictjson.Row
			data.Read(e.Value("data"))
			if status := data.Int("status"); data.Err() == nil && status > 0 {
				a.refused.Status = status
			}
		}
		return a
	}
	if id := r.Int("id"); r.Err() == nil && int64(id) != w.id {
		a.odd = fmt.Errorf("the answer has product %d in its place", id)
		return a
	}
	var noStock, noQuantity error
	a.stock, noStock = readStock(r.Value("manage_stock"))
	a.quantity, noQuantity = readQuantity(r.Value("stock_quantity"))
	a.odd = cmp.Or(r.Err(), noStock, noQuantity)
	return a
}

// answerFields are the fields of n answers. WooCommerce shows each product
// whole, in 2.4 kB, unless it is asked in two ways that are not documented: by
// the fields of each item, which are for products only and leave 270 bytes, and
// by these paths, which leave 60.
func answerFields(n int) string {
	if n > pageSize {
		return ""
	}
	text, ends := fieldsOfAll()
	return text[:ends[n-1]]
}

// fieldsOfAll are the fields of the largest batch, and where those of each answer
// end.
var fieldsOfAll = sync.OnceValues(func() (string, []int) {
	var b []byte
	ends := make([]int, pageSize)
	for i := range ends {
		for _, field := range [...]string{"id", "manage_stock", "stock_quantity", "error"} {
			if len(b) > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, "update.%d.%s", i, field)
		}
		ends[i] = len(b)
	}
	return string(b), ends
})

// lower remembers that the shop takes no more than n items a batch.
func (c *Client) lower(n int) {
	for {
		limit := c.limit.Load()
		if int64(n) >= limit || c.limit.CompareAndSwap(limit, int64(n)) {
			return
		}
	}
}
