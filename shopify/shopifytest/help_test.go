package shopifytest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const endpoint = "https://test-shop.myshopify.com/admin/api/2026-10/graphql.json"

// An answer is what the shop says to a query.
type answer struct {
	status int
	header http.Header
	text   string

	Data   map[string]any `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
	Extensions struct {
		Cost struct {
			Requested float64  `json:"requestedQueryCost"`
			Actual    *float64 `json:"actualQueryCost"`
			Throttle  struct {
				Maximum   float64 `json:"maximumAvailable"`
				Available float64 `json:"currentlyAvailable"`
				Rate      float64 `json:"restoreRate"`
			} `json:"throttleStatus"`
		} `json:"cost"`
	} `json:"extensions"`
}

func post(t *testing.T, client *http.Client, url, token string, body any) *answer {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Shopify-Access-Token", token)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := &answer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if a.status == http.StatusOK {
		require.NoError(t, json.Unmarshal(text, a), "%s", text)
	}
	return a
}

func ask(t *testing.T, s *shopifytest.Server, query string, variables any) *answer {
	t.Helper()
	return post(t, s.Client(), endpoint, "shpat_test", map[string]any{"query": query, "variables": variables})
}

// data asks and returns the data as JSON; there must be no errors.
func data(t *testing.T, s *shopifytest.Server, query string, variables any) string {
	t.Helper()
	a := ask(t, s, query, variables)
	require.Equal(t, http.StatusOK, a.status, a.text)
	require.Empty(t, a.Errors, a.text)
	var raw struct {
		Data json.RawMessage `json:"data"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.text), &raw))
	return string(raw.Data)
}

// code is the code of the only error.
func (a *answer) code(t *testing.T) string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.text)
	require.Len(t, a.Errors, 1, a.text)
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

// at follows a path of keys and indexes into the data.
func (a *answer) at(path ...any) any {
	var v any = a.Data
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// unsupported checks that the fake says that it does not do something.
func unsupported(t *testing.T, a *answer) {
	t.Helper()
	assert.Equal(t, http.StatusNotImplemented, a.status, a.text)
	assert.Contains(t, a.text, "fake does not do")
}

const setMutation = `mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
	inventorySetQuantities(input: $input) @idempotent(key: $key) {
		inventoryAdjustmentGroup { id reason referenceDocumentUri changes(quantityNames: ["available"]) { name delta item { sku } } }
		userErrors { code field message }
	}
}`

type object = map[string]any

func row(s *shopifytest.Server, id string, quantity int, from any) object {
	return object{"inventoryItemId": id, "locationId": s.Location(), "quantity": quantity, "changeFromQuantity": from}
}

func input(rows ...object) object {
	return object{"name": "available", "reason": "correction", "referenceDocumentUri": "gid://stocksync/SyncRun/1", "quantities": rows}
}

var keys int

// set writes with a key of its own.
func set(t *testing.T, s *shopifytest.Server, in object) *answer {
	t.Helper()
	keys++
	return ask(t, s, setMutation, object{"input": in, "key": fmt.Sprintf("key-%d", keys)})
}

// A refusal is a user error without its message.
type refusal struct {
	code  any
	field string
}

func refusals(t *testing.T, a *answer, mutation string) (all []refusal) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.text)
	require.Empty(t, a.Errors, a.text)
	list, ok := a.at(mutation, "userErrors").([]any)
	require.True(t, ok, a.text)
	for _, v := range list {
		e := v.(map[string]any)
		field := ""
		if path, ok := e["field"].([]any); ok {
			for i, step := range path {
				if i > 0 {
					field += "."
				}
				field += step.(string)
			}
		}
		assert.NotEmpty(t, e["message"])
		all = append(all, refusal{e["code"], field})
	}
	return all
}
