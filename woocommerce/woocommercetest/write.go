package woocommercetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

var (
	backorderOptions = []string{"no", "notify", "yes"}
	stockStatuses    = []string{"instock", "outofstock", "onbackorder"}
	writeStatuses    = []string{"draft", "pending", "private", "publish", "future", "auto-draft", "trash"}

	// Fields that shops can write and this one cannot. Others are ignored, as
	// shops do.
	foreignFields = strings.Fields(`slug date_created date_created_gmt featured catalog_visibility description
		short_description regular_price sale_price date_on_sale_from date_on_sale_from_gmt date_on_sale_to
		date_on_sale_to_gmt virtual downloadable downloads download_limit download_expiry external_url button_text
		tax_status tax_class low_stock_amount sold_individually weight dimensions shipping_class reviews_allowed
		upsell_ids cross_sell_ids parent_id purchase_note categories brands tags images image attributes
		default_attributes grouped_products menu_order meta_data post_password global_unique_id`)
)

// foreign reports the first field that this shop cannot write.
func foreign(fields map[string]any) *apiError {
	for _, name := range foreignFields {
		if _, ok := fields[name]; ok {
			return notImplemented("writing " + name)
		}
	}
	for _, name := range []string{"sku", "name", "status", "type", "backorders", "stock_status"} {
		if _, ok := fields[name].(string); fields[name] != nil && !ok {
			return notImplemented("writing a " + name + " that is not a string")
		}
	}
	switch fields["manage_stock"].(type) {
	case []any, map[string]any:
		return notImplemented("writing a manage_stock that is a list or an object")
	}
	switch fields["status"] {
	case nil, "draft", "pending", "private", "publish":
		return nil
	}
	return notImplemented("writing the status " + fields["status"].(string))
}

// validate is the check of a single write. It returns the fields as the rest
// of the shop sees them. A batch does without.
func validate(in params) (map[string]any, *apiError) {
	var bad invalid
	out := map[string]any{}
	maps.Copy(out, in.values)
	for _, name := range []string{"name", "type", "status", "sku", "manage_stock", "stock_quantity", "stock_status", "backorders"} {
		v, ok := in.values[name]
		if !ok {
			continue
		}
		if v == nil && name != "stock_quantity" {
			return nil, notImplemented("writing null to " + name + " in a single write")
		}
		switch name {
		case "stock_quantity":
			if v != nil && !isInteger(v) {
				bad.notOfType(name, "integer")
			}
			out[name] = json.Number(fmt.Sprint(intval(v))) // null becomes 0
		case "manage_stock":
			b, ok := boolean(v)
			if !ok {
				bad.notOfType(name, "boolean")
			}
			out[name] = b
		case "sku", "name":
			if _, ok := v.(string); !ok {
				bad.notOfType(name, "string")
			}
		case "backorders", "stock_status", "status", "type":
			options := map[string][]string{"backorders": backorderOptions, "stock_status": stockStatuses,
				"status": writeStatuses, "type": productTypes}[name]
			if text, ok := v.(string); !ok || !slices.Contains(options, text) {
				bad.notOneOf(name, options...)
			}
		}
	}
	if e := bad.err(); e != nil {
		return nil, e
	}
	return out, foreign(out)
}

// update answers PUT, POST and PATCH of one product or variation.
func (s *Server) update(c *call, parent, id int) reply {
	// The body comes first. An id there would even win over the URL's.
	in := c.body.over(c.query)
	if v, ok := in.values["id"]; ok && intval(v) != id {
		return notImplemented("a body with another id than the URL's").reply()
	}
	fields, e := validate(in)
	if e != nil {
		return e.reply()
	}
	row, e := s.save(c.Context(), c, parent, id, fields, s.cfg.ItemWriteTime, fieldList(fields["_fields"]), "_links")
	if e != nil {
		return e.reply()
	}
	return jsonReply(http.StatusOK, row)
}

// read answers GET of one product or variation.
func (s *Server) read(c *call, parent, id int) reply {
	s.compute(c.Context(), s.cfg.ItemReadTime)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.products[id]
	switch {
	case p == nil || parent != 0 && p.parent != parent:
		return invalidID(http.StatusNotFound, parent).reply()
	case c.anonymous:
		return denied("view", "Sorry, you cannot view this resource.").reply()
	}
	return jsonReply(http.StatusOK, s.render(c, p, parent != 0, fieldList(c.query.values["_fields"]), "_links"))
}

// create answers POST /products.
func (s *Server) create(c *call, parent int) reply {
	if parent != 0 {
		return notImplemented("creating variations").reply()
	}
	in := c.body.over(c.query)
	fields, e := validate(in)
	switch {
	case e != nil:
		return e.reply()
	case c.anonymous:
		return denied("create", "Sorry, you are not allowed to create resources.").reply()
	case intval(fields["id"]) != 0:
		return (&apiError{status: http.StatusBadRequest, code: "woocommerce_rest_product_exists",
			message: "Cannot create existing product."}).reply()
	}
	s.compute(c.Context(), s.cfg.ItemWriteTime)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := product{kind: "simple", status: "publish", backorders: "no", unmanagedStatus: "instock"}
	if kind, ok := fields["type"].(string); ok {
		p.kind = kind
	}
	if e := s.change(&p, fields); e != nil {
		return e.reply()
	}
	p.id = s.lastID + 1
	s.insert(&p)
	s.writes++
	rep := jsonReply(http.StatusCreated, s.render(c, &p, false, fieldList(fields["_fields"]), "_links"))
	rep.header.Set("Location", fmt.Sprintf("%s/wc/v3/products/%d", c.root, p.id))
	return rep
}

