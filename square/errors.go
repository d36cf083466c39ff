package square

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// An Error is an answer of Square's that is not what was asked for: errors of
// its own, with whatever status, or something else than its JSON.
//
// It matches [channel.ErrUnauthorized] for the statuses 401 and 403, and
// [channel.ErrUnavailable] for a server's failure, a refusal for the rate, a
// redirect and whatever does not come from Square. Its text holds no
// credentials.
type Error struct {
	// Op is the method and the address, without its query.
	Op string
	// Status is the HTTP status.
	Status int
	// Details are Square's errors, at most 100 of them.
	Details []Detail
	// Message says what the answer was where it had no errors of Square's.
	Message string

	nonsense bool
	wait     time.Duration
}

// A Detail is one of Square's errors, cleaned for people.
type Detail struct {
	Category string // such as "INVALID_REQUEST_ERROR"
	Code     string // such as "NOT_FOUND"
	Text     string // Square's "detail"
	Field    string // of the request, such as "changes[3].physical_count.quantity", or ""
}

func (d Detail) String() string {
	s := d.Code
	if d.Text != "" {
		s += ": " + d.Text
	}
	if d.Field != "" {
		s += " (" + d.Field + ")"
	}
	return s
}

const maxDetails = 100 // one for each change of a batch

func (e *Error) Error() string {
	said := e.Message
	if len(e.Details) > 0 {
		said = e.Details[0].String()
		if more := len(e.Details) - 1; more > 0 {
			said += fmt.Sprintf("; and %d more", more)
		}
	}
	return fmt.Sprintf("square: %s: %d %s", e.Op, e.Status, said)
}

// Is maps the error onto the sentinel errors of package channel.
func (e *Error) Is(target error) bool {
	switch target {
	case channel.ErrUnauthorized:
		return e.denied()
	case channel.ErrUnavailable:
		return !e.denied() && (e.nonsense || e.Status < 200 || e.Status >= 300 && e.Status < 400 || e.Status >= 500 ||
			e.Status == http.StatusRequestTimeout || e.Status == http.StatusConflict || e.Status == http.StatusTooManyRequests)
	}
	return false
}

func (e *Error) denied() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// RetryAfter returns how long Square asked to be left alone, or 0.
func (e *Error) RetryAfter() time.Duration { return e.wait }

func (e *Error) has(code string) bool {
	return slices.ContainsFunc(e.Details, func(d Detail) bool { return d.Code == code })
}

// mentions reports whether an error is about a field of that name.
func (e *Error) mentions(field string) bool {
	return slices.ContainsFunc(e.Details, func(d Detail) bool { return d.about(field) })
}

func (d Detail) about(field string) bool {
	return d.Field == field || strings.HasSuffix(d.Field, "."+field)
}

