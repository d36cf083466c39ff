package woocommerce

import (
	"strconv"
	"strings"
)

// An item is what must be known of a product or variation to write its stock.
type item struct {
	id     int64
	parent int64 // of a variation, otherwise 0
	stock  stock
	out    bool // it is out of stock by a switch, or for the quantity that it shows
}

// ref is the item as a channel.Level's Ref: readable, and enough to write
// without looking the SKU up again.
func (it item) ref() string {
	var room [64]byte
	return string(it.appendRef(room[:0]))
}

func (it item) appendRef(text []byte) []byte {
	if it.id <= 0 {
		return text
	}
	if it.parent != 0 {
		text = strconv.AppendInt(append(text, "variation "...), it.id, 10)
		text = strconv.AppendInt(append(text, " of "...), it.parent, 10)
	} else {
		text = strconv.AppendInt(append(text, "product "...), it.id, 10)
	}
	if it.stock != managed {
		text = append(append(text, ", "...), it.stock...)
		if it.stock == unmanaged && it.out {
			text = append(text, outOfStock...)
		}
	}
	return text
}

const outOfStock = " and out of stock"

// parseRef is the inverse of ref.
func parseRef(ref string) (item, bool) {
	name, how, found := strings.Cut(ref, ", ")
	it := item{stock: managed}
	if found {
		how, it.out = strings.CutSuffix(how, outOfStock)
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
	var room [64]byte
	return it, err == nil && it.id > 0 && it.parent >= 0 && string(it.appendRef(room[:0])) == ref &&
		(it.stock == managed || it.stock == unmanaged || it.stock == byParent && it.parent > 0)
}

// refs names several items; parseRefs is its inverse.
func refs(items []item) string {
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.ref()
	}
	return strings.Join(names, "; ")
}

func parseRefs(ref string) (items []item, ok bool) { return appendItems(nil, ref) }

// appendItems appends what a ref names, if that makes sense.
func appendItems(items []item, ref string) (_ []item, ok bool) {
	for part := range strings.SplitSeq(ref, "; ") {
		it, ok := parseRef(part)
		if !ok {
			return nil, false
		}
		items = append(items, it)
	}
	return items, true
}
