package shopifytest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// takesKey tells the mutations that need the directive @idempotent.
var takesKey = map[string]bool{"inventorySetQuantities": true, "inventoryActivate": true}

var inventoryResolvers = map[string]resolver{
	"Mutation.inventorySetQuantities": idempotent(setQuantities, func(code, message string) any {
		return setPayload{errors: []userError{{nil, code, message}}}
	}),
	"Mutation.inventoryActivate": idempotent(activate, func(_, message string) any {
		return itemPayload{errors: []userError{{nil, "", message}}}
	}),
	"Mutation.inventoryItemUpdate": updateItem,

	"InventorySetQuantitiesPayload.inventoryAdjustmentGroup": of(func(p setPayload) any {
		if p.group == nil {
			return nil
		}
		return p.group
	}),
	"InventorySetQuantitiesPayload.userErrors": of(func(p setPayload) any { return list(p.errors) }),

	"InventorySetQuantitiesUserError.code":    of(userErrorCode),
	"InventorySetQuantitiesUserError.field":   of(userErrorField),
	"InventorySetQuantitiesUserError.message": of(userErrorMessage),

	"InventoryAdjustmentGroup.id":                   of(func(g *group) any { return g.id }),
	"InventoryAdjustmentGroup.createdAt":            of(func(g *group) any { return dateTime(g.created) }),
	"InventoryAdjustmentGroup.reason":               of(func(g *group) any { return g.reason }),
	"InventoryAdjustmentGroup.referenceDocumentUri": of(func(g *group) any { return g.uri }),
	"InventoryAdjustmentGroup.changes":              changes,

	"InventoryChange.name":                of(func(c change) any { return c.name }),
	"InventoryChange.delta":               of(func(c change) any { return c.delta }),
	"InventoryChange.item":                of(func(c change) any { return c.item }),
	"InventoryChange.location":            of(func(c change) any { return c.at }),
	"InventoryChange.ledgerDocumentUri":   of(func(change) any { return nil }),
	"InventoryChange.quantityAfterChange": of(func(change) any { return nil }),

	"Mutation.inventoryDeactivate":          deactivate,
	"InventoryDeactivatePayload.userErrors": of(func(p itemPayload) any { return list(p.errors) }),

	"InventoryActivatePayload.inventoryLevel": func(c *call) (any, error) {
		p := c.parent.(itemPayload)
		if p.item == nil {
			return nil, nil
		}
		return c.level(p.item, p.at, true), nil
	},
	"InventoryActivatePayload.userErrors": of(func(p itemPayload) any { return list(p.errors) }),

	"InventoryItemUpdatePayload.inventoryItem": of(func(p itemPayload) any {
		if p.item == nil {
			return nil
		}
		return p.item
	}),
	"InventoryItemUpdatePayload.userErrors": of(func(p itemPayload) any { return list(p.errors) }),

	"UserError.field":   of(userErrorField),
	"UserError.message": of(userErrorMessage),
}

type setPayload struct {
	group  *group
	errors []userError
}

type itemPayload struct {
	item   *item
	at     *place // where it was activated
	errors []userError
}

// A group is what one write changed.
type group struct {
	id, reason string
	uri        any // string or nil
	created    time.Time
	changes    []change
}

type change struct {
	name  string
	delta int
	item  *item
	at    *place
}

