package shopifytest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A level is the stock of an item at a location.
type level struct {
	*item
	at        *place
	available int
	inactive  bool
}

type quantity struct {
	name string
	n    int
}

// shop stands for the shop, variant and product for those of an item: each has
// its own.
type (
	shop    struct{}
	variant struct{ *item }
	product struct{ *item }
)

type connection struct {
	nodes            []any
	cursors          []string
	previous, follow bool
}

type edge struct {
	node   any
	cursor string
}

// resolvers holds what this package does of the schema, by type and field.
// Whatever is not in it is an [unsupported].
var resolvers map[string]resolver

// typeName returns the schema's name for the type of an object.
func typeName(v any) string {
	switch v.(type) {
	case *item:
		return "InventoryItem"
	case level:
		return "InventoryLevel"
	case *place:
		return "Location"
	case variant:
		return "ProductVariant"
	case product:
		return "Product"
	case shop:
		return "Shop"
	case bulkState:
		return "BulkOperation"
	case *Subscription:
		return "WebhookSubscription"
	}
	panic(fmt.Sprintf("shopifytest: %T is no node", v))
}

func init() {
	resolvers = map[string]resolver{
		"QueryRoot.node":           func(c *call) (any, error) { return c.node(c.args["id"].(string)), nil },
		"QueryRoot.nodes":          nodes,
		"QueryRoot.inventoryItem":  nodeOf("InventoryItem"),
		"QueryRoot.inventoryLevel": nodeOf("InventoryLevel"),
		"QueryRoot.bulkOperation":  nodeOf("BulkOperation"),
		"QueryRoot.location":       oneLocation,
		"QueryRoot.locations":      locations,
		"QueryRoot.inventoryItems": inventoryItems,
		"QueryRoot.shop":           func(*call) (any, error) { return shop{}, nil },

		"QueryRoot.currentBulkOperation": currentBulkOperation,

		"InventoryItemConnection.nodes":    of(func(c *connection) any { return c.nodes }),
		"InventoryItemConnection.edges":    of(edges),
		"InventoryItemConnection.pageInfo": of(func(c *connection) any { return c }),
		"InventoryItemEdge.node":           of(func(e edge) any { return e.node }),
		"InventoryItemEdge.cursor":         of(func(e edge) any { return e.cursor }),
		"LocationConnection.nodes":         of(func(c *connection) any { return c.nodes }),
		"LocationConnection.edges":         of(edges),
		"LocationConnection.pageInfo":      of(func(c *connection) any { return c }),
		"LocationEdge.node":                of(func(e edge) any { return e.node }),
		"LocationEdge.cursor":              of(func(e edge) any { return e.cursor }),
		"PageInfo.hasNextPage":             of(func(c *connection) any { return c.follow }),
		"PageInfo.hasPreviousPage":         of(func(c *connection) any { return c.previous }),
		"PageInfo.startCursor":             of(func(c *connection) any { return c.cursor(0) }),
		"PageInfo.endCursor":               of(func(c *connection) any { return c.cursor(len(c.cursors) - 1) }),

		"InventoryItem.id":                of(func(i *item) any { return i.id }),
		"InventoryItem.legacyResourceId":  of(func(i *item) any { return strconv.FormatInt(i.number, 10) }),
		"InventoryItem.sku":               of(func(i *item) any { return i.SKU }),
		"InventoryItem.tracked":           of(func(i *item) any { return !i.Untracked }),
		"InventoryItem.requiresShipping":  of(func(*item) any { return true }),
		"InventoryItem.createdAt":         of(func(i *item) any { return dateTime(i.created) }),
		"InventoryItem.updatedAt":         of(func(i *item) any { return dateTime(i.updated) }),
		"InventoryItem.duplicateSkuCount": duplicates,
		"InventoryItem.inventoryLevel":    levelOfItem,
		"InventoryItem.variant":           withProducts(func(c *call) (any, error) { return variant{c.parent.(*item)}, nil }),
		"InventoryItem.variants":          withProducts(variants),

		"ProductVariantConnection.nodes":    of(func(c *connection) any { return c.nodes }),
		"ProductVariantConnection.edges":    of(edges),
		"ProductVariantConnection.pageInfo": of(func(c *connection) any { return c }),
		"ProductVariantEdge.node":           of(func(e edge) any { return e.node }),
		"ProductVariantEdge.cursor":         of(func(e edge) any { return e.cursor }),

		"InventoryLevel.id":         of(func(l level) any { return l.at.levelID(l.item, l.at.id) }),
		"InventoryLevel.isActive":   of(func(l level) any { return !l.inactive }),
		"InventoryLevel.item":       of(func(l level) any { return l.item }),
		"InventoryLevel.location":   of(func(l level) any { return l.at }),
		"InventoryLevel.createdAt":  of(func(l level) any { return dateTime(l.created) }),
		"InventoryLevel.updatedAt":  of(func(l level) any { return dateTime(l.updated) }),
		"InventoryLevel.quantities": quantities,

		"InventoryQuantity.name":     of(func(q quantity) any { return q.name }),
		"InventoryQuantity.quantity": of(func(q quantity) any { return q.n }),

		"Location.id":               of(func(p *place) any { return p.id }),
		"Location.legacyResourceId": of(func(p *place) any { return strconv.FormatInt(p.number, 10) }),
		"Location.inventoryLevel":   levelOfLocation,

		"Shop.id":              of(func(shop) any { return shopID }),
		"Shop.name":            func(c *call) (any, error) { return c.server.cfg.Shop, nil },
		"Shop.myshopifyDomain": func(c *call) (any, error) { return c.server.cfg.Shop + ".myshopify.com", nil },
		"Shop.currencyCode":    of(func(shop) any { return "EUR" }),
		"Shop.ianaTimezone":    of(func(shop) any { return "Etc/UTC" }),
	}
	// With read_inventory alone nothing but the id of a location can be read.
	for _, name := range []string{
		"name", "isActive", "isPrimary", "isFulfillmentService", "fulfillsOnlineOrders",
		"hasActiveInventory", "shipsInventory", "createdAt", "updatedAt",
	} {
		resolvers["Location."+name] = denied("read_locations")
	}
	for name, value := range map[string]func(variant) any{
		"id":                 func(v variant) any { return fmt.Sprintf("gid://shopify/ProductVariant/%d", v.number) },
		"sku":                func(v variant) any { return v.SKU },
		"title":              func(variant) any { return "Default Title" },
		"displayName":        func(v variant) any { return v.SKU + " - Default Title" },
		"barcode":            func(variant) any { return nil },
		"inventoryQuantity":  func(v variant) any { return v.Available },
		"inventoryItem":      func(v variant) any { return v.item },
		"requiresComponents": func(v variant) any { return v.Bundle },
		"availableForSale":   func(v variant) any { return v.Untracked || v.Continue || v.Available > 0 },
		"product":            func(v variant) any { return product(v) },
		"inventoryPolicy": func(v variant) any {
			if v.Continue {
				return "CONTINUE"
			}
			return "DENY"
		},
	} {
		resolvers["ProductVariant."+name] = withProducts(of(value))
	}
	for name, value := range map[string]func(product) any{
		"id": func(p product) any { return fmt.Sprintf("gid://shopify/Product/%d", p.number) },
		"status": func(p product) any {
			if p.Draft {
				return "DRAFT"
			}
			return "ACTIVE"
		},
	} {
		resolvers["Product."+name] = withProducts(of(value))
	}
	maps.Copy(resolvers, bulkResolvers)
	maps.Copy(resolvers, subscriptionResolvers)
	maps.Copy(resolvers, inventoryResolvers)
}

