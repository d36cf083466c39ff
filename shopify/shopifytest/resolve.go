package shopifytest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A level is the stock of an item at the location.
type level struct{ *item }

type quantity struct {
	name string
	n    int
}

// place and shop stand for the location and the shop.
type (
	place struct{}
	shop  struct{}
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
	case place:
		return "Location"
	case shop:
		return "Shop"
	case bulkState:
		return "BulkOperation"
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
		"InventoryItem.variant":           denied("read_products"),
		"InventoryItem.variants":          denied("read_products"),

		"InventoryLevel.id":         func(c *call) (any, error) { return c.server.levelID(c.parent.(level).item), nil },
		"InventoryLevel.isActive":   of(func(l level) any { return !l.Inactive }),
		"InventoryLevel.item":       of(func(l level) any { return l.item }),
		"InventoryLevel.location":   of(func(level) any { return place{} }),
		"InventoryLevel.createdAt":  of(func(l level) any { return dateTime(l.created) }),
		"InventoryLevel.updatedAt":  of(func(l level) any { return dateTime(l.updated) }),
		"InventoryLevel.quantities": quantities,

		"InventoryQuantity.name":     of(func(q quantity) any { return q.name }),
		"InventoryQuantity.quantity": of(func(q quantity) any { return q.n }),

		"Location.id":               func(c *call) (any, error) { return c.server.location, nil },
		"Location.legacyResourceId": func(c *call) (any, error) { return strconv.FormatInt(c.server.cfg.LocationID, 10), nil },
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
	for _, name := range []string{"id", "sku", "title", "displayName", "barcode", "inventoryQuantity", "inventoryPolicy"} {
		resolvers["ProductVariant."+name] = denied("read_products")
	}
	maps.Copy(resolvers, bulkResolvers)
	maps.Copy(resolvers, inventoryResolvers)
}

// of makes a resolver of a function of the object alone.
func of[T any](f func(T) any) resolver {
	return func(c *call) (any, error) { return f(c.parent.(T)), nil }
}

func denied(scope string) resolver {
	return func(c *call) (any, error) { return nil, accessDenied(c.field.Name, scope) }
}

const shopID = "gid://shopify/Shop/1"

func (s *Server) levelID(i *item) string {
	return fmt.Sprintf("gid://shopify/InventoryLevel/%d?inventory_item_id=%d", s.cfg.LocationID, i.number)
}

// node returns the object with that id, or nil.
func (r *run) node(id string) any {
	s := r.server
	if i, ok := s.byID[id]; ok {
		return i
	}
	if _, n, ok := strings.Cut(id, "?inventory_item_id="); ok {
		if i, ok := s.byID["gid://shopify/InventoryItem/"+n]; ok && !i.NotStocked && s.levelID(i) == id {
			return level{i}
		}
	}
	for _, b := range s.bulk {
		if b.id == id {
			return b.now()
		}
	}
	switch id {
	case s.location:
		return place{}
	case shopID:
		return shop{}
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
	if id, ok := c.args["id"].(string); ok && id != c.server.location {
		return nil, nil
	}
	return place{}, nil
}

func locations(c *call) (any, error) {
	c.onlyArgs("first", "after", "includeInactive", "includeLegacy", "sortKey")
	return c.page(1, func(int) (any, int64) { return place{}, c.server.cfg.LocationID })
}

func inventoryItems(c *call) (any, error) {
	c.onlyArgs("first", "after", "query")
	query, _ := c.args["query"].(string)
	found := c.server.find(query)
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
	return c.level(c.parent.(*item), c.args["locationId"].(string)), nil
}

func levelOfLocation(c *call) (any, error) {
	i, ok := c.server.byID[c.args["inventoryItemId"].(string)]
	if !ok {
		return nil, nil
	}
	return c.level(i, c.server.location), nil
}

func (c *call) level(i *item, location string) any {
	if location != c.server.location || i.NotStocked || i.Inactive && c.args["includeInactive"] != true {
		return nil
	}
	return level{i}
}

// quantities shows a shop in which nothing is reserved: what is on hand is
// available.
func quantities(c *call) (any, error) {
	var list []any
	for _, name := range c.args["names"].([]any) {
		switch name := name.(string); name {
		case "available", "on_hand":
			list = append(list, quantity{name, c.parent.(level).Available})
		case "committed", "damaged", "incoming", "quality_control", "reserved", "safety_stock":
			list = append(list, quantity{name, 0})
		default:
			return nil, failure("INVALID_FIELD_ARGUMENTS", "%q is not the name of a quantity", name)
		}
	}
	return list, nil
}

func dateTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
