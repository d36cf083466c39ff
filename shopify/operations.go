package shopify

import (
	"strconv"
	"time"

	"github.com/ecosire/stocksync/internal/strictjson"
)

// What one call may hold.
const (
	maxInput = 250 // entries of an input list, and of nodes(ids:)
	maxTerms = 25  // search terms joined by OR; no limit is documented
)

// writeGrace is how long a write that is under way is waited for after its
// caller has left.
const writeGrace = 3 * time.Second

// object reads a member of the data that is an object. ok is false if there is
// none, as in an answer to a mutation that was not understood.
func (a *answer) object(key string) (row strictjson.Row, ok bool) {
	if a == nil || a.data.Missing() || a.data.Null() {
		return row, false
	}
	var data strictjson.Row
	data.Read(a.data)
	return member(&data, key)
}

func member(of *strictjson.Row, key string) (row strictjson.Row, ok bool) {
	v := of.Value(key)
	if of.Err() != nil || v.Missing() || v.Null() {
		return row, false
	}
	row.Read(v)
	return row, row.Err() == nil
}

// userError is a refusal of what was sent, among the data of a mutation.
type userError struct {
	code    string
	field   []string
	message string
	token   string // to be kept out of texts
}

// userErrors reads those of a mutation's payload. ok is false if the answer
// does not say whether there are any. An error with odd members is one all the
// same.
func (a *answer) userErrors(payload *strictjson.Row) (errs []userError, ok bool) {
	list := payload.Elements("userErrors")
	if payload.Err() != nil {
		return nil, false
	}
	var row strictjson.Row
	for _, v := range list {
		row.Read(v)
		e := userError{message: row.Value("message").Name(), token: a.token}
		e.code, _ = row.Value("code").Text()
		steps, _ := row.Value("field").Elements()
		for _, s := range steps {
			e.field = append(e.field, s.Name())
		}
		errs = append(errs, e)
	}
	return errs, true
}

// row finds out which row of the input a user error is about. The index comes
// as a string.
func (e userError) row(rows int) (int, bool) {
	for i, part := range e.field {
		if part == "quantities" && i+1 < len(e.field) {
			n, err := strconv.Atoi(e.field[i+1])
			return n, err == nil && n >= 0 && n < rows
		}
	}
	return 0, false
}

// listItems reads all items, in some order or in its reverse.
var listItems = operation{name: "inventoryItems", guess: 20, repeat: true, query: `
query ListItems($after: String, $reverse: Boolean!) {
  inventoryItems(first: 250, after: $after, reverse: $reverse) {
    nodes { id sku }
    pageInfo { hasNextPage endCursor }
  }
}`}

type listItemsVars struct {
	After   *string `json:"after"`
	Reverse bool    `json:"reverse"`
}

// findItems searches. What it costs depends on the places of the page, however
// many are found.
var findItems = operation{name: "inventoryItems", guess: 60, repeat: true, query: `
query FindItems($query: String!, $first: Int!, $after: String) {
  inventoryItems(first: $first, after: $after, query: $query) {
    nodes { id sku }
    pageInfo { hasNextPage endCursor }
  }
}`}

type findItemsVars struct {
	Query string  `json:"query"`
	First int     `json:"first"`
	After *string `json:"after"`
}

// first returns the operation with room for places items, which decides what it costs.
func (op operation) first(places int, guess float64) operation {
	op.document, op.guess = op.query+strconv.Itoa(places), guess
	return op
}

// readLevels reads up to 250 items by their ids, for about three points.
var readLevels = operation{name: "nodes", guess: 5, repeat: true, query: `
query ReadLevels($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id
      sku
      tracked
      duplicateSkuCount
      inventoryLevel(locationId: $location, includeInactive: true) {
        isActive
        quantities(names: ["available"]) { name quantity }
      }
    }
  }
}`}

// readProducts is readLevels with what needs the scope read_products.
var readProducts = operation{name: "nodes", guess: 30, repeat: true, query: `
query ReadLevelsAndProducts($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id
      sku
      tracked
      duplicateSkuCount
      inventoryLevel(locationId: $location, includeInactive: true) {
        isActive
        quantities(names: ["available"]) { name quantity }
      }
      variants(first: 10) {
        nodes { inventoryPolicy requiresComponents product { status } }
      }
    }
  }
}`}

type readLevelsVars struct {
	IDs      []string `json:"ids"`
	Location string   `json:"location"`
}

// setQuantities writes up to 250 rows. Since 2026-04 the directive is required
// when the mutation runs, though the schema does not say so.
var setQuantities = operation{name: "inventorySetQuantities", guess: 20, repeat: true, grace: writeGrace, again: busy, query: `
mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id }
    userErrors { code field message }
  }
}`}