// refusal reports whether Square refused the request for what is in it, and did
// nothing.
func (e *Error) refusal() bool {
	if e.nonsense {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// aboutTheCall are codes that are never about one entry of a request.
var aboutTheCall = map[string]bool{
	"API_VERSION_INCOMPATIBLE": true, "APPLICATION_DISABLED": true, "GONE": true, "IDEMPOTENCY_KEY_REUSED": true,
	"INVALID_CONTENT_TYPE": true, "INVALID_CURSOR": true, "INVALID_LOCATION": true, "INVALID_SQUARE_VERSION_FORMAT": true,
	"LOCATION_MISMATCH": true, "MERCHANT_SUBSCRIPTION_NOT_FOUND": true, "METHOD_NOT_ALLOWED": true, "NOT_ACCEPTABLE": true,
	"SANDBOX_NOT_SUPPORTED": true, "UNKNOWN_BODY_PARAMETER": true, "UNKNOWN_QUERY_PARAMETER": true, "UNSUPPORTED_MEDIA_TYPE": true,
	"V1_ACCESS_TOKEN": true, "V1_APPLICATION": true,
}

// general reports whether a refusal is about the call or the location, and so
// about no item in particular.
func (e *Error) general() bool {
	return slices.ContainsFunc(e.Details, func(d Detail) bool {
		return aboutTheCall[d.Code] || d.about("location_id") || strings.HasPrefix(d.Field, "location_ids")
	})
}

// tooLong reports whether a list of the request has too many entries.
func (e *Error) tooLong() bool {
	return e.Status == http.StatusRequestEntityTooLarge || e.has("ARRAY_LENGTH_TOO_LONG") || e.has("REQUEST_ENTITY_TOO_LARGE") || e.has("TOO_MANY_MAP_ENTRIES")
}

// row finds the entry that an error names: the 3 of "changes[3].physical_count".
func (d Detail) row(list string, n int) (int, bool) {
	rest, ok := strings.CutPrefix(d.Field, list+"[")
	digits, _, closed := strings.Cut(rest, "]")
	i, err := strconv.Atoi(digits)
	return i, ok && closed && err == nil && i >= 0 && i < n
}

// ofItem is what a refusal says of one item.
func ofItem(d Detail) error {
	switch {
	case d.Code == "NOT_FOUND":
		// The SKU may be on another variation by now: that is for a search to tell.
		return channel.NotYet(fmt.Errorf("%w: Square does not have it any more: %s", channel.ErrUnknownSKU, d))
	default:
		return fmt.Errorf("%w: Square refuses it: %s", channel.ErrInvalid, d)
	}
}

// whole makes an error one of a call as a whole, which blames no SKU.
func whole(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && !e.Is(channel.ErrUnauthorized) && !e.Is(channel.ErrUnavailable) {
		return fmt.Errorf("%w: %w", channel.ErrUnavailable, err)
	}
	return err
}

// An unanswered error is that of a context which ended when a request had been sent.
type unanswered struct{ error }

func (u *unanswered) Unwrap() error { return u.error }

// unclear reports whether a write that ended with err may have been done.
func unclear(err error) bool {
	if _, ok := errors.AsType[*unanswered](err); ok {
		return true
	}
	if h, ok := errors.AsType[*httpx.Error](err); ok {
		return !h.Unsent
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status < 400 || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout)
}

// unusable is the error for an answer that cannot be understood. It never
// counts as an answer about an SKU.
func unusable(op string, status int, message string) *Error {
	return &Error{Op: op, Status: status, Message: message, nonsense: true}
}

// An answer is what Square said with status 2xx.
type answer struct {
	op      string
	body    strictjson.Row
	details []Detail // errors that came all the same
}

// list returns the elements of a list that may be left out where it is empty.
func (a *answer) list(name string) ([]strictjson.Value, error) {
	if !a.body.Has(name) && a.body.Err() == nil {
		return nil, nil
	}
	values := a.body.Elements(name)
	if err := a.body.Err(); err != nil {
		return nil, unusable(a.op, http.StatusOK, "the answer cannot be understood: "+err.Error())
	}
	return values, nil
}

// text returns a member that may be left out.
func (a *answer) text(name string) (string, error) {
	if !a.body.Has(name) && a.body.Err() == nil {
		return "", nil
	}
	value := a.body.Text(name)
	if err := a.body.Err(); err != nil {
		return "", unusable(a.op, http.StatusOK, "the answer cannot be understood: "+err.Error())
	}
	return value, nil
}

// read understands an answer. plain cleans texts.
func read(op string, resp *httpx.Response, plain func(string) string) (*answer, error) {
	a := &answer{op: op}
	value, err := strictjson.Parse(resp.Body)
	if err == nil {
		a.body.Read(value)
		err = a.body.Err()
	}
	if err == nil {
		a.details = details(&a.body, plain)
	}
	switch {
	case resp.Status >= 200 && resp.Status < 300 && err == nil:
		return a, nil
	case len(a.details) == 0:
		e := unusable(op, resp.Status, "got "+httpx.Describe(resp))
		e.wait = httpx.RetryAfter(resp.Header)
		return nil, e
	}
	return nil, &Error{Op: op, Status: resp.Status, Details: a.details, wait: httpx.RetryAfter(resp.Header)}
}

// details reads the member "errors", of whatever form.
func details(body *strictjson.Row, plain func(string) string) []Detail {
	v := body.Value("errors")
	list, err := v.Elements()
	if err != nil {
		if !v.Missing() && !v.Null() {
			return []Detail{{Text: "errors of an unknown form"}}
		}
		return nil
	}
	var all []Detail
	for _, e := range list[:min(len(list), maxDetails)] {
		var r strictjson.Row
		r.Read(e)
		word := func(name string, limit int) string { return text.Cut(plain(r.Value(name).Name()), limit) }
		all = append(all, Detail{word("category", 60), word("code", 60), word("detail", text.Max), word("field", 120)})
	}
	if more := len(list) - maxDetails; more > 0 { // which may be about any change
		all[maxDetails-1] = Detail{Text: fmt.Sprintf("and %d more errors", more+1)}
	}
	return all
}
