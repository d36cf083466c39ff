package ecosire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// An Error is an answer of ECOSIRE's that is not a success. It matches
// [channel.ErrUnauthorized] (401, 403), [channel.ErrInvalid] (any other 4xx
// but 429) or [channel.ErrUnavailable] (429, 5xx, redirects, answers that are
// not what the API promises, and anything else where ECOSIRE refuses whatever
// it is asked).
type Error struct {
	Op      string // method and path
	Status  int    // HTTP status
	Message string // ECOSIRE's own words; validation messages are joined by "; "

	wait time.Duration
	kind error // what it matches, if that is not for the status to say
}

func (e *Error) Error() string {
	return fmt.Sprintf("ecosire: %s: %d %s", e.Op, e.Status, cmp.Or(e.Message, http.StatusText(e.Status)))
}

// Is maps the status onto the sentinels of package channel.
func (e *Error) Is(target error) bool {
	switch {
	case e.kind != nil:
		return target == e.kind
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return target == channel.ErrUnauthorized
	case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests:
		return target == channel.ErrInvalid
	default:
		return target == channel.ErrUnavailable
	}
}

// RetryAfter returns how long to wait before another attempt, or 0. It is at
// most two minutes, whatever ECOSIRE asks for.
func (e *Error) RetryAfter() time.Duration { return e.wait }

// nonsense is the error of an answer that claims success and is none.
func nonsense(op string, resp *httpx.Response, what string) error {
	return &Error{Op: op, Status: resp.Status, Message: what, kind: channel.ErrUnavailable}
}

// refused makes an error of an answer that is not 2xx.
func (c *Client) refused(op string, resp *httpx.Response) error {
	e := &Error{Op: op, Status: resp.Status, wait: min(httpx.RetryAfter(resp.Header), maxWait)}
	if e.wait == 0 && resp.Status == http.StatusTooManyRequests {
		e.wait = c.quota.time(1)
	}
	e.Message = c.message(resp)
	if resp.Status == http.StatusNotFound {
		e.Message += c.hint()
	}
	return e
}

// message is what an answer says is wrong: its member message, which is a
// string, or a list of strings after a failed validation.
func (c *Client) message(resp *httpx.Response) string {
	v, err := strictjson.Parse(resp.Body)
	if err != nil {
		return httpx.Describe(resp)
	}
	var body strictjson.Row
	body.Read(v)
	v = body.Value("message")
	if one, err := v.Text(); err == nil {
		return c.http.Message(one)
	}
	parts, _ := v.Elements()
	var words []string
	for _, p := range parts[:min(len(parts), 10)] {
		if s, err := p.Text(); err == nil {
			words = append(words, s)
		}
	}
	return c.http.Message(strings.Join(words, "; "))
}

// partial reports whether an error may be about a part of what was asked for,
// so that it helps to ask for less. What is wrong with the key, the quota or
// the caller is not.
func partial(err error) bool {
	if _, ok := errors.AsType[*warehouseError](err); ok {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
			return false
		}
		return e.Status < 300 || e.Status >= 400
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	e, ok := errors.AsType[*httpx.Error](err)
	return ok && !e.Unsent
}

// final reports whether a refusal is ECOSIRE's judgment on what was asked for,
// and not a failure that may pass.
func final(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Is(channel.ErrInvalid)
}
