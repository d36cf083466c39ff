package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// An Error is what Amazon answered instead of doing what it was asked, or that
// it did not answer. It matches the errors of package channel by the HTTP
// status, since Amazon spells one code in several ways:
//
//   - [channel.ErrUnauthorized]: 401 and 403. Amazon says the same of a
//     missing role, another seller, a wrong region and a path that is none. Of
//     Login with Amazon, 400 too.
//   - [channel.ErrUnavailable]: no answer, 429, 5xx, a redirect, and answers
//     that make no sense. A write that was sent also matches
//     [channel.ErrUnclear].
//   - [channel.ErrInvalid]: of one listing's write or look-up, 400, 413 and
//     INVALID.
//
// Its text holds no query string, no credentials and no presigned address.
type Error struct {
	// Op is the operation, such as "patchListingsItem", "token" for Login with
	// Amazon, "upload" or "download"; or the method and the path of a request
	// through [Client.Do].
	Op string
	// Status is the HTTP status, or 0 if there was no answer.
	Status int
	// Code and Message are Amazon's own, shortened. Details tell apart what has
	// the same code.
	Code, Message, Details string
	// RequestID is what Amazon's support asks for, or "".
	RequestID string

	kind    error // what it matches, if the status does not tell
	own     bool  // it is about one listing, though it may pass
	unclear bool  // a write that may have been done
	hint    string
	wait    time.Duration
	cause   error
}

// Error names the operation, the status and what Amazon said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("amazon: " + e.Op)
	if e.Status != 0 && e.Status != http.StatusOK {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	for _, s := range []string{e.Code, e.Message, e.Details} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.hint != "" {
		b.WriteString(" (" + e.hint + ")")
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Is reports whether target is an error of package channel that e amounts to.
func (e *Error) Is(target error) bool {
	if target == channel.ErrUnclear {
		return e.unclear
	}
	kind := e.kind
	if kind == nil {
		switch {
		case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
			kind = channel.ErrUnauthorized
		case e.Status < 400, e.Status >= 500, e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout:
			kind = channel.ErrUnavailable
		}
	}
	return kind != nil && kind == target
}

// Unwrap returns why there was no answer, or nil.
func (e *Error) Unwrap() error { return e.cause }

// RetryAfter returns how long nothing will be sent for this operation, or 0.
func (e *Error) RetryAfter() time.Duration { return e.wait }

// refusal makes an error of an answer whose status is not 2xx. write says that
// the request may have changed something.
func (c *Client) refusal(op string, resp *httpx.Response, write bool) *Error {
	e := &Error{Op: op, Status: resp.Status, RequestID: requestID(resp), wait: httpx.RetryAfter(resp.Header)}
	var body struct {
		Errors []struct{ Code, Message, Details string }
	}
	if json.Unmarshal(resp.Body, &body) != nil || len(body.Errors) == 0 {
		e.Message = "got " + conceal(httpx.Describe(resp))
		e.kind = channel.ErrUnavailable // it is not Amazon's API that answers
		if resp.Status == http.StatusUnauthorized || resp.Status == http.StatusForbidden {
			e.kind = nil
		}
	} else {
		first := body.Errors[0]
		e.Code, e.Message, e.Details = c.message(first.Code), c.message(first.Message), c.message(first.Details)
	}
	switch {
	case resp.Status == http.StatusForbidden && e.Details == "":
		e.hint = "the role Product Listing is missing, or the seller, the region or the path is another one"
	case resp.Status == http.StatusTooManyRequests && strings.Contains(e.Message, "for the application"):
		e.hint = "other sellers of the same application use the quota up"
	}
	if b := c.buckets[op]; b != nil && resp.Status == http.StatusTooManyRequests {
		e.wait = max(e.wait, b.until())
	}
	e.unclear = write && (e.Is(channel.ErrUnavailable) && resp.Status != http.StatusTooManyRequests)
	return e
}

// apiError reports whether an answer has the form in which Amazon refuses.
func apiError(resp *httpx.Response) bool {
	var body struct {
		Errors []struct{ Code, Message *string }
	}
	return json.Unmarshal(resp.Body, &body) == nil && len(body.Errors) > 0 && body.Errors[0].Code != nil && body.Errors[0].Message != nil
}

// nonsense is the error for an answer that says success and cannot be
// understood. It never counts as an answer about an SKU.
func nonsense(op string, resp *httpx.Response, message string) *Error {
	return &Error{Op: op, Status: resp.Status, Message: conceal(message), RequestID: requestID(resp), kind: channel.ErrUnavailable}
}

// failure is the error of a request without an answer.
func failure(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e // of the token, while the request was being prepared
	}
	cause := err
	if h, ok := errors.AsType[*httpx.Error](err); ok {
		cause = h.Err
	}
	return &Error{Op: op, Message: conceal(cause.Error()), kind: channel.ErrUnavailable, cause: hidden{cause}}
}

// hidden lets errors.Is see an error whose text may hold what must not be
// printed.
type hidden struct{ err error }

func (hidden) Error() string          { return "no answer" }
func (h hidden) Is(target error) bool { return errors.Is(h.err, target) }

func requestID(resp *httpx.Response) string {
	id := resp.Header.Get("x-amzn-RequestId")
	if len(id) > 64 || !printable(id) {
		return ""
	}
	return id
}

// What must not be printed, whoever sends it back: tokens, client secrets, and
// addresses that are signed.
var secret = regexp.MustCompile(`(?i)Atz[a-z]\|[^\s"'<>&]*|Atz[a-z]%7C[^\s"'<>&]*|amzn1\.oa2-cs\.[^\s"'<>&]*|https?://[^\s"'<>]*\?[^\s"'<>]*|X-Amz-(?:Signature|Credential|Security-Token)=[^\s"'<>]*`)

func conceal(text string) string { return secret.ReplaceAllString(text, "[redacted]") }

// message prepares a text of Amazon's for an error or a log line. Credentials
// go first: cleaning may cut one in two.
func (c *Client) message(text string) string { return c.http.Message(conceal(text)) }

// A refused error says why a listing cannot be given a quantity.
type refused struct {
	text string
	kind error
}

func (e *refused) Error() string        { return e.text }
func (e *refused) Is(target error) bool { return target == e.kind }
