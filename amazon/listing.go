package amazon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// merchant is the fulfilment channel of what the merchant ships, the only one
// whose quantity is the merchant's to set.
const merchant = "DEFAULT"

// unsetRef is the Ref of a listing without any record of availability.
const unsetRef = "new"

const maxSKU = 40 // characters

// maxQuantity is what a quantity may be at most. Amazon names no bound.
const maxQuantity = 1<<31 - 1

// refuseSKU says why Amazon cannot have an SKU, or nil.
func refuseSKU(sku string) error {
	switch {
	case !utf8.ValidString(sku):
		return &refused{"amazon: the SKU is not valid UTF-8", channel.ErrInvalid}
	case utf8.RuneCountInString(sku) > maxSKU:
		return &refused{fmt.Sprintf("amazon: the SKU has more than %d characters", maxSKU), channel.ErrInvalid}
	}
	return nil
}

// A row is a listing as an answer has it.
type row struct {
	sku   string // "" if the row has none that can be read
	level channel.Level
}

// readRow reads a listing. What is wrong with it is its level's error.
func (ch *Channel) readRow(op string, v strictjson.Value) row {
	var r strictjson.Row
	r.Read(v)
	out := row{sku: r.Text("sku")}
	if r.Err() != nil {
		out.sku = ""
	}
	var records []strictjson.Value
	if r.Has("fulfillmentAvailability") {
		records = r.Elements("fulfillmentAvailability")
	}
	wrong := r.Err()
	if wrong == nil && out.sku == "" {
		wrong = errors.New("its SKU is empty")
	}
	quantities := make(map[string]*int)
	var codes []string
	for _, v := range records {
		r.Read(v)
		code := r.Text("fulfillmentChannelCode")
		var quantity *int
		if r.Has("quantity") {
			quantity = new(r.Int("quantity"))
		}
		_, twice := quantities[code]
		switch {
		case wrong != nil:
		case r.Err() != nil:
			wrong = r.Err()
		case twice:
			wrong = fmt.Errorf("there are two records for %s", text.Cut(code, 50))
		case quantity != nil && *quantity < 0:
			wrong = fmt.Errorf("the quantity is %d", *quantity)
		}
		quantities[code] = quantity
		codes = append(codes, code)
	}
	out.level = ch.level(codes, quantities[merchant])
	if wrong != nil {
		out.level = channel.Level{Err: &Error{Op: op, Status: 200, Message: conceal(text.Clean("the listing makes no sense: " + wrong.Error())), kind: channel.ErrUnavailable, own: true}}
	}
	out.level.SKU = out.sku
	return out
}

// level says what a listing shows, given the codes of its records and what the
// merchant's has for a quantity.
func (ch *Channel) level(codes []string, quantity *int) channel.Level {
	slices.Sort(codes)
	ref := unsetRef
	if len(codes) > 0 {
		ref = text.Cut(strings.Join(codes, "+"), 100)
	}
	own, amazons := slices.Contains(codes, merchant), false
	for _, code := range codes {
		switch {
		case code == merchant:
		case strings.HasPrefix(code, "AMAZON_"):
			amazons = true
		default:
			return channel.Level{Ref: ref, Err: &refused{
				"the stock of this listing is kept by location (" + text.Cut(code, 50) + "), and its own quantity must stay 0", channel.ErrShared}}
		}
	}
	switch {
	case amazons && !own:
		return channel.Level{Ref: ref, Err: &refused{
			"Amazon fulfils this listing (" + ref + ") from its own warehouses: a quantity would make it an offer that the merchant has to ship, too", channel.ErrShared}}
	case quantity == nil:
		return channel.Level{Ref: ref, Unset: true, OffSale: true} // nobody can buy an offer without a quantity
	}
	return channel.Level{Ref: ref, Quantity: *quantity}
}

// writable reports whether a level is one of this channel's that was read well,
// so that the listing exists and may be given a quantity.
func writable(l *channel.Level) bool {
	if l == nil || l.Err != nil {
		return false
	}
	return l.Ref == unsetRef || slices.Contains(strings.Split(l.Ref, "+"), merchant)
}
