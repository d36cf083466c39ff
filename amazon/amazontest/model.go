package amazontest

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

//go:embed models/*.json
var models embed.FS

// An operation is one that Amazon's models describe.
type operation struct {
	ID         string      `json:"operationId"`
	Parameters []parameter `json:"parameters"`
	Responses  map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"responses"`

	method string
	path   []string // segments; a parameter's is "{name}"
	model  *model
}

type parameter struct {
	Name     string  `json:"name"`
	In       string  `json:"in"`
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"` // of a body

	// Of all others.
	Type     string   `json:"type"`
	Format   string   `json:"format"`
	Items    *schema  `json:"items"`
	Enum     []any    `json:"enum"`
	Minimum  *float64 `json:"minimum"`
	Maximum  *float64 `json:"maximum"`
	MinItems *int     `json:"minItems"`
	MaxItems *int     `json:"maxItems"`
}

func (p *parameter) form() *schema {
	return &schema{
		Type: p.Type, Format: p.Format, Items: p.Items, Enum: p.Enum,
		Minimum: p.Minimum, Maximum: p.Maximum, MinItems: p.MinItems, MaxItems: p.MaxItems,
	}
}

type model struct {
	Paths       map[string]map[string]*operation `json:"paths"`
	Definitions map[string]*schema               `json:"definitions"`
}

func load(name string, into any) {
	text, err := models.ReadFile("models/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		panic("amazontest: " + name + ": " + err.Error())
	}
}

// operations are all that the models have.
var operations = sync.OnceValue(func() []*operation {
	var all []*operation
	for _, name := range []string{"listingsItems_2021-08-01", "feeds_2021-06-30", "reports_2021-06-30"} {
		m := new(model)
		load(name, m)
		for path, methods := range m.Paths {
			for method, op := range methods {
				op.method, op.path, op.model = strings.ToUpper(method), strings.Split(path, "/"), m
				all = append(all, op)
			}
		}
	}
	return all
})

var feedSchema = sync.OnceValue(func() *schema { s := new(schema); load("listings-feed-schema-v2", s); return s })

var reportSchema = sync.OnceValue(func() *schema {
	s := new(schema)
	load("listings-feed-processing-report-schema-v2", s)
	return s
})

// errNoPath: no operation has this method and path.
var errNoPath = errors.New("amazontest: the models have no such path")

// find returns the operation that a request is for, and the decoded parameters
// of its path. Each is exactly one segment.
func find(method string, u *url.URL) (*operation, map[string]string, error) {
	segments := strings.Split(u.EscapedPath(), "/")
	for _, op := range operations() {
		if op.method != method || len(op.path) != len(segments) {
			continue
		}
		params, ok := make(map[string]string), true
		for i, name := range op.path {
			if !strings.HasPrefix(name, "{") {
				ok = ok && name == segments[i]
				continue
			}
			value, err := url.PathUnescape(segments[i])
			// A server takes a dot segment for the folder above.
			ok = ok && err == nil && value != "" && segments[i] != "." && segments[i] != ".."
			params[strings.Trim(name, "{}")] = value
		}
		if ok {
			return op, params, nil
		}
	}
	return nil, nil, errNoPath
}

// ValidateRequest checks a request against Amazon's models: its path, that
// each parameter is one of the operation's and of its form, and its body. It
// returns the operation's id, such as "patchListingsItem". What the models do
// not say, such as how a listing's attributes are named, it does not check.
func ValidateRequest(method string, u *url.URL, body []byte) (operationID string, err error) {
	op, params, err := find(method, u)
	if err != nil {
		return "", err
	}
	return op.ID, op.checkRequest(params, u.Query(), body)
}

func (op *operation) checkRequest(params map[string]string, query url.Values, body []byte) error {
	c := &checker{definitions: op.model.Definitions}
	known := make(map[string]bool)
	takesBody := false
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			c.check(p.Name, params[p.Name], p.form())
		case "query":
			known[p.Name] = true
			values, ok := query[p.Name]
			switch {
			case !ok && p.Required:
				c.wrong(p.Name, "is missing")
			case ok && len(values) != 1:
				c.wrong(p.Name, "is given %d times", len(values))
			case ok:
				c.check(p.Name, p.read(values[0]), p.form())
			}
		case "body":
			takesBody = true
			v, err := decode(body)
			if err != nil {
				c.wrong("the body", "is not JSON")
				continue
			}
			c.check("body", v, p.Schema)
		}
	}
	for name := range query {
		if !known[name] {
			c.wrong(name, "is no parameter of %s", op.ID)
		}
	}
	if !takesBody && len(body) > 0 {
		c.wrong("the body", "must not be there")
	}
	return c.err()
}

// read is a parameter's value as JSON would have it.
func (p *parameter) read(text string) any {
	switch p.Type {
	case "array":
		var list []any
		for part := range strings.SplitSeq(text, ",") {
			list = append(list, part)
		}
		return list
	case "integer", "number":
		return json.Number(text)
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}

// ValidateAnswer checks an answer to the operation with that id against
// Amazon's models: its status and its body.
func ValidateAnswer(operationID string, status int, body []byte) error {
	for _, op := range operations() {
		if op.ID == operationID {
			return op.checkAnswer(status, body)
		}
	}
	return fmt.Errorf("amazontest: the models have no operation %q", operationID)
}

func (op *operation) checkAnswer(status int, body []byte) error {
	r, ok := op.Responses[strconv.Itoa(status)]
	if !ok {
		return fmt.Errorf("amazontest: %s does not answer with status %d", op.ID, status)
	}
	if r.Schema == nil {
		return nil
	}
	v, err := decode(body)
	if err != nil {
		return fmt.Errorf("amazontest: the answer of %s is not JSON", op.ID)
	}
	c := &checker{definitions: op.model.Definitions}
	c.check("answer", v, r.Schema)
	return c.err()
}

// ValidateFeed checks the content of a JSON_LISTINGS_FEED against its schema.
func ValidateFeed(content []byte) error { return validate(content, feedSchema()) }

// ValidateReport checks a feed's processing report against its schema.
func ValidateReport(content []byte) error { return validate(content, reportSchema()) }

func validate(content []byte, s *schema) error {
	v, err := decode(content)
	if err != nil {
		return fmt.Errorf("amazontest: not JSON: %w", err)
	}
	c := new(checker)
	c.check("it", v, s)
	return c.err()
}