type setQuantitiesVars struct {
	Input setQuantitiesInput `json:"input"`
	Key   string             `json:"key"`
}

type setQuantitiesInput struct {
	Name                 string          `json:"name"`
	Reason               string          `json:"reason"`
	ReferenceDocumentURI string          `json:"referenceDocumentUri"`
	Quantities           []quantityInput `json:"quantities"`
}

type quantityInput struct {
	InventoryItemID string `json:"inventoryItemId"`
	LocationID      string `json:"locationId"`
	Quantity        int    `json:"quantity"`
	// ChangeFromQuantity must be present in every row: null means that it does
	// not matter what is shown now. So never omitempty here.
	ChangeFromQuantity *int `json:"changeFromQuantity"`
}

// busy finds the answer that means: this very request is being worked on.
func busy(a *answer) bool {
	payload, ok := a.object("inventorySetQuantities")
	if !ok {
		return false
	}
	errs, _ := a.userErrors(&payload)
	for _, e := range errs {
		if e.code == "IDEMPOTENCY_CONCURRENT_REQUEST" {
			return true
		}
	}
	return false
}

// trackItem does no harm when it is done twice.
var trackItem = operation{name: "inventoryItemUpdate", guess: 20, repeat: true, grace: writeGrace, query: `
mutation TrackItem($id: ID!, $tracked: Boolean!) {
  inventoryItemUpdate(id: $id, input: {tracked: $tracked}) {
    inventoryItem { tracked }
    userErrors { field message }
  }
}`}

type trackItemVars struct {
	ID      string `json:"id"`
	Tracked bool   `json:"tracked"`
}

// activateItem stocks an item at the location, without a quantity.
var activateItem = operation{name: "inventoryActivate", guess: 20, repeat: true, grace: writeGrace, query: `
mutation ActivateItem($item: ID!, $location: ID!, $key: String!) {
  inventoryActivate(inventoryItemId: $item, locationId: $location) @idempotent(key: $key) {
    inventoryLevel { isActive }
    userErrors { field message }
  }
}`}

type activateItemVars struct {
	Item     string `json:"item"`
	Location string `json:"location"`
	Key      string `json:"key"`
}

// findLevel finds the id of an item's level, which deactivateLevel needs.
var findLevel = operation{name: "inventoryItem", guess: 5, repeat: true, query: `
query FindLevel($item: ID!, $location: ID!) {
  inventoryItem(id: $item) { inventoryLevel(locationId: $location) { id } }
}`}

type findLevelVars struct {
	Item     string `json:"item"`
	Location string `json:"location"`
}

// deactivateLevel undoes activateItem. It is not sent again when its outcome is
// unclear: the level is gone if it was done.
var deactivateLevel = operation{name: "inventoryDeactivate", guess: 20, grace: writeGrace, query: `
mutation DeactivateLevel($level: ID!) {
  inventoryDeactivate(inventoryLevelId: $level) {
    userErrors { field message }
  }
}`}

type deactivateLevelVars struct {
	Level string `json:"level"`
}

// findLocation finds out whether a location is the shop's and active. Only the
// ids of locations can be read without a further scope, so that a location is
// active if it is in the list of those that are.
var findLocation = operation{name: "location", guess: 20, repeat: true, query: `
query FindLocation($id: ID!, $after: String) {
  location(id: $id) { id }
  locations(first: 250, after: $after, includeLegacy: true) {
    nodes { id }
    pageInfo { hasNextPage endCursor }
  }
}`}

type findLocationVars struct {
	ID    string  `json:"id"`
	After *string `json:"after"`
}

// ping is about nothing: if it is answered the shop is there.
var ping = operation{name: "shop", guess: 2, query: `query Ping { shop { id } }`}

// startBulk is not sent again when its outcome is unclear: it would start a
// second operation, of the few that may run.
var startBulk = operation{name: "bulkOperationRunQuery", guess: 20, query: `
mutation StartBulk($query: String!) {
  bulkOperationRunQuery(query: $query) {
    bulkOperation { id }
    userErrors { code field message }
  }
}`}

// everyItem is the query that the bulk operation runs. It has no search terms.
const everyItem = `{ inventoryItems { edges { node { id sku } } } }`

type startBulkVars struct {
	Query string `json:"query"`
}

var pollBulk = operation{name: "bulkOperation", guess: 5, repeat: true, query: `
query PollBulk($id: ID!) {
  bulkOperation(id: $id) { status errorCode url objectCount rootObjectCount }
}`}

type pollBulkVars struct {
	ID string `json:"id"`
}

var cancelBulk = operation{name: "bulkOperationCancel", guess: 20, query: `
mutation CancelBulk($id: ID!) {
  bulkOperationCancel(id: $id) {
    bulkOperation { status }
    userErrors { field message }
  }
}`}
