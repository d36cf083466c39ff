package bench

import (
	"fmt"
	"testing"
	"time"
)

// What the services of all other tables take, from the constants that they are
// made with.
func TestServices(t *testing.T) {
	measured(t)
	out := newTable("services", "service", "quota", "a request takes")
	out.row("ECOSIRE", fmt.Sprintf("%d requests a minute, %d products each", ecosireLimit, ecosirePage), ecosireTime.String()+" (assumed)")
	out.row("Shopify, Standard", fmt.Sprintf("%s points, and %d more a second; reading %d items is about %d, writing them %d",
		number(shopifyBucket), shopifyRate, shopifyPage, shopifyRead, shopifyWrite),
		fmt.Sprintf("%v (assumed); a bulk operation %v an item (assumed)", shopifyTime, bulkTime))
	out.row("WooCommerce", fmt.Sprintf("%d requests at a time, on as many cores", wooParallel),
		fmt.Sprintf("%v, and %v for each product read and %v for each one written (measured on a small shop)", wooTime, wooRead, wooWrite))
	out.row("Amazon", fmt.Sprintf("%d requests a second for reading, %d listings each, and as many for writing, one each", amazonRate, amazonPage),
		fmt.Sprintf("%v (assumed); a feed %s, and up to %s until it shows (assumed)", amazonTime, minutes(amazonFeed), minutes(amazonLag)))
	out.row("Square", fmt.Sprintf("not published; %s variations a read, %d counts a write", number(squareRead), squareWrite),
		fmt.Sprintf("%v, and %v for each object of the catalog (assumed)", squareTime, squareObject))
	out.done(t)
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.0f minutes", d.Minutes()) }
