package shopifytest

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// A graphError is one of the errors of an answer. Its code, the only part that
// a client should look at, is in its extensions.
type graphError struct {
	Message    string         `json:"message"`
	Locations  []location     `json:"locations,omitempty"`
	Path       []any          `json:"path,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
}

type location struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (e *graphError) Error() string {
	for _, l := range e.Locations {
		return fmt.Sprintf("%d:%d: %s", l.Line, l.Column, e.Message)
	}
	return e.Message
}

func failure(code, format string, args ...any) *graphError {
	return &graphError{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": code}}
}

func accessDenied(field, scope string) *graphError {
	e := failure("ACCESS_DENIED", "Access denied for %s field. Required access: `%s` access scope.", field, scope)
	e.Extensions["requiredAccess"] = "`" + scope + "` access scope."
	return e
}

// at adds where the error happened.
func (e *graphError) at(f *ast.Field, path []any) *graphError {
	placed := *e
	placed.Path = append([]any{}, path...)
	if f.Position != nil {
		placed.Locations = []location{{f.Position.Line, f.Position.Column}}
	}
	return &placed
}

// An unsupported is panicked with for what the schema has and this package
// does not do. It becomes an answer that no client takes for one of Shopify's.
type unsupported string

func unsupportedf(format string, args ...any) unsupported {
	return unsupported(fmt.Sprintf(format, args...))
}

// A userError is what a mutation finds wrong with its input.
type userError struct {
	field   []string
	code    string // "" means none
	message string
}
