package woocommerce

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// An Error is an answer of the shop that is not what was asked for: a refusal,
// a failure, or something else than the REST API's JSON.
//
// It matches channel.ErrUnauthorized for the statuses 401 and 403,
// channel.ErrUnknownSKU for an id that the shop does not know (any more), and
// channel.ErrUnavailable for a server's failure, a redirect and whatever does
// not come from WooCommerce. Of the refusal of one item of a batch, it matches
// the error of package channel that fits its code: it is then about that item
// only, and never channel.ErrUnauthorized. Its text holds no query string and no
// credentials.
type Error struct {
	// Op is the method and the address, without its query.
	Op string
	// Status is the HTTP status; of one item of a batch, the item's own.
	Status int
	// Code is WooCommerce's, such as "woocommerce_rest_cannot_view", or "".
	Code string
	// Message is WooCommerce's message as plain text, or says what the shop
	// answered in place of one. Where PHP failed it has PHP's own words and the
	// plugin that it failed in.
	Message string

	hint  string
	item  bool // it is about one item of a batch, and not about the key
	whole bool // it is about the shop, whatever was asked for
	page  bool // it is a page in place of an answer that says success
	wait  time.Duration
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "woocommerce: %s: %d", e.Op, e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	b.WriteString(": " + e.Message)
	if e.hint != "" {
		b.WriteString(" (" + e.hint + ")")
	}
	return b.String()
}

// Is reports whether target is the error of package channel that e amounts to.
func (e *Error) Is(target error) bool {
	kind := e.kind()
	return kind != nil && kind == target
}

// RetryAfter is how long the shop asked to be left alone, or 0.
func (e *Error) RetryAfter() time.Duration { return e.wait }

func (e *Error) kind() error {
	switch e.Code {
	case "woocommerce_rest_product_invalid_id", codeVariationInvalidID:
		return channel.ErrUnknownSKU
	case "woocommerce_rest_invalid_product_id":
		return channel.ErrConflict // it is a variation by now, or was one
	case "product_external_invalid_manage_stock", "product_grouped_invalid_manage_stock":
		return channel.ErrNotTracked
	}
	switch {
	case e.item && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
		return channel.ErrInvalid
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return channel.ErrUnauthorized
	case e.Status < 400, e.Status >= 500, e.Status == http.StatusRequestTimeout,
		e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestEntityTooLarge,
		e.Code == "", e.Code == "rest_no_route":
		return channel.ErrUnavailable
	case e.item:
		return channel.ErrInvalid
	}
	return nil
}

const codeVariationInvalidID = "woocommerce_rest_product_variation_invalid_id"
