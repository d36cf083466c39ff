package woocommercetest

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// batch answers POST /products/batch and /products/<parent>/variations/batch.
// It is always 200, checks no value, and applies its items one by one: there
// is no transaction.
func (s *Server) batch(c *call, parent int) reply {
	s.mu.Lock()
	trashed := parent > 0 && s.products[parent] != nil && s.products[parent].status == "trash"
	s.mu.Unlock()
	if c.anonymous || trashed {
		return denied("batch", "Sorry, you are not allowed to batch manipulate this resource.").reply()
	}
	size := 0
	for _, part := range []string{"create", "update", "delete"} {
		items, _ := c.body.values[part].([]any)
		size += len(items)
		if _, ok := c.body.values[part].(map[string]any); ok {
			return notImplemented("a batch whose " + part + " is an object").reply()
		}
	}
	if size > s.cfg.BatchLimit {
		return (&apiError{status: http.StatusRequestEntityTooLarge, code: "woocommerce_rest_request_entity_too_large",
			message: fmt.Sprintf("Unable to accept more than %d items for this request.", s.cfg.BatchLimit)}).reply()
	}
	items, _ := c.body.values["update"].([]any)
	if size > len(items) {
		return notImplemented("creating and deleting in a batch").reply()
	}
	for _, item := range items {
		switch item := item.(type) {
		case nil, string:
		case map[string]any:
			if e := foreign(item); e != nil {
				return e.reply()
			}
		default:
			return notImplemented("a batch item that is a number, a list or a boolean").reply()
		}
	}
	if len(items) == 0 {
		return jsonReply(http.StatusOK, []any{}) // PHP's empty array
	}
	s.mu.Lock()
	var each time.Duration
	slow := len(s.slowly) > 0
	if slow {
		each, s.slowly = s.slowly[0], s.slowly[1:]
	}
	s.mu.Unlock()
	if slow {
		return s.behindProxy(c, parent, items, each)
	}
	if !s.cfg.Lingers {
		return s.carryOut(c.Context(), c, parent, items)
	}
	done := make(chan reply, 1)
	go func() { done <- s.carryOut(context.WithoutCancel(c.Context()), c, parent, items) }()
	select {
	case rep := <-done:
		return rep
	case <-c.Context().Done():
		return htmlReply(http.StatusGatewayTimeout, "nobody reads this")
	}
}

// carryOut applies the items of a batch, and answers it.
func (s *Server) carryOut(ctx context.Context, c *call, parent int, items []any) reply {
	rows := []any{}
	for _, item := range items {
		row, e := s.item(ctx, c, parent, item, s.cfg.ItemWriteTime)
		switch {
		case e == errFatal:
			return fatal()
		case e != nil && e.died != "":
			return died(e.died)
		case e != nil:
			return e.reply()
		}
		rows = append(rows, row)
	}
	return jsonReply(http.StatusOK, cutBatch(rows, fieldList(c.body.over(c.query).values["_fields"])))
}

// behindProxy applies a batch's items, one each d, and answers 504 when the
// first had its time. The goroutine ends with the last item.
func (s *Server) behindProxy(c *call, parent int, items []any, d time.Duration) reply {
	ctx := context.WithoutCancel(c.Context())
	first := make(chan struct{})
	go func() {
		for i, item := range items {
			start := time.Now()
			_, e := s.item(ctx, c, parent, item, d)
			pause(ctx, d-time.Since(start)) // an item that is refused takes no time
			if i == 0 {
				close(first)
			}
			if e != nil {
				return
			}
		}
	}()
	select {
	case <-first:
	case <-c.Context().Done():
	}
	return htmlReply(http.StatusGatewayTimeout, "504 Gateway Time-out")
}

// errFatal stands for the end of PHP.
var errFatal = &apiError{abort: true}

// item applies one item of a batch. An error ends the whole batch; what is
// wrong with the item alone is in its row.
func (s *Server) item(ctx context.Context, c *call, parent int, item any, window time.Duration) (map[string]any, *apiError) {
	fields, ok := item.(map[string]any)
	if !ok && item != nil {
		return nil, errFatal // PHP takes a string for an array
	}
	if parent != 0 {
		// The item is merged over the URL's parent.
		if v, ok := fields["product_id"]; ok && !s.cfg.SingleParent {
			if parent = intval(v); parent == 0 {
				parent = nobody
			}
		}
	}
	var names []string
	if parent == 0 {
		names = fieldList(fields["_fields"]) // undocumented, and for products only
	}
	row, e := s.save(ctx, c, parent, intval(fields["id"]), fields, window, names, "brands", "_links")
	switch {
	case e != nil && e.abort:
		return nil, e
	case e != nil:
		return map[string]any{"id": fields["id"], "error": e.object()}, nil
	}
	return row, nil
}
