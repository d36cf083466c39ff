package shopify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// An Error is what Shopify answered instead of doing what it was asked. It
// matches the sentinel errors of package channel with [errors.Is]:
//
//   - [channel.ErrUnauthorized]: 401, 403, ACCESS_DENIED
//   - [channel.ErrUnavailable]: 402 (the shop is frozen), 423 (locked), 430
//     (rejected as suspicious), 429, 5xx, THROTTLED, SHOP_INACTIVE, and
//     answers that make no sense
//   - for one row of a write, by its code: [channel.ErrConflict],
//     [channel.ErrUnknownSKU], [channel.ErrShared], [channel.ErrNotStocked],
//     [channel.ErrInvalid]
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

	"THROTTLED":                      channel.ErrUnavailable,
	"SHOP_INACTIVE":                  channel.ErrUnavailable,
	"INTERNAL_SERVER_ERROR":          channel.ErrUnavailable,
	"TIMEOUT":                        channel.ErrUnavailable,
	"OPERATION_IN_PROGRESS":          channel.ErrUnavailable,
	"LIMIT_REACHED":                  channel.ErrUnavailable,
	"IDEMPOTENCY_CONCURRENT_REQUEST": channel.ErrUnavailable,

	"CHANGE_FROM_QUANTITY_STALE":                   channel.ErrConflict,
	"COMPARE_QUANTITY_STALE":                       channel.ErrConflict,
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
			http.StatusPaymentRequired, http.StatusLocked, http.StatusTooManyRequests, 430}, e.Status)
	}
	return false
}

// RetryAfter returns how long the shop asked to be left alone, or 0.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

func (e *Error) has(code string) bool { return slices.Contains(e.Codes, code) }

// fatal reports whether the shop should not be asked again now: it is frozen,
// locked, or does not accept the app.
func (e *Error) fatal() bool {
	return e.Is(channel.ErrUnauthorized) || e.has("SHOP_INACTIVE") ||
		slices.Contains([]int{http.StatusPaymentRequired, http.StatusLocked, 430}, e.Status)
}

// unusable is the error for an answer that cannot be understood. It never
// counts as an answer about an SKU.
func unusable(op, message string) *Error { return &Error{Op: op, Message: message, nonsense: true} }

// An answer is what a response says: the data, or a fault.
type answer struct {
	data  json.RawMessage
	cost  *cost // nil if it was not told
	fault *Error
}

// read understands a response of the GraphQL endpoint. token is kept out of
// texts.
func (c *Client) read(op string, resp *httpx.Response, token string) *answer {
	var body struct {
		Data       json.RawMessage `json:"data"`
		Errors     json.RawMessage `json:"errors"`
		Extensions json.RawMessage `json:"extensions"`
	}
	malformed := json.Unmarshal(resp.Body, &body) != nil
	a := &answer{data: body.Data, cost: readCost(body.Extensions)}
	fault := &Error{Op: op, Status: resp.Status, RequestID: resp.Header.Get("X-Request-Id"), retryAfter: httpx.RetryAfter(resp.Header)}
	messages, found := readErrors(body.Errors, fault)
	fault.Message = c.http.Message(strings.ReplaceAll(strings.Join(messages, "; "), token, "[redacted]"))
	switch {
	case resp.Status == http.StatusOK && malformed, resp.Status < 400 && resp.Status != http.StatusOK:
		fault.Message, fault.nonsense = "got "+httpx.Describe(resp), true
	case resp.Status != http.StatusOK:
		if fault.Message == "" {
			fault.Message = http.StatusText(resp.Status)
		}
	case found:
		if fault.has("THROTTLED") {
			fault.retryAfter = max(a.cost.wait(), time.Second)
		}
	case empty(body.Data):
		fault.Message, fault.nonsense = "the answer has no data", true
	default:
		return a
	}
	a.fault = fault
	return a
}

// readErrors reads the member "errors": a list of GraphQL errors, a string, or
// an object. It reports whether there is anything in it.
func readErrors(raw json.RawMessage, into *Error) (messages []string, found bool) {
	if empty(raw) {
		return nil, false
	}
	var list []struct {
		Message    string `json:"message"`
		Extensions struct {
			Code      any    `json:"code"`
			RequestID string `json:"requestId"`
		} `json:"extensions"`
	}
	var text string
	switch {
	case json.Unmarshal(raw, &text) == nil:
		return []string{text}, true
	case json.Unmarshal(raw, &list) == nil:
		for _, e := range list {
			messages = append(messages, e.Message)
			if code, ok := e.Extensions.Code.(string); ok && !into.has(code) {
				into.Codes = append(into.Codes, code)
			}
			if into.RequestID == "" {
				into.RequestID = e.Extensions.RequestID
			}
		}
		return messages, len(list) > 0
	}
	return []string{"errors of an unknown form"}, true
}

// empty reports whether a member is missing or null.
func empty(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "null"
}

var lexeme = regexp.MustCompile(`#[^\n]*|"""(?s:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"|@?[_A-Za-z]\w*|[{}()\[\]]`)

// describe finds out what must be known of a document that somebody else
// wrote: a name for it, and whether it may be sent twice.
func describe(query string) operation {
	op := operation{name: "query", query: query, guess: 100, repeat: true}
	var depth int
	var idempotent bool
	before := "}" // a definition begins after the one before it
	for _, token := range lexeme.FindAllString(query, -1) {
		switch {
		case token[0] == '#' || token[0] == '"':
			continue
		case strings.Contains("{([", token):
			depth++
		case strings.Contains("})]", token):
			depth--
		case token == "@idempotent":
			idempotent = true
		case depth == 0 && before == "}" && (token == "mutation" || token == "subscription"):
			op.name, op.repeat = token, false
		case depth == 0 && before == op.name:
			op.name = token
		}
		before = token
	}
	op.repeat = op.repeat || idempotent
	return op
}
