package squaretest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/square/squaretest"
)

type object = map[string]any

// call sends a request and returns the answer, which it checks against the
// specification if it is a success.
func call(t *testing.T, till *squaretest.Server, method, path string, body any, edit ...func(*http.Request)) (int, object) {
	t.Helper()
	text := ""
	switch body := body.(type) {
	case nil:
	case string:
		text = body
	default:
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		text = string(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "https://square.example"+path, strings.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer EAAAtest")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Square-Version", squaretest.SchemaVersion)
	for _, f := range edit {
		f(req)
	}
	resp, err := till.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode == http.StatusOK {
		assert.NoError(t, squaretest.ValidateAnswer(method, req.URL.Path, raw), "%s", raw)
	}
	var answer object
	require.NoError(t, json.Unmarshal(raw, &answer))
	return resp.StatusCode, answer
}

// code is the code of an answer's first error, with its field.
func code(answer object) string {
	list, _ := answer["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	first := list[0].(object)
	text := first["code"].(string)
	if field, ok := first["field"]; ok {
		text += " " + field.(string)
	}
	return text
}

const (
	search  = "/v2/catalog/search"
	counts  = "/v2/inventory/counts/batch-retrieve"
	changes = "/v2/inventory/changes/batch-create"
)

// count is a change.
func count(till *squaretest.Server, id, quantity string, ago time.Duration) object {
	return object{"type": "PHYSICAL_COUNT", "physical_count": object{
		"catalog_object_id": id, "location_id": "LMAIN", "state": "IN_STOCK", "quantity": quantity,
		"occurred_at": till.Now().Add(-ago).UTC().Format("2006-01-02T15:04:05.000Z"),
	}}
}

var serial int

func write(cs ...object) object {
	serial++
	return object{"idempotency_key": fmt.Sprint("key", serial), "ignore_unchanged_counts": false, "changes": cs}
}

func TestWhatIsRefused(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.AddLocation("LCLOSED", "INACTIVE")
	ids := till.Add(squaretest.Variation{SKU: "A", Quantity: 1}, squaretest.Variation{SKU: "U", Untracked: true}, squaretest.Variation{SKU: "N", AbsentAt: []string{"LMAIN"}})
	with := func(field string, value any) object {
		c := count(till, ids[0], "5", time.Minute)
		c["physical_count"].(object)[field] = value
		return write(c)
	}
	many := make([]object, 101)
	for i := range many {
		many[i] = count(till, ids[0], "5", time.Minute)
	}
	values := make([]string, 251)
	set := func(values []string) object {
		return object{"object_types": []string{"ITEM_VARIATION"}, "query": object{"set_query": object{"attribute_name": "sku", "attribute_values": values}}}
	}
	for name, test := range map[string]struct {
		method, path string
		body         any
		status       int
		code         string
		edit         func(*http.Request)
	}{
		"no token":         {"GET", "/v2/locations", nil, 401, "UNAUTHORIZED", func(r *http.Request) { r.Header.Del("Authorization") }},
		"another token":    {"GET", "/v2/locations", nil, 401, "UNAUTHORIZED", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		"no scheme":        {"GET", "/v2/locations", nil, 401, "UNAUTHORIZED", func(r *http.Request) { r.Header.Set("Authorization", "EAAAtest") }},
		"a version":        {"GET", "/v2/locations", nil, 400, "INVALID_SQUARE_VERSION_FORMAT", func(r *http.Request) { r.Header.Set("Square-Version", "2025-08-21") }},
		"a path":           {"GET", "/v2/orders", nil, 404, "NOT_FOUND", nil},
		"a retired path":   {"POST", "/v2/inventory/batch-change", object{}, 404, "NOT_FOUND", nil},
		"a method":         {"GET", counts, nil, 405, "METHOD_NOT_ALLOWED", nil},
		"a query":          {"GET", "/v2/locations?x=1", nil, 400, "UNKNOWN_QUERY_PARAMETER x", nil},
		"no JSON":          {"POST", counts, "{", 400, "EXPECTED_JSON_BODY", nil},
		"a form":           {"POST", counts, object{}, 415, "UNSUPPORTED_MEDIA_TYPE", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		"a location":       {"GET", "/v2/locations/LNONE", nil, 404, "NOT_FOUND location_id", nil},
		"an unknown field": {"POST", counts, object{"ids": []string{}}, 400, "UNKNOWN_BODY_PARAMETER ids", nil},
		"a limit":          {"POST", counts, object{"limit": 1001}, 400, "VALUE_TOO_HIGH limit", nil},
		"a state":          {"POST", counts, object{"states": []string{"SHOWN"}}, 400, "INVALID_ENUM_VALUE states[0]", nil},
		"a cursor":         {"POST", counts, object{"cursor": "x"}, 400, "INVALID_CURSOR cursor", nil},
		"251 SKUs":         {"POST", search, set(values), 400, "ARRAY_LENGTH_TOO_LONG query.set_query.attribute_values", nil},
		"no SKU":           {"POST", search, set([]string{}), 400, "ARRAY_EMPTY query.set_query.attribute_values", nil},
		"two queries":      {"POST", search, object{"query": object{"set_query": object{"attribute_name": "sku", "attribute_values": []string{"A"}}, "text_query": object{"keywords": []string{"a"}}}}, 400, "CONFLICTING_PARAMETERS query", nil},
		"another query":    {"POST", search, object{"query": object{"text_query": object{"keywords": []string{"a"}}}}, 501, "NOT_IMPLEMENTED", nil},
		"no key":           {"POST", changes, object{"changes": []object{count(till, ids[0], "5", 0)}}, 400, "MISSING_REQUIRED_PARAMETER idempotency_key", nil},
		"a long key":       {"POST", changes, object{"idempotency_key": strings.Repeat("k", 129)}, 400, "VALUE_TOO_LONG idempotency_key", nil},
		"no change":        {"POST", changes, write(), 400, "ARRAY_EMPTY changes", nil},
		"101 changes":      {"POST", changes, write(many...), 400, "ARRAY_LENGTH_TOO_LONG changes", nil},
		"a number":         {"POST", changes, with("quantity", 5), 400, "EXPECTED_STRING changes[0].physical_count.quantity", nil},
		"a word":           {"POST", changes, with("quantity", "five"), 400, "INVALID_VALUE changes[0].physical_count.quantity", nil},
		"a negative":       {"POST", changes, with("quantity", "-1"), 400, "VALUE_TOO_LOW changes[0].physical_count.quantity", nil},
		"a fraction":       {"POST", changes, with("quantity", "1.5"), 400, "INVALID_VALUE changes[0].physical_count.quantity", nil},
		"no quantity":      {"POST", changes, with("quantity", nil), 400, "MISSING_REQUIRED_PARAMETER changes[0].physical_count.quantity", nil},
		"read-only":        {"POST", changes, with("created_at", "2026-11-26T09:00:00Z"), 400, "UNEXPECTED_VALUE changes[0].physical_count.created_at", nil},
		"no time":          {"POST", changes, with("occurred_at", ""), 400, "MISSING_REQUIRED_PARAMETER changes[0].physical_count.occurred_at", nil},
		"the future":       {"POST", changes, write(count(till, ids[0], "5", -2*time.Second)), 400, "INVALID_TIME changes[0].physical_count.occurred_at", nil},
		"the past":         {"POST", changes, write(count(till, ids[0], "5", 24*time.Hour+time.Second)), 400, "INVALID_TIME changes[0].physical_count.occurred_at", nil},
		"no such id":       {"POST", changes, write(count(till, "NONE", "5", time.Minute)), 404, "NOT_FOUND changes[0].physical_count.catalog_object_id", nil},
		"no such place":    {"POST", changes, with("location_id", "LNONE"), 404, "NOT_FOUND changes[0].physical_count.location_id", nil},
		"a closed place":   {"POST", changes, with("location_id", "LCLOSED"), 400, "INVALID_VALUE changes[0].physical_count.location_id", nil},
		"untracked":        {"POST", changes, write(count(till, ids[1], "5", time.Minute)), 400, "INVALID_VALUE changes[0].physical_count.catalog_object_id", nil},
		"not there":        {"POST", changes, write(count(till, ids[2], "5", time.Minute)), 400, "INVALID_VALUE changes[0].physical_count.catalog_object_id", nil},
		"waste":            {"POST", changes, with("state", "WASTE"), 501, "NOT_IMPLEMENTED changes[0].physical_count.", nil},
		"an adjustment":    {"POST", changes, write(object{"type": "ADJUSTMENT", "adjustment": object{}}), 501, "NOT_IMPLEMENTED", nil},
	} {
		t.Run(name, func(t *testing.T) {
			edit := test.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			status, answer := call(t, till, test.method, test.path, test.body, edit)
			assert.Equal(t, test.status, status)
			assert.Equal(t, strings.TrimSuffix(test.code, " changes[0].physical_count."), code(answer))
		})
	}
	assert.Empty(t, till.History())
	assert.Equal(t, "1", till.Stock(ids[0], "LMAIN"))
}

func TestScopes(t *testing.T) {
	till := squaretest.New(squaretest.Config{Scopes: []string{"ITEMS_READ"}})
	status, _ := call(t, till, "POST", search, object{"object_types": []string{"ITEM_VARIATION"}})
	assert.Equal(t, 200, status)
	for path, method := range map[string]string{counts: "POST", changes: "POST", "/v2/locations": "GET"} {
		var body any
		if method == "POST" {
			body = object{"idempotency_key": "k"}
		}
		status, answer := call(t, till, method, path, body)
		assert.Equal(t, 403, status)
		assert.Equal(t, "INSUFFICIENT_SCOPES", code(answer))
	}
	token := till.Grant()
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	status, _ = call(t, till, "POST", search, object{}, bearer)
	assert.Equal(t, 200, status)
	till.Expire(token)
	status, answer := call(t, till, "POST", search, object{}, bearer)
	assert.Equal(t, 401, status)
	assert.Equal(t, "ACCESS_TOKEN_EXPIRED", code(answer))
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{Rate: 2, Burst: 3})
		statuses := map[int]int{}
		for range 5 {
			status, answer := call(t, till, "GET", "/v2/locations", nil)
			statuses[status]++
			if status != 200 {
				assert.Equal(t, "RATE_LIMITED", code(answer))
			}
		}
		assert.Equal(t, map[int]int{200: 3, 429: 2}, statuses)
		time.Sleep(time.Second)
		till.Drain(1)
		status, _ := call(t, till, "GET", "/v2/locations", nil)
		assert.Equal(t, 200, status)
		status, _ = call(t, till, "GET", "/v2/locations", nil)
		assert.Equal(t, 429, status)
	})
}

func TestAnEmptyListIsNoList(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	for path, body := range map[string]object{search: {"object_types": []string{"ITEM_VARIATION"}}, counts: {}} {
		_, answer := call(t, till, "POST", path, body)
		assert.Equal(t, object{}, answer)
	}
	_, answer := call(t, till, "GET", "/v2/catalog/list?types=ITEM_VARIATION", nil)
	assert.Equal(t, object{}, answer)
	_, answer = call(t, till, "GET", "/v2/locations/main", nil)
	assert.Equal(t, "LMAIN", answer["location"].(object)["id"])
	_, answer = call(t, till, "GET", "/v2/locations", nil)
	assert.Len(t, answer["locations"], 1)
}

func TestSpecification(t *testing.T) {
	operation, err := squaretest.Validate("POST", counts, nil, []byte(`{"catalog_object_ids":null}`))
	assert.NoError(t, err)
	assert.Equal(t, "BatchRetrieveInventoryCounts", operation)
	_, err = squaretest.Validate("POST", counts, nil, []byte(`{"catalog_object_ids":["a",7],"limit":"1","x":1}`))
	assert.ErrorContains(t, err, "EXPECTED_STRING: Expected a string value. (catalog_object_ids[1])")
	assert.ErrorContains(t, err, "EXPECTED_INTEGER")
	assert.ErrorContains(t, err, "'x' is unrecognized")
	_, err = squaretest.Validate("GET", "/v2/nothing", nil, nil)
	assert.ErrorContains(t, err, "there is no /v2/nothing")
	_, err = squaretest.Validate("DELETE", counts, nil, nil)
	assert.ErrorContains(t, err, "is no method of")
	_, err = squaretest.Validate("GET", "/v2/locations/L", nil, []byte("{}"))
	assert.ErrorContains(t, err, "no body")
	assert.Error(t, squaretest.ValidateAnswer("POST", counts, []byte(`{"counts":[{"quantity":7}]}`)))
	assert.Error(t, squaretest.ValidateAnswer("POST", counts, []byte(`{} {}`)))
	assert.NoError(t, squaretest.ValidateAnswer("POST", counts, []byte(`{"counts":[{"quantity":"7"}]}`)))
}
