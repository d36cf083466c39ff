package shopifytest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const (
	runBulk = `mutation Run($query: String!) {
		bulkOperationRunQuery(query: $query) { bulkOperation { id status url } userErrors { code field message } }
	}`
	pollBulk  = `query Poll($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount fileSize url partialDataUrl completedAt } }`
	allItems  = `{ inventoryItems { edges { node { id sku tracked } } } }`
	bulkField = "bulkOperationRunQuery"
)

func startBulk(t *testing.T, s *shopifytest.Server, query string) (id any) {
	t.Helper()
	a := ask(t, s, runBulk, object{"query": query})
	require.Empty(t, refusals(t, a, bulkField))
	assert.Equal(t, "CREATED", a.at(bulkField, "bulkOperation", "status"))
	assert.Nil(t, a.at(bulkField, "bulkOperation", "url"))
	return a.at(bulkField, "bulkOperation", "id")
}

func download(t *testing.T, client *http.Client, url, header string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	require.NoError(t, err)
	if header != "" {
		req.Header.Set(header, "shpat_test")
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestBulkOperation(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Add(shopifytest.Item{SKU: "A-B"}, shopifytest.Item{}, shopifytest.Item{SKU: "C", Unindexed: true, Untracked: true})
	id := startBulk(t, s, allItems)
	a := ask(t, s, pollBulk, object{"id": id})
	assert.Equal(t, "COMPLETED", a.at("bulkOperation", "status"))
	assert.Equal(t, "3", a.at("bulkOperation", "objectCount"), "a number in quotes")
	assert.Nil(t, a.at("bulkOperation", "partialDataUrl"))
	file := a.at("bulkOperation", "url").(string)
	assert.True(t, strings.HasPrefix(file, "https://storage.shopify.test/"), file)

	status, text := download(t, s.Client(), file, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, `{"id":"gid://shopify/InventoryItem/1001","sku":"A-B","tracked":true}
{"id":"gid://shopify/InventoryItem/1002","sku":"","tracked":true}
{"id":"gid://shopify/InventoryItem/1003","sku":"C","tracked":false}
`, text)

	for _, header := range []string{"X-Shopify-Access-Token", "Authorization"} {
		status, text = download(t, s.Client(), file, header)
		assert.Equal(t, http.StatusBadRequest, status, header)
		assert.NotContains(t, text, "sku")
	}
	u, err := url.Parse(file)
	require.NoError(t, err)
	u.RawQuery = ""
	status, _ = download(t, s.Client(), u.String(), "")
	assert.Equal(t, http.StatusForbidden, status, "the URL is the only credential")
	u.Path = "/admin/api/2026-10/graphql.json"
	status, _ = download(t, s.Client(), u.String(), "")
	assert.Equal(t, http.StatusNotFound, status, "the host has files only")

	assert.Equal(t, "COMPLETED", ask(t, s, `{ currentBulkOperation { status } }`, nil).at("currentBulkOperation", "status"))
}

func TestABulkResultWithoutRowsHasNoURL(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	assert.Nil(t, ask(t, s, `{ currentBulkOperation { id } }`, nil).at("currentBulkOperation"))
	a := ask(t, s, pollBulk, object{"id": startBulk(t, s, allItems)})
	assert.Equal(t, "COMPLETED", a.at("bulkOperation", "status"))
	assert.Nil(t, a.at("bulkOperation", "url"))
	assert.Equal(t, "0", a.at("bulkOperation", "objectCount"))
}

func TestABulkOperationTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{BulkTime: 10 * time.Second})
		s.Add(shopifytest.Item{SKU: "A"})
		id := startBulk(t, s, allItems)
		s.Rename("A", "B")
		time.Sleep(9999 * time.Millisecond)
		a := ask(t, s, pollBulk, object{"id": id})
		assert.Equal(t, "RUNNING", a.at("bulkOperation", "status"))
		assert.Nil(t, a.at("bulkOperation", "url"))
		assert.Nil(t, a.at("bulkOperation", "completedAt"))
		for range 4 {
			startBulk(t, s, allItems)
		}
		assert.Equal(t, []refusal{{"OPERATION_IN_PROGRESS", ""}}, refusals(t, ask(t, s, runBulk, object{"query": allItems}), bulkField))
		time.Sleep(time.Millisecond)
		a = ask(t, s, pollBulk, object{"id": id})
		assert.Equal(t, "COMPLETED", a.at("bulkOperation", "status"))
		_, text := download(t, s.Client(), a.at("bulkOperation", "url").(string), "")
		assert.Contains(t, text, `"sku":"A"`, "the file shows the shop as it was at the start")
		startBulk(t, s, allItems)
	})
}

func TestABulkFileIsAtTheSameHostOverASocket(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Add(shopifytest.Item{SKU: "A"})
	for _, server := range []*httptest.Server{httptest.NewServer(s), httptest.NewTLSServer(s)} {
		defer server.Close()
		id := startBulk(t, s, allItems)
		a := post(t, server.Client(), server.URL+"/admin/api/2026-10/graphql.json", "shpat_test",
			object{"query": pollBulk, "variables": object{"id": id}})
		file := a.at("bulkOperation", "url").(string)
		assert.True(t, strings.HasPrefix(file, server.URL+"/"), file)
		status, text := download(t, server.Client(), file, "")
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, text, `"sku":"A"`)
	}
}

func TestBulkQueriesThatCannotBe(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"})
	for _, query := range []string{`{ inventoryItems { edges { node { secret } } } }`, `{`, `query($n: Int!) { inventoryItems(first: $n) { edges { node { id } } } }`} {
		assert.Equal(t, []refusal{{"INVALID", "query"}}, refusals(t, ask(t, s, runBulk, object{"query": query}), bulkField), query)
	}
	for _, query := range []string{
		`{ shop { name } }`,
		`{ inventoryItems { nodes { id } } }`,
		`{ inventoryItems(first: 5) { edges { node { id } } } }`,
		`{ inventoryItems { edges { cursor node { id } } } }`,
		`{ inventoryItems { edges { node { id inventoryLevels { edges { node { id } } } } } } }`,
		`{ inventoryItems { edges { node { id variant { id } } } } }`,
		`mutation { inventoryItemUpdate(id: "gid://shopify/InventoryItem/1001", input: {tracked: false}) { userErrors { field } } }`,
	} {
		unsupported(t, ask(t, s, runBulk, object{"query": query}))
	}
	a := ask(t, s, pollBulk, object{"id": startBulk(t, s, `{ inventoryItems(query: "sku:'B'") { edges { node { sku } } } }`)})
	_, text := download(t, s.Client(), a.at("bulkOperation", "url").(string), "")
	assert.Equal(t, "{\"sku\":\"B\"}\n", text)
}
