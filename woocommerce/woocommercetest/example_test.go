package woocommercetest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func Example() {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(
		woocommercetest.Product{ID: 11, SKU: "MUG", Quantity: 5},
		woocommercetest.Product{ID: 12, SKU: "GIFT-CARD", Stock: woocommercetest.Unmanaged},
	)

	ask := func(method, path, body string) {
		req, err := http.NewRequest(method, "https://shop.test/wp-json/wc/v3/"+path, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.SetBasicAuth("ck_test", "cs_test")
		req.Header.Set("Content-Type", "application/json")
		resp, err := shop.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		fmt.Println(resp.Status, string(answer))
	}
	ask("GET", "products?sku=mug,GIFT-CARD&orderby=id&order=asc&_fields=sku,stock_quantity", "")
	ask("POST", "products/batch?_fields=update.0.stock_quantity,update.1.stock_quantity",
		`{"update": [{"id": 11, "stock_quantity": 3}, {"id": 12, "stock_quantity": 3}]}`)

	n, _ := shop.Quantity("MUG")
	fmt.Println("MUG:", n)

	// Output:
	// 200 OK [{"sku":"MUG","stock_quantity":5},{"sku":"GIFT-CARD","stock_quantity":null}]
	// 200 OK {"update":[{"stock_quantity":3},{"stock_quantity":null}]}
	// MUG: 3
}
