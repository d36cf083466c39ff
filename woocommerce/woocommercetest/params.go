package woocommercetest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// params are a request's parameters in the order of their first appearance.
type params struct {
	keys   []string
	values map[string]any
}

func (p *params) set(key string, value any) {
	if p.values == nil {
		p.values = map[string]any{}
	}
	if _, ok := p.values[key]; !ok {
		p.keys = append(p.keys, key)
	}
	p.values[key] = value
}

func (p params) has(key string) bool {
	_, ok := p.values[key]
	return ok
}

// text returns a parameter that is a string.
func (p params) text(key string) (string, bool) {
	s, ok := p.values[key].(string)
	return s, ok
}

// over returns p's parameters, and those of below that p has not.
func (p params) over(below params) params {
	var out params
	for _, from := range []params{below, p} {
		for _, key := range from.keys {
			out.set(key, from.values[key])
		}
	}
	return out
}

// parseQuery reads a query as PHP does: the last of several values counts,
// and what is not a proper escape stands for itself.
func parseQuery(raw string) params {
	var p params
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		p.set(unescape(key), unescape(value))
	}
	return p
}

var loosePercent = regexp.MustCompile(`%([^0-9A-Fa-f]|[0-9A-Fa-f]([^0-9A-Fa-f]|$)|$)`)

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	for loosePercent.MatchString(s) {
		s = loosePercent.ReplaceAllString(s, "%25$1")
	}
	out, _ := url.QueryUnescape(s)
	return out
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"))
}

// readParams reads the body's parameters. A body that is not said to be JSON
// or a form is ignored, and so is JSON that is not an object.
func (c *call) readParams() *apiError {
	for _, key := range c.query.keys {
		if strings.Contains(key, "[") && key != "sku[]" && key != "search_sku[]" {
			return notImplemented("the parameter " + key)
		}
	}
	if c.Method == http.MethodGet || c.Method == http.MethodHead {
		return nil
	}
	raw, err := io.ReadAll(c.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	contentType := c.Header.Get("Content-Type")
	if kind, _, _ := mime.ParseMediaType(contentType); kind == "application/x-www-form-urlencoded" {
		c.body = parseQuery(string(raw))
		for _, key := range c.body.keys {
			if strings.Contains(key, "[") {
				return notImplemented("nested fields of a form")
			}
		}
		return nil
	}
	if !isJSON(contentType) || len(raw) == 0 {
		return nil
	}
	broken := func(code int, message string) *apiError {
		return &apiError{status: http.StatusBadRequest, code: "rest_invalid_json", message: "Invalid JSON body passed.",
			data: map[string]any{"json_error_code": code, "json_error_message": message}}
	}
	if !utf8.Valid(raw) {
		return broken(5, "Malformed UTF-8 characters, possibly incorrectly encoded")
	}
	value, err := decode(raw)
	if err != nil {
		return broken(4, "Syntax error")
	}
	if object, ok := value.(map[string]any); ok {
		for _, key := range slices.Sorted(maps.Keys(object)) {
			c.body.set(key, object[key])
		}
	}
	return nil
}

func decode(raw []byte) (any, error) {
	if !json.Valid(raw) {
		return nil, io.ErrUnexpectedEOF
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // integers beyond 2^53, and 1 apart from 1.0
	var value any
	err := dec.Decode(&value)
	return value, err
}