// of makes a resolver of a function of the object alone.
func of[T any](f func(T) any) resolver {
	return func(c *call) (any, error) { return f(c.parent.(T)), nil }
}

func denied(scope string) resolver {
	return func(c *call) (any, error) { return nil, accessDenied(c.field.Name, scope) }
}

// withProducts is for what the scope read_products allows.
func withProducts(r resolver) resolver {
	return func(c *call) (any, error) {
		if !c.server.cfg.ReadProducts {
			return nil, accessDenied(c.field.Name, "read_products")
		}
		return r(c)
	}
}

// variants of an item are one.
func variants(c *call) (any, error) {
	i := c.parent.(*item)
	return c.page(1, func(int) (any, int64) { return variant{i}, i.number })
}

const shopID = "gid://shopify/Shop/1"

func (s *Server) levelID(i *item, location string) string {
	return fmt.Sprintf("gid://shopify/InventoryLevel/%s?inventory_item_id=%d", location[strings.LastIndexByte(location, '/')+1:], i.number)
}

// levelOf returns the item and the location of a level's id.
func (s *Server) levelOf(id string) (*item, *place) {
	at, n, ok := strings.Cut(id, "?inventory_item_id=")
	number, isLevel := strings.CutPrefix(at, "gid://shopify/InventoryLevel/")
	i, p := s.byID["gid://shopify/InventoryItem/"+n], s.place("gid://shopify/Location/"+number)
	if !ok || !isLevel || i == nil || p == nil {
		return nil, nil
	}
	if _, _, ok := s.stock(i, p.id); !ok {
		return nil, nil
	}
	return i, p
}

// node returns the object with that id, or nil.
func (r *run) node(id string) any {
	s := r.server
	if i, ok := s.byID[id]; ok {
		return i
	}
	if i, p := s.levelOf(id); i != nil {
		return r.level(i, p, true)
	}
	for _, b := range s.bulk {
		if b.id == id {
			return b.now()
		}
	}
	if id == shopID {
		return shop{}
	}
	if p := s.place(id); p != nil {
		return p
	}
	return nil
}

func nodes(c *call) (any, error) {
	ids := c.args["ids"].([]any)
	found := make([]any, len(ids))
	for i, id := range ids {
		found[i] = c.node(id.(string))
	}
	return found, nil
}

// nodeOf resolves a field that takes the id of one type's objects.
func nodeOf(kind string) resolver {
	return func(c *call) (any, error) {
		id := c.args["id"].(string)
		if !strings.HasPrefix(id, "gid://shopify/"+kind+"/") {
			return nil, failure("RESOURCE_NOT_FOUND", "Invalid id: %s", id)
		}
		return c.node(id), nil
	}
}

