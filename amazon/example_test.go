package amazon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
)

// Read, compare, write: what a syncer does with a channel.
func Example() {
	seller := amazontest.New(amazontest.Config{SellerID: "A2ACME"})
	seller.Add(
		amazontest.Listing{SKU: "MUG RED", Quantity: 5},
		amazontest.Listing{SKU: "MUG-BLUE", FBA: true},
	)

	client, err := amazon.New(amazon.Config{
		SellerID:    "A2ACME",
		Region:      amazon.NorthAmerica,
		Credentials: amazon.NewCredentials(amazontest.ClientID, amazontest.ClientSecret, amazontest.RefreshToken),
		HTTPClient:  seller.Client(), // not in production
	})
	if err != nil {
		log.Fatal(err)
	}
	stores, err := client.Channel(amazon.ChannelConfig{MarketplaceID: "ATVPDKIKX0DER"})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	levels, err := stores.Levels(ctx, []string{"MUG RED", "MUG-GREEN"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(levels), levels[0].SKU, levels[0].Quantity)

	err = stores.Push(ctx, []channel.Update{
		{SKU: "MUG RED", Quantity: 3, Seen: &levels[0]},
		{SKU: "MUG-BLUE", Quantity: 3},
		{SKU: "MUG-GREEN", Quantity: 3},
	})
	errs, _ := err.(channel.Errors)
	fmt.Println(errors.Is(errs["MUG RED"], channel.ErrPending), "within", stores.Lag())
	fmt.Println(errs["MUG-BLUE"])
	fmt.Println(errs["MUG-GREEN"])
	// Output:
	// 1 MUG RED 5
	// true within 15m0s
	// Amazon fulfils this listing (AMAZON_NA) from its own warehouses: a quantity would make it an offer that the merchant has to ship, too
	// unknown SKU "MUG-GREEN"
}

// Whatever else the API offers goes through Do, with the same credentials and
// the same errors.
func ExampleClient_Do() {
	seller := amazontest.New(amazontest.Config{})
	seller.Add(amazontest.Listing{SKU: "MUG 1/2", Quantity: 5, HandlingDays: 3})
	client, err := amazon.New(amazon.Config{
		SellerID: "A1TESTSELLER", Region: amazon.NorthAmerica, HTTPClient: seller.Client(),
		Credentials: amazon.NewCredentials(amazontest.ClientID, amazontest.ClientSecret, amazontest.RefreshToken),
	})
	if err != nil {
		log.Fatal(err)
	}
	var item struct {
		Attributes map[string]any
	}
	path := "/listings/2021-08-01/items/A1TESTSELLER/" + url.PathEscape("MUG 1/2")
	query := url.Values{"marketplaceIds": {"ATVPDKIKX0DER"}, "includedData": {"attributes"}}
	err = client.Do(context.Background(), http.MethodGet, path, query, nil, &item)
	fmt.Println(item.Attributes, err)
	// Output: map[fulfillment_availability:[map[fulfillment_channel_code:DEFAULT lead_time_to_ship_max_days:3 quantity:5]]] <nil>
}

// The client secret is replaced every 180 days, without a restart.
func ExampleCredentials_Rotate() {
	credentials := amazon.NewCredentials("amzn1.application-oa2-client.1", "old", "Atzr|1")
	credentials.Rotate("new")
	fmt.Println(credentials)
	// Output: amazon.Credentials([redacted])
}
