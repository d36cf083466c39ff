package ecosire

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// one reads an answer that is one entry.
func one[T any](r reply, decode func(*strictjson.Row) (T, error)) (t T, err error) {
	v, err := r.json()
	if err != nil {
		return t, err
	}
	var row strictjson.Row
	row.Read(v)
	if t, err = decode(&row); err != nil {
		return t, r.nonsense(err.Error())
	}
	return t, nil
}

// lines reads the line items of a transfer or an order. It returns what is
// wrong with it and with them.
func lines(row *strictjson.Row, read func(line *strictjson.Row)) error {
	var items []strictjson.Value
	if row.Has("lineItems") {
		items = row.Elements("lineItems")
	}
	var line strictjson.Row
	for i, v := range items {
		line.Read(v)
		if read(&line); line.Err() != nil {
			return fmt.Errorf("%q, line %d: %w", text.Clean(row.Name("id")), i+1, line.Err())
		}
	}
	if err := row.Err(); err != nil {
		return fmt.Errorf("%q: %w", text.Clean(row.Name("id")), err)
	}
	return nil
}

// optional reads text that may be missing.
func optional(row *strictjson.Row, key string) string {
	if !row.Has(key) {
		return ""
	}
	return row.Text(key)
}

// optionalTime reads a time that may be missing.
func optionalTime(row *strictjson.Row, key string) time.Time {
	if !row.Has(key) {
		return time.Time{}
	}
	return row.Time(key)
}

// maxProducts is how many products an order or a transfer may name.
const maxProducts = 10_000

// productsOf reads which products an order or a transfer names, whatever else
// makes no sense in it. It returns those it could read, and an error if that
// are not all.
func (c *Client) productsOf(ctx context.Context, path string) (ids []string, err error) {
	r, err := c.call(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	v, err := r.json()
	if err != nil {
		return nil, err
	}
	var row strictjson.Row
	row.Read(v)
	items := row.Elements("lineItems")
	if row.Err() != nil {
		return nil, r.nonsense(row.Err().Error())
	}
	named := newNamed(maxProducts)
	for _, v := range items {
		row.Read(v)
		named.add(row.Value("productId"), row.Err())
	}
	return named.ids, named.err()
}

// named gathers the product ids of an event, an order or a transfer, each once
// and in their order.
type named struct {
	ids   []string
	max   int
	known map[string]struct{}
	odd   error // about the first one that makes no sense
	count int   // of those
}

func newNamed(most int) *named { return &named{max: most, known: make(map[string]struct{})} }

// add takes an id. One that is missing or null, as for a line without a product,
// is no id.
func (n *named) add(v strictjson.Value, problem error) {
	if v.Missing() && problem == nil || v.Null() {
		return
	}
	id, err := v.Text()
	switch {
	case problem != nil:
		err = problem
	case err != nil:
		err = fmt.Errorf("a product id is %w", err)
	case id == "":
		return
	case len(id) > longestID:
		err = fmt.Errorf("a product id of %d bytes", len(id))
	}
	if _, known := n.known[id]; known && err == nil {
		return
	}
	if err == nil && len(n.ids) >= n.max {
		err = fmt.Errorf("more than %d products", n.max)
	}
	if err != nil {
		n.count++
		if n.odd == nil {
			n.odd = err
		}
		return
	}
	n.known[id] = struct{}{}
	n.ids = append(n.ids, id)
}

// err says what could not be taken, or is nil.
func (n *named) err() error {
	if n.odd == nil {
		return nil
	}
	return fmt.Errorf("ecosire: %d of the products that it names are left out: %w: %w", n.count, channel.ErrInvalid, n.odd)
}
