package shopifytest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// storageHost is where the files of bulk operations are for those who
	// reach the server without a socket.
	storageHost = "storage.shopify.test"
	bulkPath    = "/bulk/"
	// signature is the query parameter that makes the URL of a file good.
	signature = "X-Goog-Signature"
	// maxBulk is how many bulk operations may run at a time.
	maxBulk = 5
)

type bulkOperation struct {
	id, query, name, secret string
	created, done           time.Time
	endless, canceled       bool
	file                    []byte
	rows                    int
}

// A bulkState is a bulk operation as it is at some moment.
type bulkState struct {
	*bulkOperation
	status string
}

func (b *bulkOperation) now() bulkState {
	switch {
	case b.canceled:
		return bulkState{b, "CANCELED"}
	case b.endless, time.Now().Before(b.done):
		return bulkState{b, "RUNNING"}
	}
	return bulkState{b, "COMPLETED"}
}

type bulkPayload struct {
	operation any
	errors    []userError
}

var bulkResolvers = map[string]resolver{
	"Mutation.bulkOperationRunQuery": runBulkQuery,
	"Mutation.bulkOperationCancel":   cancelBulk,

	"BulkOperationCancelPayload.bulkOperation": of(func(p bulkPayload) any { return p.operation }),
	"BulkOperationCancelPayload.userErrors":    of(func(p bulkPayload) any { return list(p.errors) }),

	"BulkOperationRunQueryPayload.bulkOperation": of(func(p bulkPayload) any { return p.operation }),
	"BulkOperationRunQueryPayload.userErrors":    of(func(p bulkPayload) any { return list(p.errors) }),
	"BulkOperationUserError.code":                of(userErrorCode),
	"BulkOperationUserError.field":               of(userErrorField),
	"BulkOperationUserError.message":             of(userErrorMessage),

	"BulkOperation.id":              of(func(b bulkState) any { return b.id }),
	"BulkOperation.status":          of(func(b bulkState) any { return b.status }),
	"BulkOperation.type":            of(func(bulkState) any { return "QUERY" }),
	"BulkOperation.query":           of(func(b bulkState) any { return b.query }),
	"BulkOperation.createdAt":       of(func(b bulkState) any { return dateTime(b.created) }),
	"BulkOperation.completedAt":     of(func(b bulkState) any { return b.ended(dateTime(b.done)) }),
	"BulkOperation.errorCode":       of(func(bulkState) any { return nil }),
	"BulkOperation.partialDataUrl":  of(func(bulkState) any { return nil }),
	"BulkOperation.fileSize":        of(func(b bulkState) any { return b.ended(strconv.Itoa(len(b.file))) }),
	"BulkOperation.objectCount":     of(func(b bulkState) any { return b.count() }),
	"BulkOperation.rootObjectCount": of(func(b bulkState) any { return b.count() }),
	"BulkOperation.url":             bulkURL,
}

func (b bulkState) ended(v any) any {
	if b.status != "COMPLETED" {
		return nil
	}
	return v
}

// count grows evenly while the operation runs.
func (b bulkState) count() string {
	n := b.rows
	if b.status != "COMPLETED" {
		n = 0
		if whole := b.done.Sub(b.created); whole > 0 && !b.endless {
			n = int(float64(b.rows) * min(1, time.Since(b.created).Seconds()/whole.Seconds()))
		}
	}
	return strconv.Itoa(n)
}

// bulkURL is null for a result without rows.
func bulkURL(c *call) (any, error) {
	b := c.parent.(bulkState)
	if b.rows == 0 {
		return nil, nil
	}
	return b.ended(c.base + bulkPath + b.name + "?" + signature + "=" + b.secret), nil
}

func currentBulkOperation(c *call) (any, error) {
	if n := len(c.server.bulk); n > 0 && c.args["type"] == "QUERY" {
		return c.server.bulk[n-1].now(), nil
	}
	return nil, nil
}

// cancelBulk is done at once.
func cancelBulk(c *call) (any, error) {
	for _, b := range c.server.bulk {
		if b.id != c.args["id"] {
			continue
		}
		if b.now().status != "RUNNING" {
			return bulkPayload{b.now(), []userError{{nil, "", "A bulk operation cannot be canceled when it is " + strings.ToLower(b.now().status) + "."}}}, nil
		}
		b.canceled = true
		return bulkPayload{b.now(), nil}, nil
	}
	return bulkPayload{nil, []userError{{[]string{"id"}, "", "The bulk operation could not be found."}}}, nil
}

