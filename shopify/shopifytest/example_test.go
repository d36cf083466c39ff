package shopifytest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func Example() {
	shop := shopifytest.New(shopifytest.Config{})
	shop.Add(
		shopifytest.Item{SKU: "MUG-1", Available: 5},
		shopifytest.Item{SKU: "mug-1-blue", Untracked: true},
	)
	server := httptest.NewServer(shop)
	defer server.Close()

	body := `{"query": "{ inventoryItems(first: 10, query: \"sku:'MUG-1'\") { nodes { sku tracked } } }"}`
	req, err := http.NewRequest("POST", server.URL+"/admin/api/2026-10/graphql.json", strings.NewReader(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Shopify-Access-Token", "shpat_test")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status)
	fmt.Println(string(answer))
	// Output:
	// 200 OK
	// {"data":{"inventoryItems":{"nodes":[{"sku":"MUG-1","tracked":true},{"sku":"mug-1-blue","tracked":false}]}},"extensions":{"cost":{"actualQueryCost":3,"requestedQueryCost":6,"throttleStatus":{"currentlyAvailable":1997,"maximumAvailable":2000.0,"restoreRate":100.0}}}}
}
