package squaretest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:embed openapi/square-2025-08-20.json
var document []byte

// SchemaVersion is the version of Square's API that [Validate] knows.
const SchemaVersion = "2025-08-20"

// A schema is what the document says of a value.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Additional *schema            `json:"additionalProperties"`
	Items      *schema            `json:"items"`
	Required   []string           `json:"required"`
	Enum       []string           `json:"enum"`
	MinLength  int                `json:"minLength"`
	MaxLength  *int               `json:"maxLength"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	Nullable   bool               `json:"nullable"`
	ReadOnly   bool               `json:"readOnly"`
}

type content struct {
	Content map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

// schema is that of the JSON, or nil.
func (c *content) schema() *schema {
	if c == nil {
		return nil
	}
	return c.Content["application/json"].Schema
}

// An operation is one of Square's.
type operation struct {
	ID         string `json:"operationId"`
	Parameters []struct {
		Name, In string
		Required bool
	} `json:"parameters"`
	Security  []map[string][]string `json:"security"`
	Body      *content              `json:"requestBody"`
	Responses map[string]*content   `json:"responses"`

	segments []string // of its path, "{name}" for a parameter
}

// scope is the right that a token needs.
func (o *operation) scope() string {
	for _, need := range o.Security {
		for _, scopes := range need {
			for _, scope := range scopes {
				return scope
			}
		}
	}
	return ""
}

type specification struct {
	Paths      map[string]map[string]*operation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

var spec = sync.OnceValue(func() *specification {
	s := new(specification)
	if err := json.Unmarshal(document, s); err != nil {
		panic(err)
	}
	for path, methods := range s.Paths {
		for _, op := range methods {
			op.segments = strings.Split(path, "/")
		}
	}
	return s
})

// find returns the operation for a path, or whether there are others for it.
func (s *specification) find(method, path string) (op *operation, known bool) {
	segments := strings.Split(path, "/")
	for _, methods := range s.Paths {
		for m, op := range methods {
			if !matches(op.segments, segments) {
				continue
			}
			known = true
			if strings.EqualFold(m, method) {
				return op, true
			}
		}
	}
	return nil, known
}

func matches(pattern, segments []string) bool {
	if len(pattern) != len(segments) {
		return false
	}
	for i, p := range pattern {
		if p != segments[i] && (p[:min(1, len(p))] != "{" || segments[i] == "") {
			return false
		}
	}
	return true
}

// Validate checks a request against Square's specification: whether there is
// such an operation, and whether its query and its body have the form that it
// wants. The path begins with /v2. It returns the name of the operation.
func Validate(method, path string, query url.Values, body []byte) (operationID string, err error) {
	op, known := spec().find(method, path)
	if op == nil {
		if known {
			return "", fmt.Errorf("%s is no method of %s", method, path)
		}
		return "", fmt.Errorf("there is no %s", path)
	}
	return op.ID, joined(op.check(query, body))
}

// ValidateAnswer checks the body of an answer with status 200 against Square's
// specification.
func ValidateAnswer(method, path string, body []byte) error {
	op, _ := spec().find(method, path)
	if op == nil {
		return fmt.Errorf("there is no %s %s", method, path)
	}
	value, err := decode(body)
	if err != nil {
		return err
	}
	c := checker{answer: true}
	c.check(op.Responses["200"].schema(), value, "")
	return joined(c.faults)
}

func joined(faults []fault) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

func (o *operation) check(query url.Values, body []byte) []fault {
	for name := range query {
		found := false
		for _, p := range o.Parameters {
			found = found || p.In == "query" && p.Name == name
		}
		if !found {
			return []fault{invalid("UNKNOWN_QUERY_PARAMETER", name, "The query parameter %s is unknown.", name)}
		}
	}
	want := o.Body.schema()
	if want == nil {
		if len(bytes.TrimSpace(body)) > 0 {
			return []fault{invalid("BAD_REQUEST", "", "This operation takes no body.")}
		}
		return nil
	}
	value, err := decode(body)
	if err != nil {
		return []fault{invalid("EXPECTED_JSON_BODY", "", "The body is not JSON.")}
	}
	c := checker{}
	c.check(want, value, "")
	return c.faults
}

func decode(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// A checker gathers what speaks against a value.
type checker struct {
	faults []fault
	answer bool // read-only fields are as they should be
}

func (c *checker) fail(code, path, format string, args ...any) {
	c.faults = append(c.faults, invalid(code, path, format, args...))
}

func (c *checker) check(s *schema, v any, path string) {
	if s == nil {
		return
	}
	if s.Ref != "" {
		s = spec().Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	if v == nil {
		if !s.Nullable {
			c.fail("EXPECTED_"+kind(s.Type), path, "Expected a value, and got null.")
		}
		return
	}
	switch s.Type {
	case "string":
		c.text(s, v, path)
	case "integer":
		c.integer(s, v, path)
	case "boolean":
		if _, ok := v.(bool); !ok {
			c.fail("EXPECTED_BOOLEAN", path, "Expected a boolean value.")
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			c.fail("EXPECTED_ARRAY", path, "Expected an array.")
		}
		for i, e := range list {
			c.check(s.Items, e, fmt.Sprintf("%s[%d]", path, i))
		}
	case "object":
		c.object(s, v, path)
	}
}

func kind(name string) string {
	if name == "" {
		return "STRING"
	}
	return strings.ToUpper(name)
}

func (c *checker) text(s *schema, v any, path string) {
	t, ok := v.(string)
	switch n := utf8.RuneCountInString(t); {
	case !ok:
		c.fail("EXPECTED_STRING", path, "Expected a string value.")
	case n < s.MinLength:
		c.fail("VALUE_TOO_SHORT", path, "The value has %d characters, and needs %d.", n, s.MinLength)
	case s.MaxLength != nil && n > *s.MaxLength:
		c.fail("VALUE_TOO_LONG", path, "The value has %d characters, more than %d.", n, *s.MaxLength)
	case len(s.Enum) > 0:
		for _, e := range s.Enum {
			if e == t {
				return
			}
		}
		c.fail("INVALID_ENUM_VALUE", path, "%q is not a value of the enumeration.", t)
	}
}

func (c *checker) integer(s *schema, v any, path string) {
	number, _ := v.(json.Number)
	n, err := number.Int64()
	switch {
	case err != nil:
		c.fail("EXPECTED_INTEGER", path, "Expected an integer value.")
	case s.Minimum != nil && float64(n) < *s.Minimum:
		c.fail("VALUE_TOO_LOW", path, "%d is less than %v.", n, *s.Minimum)
	case s.Maximum != nil && float64(n) > *s.Maximum:
		c.fail("VALUE_TOO_HIGH", path, "%d is more than %v.", n, *s.Maximum)
	}
}

func (c *checker) object(s *schema, v any, path string) {
	members, ok := v.(map[string]any)
	if !ok {
		c.fail("EXPECTED_OBJECT", path, "Expected an object.")
		return
	}
	inside := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	for _, name := range s.Required {
		if members[name] == nil {
			c.fail("MISSING_REQUIRED_PARAMETER", inside(name), "Missing required parameter.")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		property := s.Properties[name]
		switch {
		case property != nil && property.ReadOnly && !c.answer:
			c.fail("UNEXPECTED_VALUE", inside(name), "The field is read-only.")
		case property != nil:
			c.check(property, m, inside(name))
		case s.Additional != nil:
			c.check(s.Additional, m, inside(name))
		case len(s.Properties) > 0 || !c.answer:
			c.fail("UNKNOWN_BODY_PARAMETER", inside(name), "The field named '%s' is unrecognized.", name)
		}
	}
}
