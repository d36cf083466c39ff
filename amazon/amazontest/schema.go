package amazontest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A schema is a JSON schema, as far as Amazon's models use it.
type schema struct {
	Ref           string             `json:"$ref"`
	Type          string             `json:"type"`
	Format        string             `json:"format"`
	Properties    map[string]*schema `json:"properties"`
	Additional    json.RawMessage    `json:"additionalProperties"`
	Required      []string           `json:"required"`
	Items         *schema            `json:"items"`
	Enum          []any              `json:"enum"`
	Const         any                `json:"const"`
	OneOf         []*schema          `json:"oneOf"`
	Minimum       *float64           `json:"minimum"`
	Maximum       *float64           `json:"maximum"`
	MinItems      *int               `json:"minItems"`
	MaxItems      *int               `json:"maxItems"`
	MinLength     *int               `json:"minLength"`
	MinProperties *int               `json:"minProperties"`

	never bool // the schema false
}

// UnmarshalJSON takes true and false, too.
func (s *schema) UnmarshalJSON(text []byte) error {
	switch string(bytes.TrimSpace(text)) {
	case "true":
		return nil
	case "false":
		s.never = true
		return nil
	}
	type plain schema
	return json.Unmarshal(text, (*plain)(s))
}

// A checker checks values against schemas that may refer to definitions.
type checker struct {
	definitions map[string]*schema
	problems    []string
}

// check notes what is wrong with a value that decode returned. It is stricter
// than the schemas: an object has no members that its schema does not name.
func (c *checker) check(at string, v any, s *schema) { c.value(at, v, s, true) }

func (c *checker) value(at string, v any, s *schema, closed bool) {
	if s == nil {
		return
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
		if s = c.definitions[name]; s == nil {
			c.wrong(at, "refers to %s, which is not defined", name)
			return
		}
	}
	switch {
	case s.never:
		c.wrong(at, "must not be there")
		return
	case s.Type != "" && !isType(v, s.Type):
		c.wrong(at, "is not of type %s", s.Type)
		return
	case s.Const != nil && v != s.Const:
		c.wrong(at, "is not %v", s.Const)
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, v):
		c.wrong(at, "is none of %v", s.Enum)
	}
	switch v := v.(type) {
	case map[string]any:
		c.object(at, v, s, closed)
	case []any:
		c.list(at, v, s)
	case json.Number:
		n, _ := v.Float64()
		if s.Minimum != nil && n < *s.Minimum || s.Maximum != nil && n > *s.Maximum {
			c.wrong(at, "is out of range")
		}
	case string:
		if s.MinLength != nil && utf8.RuneCountInString(v) < *s.MinLength {
			c.wrong(at, "is too short")
		}
		if s.Format == "date-time" {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				c.wrong(at, "is not a date-time")
			}
		}
	}
	if len(s.OneOf) > 0 {
		matches := 0
		for _, one := range s.OneOf {
			try := &checker{definitions: c.definitions}
			if try.value(at, v, one, false); len(try.problems) == 0 {
				matches++
			}
		}
		if matches != 1 {
			c.wrong(at, "matches %d of the alternatives, not one", matches)
		}
	}
}

func (c *checker) object(at string, v map[string]any, s *schema, closed bool) {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			c.wrong(at, "has no %q", name)
		}
	}
	if s.MinProperties != nil && len(v) < *s.MinProperties {
		c.wrong(at, "is empty")
	}
	for name, e := range v {
		switch p := s.Properties[name]; {
		case p != nil:
			c.value(at+"."+name, e, p, closed)
		case closed && len(s.Properties) > 0 && s.Additional == nil:
			c.wrong(at+"."+name, "is not defined")
		}
	}
}

func (c *checker) list(at string, v []any, s *schema) {
	if s.MinItems != nil && len(v) < *s.MinItems || s.MaxItems != nil && len(v) > *s.MaxItems {
		c.wrong(at, "has %d elements", len(v))
	}
	for i, e := range v {
		c.value(at+"["+strconv.Itoa(i)+"]", e, s.Items, true)
	}
}

func (c *checker) wrong(at, format string, args ...any) {
	if len(c.problems) < 20 {
		c.problems = append(c.problems, at+" "+fmt.Sprintf(format, args...))
	}
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	slices.Sort(c.problems)
	return fmt.Errorf("amazontest: %s", strings.Join(c.problems, "; "))
}

func isType(v any, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case json.Number:
		f, err := v.Float64()
		return name == "number" || name == "integer" && err == nil && f == math.Trunc(f)
	}
	return false // null
}

// decode reads one JSON value, with numbers as they are written.
func decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}