func list[T any](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

func userErrorMessage(e userError) any { return e.message }

func userErrorCode(e userError) any {
	if e.code == "" {
		return nil
	}
	return e.code
}

func userErrorField(e userError) any {
	if e.field == nil {
		return nil
	}
	return list(e.field)
}

// An attempt is a mutation that was sent with a key.
type attempt struct {
	request [sha256.Size]byte
	payload any
	at      time.Time
}

// keyLife is how long an idempotency key is remembered.
const keyLife = 24 * time.Hour

// idempotent gives a mutation the rules of the directive @idempotent: it needs
// a key; the same request with the same key gets the same answer again, and
// nothing is done again; another request with that key is refused.
func idempotent(do func(c *call, key string) (any, error), refused func(code, message string) any) resolver {
	return func(c *call) (any, error) {
		directive := c.field.Directives.ForName("idempotent")
		if directive == nil {
			return nil, failure("BAD_REQUEST", "The @idempotent directive is required for this mutation but was not provided.")
		}
		key, _ := directive.ArgumentMap(c.op.vars)["key"].(string)
		if key == "" {
			return nil, failure("BAD_REQUEST", "The key of the @idempotent directive must not be blank.")
		}
		args, err := json.Marshal(c.args)
		if err != nil {
			return nil, failure("INTERNAL_SERVER_ERROR", "%v", err)
		}
		request := sha256.Sum256(append([]byte(c.field.Name), args...))
		if before := c.server.keys[key]; before != nil && time.Since(before.at) < keyLife {
			if before.request != request {
				return refused("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "The idempotency key was used with other parameters."), nil
			}
			return before.payload, nil
		}
		payload, err := do(c, key)
		if err == nil {
			c.server.keys[key] = &attempt{request, payload, time.Now()}
		}
		return payload, err
	}
}

// reasons are those that a change of an available quantity may have.
var reasons = []string{
	"correction", "cycle_count_available", "damaged", "movement_canceled", "movement_created", "movement_received",
	"movement_updated", "other", "promotion", "quality_control", "received", "reservation_created",
	"reservation_deleted", "reservation_updated", "restock", "safety_stock", "shrinkage",
}

var referenceDocument = regexp.MustCompile(`^gid://[A-Za-z0-9-]+/[A-Za-z]\w*/[\w.~%-]+$`)

// maxQuantity bounds quantities on both sides of zero.
const maxQuantity = 1_000_000_000

// row is one of the quantities to be set.
type row struct {
	item, location string
	quantity       int
	from           any // int, or nil
}

func setQuantities(c *call, key string) (any, error) {
	in := c.args["input"].(map[string]any)
	var rows []row
	for _, v := range in["quantities"].([]any) {
		q := v.(map[string]any)
		from, ok := q["changeFromQuantity"]
		if !ok {
			return nil, failure("INVALID_FIELD_ARGUMENTS", "InventoryQuantityInput must include the following argument: changeFromQuantity")
		}
		rows = append(rows, row{q["inventoryItemId"].(string), q["locationId"].(string), q["quantity"].(int), from})
	}
	if in["name"] == "on_hand" {
		panic(unsupportedf("setting on_hand quantities"))
	}
	if errs := c.server.checkSet(in, rows); len(errs) > 0 {
		return setPayload{errors: errs}, nil
	}
	g := &group{reason: in["reason"].(string), uri: in["referenceDocumentUri"], created: time.Now()}
	uri, _ := g.uri.(string)
	for _, q := range rows {
		i, at := c.server.byID[q.item], c.server.place(q.location)
		available, _, ok := c.server.stock(i, at.id)
		if !ok {
			// Since 2026-10 such a write makes a level, which is not active.
			c.server.shelve(i, at.id, false)
			available, _, _ = c.server.stock(i, at.id)
		}
		if delta := q.quantity - *available; delta != 0 {
			g.changes = append(g.changes, change{"available", delta, i, at}, change{"on_hand", delta, i, at})
			c.server.change(i, at.id, q.quantity, uri, key)
		}
	}
	if len(g.changes) == 0 {
		return setPayload{}, nil
	}
	g.id = fmt.Sprintf("gid://shopify/InventoryAdjustmentGroup/%d", c.server.serial())
	return setPayload{group: g}, nil
}

// change sets a quantity and keeps the history.
func (s *Server) change(i *item, location string, to int, uri, key string) {
	now := time.Now()
	available, _, _ := s.stock(i, location)
	elsewhere := location
	if location == s.location {
		elsewhere = ""
	}
	s.history = append(s.history, Change{
		SKU: i.SKU, ItemID: i.id, LocationID: elsewhere, From: *available, To: to, ReferenceDocumentURI: uri, Key: key, Time: now,
	})
	*available, i.updated = to, now
	s.tell(i, location, to)
}

// checkSet finds everything that is wrong with a write. If there is anything,
// nothing of it is done.
func (s *Server) checkSet(in map[string]any, rows []row) (errs []userError) {
	if in["name"] != "available" {
		errs = append(errs, userError{[]string{"input", "name"}, "INVALID_NAME", "The quantity name must be either 'available' or 'on_hand'."})
	}
	if !slices.Contains(reasons, in["reason"].(string)) {
		errs = append(errs, userError{[]string{"input", "reason"}, "INVALID_REASON", "The specified reason is invalid."})
	}
	if uri, ok := in["referenceDocumentUri"].(string); ok && !referenceDocument.MatchString(uri) {
		errs = append(errs, userError{[]string{"input", "referenceDocumentUri"}, "INVALID_REFERENCE_DOCUMENT",
			"The specified reference document is invalid."})
	}
	type pair struct{ item, location string }
	times := map[pair]int{}
	for _, q := range rows {
		times[pair{q.item, q.location}]++
	}
	for n, q := range rows {
		wrong := func(field, code, message string) {
			errs = append(errs, userError{[]string{"input", "quantities", strconv.Itoa(n), field}, code, message})
		}
		if times[pair{q.item, q.location}] > 1 {
			wrong("inventoryItemId", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR",
				"The combination of inventoryItemId and locationId must be unique.")
		}
		i := s.byID[q.item]
		switch {
		case i == nil:
			wrong("inventoryItemId", "INVALID_INVENTORY_ITEM", "The specified inventory item could not be found.")
		case i.Bundle:
			wrong("inventoryItemId", "NON_MUTABLE_INVENTORY_ITEM", "The specified inventory item is not allowed to be adjusted via API.")
		case i.Untracked:
			wrong("inventoryItemId", "", "Inventory tracking is not enabled for the inventory item.")
		}
		at := s.place(q.location)
		if at == nil || at.closed {
			wrong("locationId", "INVALID_LOCATION", "The specified location could not be found.")
		}
		switch {
		case q.quantity > maxQuantity:
			wrong("quantity", "INVALID_QUANTITY_TOO_HIGH", "The quantity can't be higher than 1,000,000,000.")
		case q.quantity < -maxQuantity:
			wrong("quantity", "INVALID_QUANTITY_TOO_LOW", "The quantity can't be lower than -1,000,000,000.")
		}
		shown := 0
		if i != nil && at != nil {
			if available, _, ok := s.stock(i, at.id); ok {
				shown = *available
			}
		}
		if i != nil && at != nil && q.from != nil && q.from != shown {
			wrong("changeFromQuantity", "CHANGE_FROM_QUANTITY_STALE", "The changeFromQuantity argument no longer matches the persisted quantity.")
		}
	}
	return errs
}

// changes can be filtered by item, location and name.
func changes(c *call) (any, error) {
	keep := func(arg, v string) bool {
		only, ok := c.args[arg].([]any)
		return !ok || slices.Contains(only, any(v))
	}
	all := []any{}
	for _, ch := range c.parent.(*group).changes {
		if keep("quantityNames", ch.name) && keep("inventoryItemIds", ch.item.id) && keep("locationIds", ch.at.id) {
			all = append(all, ch)
		}
	}
	return all, nil
}

// activate makes the item sellable at the location. Its quantity stays as it
// was, or becomes 0, unless one is given.
func activate(c *call, key string) (any, error) {
	c.onlyArgs("inventoryItemId", "locationId", "available")
	wrong := func(field, message string) (any, error) {
		return itemPayload{errors: []userError{{[]string{field}, "", message}}}, nil
	}
	i := c.server.byID[c.args["inventoryItemId"].(string)]
	at := c.server.place(c.args["locationId"].(string))
	to, given := c.args["available"].(int)
	active := false
	if i != nil && at != nil {
		_, inactive, ok := c.server.stock(i, at.id)
		active = ok && !*inactive
	}
	switch {
	case i == nil:
		return wrong("inventoryItemId", "The inventory item could not be found.")
	case at == nil || at.closed:
		return wrong("locationId", "The location could not be found.")
	case i.Bundle:
		return wrong("inventoryItemId", "The inventory item cannot be stocked.")
	case given && active:
		return wrong("available", "Not allowed to set available quantity when the item is already active at the location.")
	case given && (to > maxQuantity || to < -maxQuantity):
		return wrong("available", "The quantity is out of range.")
	}
	c.server.shelve(i, at.id, true)
	if available, _, _ := c.server.stock(i, at.id); given && to != *available {
		c.server.change(i, at.id, to, "", key)
	}
	return itemPayload{item: i, at: at}, nil
}

// deactivate ends that an item is stocked at a location. What is there of it is
// forgotten.
func deactivate(c *call) (any, error) {
	i, at := c.server.levelOf(c.args["inventoryLevelId"].(string))
	if i == nil {
		return itemPayload{errors: []userError{{[]string{"inventoryLevelId"}, "", "The inventory level could not be found."}}}, nil
	}
	if at.id == c.server.location {
		i.NotStocked, i.Inactive, i.Item.Available = true, false, 0
	} else {
		delete(i.elsewhere, at.id)
	}
	i.updated = time.Now()
	return itemPayload{item: i, at: at}, nil
}

// updateItem knows the field tracked only.
func updateItem(c *call) (any, error) {
	in := c.args["input"].(map[string]any)
	for name := range in {
		if name != "tracked" {
			panic(unsupportedf("field %s of InventoryItemInput", name))
		}
	}
	i := c.server.byID[c.args["id"].(string)]
	if i == nil {
		return itemPayload{errors: []userError{{[]string{"id"}, "", "The product couldn't be updated because it does not exist."}}}, nil
	}
	tracked, given := in["tracked"].(bool)
	if given && i.Bundle {
		return itemPayload{errors: []userError{{[]string{"input", "tracked"}, "", "Tracking of this item can't be changed."}}}, nil
	}
	if given {
		i.Untracked, i.updated = !tracked, time.Now()
	}
	return itemPayload{item: i}, nil
}