func oneLocation(c *call) (any, error) {
	id, ok := c.args["id"].(string)
	if !ok {
		return c.server.places[0], nil
	}
	if p := c.server.place(id); p != nil {
		return p, nil
	}
	return nil, nil
}

func locations(c *call) (any, error) {
	c.onlyArgs("first", "after", "includeInactive", "includeLegacy", "sortKey")
	var listed []*place
	for _, p := range c.server.places {
		if !p.closed || c.args["includeInactive"] == true {
			listed = append(listed, p)
		}
	}
	slices.SortFunc(listed, func(a, b *place) int { return cmp.Compare(a.number, b.number) })
	return c.page(len(listed), func(i int) (any, int64) { return listed[i], listed[i].number })
}

func inventoryItems(c *call) (any, error) {
	c.onlyArgs("first", "after", "query", "reverse")
	query, _ := c.args["query"].(string)
	found := c.server.find(query)
	if c.args["reverse"] == true {
		// The numbers fall, and so do those in the cursors: negative, they rise.
		return c.page(len(found), func(i int) (any, int64) {
			it := found[len(found)-1-i]
			return it, -it.number
		})
	}
	return c.page(len(found), func(i int) (any, int64) { return found[i], found[i].number })
}

// onlyArgs refuses arguments other than these, unless they change nothing.
func (c *call) onlyArgs(known ...string) {
	for name, v := range c.args {
		if v == nil || v == false {
			continue
		}
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		if !ok {
			panic(unsupportedf("argument %s of %s", name, c.field.Name))
		}
	}
}

// page returns the part of a list that first and after ask for. The list is
// ordered by number.
func (c *call) page(total int, at func(i int) (node any, number int64)) (any, error) {
	first, ok := c.args["first"].(int)
	if !ok {
		return nil, failure("BAD_REQUEST", "you must provide one of first or last")
	}
	if first < 1 || first > maxInput {
		return nil, failure("BAD_REQUEST", "first must be between 1 and %d", maxInput)
	}
	start := 0
	if after, ok := c.args["after"].(string); ok {
		number, err := cursorNumber(after)
		if err != nil {
			return nil, failure("BAD_REQUEST", "Invalid cursor for current pagination sort.")
		}
		start = sort.Search(total, func(i int) bool { _, n := at(i); return n > number })
	}
	if start+first > maxPaged {
		return nil, failure("BAD_REQUEST", "Only the first %d objects can be paged through.", maxPaged)
	}
	end := min(total, start+first)
	answer := &connection{previous: start > 0, follow: end < total}
	for i := start; i < end; i++ {
		node, number := at(i)
		answer.nodes = append(answer.nodes, node)
		answer.cursors = append(answer.cursors, base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"last_id":%d}`, number)))
	}
	if answer.nodes == nil {
		answer.nodes = []any{}
	}
	return answer, nil
}

func cursorNumber(cursor string) (n int64, err error) {
	text, err := base64.StdEncoding.DecodeString(cursor)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(string(text), `{"last_id":%d}`, &n)
	return n, err
}

func (c *connection) cursor(i int) any {
	if i < 0 || i >= len(c.cursors) {
		return nil
	}
	return c.cursors[i]
}

func edges(c *connection) any {
	list := make([]any, len(c.nodes))
	for i, n := range c.nodes {
		list[i] = edge{n, c.cursors[i]}
	}
	return list
}

// duplicates counts the other items with the SKU, and none without one, as in
// answers recorded from Shopify.
func duplicates(c *call) (any, error) {
	sku := c.parent.(*item).SKU
	if sku == "" {
		return 0, nil
	}
	return len(c.server.bySKU[sku]) - 1, nil
}

func levelOfItem(c *call) (any, error) {
	return c.level(c.parent.(*item), c.server.place(c.args["locationId"].(string)), c.args["includeInactive"] == true), nil
}

func levelOfLocation(c *call) (any, error) {
	i, ok := c.server.byID[c.args["inventoryItemId"].(string)]
	if !ok {
		return nil, nil
	}
	return c.level(i, c.parent.(*place), c.args["includeInactive"] == true), nil
}

func (r *run) level(i *item, at *place, includeInactive bool) any {
	if at == nil {
		return nil
	}
	available, inactive, ok := r.server.stock(i, at.id)
	if !ok || (*inactive || at.closed) && !includeInactive {
		return nil
	}
	return level{i, at, *available, *inactive || at.closed}
}

// quantities shows a shop in which nothing is reserved: what is on hand is
// available.
func quantities(c *call) (any, error) {
	var list []any
	for _, name := range c.args["names"].([]any) {
		switch name := name.(string); name {
		case "available", "on_hand":
			list = append(list, quantity{name, c.parent.(level).available})
		case "committed", "damaged", "incoming", "quality_control", "reserved", "safety_stock":
			list = append(list, quantity{name, 0})
		default:
			return nil, failure("INVALID_FIELD_ARGUMENTS", "%q is not the name of a quantity", name)
		}
	}
	return list, nil
}

func dateTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
