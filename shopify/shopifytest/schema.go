package shopifytest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

//go:embed admin-2026-10.graphql
var schemaText string

var schema = sync.OnceValue(func() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Name: "admin-2026-10.graphql", Input: schemaText})
})

// Schema returns the part of Shopify's Admin GraphQL schema that requests are
// checked against, in the schema definition language.
func Schema() string { return schemaText }

// Validate checks a document with one operation, and its variables, against
// the schema. variables may hold anything that encoding/json can encode.
func Validate(query string, variables map[string]any) error {
	text, err := json.Marshal(variables)
	if err != nil {
		return err
	}
	plain, err := decodeVariables(text)
	if err != nil {
		return err
	}
	if _, failed := parse(query, "", plain); len(failed) > 0 {
		errs := make([]error, len(failed))
		for i, e := range failed {
			errs[i] = e
		}
		return errors.Join(errs...)
	}
	return nil
}

// An operation is one that may be executed: all of it is in the schema.
type operation struct {
	*ast.OperationDefinition
	vars map[string]any
}

// parse returns the operation of that name, or the only one, or what is wrong.
func parse(query, name string, variables map[string]any) (*operation, []*graphError) {
	doc, errs := gqlparser.LoadQueryWithRules(schema(), query, rules.NewDefaultRules())
	if len(errs) > 0 {
		failed := make([]*graphError, len(errs))
		for i, e := range errs {
			failed[i] = documentError(e)
		}
		return nil, failed
	}
	op := doc.Operations.ForName(name)
	if op == nil || name == "" && len(doc.Operations) > 1 {
		return nil, []*graphError{{Message: "An operation name is required"}}
	}
	vars, failed := coerceVariables(op, variables)
	return &operation{op, vars}, failed
}

// documentCodes are the codes that Shopify gives for a document that breaks a
// rule, by the validator's name of the rule.
var documentCodes = map[string]string{
	"FieldsOnCorrectType":        "undefinedField",
	"KnownArgumentNames":         "argumentNotAccepted",
	"KnownDirectives":            "undefinedDirective",
	"KnownFragmentNames":         "undefinedFragment",
	"KnownTypeNames":             "undefinedType",
	"NoUndefinedVariables":       "variableNotDefined",
	"NoUnusedFragments":          "useAndDefineFragment",
	"NoUnusedVariables":          "variableNotUsed",
	"ProvidedRequiredArguments":  "missingRequiredArguments",
	"ScalarLeafs":                "selectionMismatch",
	"ValuesOfCorrectType":        "argumentLiteralsIncompatible",
	"VariablesInAllowedPosition": "variableMismatch",
}

func documentError(e *gqlerror.Error) *graphError {
	failed := &graphError{Message: e.Message}
	for _, l := range e.Locations {
		failed.Locations = append(failed.Locations, location{l.Line, l.Column})
	}
	switch code := documentCodes[e.Rule]; {
	case code != "":
		failed.Extensions = map[string]any{"code": code}
	case e.Rule != "":
		failed.Extensions = map[string]any{"code": "invalidDocument"}
	default: // a syntax error has no code
	}
	return failed
}

// decodeVariables keeps numbers as they were written.
func decodeVariables(text []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v map[string]any
	err := dec.Decode(&v)
	return v, err
}

// coerceVariables brings the variables of a request into the types that the
// operation declares. Variables that it does not declare are ignored.
func coerceVariables(op *ast.OperationDefinition, given map[string]any) (map[string]any, []*graphError) {
	vars := map[string]any{}
	var failed []*graphError
	for _, def := range op.VariableDefinitions {
		v, ok := given[def.Variable]
		switch {
		case !ok && def.DefaultValue != nil:
			v, _ = def.DefaultValue.Value(nil)
		case !ok && !def.Type.NonNull:
			continue
		}
		coerced, p := coerce(def.Type, v)
		if p == nil {
			vars[def.Variable] = coerced
			continue
		}
		message := fmt.Sprintf("Variable $%s of type %s was provided invalid value", def.Variable, def.Type)
		if len(p.Path) > 0 {
			message += fmt.Sprintf(" for %s (%s)", joinPath(p.Path), p.Explanation)
		}
		failed = append(failed, &graphError{
			Message:   message,
			Locations: []location{{def.Position.Line, def.Position.Column}},
			Extensions: map[string]any{
				"code": "INVALID_VARIABLE", "value": v, "problems": []*problem{p},
			},
		})
	}
	return vars, failed
}

