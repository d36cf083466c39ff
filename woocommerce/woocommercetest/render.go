package woocommercetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Fields that this shop never changes.
var (
	commonFields = object(`{"description": "", "price": "10.00", "regular_price": "10.00", "sale_price": "",
		"date_on_sale_from": null, "date_on_sale_from_gmt": null, "date_on_sale_to": null, "date_on_sale_to_gmt": null,
		"on_sale": false, "purchasable": true, "virtual": false, "downloadable": false, "downloads": [],
		"download_limit": -1, "download_expiry": -1, "tax_status": "taxable", "tax_class": "", "low_stock_amount": null,
		"weight": "", "dimensions": {"length": "", "width": "", "height": ""}, "shipping_class": "",
		"shipping_class_id": 0, "attributes": [], "menu_order": 0, "meta_data": [], "global_unique_id": ""}`)
	productFields = object(`{"featured": false, "catalog_visibility": "visible", "short_description": "",
		"total_sales": 0, "external_url": "", "button_text": "", "sold_individually": false, "shipping_required": true,
		"shipping_taxable": true, "reviews_allowed": true, "average_rating": "0.00", "rating_count": 0,
		"upsell_ids": [], "cross_sell_ids": [], "purchase_note": "", "categories": [], "brands": [], "tags": [],
		"images": [], "default_attributes": [], "grouped_products": [], "price_html": "", "related_ids": [],
		"has_options": false, "post_password": ""}`)
)

func object(text string) (m map[string]any) {
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	return m
}

// render returns a product as the API shows it: the fields that are named,
// and those that always are there, or all if none is named. A nested name such
// as "dimensions.length" names nothing: products do not know these. Under its
// parent's URL a variation has fewer fields than under /products.
func (s *Server) render(c *call, p *product, underParent bool, names []string, always ...string) map[string]any {
	const layout = "2006-01-02T15:04:05"
	m := map[string]any{}
	fixed := func(fields map[string]any) {
		if len(names) == 0 {
			maps.Copy(m, fields)
			return
		}
		for _, name := range slices.Concat(names, always) {
			if v, ok := fields[name]; ok {
				m[name] = v
			}
		}
	}
	fixed(commonFields)
	self := fmt.Sprintf("%s/wc/v3/products", c.root)
	up := fmt.Sprintf("%s/%d", self, p.parent)
	if underParent {
		self = up + "/variations"
		m["image"] = nil
	} else {
		fixed(productFields)
		m["slug"] = fmt.Sprintf("product-%d", p.id)
		variations := []int{}
		for _, child := range s.children[p.id] {
			variations = append(variations, child.id)
		}
		m["variations"] = variations
	}
	root := strings.TrimSuffix(strings.TrimSuffix(c.root, "/wp-json"), "/index.php")
	for key, t := range map[string]time.Time{"date_created": p.created, "date_modified": p.modified} {
		m[key] = t.UTC().Format(layout)
		m[key+"_gmt"] = t.UTC().Format(layout)
	}
	sku := p.sku
	if sku == "" && p.parent != 0 {
		sku = s.products[p.parent].sku
	}
	name := p.name
	if name == "" {
		name = fmt.Sprintf("Product %d", p.id)
	}
	owner := s.owner(p)
	backorders := p.backorders
	var managed any = p.managed
	if owner != nil && owner != p {
		managed, backorders = "parent", owner.backorders
	}
	status := s.stockStatus(p)
	maps.Copy(m, map[string]any{
		"id": p.id, "name": name, "permalink": fmt.Sprintf("%s/product/product-%d/", root, p.id),
		"type": p.kind, "status": p.status, "sku": sku, "parent_id": p.parent,
		"manage_stock": managed, "stock_quantity": s.shown(p), "stock_status": status,
		"backorders": backorders, "backorders_allowed": backorders == "yes" || backorders == "notify",
		"backordered": status == "onbackorder",
	})
	links := map[string]any{
		"self": []any{map[string]any{
			"href":        fmt.Sprintf("%s/%d", self, p.id),
			"targetHints": map[string]any{"allow": []string{"GET", "POST", "PUT", "PATCH", "DELETE"}},
		}},
		"collection": []any{map[string]any{"href": self}},
	}
	if p.parent != 0 {
		links["up"] = []any{map[string]any{"href": up}}
	}
	m["_links"] = links
	if len(names) > 0 {
		maps.DeleteFunc(m, func(name string, _ any) bool {
			return !slices.Contains(names, name) && !slices.Contains(always, name)
		})
	}
	return m
}
