package amazontest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/ecosire/stocksync/amazon/amazontest"
)

func Example() {
	seller := amazontest.New(amazontest.Config{})
	seller.Add(amazontest.Listing{SKU: "MUG-1", Quantity: 5})
	server := httptest.NewServer(seller)
	defer server.Close()

	resp, err := http.PostForm(server.URL+"/auth/o2/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {amazontest.RefreshToken},
		"client_id": {amazontest.ClientID}, "client_secret": {amazontest.ClientSecret},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, _ := io.ReadAll(resp.Body)
	_, rest, _ := strings.Cut(string(answer), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)

	req, err := http.NewRequest("GET", server.URL+"/listings/2021-08-01/items/A1TESTSELLER/MUG-1?marketplaceIds=ATVPDKIKX0DER&includedData=fulfillmentAvailability", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("x-amz-access-token", token)
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, _ = io.ReadAll(resp.Body)
	fmt.Println(resp.Status, resp.Header.Get("x-amzn-RateLimit-Limit"))
	fmt.Println(string(answer))
	// Output:
	// 200 OK 5
	// {"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":5}],"sku":"MUG-1"}
}
