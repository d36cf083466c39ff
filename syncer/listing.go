package syncer

import (
	"math"

	"github.com/ecosire/stocksync/channel"
)

// A Listing is what a channel shows under one SKU. Most listings are one unit
// of one product, under the product's own SKU. A product under another name, a
// pack of six, and a kit of several products are listings, too.
type Listing struct {
	// SKU is what the channel calls it.
	SKU string
	// Parts are what one unit of the listing takes from the stock. None means
	// one unit of the product at hand.
	Parts []Part
}

// A Part is a product in a [Listing].
type Part struct {
	ProductID string
	Units     int // at least 1, and less than 2⁵³
}

func (p *Part) sound() bool { return p.ProductID != "" && p.Units >= 1 && sound(p.Units) }

// maxSound is the largest number that can be a quantity.
const maxSound = int(min(1<<53-1, int64(math.MaxInt)))

// times is how many units so many listings take. Where that is no quantity any more
// it is the largest that is one, so that nothing overflows.
func times(listings, units int) int {
	if units > 0 && listings > maxSound/units {
		return maxSound
	}
	return listings * units
}

// Renamed lists every product under the SKU that name returns, for a channel that
// knows products by other SKUs; "" leaves a product out. It is a value for the
// field Listings of a [Target]. name may be called by several goroutines at once.
func Renamed(name func(channel.Stock) string) func(channel.Stock) []Listing {
	return func(s channel.Stock) []Listing {
		if sku := name(s); sku != "" {
			return []Listing{{SKU: sku}}
		}
		return nil
	}
}

// Pack is a listing of several units of one product.
func Pack(sku string, product channel.Stock, units int) Listing {
	return Listing{SKU: sku, Parts: []Part{{product.ProductID, units}}}
}
