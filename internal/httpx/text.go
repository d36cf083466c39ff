package httpx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"mime"
	"regexp"
	"strings"

	"github.com/ecosire/stocksync/internal/text"
)

// redactor returns a function that takes secrets out of a text.
func redactor(secrets []string) func(string) string {
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, s, "[redacted]")
		}
	}
	if len(pairs) == 0 {
		return func(s string) string { return s }
	}
	return strings.NewReplacer(pairs...).Replace
}

// Redact takes the client's secrets out of a text.
func (c *Client) Redact(text string) string { return c.redact(text) }

// Elements of HTML, as opposed to other text in angle brackets: those within a
// line, and those that end one.
var (
	inline = regexp.MustCompile(`(?i)</?(?:a|abbr|b|code|em|font|i|small|span|strong|sub|sup|u)(?:\s[^<>]*)?>`)
	block  = regexp.MustCompile(`(?i)</?(?:blockquote|body|br|center|dd|div|dl|dt|h[1-6]|head|hr|html|img|li|link|meta|ol|p|pre|section|table|tbody|td|th|thead|title|tr|ul)(?:\s[^<>]*)?/?>|<!--(?s:.*?)-->|<!doctype[^<>]*>`)
)

// Message prepares a text that a service sent for an error or a log line: on
// one line, without HTML's tags, entities, secrets and control characters, of
// bounded length. Angle brackets that are not HTML's stay.
func (c *Client) Message(s string) string { return text.Clean(c.redact(plain(c.redact(s)))) }

// maxText bounds what is looked at of a text, in bytes.
const maxText = 64 << 10

func plain(s string) string {
	s = s[:min(len(s), maxText)]
	if strings.Contains(s, "<") {
		s = block.ReplaceAllString(inline.ReplaceAllString(s, ""), " ")
	}
	return html.UnescapeString(s)
}

// Decode reads a JSON body into v. Its error describes the answer rather than
// quoting it.
func Decode(resp *Response, v any) error {
	if err := json.Unmarshal(resp.Body, v); err != nil {
		return fmt.Errorf("%s is not the JSON that was expected: %s", Describe(resp), resp.clean(err.Error()))
	}
	return nil
}

func (r *Response) clean(s string) string {
	if r.message == nil {
		return text.Clean(plain(s))
	}
	return r.message(s)
}

var title = regexp.MustCompile(`(?is)<title[^<>]*>(.*?)</title`)

// Describe says what kind of thing an answer is, without quoting more of it
// than the title of a page and the warning that PHP put before it.
func Describe(resp *Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = "untyped"
	}
	kind = resp.clean(kind)
	body := bytes.TrimSpace(resp.Body)
	switch {
	case len(body) == 0:
		return fmt.Sprintf("an empty answer (status %d)", resp.Status)
	case resp.Status >= 300 && resp.Status < 400:
		return fmt.Sprintf("a redirect (status %d)", resp.Status)
	}
	if said := php.Find(body[:min(len(body), 4096)]); said != nil {
		return fmt.Sprintf("an answer that begins with PHP's %q (status %d, %s)", resp.clean(string(said)), resp.Status, kind)
	}
	if body[0] == '<' {
		named := ""
		if m := title.FindSubmatch(body[:min(len(body), maxText)]); m != nil {
			if name := resp.clean(string(m[1])); name != "" {
				named = fmt.Sprintf(" titled %q", name)
			}
		}
		return fmt.Sprintf("a page of HTML%s (status %d, %s)", named, resp.Status, kind)
	}
	return fmt.Sprintf("an answer of %d bytes (status %d, %s)", len(resp.Body), resp.Status, kind)
}