// save writes one product, as PHP does it: load the row, change the copy, and
// write back the columns whose value is not the one that was loaded. Nothing
// notices what happened to the row in between, during the window. It returns
// the product as it is then, with the fields that are named.
func (s *Server) save(ctx context.Context, c *call, parent, id int, fields map[string]any, window time.Duration,
	names []string, always ...string) (map[string]any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.products[id]
	switch {
	case p == nil || parent != 0 && p.parent != parent:
		return nil, invalidID(http.StatusBadRequest, parent)
	case c.anonymous:
		return nil, denied("edit", "Sorry, you are not allowed to edit this resource.")
	case parent == 0 && p.kind == "variation":
		return nil, &apiError{status: http.StatusNotFound, code: "woocommerce_rest_invalid_product_id",
			message: "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint."}
	}
	if kind, ok := fields["type"].(string); ok && kind != p.kind {
		return nil, notImplemented("changing the type of a product")
	}
	if message := s.dirt.fatal[id]; message != "" {
		return nil, &apiError{abort: true, died: message}
	}
	loaded := *p
	changed := *p
	if e := s.change(&changed, fields); e != nil {
		return nil, e
	}
	if window > 0 {
		s.mu.Unlock()
		s.compute(ctx, window)
		s.mu.Lock()
		if s.products[id] != p {
			return nil, invalidID(http.StatusBadRequest, parent)
		}
	}
	if !same(changed.stock, loaded.stock) {
		p.stock = changed.stock
	}
	store(&p.managed, changed.managed, loaded.managed)
	store(&p.unmanagedStatus, changed.unmanagedStatus, loaded.unmanagedStatus)
	store(&p.backorders, changed.backorders, loaded.backorders)
	store(&p.status, changed.status, loaded.status)
	store(&p.name, changed.name, loaded.name)
	if changed.sku != loaded.sku {
		s.rename(p, changed.sku)
	}
	s.touch(p) // even if nothing changed
	s.writes++
	row := s.dirt.shows(id, s.render(c, p, parent != 0, names, always...))
	if s.dirt.forgetful[id] {
		p.stock = loaded.stock
	}
	return row, nil
}

func same(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

func store[T comparable](column *T, value, loaded T) {
	if value != loaded {
		*column = value
	}
}

// change applies fields to a copy of a product. null is as good as absent.
func (s *Server) change(p *product, fields map[string]any) *apiError {
	if v, ok := fields["sku"].(string); ok {
		sku := sanitize(v)
		if e := s.unique(p, sku); e != nil {
			return e
		}
		p.sku = sku
	}
	if v, ok := fields["name"].(string); ok {
		p.name = v
	}
	if v, ok := fields["status"].(string); ok && slices.Contains(writeStatuses, v) {
		p.status = v
	}
	status := s.stockStatus(p)
	if v, ok := fields["stock_status"].(string); ok {
		status = v
		if !slices.Contains(stockStatuses, v) {
			status = "instock"
		}
	}
	if v := fields["manage_stock"]; v != nil {
		p.managed = truth(v)
		if p.kind == "external" && p.managed {
			return &apiError{status: http.StatusBadRequest, code: "product_external_invalid_manage_stock",
				message: "External products cannot be stock managed."}
		}
	}
	if v, ok := fields["backorders"].(string); ok {
		p.backorders = v
	}
	if p.kind == "grouped" || p.kind == "external" {
		p.managed = false
	}
	if s.owner(p) == nil {
		p.stock, p.backorders, p.unmanagedStatus = nil, "no", status
		return nil
	}
	// A variation whose stock is its parent's gets here too: what it is sent
	// is stored, and shown nowhere.
	set := func(n int) { p.stock = &n }
	if v := fields["stock_quantity"]; v != nil {
		if set(intval(v)); p.kind == "variation" && v == "" {
			p.stock = nil
		}
	} else if v := fields["inventory_delta"]; v != nil {
		now := 0
		if shown := s.shown(p); shown != nil {
			now = *shown
		}
		set(now + intval(v))
	}
	return nil
}

// unique refuses an SKU that another product has. Products in the trash do
// not count, and the test fails on a double quote.
func (s *Server) unique(p *product, sku string) *apiError {
	holder := func(sku string) *product {
		for _, other := range s.bySKU[fold(sku)] {
			if other.id != p.id && other.status != "trash" {
				return other
			}
		}
		return nil
	}
	other := holder(sku)
	if other == nil || sku == "" || strings.Contains(sku, `"`) {
		return nil
	}
	free := ""
	for n := 1; free == "" || holder(free) != nil; n++ {
		free = fmt.Sprintf("%s-%d", sku, n)
	}
	return &apiError{status: http.StatusBadRequest, code: "product_invalid_sku", message: "Invalid or duplicated SKU.",
		data: map[string]any{"resource_id": other.id, "unique_sku": free}}
}
