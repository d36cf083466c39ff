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
	ms := func(d time.Duration) string { return d.String() }
	out := newTable("services", "service", "quota", "a request takes")
	out.row("ECOSIRE", fmt.Sprintf("%d requests a minute, %d products each", ecosireLimit, ecosirePage), ms(ecosireTime)+" (assumed)")
	out.row("Shopify, Standard", fmt.Sprintf("%s points, and %d more a second; reading %d items is about %d, writing them %d",
		number(shopifyBucket), shopifyRate, shopifyPage, shopifyRead, shopifyWrite),
		fmt.Sprintf("%s (assumed); a bulk operation %s an item (assumed)", ms(shopifyTime), ms(bulkTime)))
	out.row("WooCommerce", fmt.Sprintf("%d requests at a time, on as many cores", wooParallel),
		fmt.Sprintf("%s, and %s for each product read and %s for each one written (measured on a small shop)", ms(wooTime), ms(wooRead), ms(wooWrite)))
	out.row("Amazon", fmt.Sprintf("%d requests a second for reading, %d listings each, and as many for writing, one each", amazonRate, amazonPage),
		fmt.Sprintf("%s (assumed); a feed %s, and up to %s until it shows (assumed)", ms(amazonTime), minutes(amazonFeed), minutes(amazonLag)))
	out.row("Square", fmt.Sprintf("not published; %s variations a read, %d counts a write", number(squareRead), squareWrite),
		fmt.Sprintf("%s, and %s for each object of the catalog (assumed)", ms(squareTime), ms(squareObject)))
	out.done(t)
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.0f minutes", d.Minutes()) }
