package woocommerce

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// An Error is an answer of the shop that is not what was asked for: a refusal,
// a failure, or something else than the REST API's JSON.
//
// It matches channel.ErrUnauthorized for the statuses 401 and 403,
// channel.ErrUnknownSKU for an id that the shop does not know (any more), and
// channel.ErrUnavailable for a server's failure, a redirect and whatever does
// not come from WooCommerce. Of the refusal of one item of a batch, it matches
// the error of package channel that fits its code. Its text holds no query
// string and no credentials.
type Error struct {
	// Op is the method and the address, without its query.
	Op string
	// Status is the HTTP status; of one item of a batch, the item's own.
	Status int
	// Code is WooCommerce's, such as "woocommerce_rest_cannot_view", or "".
	Code string
	// Message is WooCommerce's message as plain text, or says what the shop
	// answered in place of one.
	Message string

	hint string
	item bool
	wait time.Duration
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

// refusal makes an error of an answer whose status is not 2xx.
func (c *Client) refusal(method, path string, resp *httpx.Response) error {
	e := &Error{Op: c.op(method, path), Status: resp.Status}
	if resp.Status == http.StatusTooManyRequests || resp.Status == http.StatusServiceUnavailable {
		e.wait = httpx.RetryAfter(resp.Header)
		if e.wait == maintenanceWait {
			e.wait = 30 * time.Second
		}
	}
	var said struct{ Code, Message string }
	if json.Unmarshal(resp.Body, &said) == nil && said.Code != "" {
		e.Code, e.Message = c.plain(said.Code), c.plain(said.Message)
	} else {
		e.Message = httpx.Describe(resp)
	}
	e.hint = c.hint(resp, e)
	return e
}

// hint says what usually is behind an answer.
func (c *Client) hint(resp *httpx.Response, e *Error) string {
	switch {
	case resp.Status >= 300 && resp.Status < 400:
		at, err := c.base.Parse(resp.Header.Get("Location"))
		if err != nil || at.Host == "" {
			return "redirects are not followed"
		}
		address := c.plain(httpx.Endpoint(at))
		if shop, _, ok := strings.Cut(address, apiPath); ok {
			return fmt.Sprintf("redirects are not followed: configure %s as the URL, if that is the shop", shop)
		}
		return fmt.Sprintf("redirects are not followed; this one leads to %s", address)
	case resp.Status == http.StatusUnauthorized && strings.HasPrefix(e.Code, "woocommerce_rest_cannot_"):
		if c.base.Scheme == "http" {
			return "WooCommerce ignores Basic authentication over HTTP; a signed request was refused too, so the key is unknown or the server drops the Authorization header"
		}
		return "the key is unknown, or the server drops the Authorization header, or WordPress behind a proxy does not know that it is served over HTTPS"
	case resp.Status == http.StatusUnauthorized && c.signs.Load():
		return "requests over HTTP are signed: the URL must be the site address that WordPress has, and both clocks must agree"
	case resp.Status == http.StatusForbidden && e.Code == "":
		return "this comes from a firewall or the web server, not from WooCommerce"
	case resp.Status == http.StatusNotFound && (e.Code == "" || e.Code == "rest_no_route"):
		return "is this the address of WordPress, with WooCommerce active and permalinks other than plain?"
	}
	return ""
}

// nonsense makes an error of an answer that says success and does not show it.
func (c *Client) nonsense(method, path string, resp *httpx.Response, what string) error {
	return &Error{Op: c.op(method, path), Status: resp.Status, Message: c.http.Message(what)}
}

func (c *Client) op(method, path string) string {
	return method + " " + httpx.Endpoint(c.endpoint(path, url.Values{}))
}

// plain prepares the shop's text, which may hold tags and entities.
func (c *Client) plain(text string) string { return c.http.Message(text) }
