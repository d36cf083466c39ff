package ecosiretest_test

import (
	"fmt"
	"net/http"

	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

func Example() {
	fake := ecosiretest.New(ecosiretest.Config{})
	ids := fake.Add(ecosiretest.Product{SKU: "WGT-PRO-001", OnHand: 142})
	fake.Sell(ids[0], 2)

	req, _ := http.NewRequest("GET", "https://api.ecosire.com/api/inventory/products", nil)
	req.Header.Set("Authorization", "Bearer eco_live_test")
	resp, err := fake.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("X-RateLimit-Remaining"), "requests left")
	fmt.Println(len(fake.Requests()), "request made")
	// Output:
	// 200 59 requests left
	// 1 request made
}
