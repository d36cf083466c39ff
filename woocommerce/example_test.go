package woocommerce_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// Show two quantities in a shop. The shop is one in memory here.
func Example() {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(woocommercetest.Product{SKU: "MUG-BLUE", Quantity: 3}, woocommercetest.Product{SKU: "MUG-RED", Quantity: 8})

	client, err := woocommerce.New(woocommerce.Config{
		URL:            "https://shop.example",
		ConsumerKey:    "ck_test",
		ConsumerSecret: "cs_test",
		HTTPClient:     shop.Client(), // leave this out for a real shop
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ch, err := client.Channel(woocommerce.ChannelConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = ch.Push(context.Background(), []channel.Update{
		{SKU: "MUG-BLUE", Quantity: 5},
		{SKU: "Mug-Red", Quantity: 0},
	})
	fmt.Println(err)
	levels, err := ch.Levels(context.Background(), []string{"MUG-BLUE"})
	fmt.Println(levels[0].SKU, levels[0].Quantity, err)
	// Output:
	// 1 not shown; "Mug-Red": unknown SKU "Mug-Red": did you mean "MUG-RED"? SKUs must match exactly
	// MUG-BLUE 5 <nil>
}

// Call an endpoint that has no method here.
func ExampleClient_Do() {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(woocommercetest.Product{ID: 11, SKU: "MUG-BLUE", Quantity: 3})
	client, err := woocommerce.New(woocommerce.Config{
		URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: shop.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var product struct {
		SKU string `json:"sku"`
	}
	err = client.Do(context.Background(), http.MethodGet, "products/11", url.Values{"_fields": {"sku"}}, nil, &product)
	fmt.Println(product.SKU, err)

	err = client.Do(context.Background(), http.MethodGet, "products/12", nil, nil, &product)
	if e, ok := errors.AsType[*woocommerce.Error](err); ok {
		fmt.Println(e.Status, e.Code)
	}
	// Output:
	// MUG-BLUE <nil>
	// 404 woocommerce_rest_product_invalid_id
}