// A problem says why a value is not of its type.
type problem struct {
	Path        []any  `json:"path"`
	Explanation string `json:"explanation"`
}

func wrong(format string, args ...any) *problem {
	return &problem{Path: []any{}, Explanation: fmt.Sprintf(format, args...)}
}

func (p *problem) under(step any) *problem {
	return &problem{Path: append([]any{step}, p.Path...), Explanation: p.Explanation}
}

func joinPath(path []any) string {
	var b strings.Builder
	for i, step := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, step)
	}
	return b.String()
}

var globalID = regexp.MustCompile(`^gid://shopify/[A-Za-z]+/[^/\s]+$`)

// coerce brings a value, from JSON or from a literal, into its type: int,
// float64, string, bool, []any, map[string]any or nil. It is as strict as
// Shopify: a number in quotes is no Int, and an ID is a global one. A field
// that is missing stays missing, and null stays null.
func coerce(t *ast.Type, v any) (any, *problem) {
	switch {
	case v == nil && t.NonNull:
		return nil, wrong("Expected value to not be null")
	case v == nil:
		return nil, nil
	case t.Elem != nil:
		return coerceList(t.Elem, v)
	}
	def := schema().Types[t.NamedType]
	switch def.Kind {
	case ast.InputObject:
		return coerceObject(def, v)
	case ast.Enum:
		if name, ok := v.(string); ok && def.EnumValues.ForName(name) != nil {
			return name, nil
		}
		return nil, wrong("Expected %q to be one of the values of %s", fmt.Sprint(v), def.Name)
	}
	return coerceScalar(def.Name, v)
}

func coerceList(elem *ast.Type, v any) (any, *problem) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	coerced := make([]any, len(list))
	for i, e := range list {
		c, p := coerce(elem, e)
		if p != nil {
			return nil, p.under(i)
		}
		coerced[i] = c
	}
	return coerced, nil
}

func coerceObject(def *ast.Definition, v any) (any, *problem) {
	given, ok := v.(map[string]any)
	if !ok {
		return nil, wrong("Expected %v to be a key-value object.", v)
	}
	for name := range given {
		if def.Fields.ForName(name) == nil {
			return nil, wrong("Field is not defined on %s", def.Name).under(name)
		}
	}
	coerced := map[string]any{}
	for _, field := range def.Fields {
		e, ok := given[field.Name]
		if !ok {
			if field.DefaultValue != nil {
				e, _ = field.DefaultValue.Value(nil)
			} else if !field.Type.NonNull {
				continue
			}
		}
		c, p := coerce(field.Type, e)
		if p != nil {
			return nil, p.under(field.Name)
		}
		coerced[field.Name] = c
	}
	return coerced, nil
}

func coerceScalar(name string, v any) (any, *problem) {
	switch name {
	case "Int":
		if n, err := strconv.ParseInt(number(v), 10, 64); err == nil && n >= math.MinInt32 && n <= math.MaxInt32 {
			return int(n), nil
		}
	case "Float":
		if f, err := strconv.ParseFloat(number(v), 64); err == nil {
			return f, nil
		}
	case "Boolean":
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case "ID":
		id, ok := v.(string)
		if !ok {
			id = number(v)
		}
		if !globalID.MatchString(id) {
			return nil, wrong("Invalid global id '%s'", id)
		}
		return id, nil
	case "Decimal", "UnsignedInt64":
		if text, ok := v.(string); ok {
			return text, nil
		}
		if text := number(v); text != "" {
			return text, nil
		}
	default: // String, and the scalars that are strings
		if text, ok := v.(string); ok {
			return text, nil
		}
	}
	return nil, wrong("Could not coerce value %v to %s", v, name)
}

// number returns how a number was written, or "" for anything else.
func number(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}
