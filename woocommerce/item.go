package woocommerce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// rowFields are the fields of a [row].
const rowFields = "id,type,sku,parent_id,manage_stock,stock_quantity"

// A row is a product or a variation as a list shows it.
type row struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	SKU      string `json:"sku"`
	ParentID int64  `json:"parent_id"`
	Stock    stock  `json:"manage_stock"`
	Quantity figure `json:"stock_quantity"`
}

// item drops what the shop showed at the time.
func (r row) item() item {
	it := item{id: r.ID, stock: r.Stock}
	if r.variation() {
		it.parent = r.ParentID
	}
	return it
}

// variation knows those of subscriptions and other plugins too, such as
// "subscription_variation".
func (r row) variation() bool {
	return r.Type == "variation" || strings.HasSuffix(r.Type, "_variation")
}

// stock says whose figure an item shows: WooCommerce's manage_stock.
type stock string

const (
	managed   stock = "managed"   // true: its own
	unmanaged stock = "unmanaged" // false: none
	byParent  stock = "by parent" // "parent": its parent's
)

func (s *stock) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "true":
		*s = managed
	case "false":
		*s = unmanaged
	case `"parent"`:
		*s = byParent
	default:
		return fmt.Errorf("manage_stock is %.20q", data)
	}
	return nil
}

// A figure is a stock_quantity: null for an item without one.
type figure struct {
	n     int
	whole bool // n is the figure; otherwise there is none, or a plugin made it a fraction
	shown bool // the field was there
}

func (f *figure) UnmarshalJSON(data []byte) error {
	*f = figure{shown: true}
	if string(data) == "null" {
		return nil
	}
	if n, err := strconv.Atoi(string(data)); err == nil && n < 1<<53 && n > -1<<53 {
		f.n, f.whole = n, true
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(bytes.Trim(data, `"`), &number); err != nil {
		return fmt.Errorf("stock_quantity is %.20q", data)
	}
	x, err := number.Float64()
	if err != nil {
		return fmt.Errorf("stock_quantity is %.20q", data)
	}
	if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		f.n, f.whole = int(x), true
	}
	return nil
}

func (f figure) String() string {
	if !f.whole {
		return "no whole number"
	}
	return strconv.Itoa(f.n)
}

// An item is what must be known of a product or variation to write its stock.
type item struct {
	id     int64
	parent int64 // of a variation, otherwise 0
	stock  stock
}

// ref is the item as a channel.Level's Ref: readable, and enough to write
// without looking the SKU up again.
func (it item) ref() string {
	text := "product " + strconv.FormatInt(it.id, 10)
	if it.parent != 0 {
		text = "variation " + strconv.FormatInt(it.id, 10) + " of " + strconv.FormatInt(it.parent, 10)
	}
	if it.stock != managed {
		text += ", " + string(it.stock)
	}
	return text
}

// parseRef is the inverse of ref.
func parseRef(ref string) (item, bool) {
	name, how, found := strings.Cut(ref, ", ")
	it := item{stock: managed}
	if found {
		it.stock = stock(how)
	}
	var err error
	if ids, ok := strings.CutPrefix(name, "variation "); ok {
		id, parent, _ := strings.Cut(ids, " of ")
		it.id, err = strconv.ParseInt(id, 10, 64)
		if err == nil {
			it.parent, err = strconv.ParseInt(parent, 10, 64)
		}
	} else {
		it.id, err = strconv.ParseInt(strings.TrimPrefix(name, "product "), 10, 64)
	}
	return it, err == nil && it.id > 0 && it.parent >= 0 && it.ref() == ref &&
		(it.stock == managed || it.stock == unmanaged || it.stock == byParent && it.parent > 0)
}
