package woocommerce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
)

// said is what WordPress says in place of an answer.
type said struct {
	Code, Message string
	Data          json.RawMessage
}

// refusal makes an error of an answer whose status is not 2xx.
func (c *Client) refusal(r request, resp *httpx.Response) *Error {
	e := &Error{Op: c.op(r), Status: resp.Status}
	if resp.Status == http.StatusTooManyRequests || resp.Status == http.StatusServiceUnavailable {
		e.wait = httpx.RetryAfter(resp.Header)
		if e.wait == maintenanceWait {
			e.wait = 30 * time.Second
		}
	}
	var s said
	if json.Unmarshal(resp.Body, &s) == nil && s.Code != "" {
		e.Code, e.Message = c.plain(s.Code), c.words(s)
	} else {
		e.Message = httpx.Describe(resp)
	}
	e.hint = c.hint(resp, e)
	return e
}

// words are a message, and what PHP said where it failed: WordPress has that in
// its data, and a message that says nothing.
func (c *Client) words(s said) string {
	text := c.plain(s.Message)
	var data struct {
		Error struct {
			Message, File string
			Line          json.Number
		}
	}
	if json.Unmarshal(s.Data, &data) != nil || data.Error.Message == "" {
		return text
	}
	// A stack trace comes after the first line.
	first, _, _ := strings.Cut(data.Error.Message, "\n")
	text += " PHP says: " + c.plain(first)
	// Where WordPress lives on its server is nobody's business.
	if _, file, ok := strings.Cut(data.Error.File, "/wp-content/"); ok {
		kind, file, _ := strings.Cut(file, "/")
		name, _, _ := strings.Cut(file, "/")
		text += fmt.Sprintf(", in %s %s, %s line %s", strings.TrimSuffix(c.plain(kind), "s"), c.plain(name), c.plain(file[strings.LastIndexByte(file, '/')+1:]), c.plain(data.Error.Line.String()))
	}
	return c.plain(text)
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
	case resp.Status == http.StatusUnauthorized && strings.Contains(e.Message, " permissions"):
		return "give the key the permission Read/Write"
	case resp.Status == http.StatusUnauthorized && strings.HasPrefix(e.Code, "woocommerce_rest_cannot_"):
		if c.base.Scheme == "http" {
			return "WooCommerce ignores Basic authentication over HTTP; a signed request was refused too, so the key is unknown or the server drops the Authorization header"
		}
		return "the key is unknown, or the server drops the Authorization header, or WordPress behind a proxy does not know that it is served over HTTPS"
	case resp.Status == http.StatusUnauthorized && c.signs.Load() && !strings.Contains(e.Message, "Consumer"):
		return "requests over HTTP are signed: the URL must be the site address that WordPress has, and both clocks must agree"
	case resp.Status == http.StatusForbidden && e.Code == "":
		return "this comes from a firewall or the web server, not from WooCommerce"
	case resp.Status == http.StatusNotFound && (e.Code == "" || e.Code == "rest_no_route"):
		hint := "is this the address of WordPress, with WooCommerce active?"
		if e.Code == "" && !strings.HasSuffix(c.base.Path, "/index.php") {
			hint += " If its permalinks are plain, choose others, or try " + httpx.Endpoint(c.base) + "/index.php as the URL"
		}
		return hint
	}
	return ""
}

// nonsense makes an error of an answer that says success and does not show it.
func (c *Client) nonsense(r request, resp *httpx.Response, what string) *Error {
	e := &Error{Op: c.op(r), Status: resp.Status, Message: c.plain(what), page: bytes.HasPrefix(bytes.TrimSpace(resp.Body), []byte("<"))}
	var s said
	if json.Unmarshal(resp.Body, &s) == nil && s.Code != "" {
		// PHP sent the status before it knew better.
		e.Code, e.Message = c.plain(s.Code), c.plain(e.Message+": "+c.words(s))
	}
	return e
}

func (c *Client) op(r request) string {
	return c.plain(r.method + " " + httpx.Endpoint(c.endpoint(r.path, url.Values{})))
}

// plain prepares the shop's text, which may hold tags and entities.
func (c *Client) plain(text string) string { return c.http.Message(text) }
