package shopify

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// An Error is what Shopify answered instead of doing what it was asked. It
// matches the sentinel errors of package channel with [errors.Is]:
//
//   - [channel.ErrUnauthorized]: 401, 403, ACCESS_DENIED
//   - [channel.ErrUnavailable]: 402 (the shop is frozen), 423 (locked), 430
//     (rejected as suspicious), 429, 5xx, THROTTLED, SHOP_INACTIVE, a location
//     that is closed or not the shop's, and answers that make no sense
//   - for one row of a write, by its code: [channel.ErrConflict],
//     [channel.ErrUnknownSKU], [channel.ErrShared], [channel.ErrNotStocked],
//     [channel.ErrInvalid]
//
// All its texts are of bounded length, on one line, and without credentials.
type Error struct {
	// Op is the operation, such as "inventorySetQuantities".
	Op string
	// Status is the HTTP status. Most errors of GraphQL come with 200. It is 0
	// if there was no answer.
	Status int
	// Codes are Shopify's codes, such as "THROTTLED", those of user errors
	// included.
	Codes []string
	// Message is Shopify's own text, shortened, without credentials.
	Message string
	// RequestID is what Shopify's support asks for, if it was told.
	RequestID string

	retryAfter time.Duration
	nonsense   bool // the answer could not be understood
	user       bool // it is made of user errors
	final      bool // it is not about a part of the request
}

// Error names the operation, the status, the codes and the message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("shopify: " + e.Op)
	if e.Status != 0 && e.Status != http.StatusOK {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	if len(e.Codes) > 0 {
		b.WriteString(": " + strings.Join(e.Codes, ", "))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// meanings says what Shopify's codes mean for a channel.
var meanings = map[string]error{
	"ACCESS_DENIED": channel.ErrUnauthorized,

	"THROTTLED":                           channel.ErrUnavailable,
	"SHOP_INACTIVE":                       channel.ErrUnavailable,
	"INTERNAL_SERVER_ERROR":               channel.ErrUnavailable,
	"TIMEOUT":                             channel.ErrUnavailable,
	"OPERATION_IN_PROGRESS":               channel.ErrUnavailable,
	"LIMIT_REACHED":                       channel.ErrUnavailable,
	"INVALID_LOCATION":                    channel.ErrUnavailable,
	"IDEMPOTENCY_CONCURRENT_REQUEST":      channel.ErrUnavailable,
	"IDEMPOTENCY_KEY_PARAMETER_MISMATCH":  channel.ErrUnavailable,
	"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": channel.ErrUnavailable,

	"CHANGE_FROM_QUANTITY_STALE":                   channel.ErrConflict,
	"COMPARE_QUANTITY_STALE":                       channel.ErrConflict,
	"COMPARE_QUANTITY_REQUIRED":                    channel.ErrConflict, // read it, and write on top of that
	"NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": channel.ErrConflict,
	"INVALID_INVENTORY_ITEM":                       channel.ErrUnknownSKU,
	"NON_MUTABLE_INVENTORY_ITEM":                   channel.ErrShared,
	"ITEM_NOT_STOCKED_AT_LOCATION":                 channel.ErrNotStocked,
	"INVALID_QUANTITY_NEGATIVE":                    channel.ErrInvalid,
	"INVALID_QUANTITY_TOO_HIGH":                    channel.ErrInvalid,
	"INVALID_QUANTITY_TOO_LOW":                     channel.ErrInvalid,
}

// Is maps the error onto the sentinel errors of package channel.
func (e *Error) Is(target error) bool {
	for _, code := range e.Codes {
		if meaning := meanings[code]; meaning != nil && meaning == target {
			return true
		}
	}
	switch target {
	case channel.ErrUnauthorized:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	case channel.ErrUnavailable:
		return e.nonsense || e.Status >= 500 || slices.Contains([]int{
			http.StatusPaymentRequired, http.StatusLocked, http.StatusTooManyRequests, statusSuspicious}, e.Status)
	}
	return false
}

// RetryAfter returns how long the shop asked to be left alone, at most 15
// minutes, or 0.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

func (e *Error) has(code string) bool { return slices.Contains(e.Codes, code) }

// fatal reports whether the shop should not be asked again now: it is frozen,
// locked, throttled, or does not accept the app, the location, or what is the
// same in every request.
func (e *Error) fatal() bool {
	for _, code := range wholeCodes {
		if e.has(code) {
			return true
		}
	}
	return e.final || e.Is(channel.ErrUnauthorized) || slices.Contains([]int{
		http.StatusPaymentRequired, http.StatusNotFound, http.StatusLocked, http.StatusTooManyRequests, statusSuspicious}, e.Status)
}

// wholeCodes are not about a part of a request, even where they name one.
var wholeCodes = []string{
	"SHOP_INACTIVE", "THROTTLED", "INVALID_LOCATION", "INVALID_NAME", "INVALID_REASON", "INVALID_REFERENCE_DOCUMENT",
}

// statusSuspicious is how Shopify rejects what looks like an attack.
const statusSuspicious = 430

// advice says what a status means where its name does not.
var advice = map[int]string{
	http.StatusUnauthorized:    "the access token is refused: it was revoked, or belongs to another shop",
	http.StatusPaymentRequired: "the shop is frozen until its owner has paid",
	http.StatusForbidden:       "the app lacks a scope: it needs read_inventory and write_inventory",
	http.StatusNotFound:        "there is no such shop or API version: check Config.Shop",
	http.StatusLocked:          "the shop is locked",
	statusSuspicious:           "Shopify rejects the request as suspicious",
}

// unusable is the error for an answer that cannot be understood. It never
// counts as an answer about an SKU.
func unusable(op, message string) *Error { return &Error{Op: op, Message: message, nonsense: true} }

const (
	maxCode  = 64 // bytes of a code or an id
	maxCodes = 8  // of one error
	maxSaid  = 5  // messages of one error
)

// said makes a text of Shopify's fit to be printed. token is kept out of it,
// like the secrets that the client knows.
func (c *Client) said(s, token string) string {
	const most = 64 << 10 // more than is printed of anything
	if len(s) > most {
		s = s[:most-min(len(token), most)] // a token that is cut is none to be found
	}
	hide := func(s string) string {
		if token == "" {
			return s
		}
		return strings.ReplaceAll(s, token, redacted)
	}
	return hide(c.http.Message(hide(s)))
}

// addCode adds a code of Shopify's to an error.
func (c *Client) addCode(e *Error, code, token string) {
	if code = text.Cut(c.said(code, token), maxCode); code != "" && !e.has(code) && len(e.Codes) < maxCodes {
		e.Codes = append(e.Codes, code)
	}
}

// sayAll joins the first few messages.
func (c *Client) sayAll(messages []string, token string) string {
	var some []string
	for _, m := range messages[:min(len(messages), maxSaid)] {
		if m = c.said(m, token); m != "" && !slices.Contains(some, m) {
			some = append(some, m)
		}
	}
	return text.Clean(strings.Join(some, "; "))
}

// refusal makes an error of user errors. Without any, the shop gave no reason.
func (c *Client) refusal(op operation, errs []userError) *Error {
	e := &Error{Op: op.name, Status: http.StatusOK, user: true}
	var messages []string
	for _, u := range errs {
		c.addCode(e, u.code, u.token)
		messages = append(messages, u.message)
	}
	token := ""
	if len(errs) > 0 {
		token = errs[0].token
	}
	e.Message = cmp.Or(c.sayAll(messages, token), "no reason given")
	return e
}
