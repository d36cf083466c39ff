package shopify

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// What one call may hold.
const (
	maxInput = 250 // entries of an input list, and of nodes(ids:)
	maxTerms = 25  // search terms joined by OR; no limit is documented
)

// pageInfo is that of every connection.
type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}

// userError is a refusal of what was sent, among the data of a mutation.
type userError struct {
	Code    string   `json:"code"`
	Field   []string `json:"field"`
	Message string   `json:"message"`
}

// findItems searches. Its costs are those of the first page's 250 places,
// however many are found.
var findItems = operation{name: "inventoryItems", guess: 60, repeat: true, query: `
query FindItems($query: String!, $after: String) {
  inventoryItems(first: 250, after: $after, query: $query) {
    nodes { id sku }
    pageInfo { hasNextPage endCursor }
  }
}`}

type findItemsVars struct {
	Query string  `json:"query"`
	After *string `json:"after"`
}

type findItemsData struct {
	InventoryItems *struct {
		Nodes []struct {
			ID  string  `json:"id"`
			SKU *string `json:"sku"`
		} `json:"nodes"`
		PageInfo *pageInfo `json:"pageInfo"`
	} `json:"inventoryItems"`
}

// readLevels reads up to 250 items by their ids, for a few points.
var readLevels = operation{name: "nodes", guess: 15, repeat: true, query: `
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

type readLevelsVars struct {
	IDs      []string `json:"ids"`
	Location string   `json:"location"`
}

type readLevelsData struct {
	Nodes []*node `json:"nodes"`
}

// A node is an inventory item and its level at one location.
type node struct {
	ID                string  `json:"id"`
	SKU               *string `json:"sku"`
	Tracked           bool    `json:"tracked"`
	DuplicateSKUCount int     `json:"duplicateSkuCount"` // items with the same SKU; see duplicates
	InventoryLevel    *struct {
		IsActive   bool `json:"isActive"`
		Quantities []struct {
			Name     string `json:"name"`
			Quantity int    `json:"quantity"`
		} `json:"quantities"`
	} `json:"inventoryLevel"`
}

func (n *node) sku() string {
	if n.SKU == nil {
		return ""
	}
	return *n.SKU
}

// active reports whether the item is stocked at the location.
func (n *node) active() bool { return n.InventoryLevel != nil && n.InventoryLevel.IsActive }

// available returns the figure of an active level; ok is false if the answer
// lacks it.
func (n *node) available() (quantity int, ok bool) {
	for _, q := range n.InventoryLevel.Quantities {
		if q.Name == "available" {
			return q.Quantity, true
		}
	}
	return 0, false
}

// setQuantities writes up to 250 rows. Since 2026-04 the directive is required
// when the mutation runs, though the schema does not say so.
var setQuantities = operation{name: "inventorySetQuantities", guess: 20, repeat: true, again: busy, query: `
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

type setQuantitiesData struct {
	InventorySetQuantities *struct {
		// The group of changes is null when there was nothing to change, and
		// says no more than the errors, which are null in no good answer.
		UserErrors []userError `json:"userErrors"`
	} `json:"inventorySetQuantities"`
}

// busy finds the answer that means: this very request is being worked on.
func busy(data json.RawMessage) bool {
	var d setQuantitiesData
	if json.Unmarshal(data, &d) != nil || d.InventorySetQuantities == nil {
		return false
	}
	for _, e := range d.InventorySetQuantities.UserErrors {
		if e.Code == "IDEMPOTENCY_CONCURRENT_REQUEST" {
			return true
		}
	}
	return false
}

// row finds out which row of the input a user error is about. The index comes
// as a string.
func (e userError) row(rows int) (int, bool) {
	for i, part := range e.Field {
		if part == "quantities" && i+1 < len(e.Field) {
			n, err := strconv.Atoi(e.Field[i+1])
			return n, err == nil && n >= 0 && n < rows
		}
	}
	return 0, false
}

// trackItem does no harm when it is done twice.
var trackItem = operation{name: "inventoryItemUpdate", guess: 20, repeat: true, query: `
mutation TrackItem($id: ID!) {
  inventoryItemUpdate(id: $id, input: {tracked: true}) {
    inventoryItem { tracked }
    userErrors { field message }
  }
}`}

type trackItemVars struct {
	ID string `json:"id"`
}

type trackItemData struct {
	InventoryItemUpdate *struct {
		InventoryItem *struct {
			Tracked bool `json:"tracked"`
		} `json:"inventoryItem"`
		UserErrors []userError `json:"userErrors"`
	} `json:"inventoryItemUpdate"`
}

// activateItem stocks an item at the location, without a quantity.
var activateItem = operation{name: "inventoryActivate", guess: 20, repeat: true, query: `
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

type activateItemData struct {
	InventoryActivate *struct {
		InventoryLevel *struct {
			IsActive bool `json:"isActive"`
		} `json:"inventoryLevel"`
		UserErrors []userError `json:"userErrors"`
	} `json:"inventoryActivate"`
}

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

type startBulkData struct {
	BulkOperationRunQuery *struct {
		BulkOperation *struct {
			ID string `json:"id"`
		} `json:"bulkOperation"`
		UserErrors []userError `json:"userErrors"`
	} `json:"bulkOperationRunQuery"`
}

var pollBulk = operation{name: "bulkOperation", guess: 5, repeat: true, query: `
query PollBulk($id: ID!) {
  bulkOperation(id: $id) { status errorCode url rootObjectCount }
}`}

type pollBulkVars struct {
	ID string `json:"id"`
}

type pollBulkData struct {
	BulkOperation *bulkOperation `json:"bulkOperation"`
}

type bulkOperation struct {
	Status    string          `json:"status"`
	ErrorCode string          `json:"errorCode"`
	URL       string          `json:"url"`             // empty when there are no rows
	Count     json.RawMessage `json:"rootObjectCount"` // a string of digits
}

// count is how many lines the result has; -1 if that was not told.
func (o *bulkOperation) count() int {
	n, err := strconv.Atoi(strings.Trim(string(o.Count), `"`))
	if err != nil {
		return -1
	}
	return n
}

// refusal makes an error of user errors. Without any, the shop gave no reason.
func (c *Client) refusal(op operation, errs []userError) *Error {
	e := &Error{Op: op.name, Status: http.StatusOK}
	var messages []string
	for _, u := range errs {
		if u.Code != "" && !e.has(u.Code) {
			e.Codes = append(e.Codes, u.Code)
		}
		messages = append(messages, u.Message)
	}
	e.Message = cmp.Or(c.http.Message(strings.Join(messages, "; ")), "no reason given")
	return e
}
