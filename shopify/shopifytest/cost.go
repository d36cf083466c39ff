package shopifytest

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Limits of Shopify's.
const (
	maxCost  = 1000 // of one query
	maxInput = 250  // entries of one list in the input, and nodes of one page
	maxPaged = 25_000
)

// weight is the cost of an object whose fields cost so much. size is the
// number of nodes of a connection, asked for or found.
//
// Scalars are free, an object costs one point, and a list as much as its
// dearest element. A mutation costs ten, in which the first object of its
// answer is included.
func weight(typeName string, fields float64, size int) float64 {
	switch {
	case strings.HasSuffix(typeName, "Connection"):
		return 2 + max(1, math.Floor(2*math.Log(float64(max(1, size)))))*max(1, fields)
	case strings.HasSuffix(typeName, "Payload"):
		return 10 + max(0, fields-1)
	case strings.HasSuffix(typeName, "Edge"), strings.HasSuffix(typeName, "UserError"), typeName == "PageInfo":
		return fields
	}
	return 1 + fields
}

// requested is the cost of the operation as far as its text tells. It panics
// with an unsupported for what cannot be executed, so that nothing of such an
// operation is.
func (r *run) requested() float64 {
	root := schema().Query
	if r.op.Operation == ast.Mutation {
		root = schema().Mutation
	}
	return r.requestedFields(root, []ast.SelectionSet{r.op.SelectionSet})
}

func (r *run) requestedFields(def *ast.Definition, sets []ast.SelectionSet) (cost float64) {
	for _, s := range r.collect(def, sets) {
		f := s.fields[0]
		if f.Name == "__typename" {
			continue
		}
		// What is selected of an abstract type belongs to the type that the
		// fragment around it names.
		of := f.ObjectDefinition
		if _, ok := resolvers[of.Name+"."+f.Name]; !ok && !of.IsAbstractType() {
			panic(unsupportedf("field %s.%s", of.Name, f.Name))
		}
		if f.Directives.ForName("idempotent") != nil && !takesKey[f.Name] {
			panic(unsupportedf("@idempotent on %s", f.Name))
		}
		result := schema().Types[f.Definition.Type.Name()]
		if result.IsLeafType() {
			continue
		}
		args, _ := r.arguments(f)
		first, _ := args["first"].(int)
		last, _ := args["last"].(int)
		cost += weight(result.Name, r.requestedFields(result, s.sets()), max(first, last))
	}
	return cost
}

// oversized finds an input list that is too long.
func (r *run) oversized() *graphError {
	root := schema().Query
	if r.op.Operation == ast.Mutation {
		root = schema().Mutation
	}
	for _, s := range r.collect(root, []ast.SelectionSet{r.op.SelectionSet}) {
		if s.fields[0].Name == "__typename" {
			continue
		}
		args, _ := r.arguments(s.fields[0])
		for name, v := range args {
			if path, n := longList(v, []any{s.key, name}); n > 0 {
				return failure("MAX_INPUT_SIZE_EXCEEDED", "The input array size of %d is greater than the maximum allowed of %d.",
					n, maxInput).at(s.fields[0], path)
			}
		}
	}
	return nil
}

func longList(v any, path []any) ([]any, int) {
	switch v := v.(type) {
	case []any:
		if len(v) > maxInput {
			return path, len(v)
		}
	case map[string]any:
		for name, e := range v {
			if p, n := longList(e, append(path[:len(path):len(path)], name)); n > 0 {
				return p, n
			}
		}
	}
	return nil, 0
}

// sliver is what does not count: a client that waited for exactly what was
// missing is not refused for a nanosecond that was rounded off.
const sliver = 1e-5

// A bucket holds the points that may be used.
type bucket struct {
	size, rate float64
	points     float64
	at         time.Time // when points was right
}

func (b *bucket) restore() {
	now := time.Now()
	b.points = min(b.size, b.points+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
}

// has reports whether a request of that cost may be executed now.
func (b *bucket) has(cost float64) bool {
	b.restore()
	return b.points+sliver >= cost
}

func (b *bucket) take(cost float64) {
	b.restore()
	b.points = max(0, b.points-cost)
}

// status is the cost part of an answer. Shopify writes some of these numbers
// with a fraction, and so does this.
func (b *bucket) status(requested float64, actual *float64) map[string]any {
	b.restore()
	cost := map[string]any{
		"requestedQueryCost": requested,
		"actualQueryCost":    nil,
		"throttleStatus": map[string]any{
			"maximumAvailable":   json.Number(fmt.Sprintf("%.1f", b.size)),
			"currentlyAvailable": math.Floor(b.points + sliver),
			"restoreRate":        json.Number(fmt.Sprintf("%.1f", b.rate)),
		},
	}
	if actual != nil {
		cost["actualQueryCost"] = *actual
	}
	return map[string]any{"cost": cost}
}