// runBulkQuery reads everything at once; the operation only seems to run. So
// the file shows the shop as it was when the operation was started.
func runBulkQuery(c *call) (any, error) {
	s := c.server
	query := c.args["query"].(string)
	op, errs := parse(query, "", nil)
	if len(errs) > 0 {
		return bulkPayload{nil, []userError{{[]string{"query"}, "INVALID", "Invalid bulk query: " + errs[0].Message}}}, nil
	}
	inner := &run{server: s, op: op, base: c.base}
	items, node := inner.bulkSelection()
	running := 0
	for _, b := range s.bulk {
		if b.now().status == "RUNNING" {
			running++
		}
	}
	if running >= maxBulk {
		return bulkPayload{nil, []userError{{nil, "OPERATION_IN_PROGRESS", fmt.Sprintf("%d bulk query operations are running already.", running)}}}, nil
	}
	var file bytes.Buffer
	lines := json.NewEncoder(&file)
	for _, i := range items {
		line, _, err := inner.object(schema().Types["InventoryItem"], i, node, nil)
		if err != nil || len(inner.errs) > 0 {
			panic(unsupportedf("a bulk query that fails on an item"))
		}
		if err := lines.Encode(line); err != nil {
			panic(err)
		}
	}
	now := time.Now()
	number := s.serial()
	b := &bulkOperation{
		id:    fmt.Sprintf("gid://shopify/BulkOperation/%d", number),
		query: query, name: fmt.Sprintf("bulk-%d.jsonl", number), secret: rand.Text(),
		created: now, done: now.Add(s.cfg.BulkTime), endless: s.cfg.BulkTime < 0,
		file: file.Bytes(), rows: len(items),
	}
	s.bulk = append(s.bulk, b)
	return bulkPayload{bulkState{b, "CREATED"}, nil}, nil
}

// bulkSelection returns the items that a bulk query is about, and what it
// selects of each. It knows queries of the form
//
//	{ inventoryItems(query: …) { edges { node { … } } } }
//
// without connections inside.
func (r *run) bulkSelection() (items []*item, node []ast.SelectionSet) {
	if r.op.Operation != ast.Query || len(r.op.VariableDefinitions) > 0 {
		panic(unsupportedf("a bulk query other than a query without variables"))
	}
	only := func(def string, sets []ast.SelectionSet, name string) *selected {
		fields := r.collect(schema().Types[def], sets)
		if len(fields) != 1 || fields[0].fields[0].Name != name {
			panic(unsupportedf("a bulk query that selects anything but %s of %s", name, def))
		}
		return fields[0]
	}
	root := only("QueryRoot", []ast.SelectionSet{r.op.SelectionSet}, "inventoryItems")
	edges := only("InventoryItemConnection", root.sets(), "edges")
	node = only("InventoryItemEdge", edges.sets(), "node").sets()
	r.requestedFields(schema().Types["InventoryItem"], node) // all of it is known
	for _, f := range r.collect(schema().Types["InventoryItem"], node) {
		if strings.HasSuffix(f.fields[0].Definition.Type.Name(), "Connection") {
			panic(unsupportedf("a connection inside of a bulk query"))
		}
	}
	args, fault := r.arguments(root.fields[0])
	if fault != nil {
		panic(unsupportedf("a bulk query with wrong arguments: %v", fault))
	}
	c := &call{r, nil, root.fields[0], args}
	c.onlyArgs("query")
	if query, _ := args["query"].(string); query != "" {
		return r.server.find(query), node
	}
	return r.server.items, node
}

// filesBase is where a request reaches the files: the same host when it came
// over a socket, and one of its own, as in life, when it did not.
func filesBase(r *http.Request) string {
	switch {
	case r.URL.Host != "":
		return "https://" + storageHost
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// serveBulk gives out a file to everybody who knows its URL, and to nobody who
// shows credentials that are not meant for this host.
func (s *Server) serveBulk(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Shopify-Access-Token") != "" || r.Header.Get("Authorization") != "" {
		http.Error(w, "credentials of another host", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	var found *bulkOperation
	for _, b := range s.bulk {
		if b.name == r.PathValue("name") && b.now().status == "COMPLETED" {
			found = b
		}
	}
	s.mu.Unlock()
	switch {
	case found == nil:
		http.NotFound(w, r)
	case r.URL.Query().Get(signature) != found.secret:
		http.Error(w, "wrong signature", http.StatusForbidden)
	default:
		w.Header().Set("Content-Type", "application/jsonl")
		w.Write(found.file)
	}
}
