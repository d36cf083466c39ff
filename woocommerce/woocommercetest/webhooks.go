package woocommercetest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// webhookFilters are parameters of a list of products that one of webhooks has
// not, or that this package does not do for it.
var webhookFilters = []string{"offset", "include", "include_status", "modified_after", "type", "sku", "search_sku"}

var webhookStatuses = []string{"all", "active", "paused", "disabled"}

// listWebhooks answers GET /webhooks with what [Server.Subscribe] has made.
func (s *Server) listWebhooks(c *call) reply {
	var plain params
	status := "all"
	for _, key := range c.query.keys {
		value := c.query.values[key]
		switch {
		case slices.Contains(webhookFilters, key):
			return notImplemented("the parameter " + key + " of webhooks").reply()
		case key != "status":
			plain.set(key, value)
		default:
			status, _ = value.(string)
		}
	}
	sel, e := parseSelection(plain, 0)
	if e == nil && !slices.Contains(webhookStatuses, status) {
		var bad invalid
		bad.notOneOf("status", webhookStatuses...)
		e = bad.err()
	}
	switch {
	case e != nil:
	case sel.orderBy != "id" && sel.orderBy != "date":
		e = notImplemented("orderby=" + sel.orderBy + " of webhooks")
	case c.anonymous:
		e = denied("view", "Sorry, you cannot list resources.")
	}
	if e != nil {
		return e.reply()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Webhook
	for _, h := range s.webhooks {
		if status == "all" || status == h.status() {
			found = append(found, h)
		}
	}
	slices.SortFunc(found, func(a, b *Webhook) int { // the order of their making, too
		if sel.ascending {
			return cmp.Compare(a.id, b.id)
		}
		return cmp.Compare(b.id, a.id)
	})
	start := min(min(sel.page-1, len(found))*sel.perPage, len(found))
	rows := []any{}
	for _, h := range found[start:min(start+sel.perPage, len(found))] {
		rows = append(rows, cutPaths(h.row(), fieldList(c.query.values["_fields"])))
	}
	rep := jsonReply(http.StatusOK, rows)
	rep.header.Set("X-WP-Total", strconv.Itoa(len(found)))
	rep.header.Set("X-WP-TotalPages", strconv.Itoa((len(found)+sel.perPage-1)/sel.perPage))
	return rep
}

func (h *Webhook) status() string {
	if h.disabled {
		return "disabled"
	}
	return "active"
}

// row is the webhook as the API shows it, without its secret, which it never does.
func (h *Webhook) row() map[string]any {
	made := h.made.UTC().Format("2006-01-02T15:04:05")
	return map[string]any{
		"id": h.id, "name": fmt.Sprint("Webhook ", h.id), "status": h.status(),
		"topic": "product.updated", "resource": "product", "event": "updated",
		"hooks":        []string{"woocommerce_process_product_meta", "woocommerce_update_product", "woocommerce_update_product_variation"},
		"delivery_url": "https://stocksync.test/webhooks",
		"date_created": made, "date_created_gmt": made, "date_modified": nil, "date_modified_gmt": nil,
	}
}
