package shopifytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// A run is one execution of an operation. The server is locked meanwhile.
type run struct {
	server *Server
	op     *operation
	base   string // where this request reaches the files of bulk operations
	errs   []*graphError
}

// A call is one field of an object that is to be resolved.
type call struct {
	*run
	parent any
	field  *ast.Field
	args   map[string]any
}

// A resolver returns the value of a field: nil, a plain value, an object for
// which typeName knows the type, or a []any of these. Its error is a
// *graphError.
type resolver func(*call) (any, error)

// errNull says that a null was met where the schema allows none, so that the
// object around it becomes null too.
var errNull = errors.New("null")

// execute returns the data of the answer, nil where it is null, and its cost.
func (r *run) execute() (data any, cost float64) {
	root := schema().Query
	if r.op.Operation == ast.Mutation {
		root = schema().Mutation
	}
	obj, cost, err := r.object(root, nil, []ast.SelectionSet{r.op.SelectionSet}, nil)
	if err != nil {
		return nil, cost
	}
	return obj, cost
}

// object resolves a selection. The cost is that of the fields.
func (r *run) object(def *ast.Definition, obj any, sets []ast.SelectionSet, path []any) (answer object, cost float64, _ error) {
	for _, f := range r.collect(def, sets) {
		v, c, e := r.fieldValue(def, obj, f, append(path[:len(path):len(path)], f.key))
		cost += c
		if e != nil {
			return nil, cost, e
		}
		answer = append(answer, member{f.key, v})
	}
	return answer, cost, nil
}

func (r *run) fieldValue(def *ast.Definition, obj any, s *selected, path []any) (any, float64, error) {
	f := s.fields[0]
	if f.Name == "__typename" {
		return def.Name, 0, nil
	}
	args, fault := r.arguments(f)
	var v any
	if fault == nil {
		resolve := resolvers[def.Name+"."+f.Name]
		if resolve == nil {
			panic(unsupportedf("field %s.%s", def.Name, f.Name))
		}
		var err error
		if v, err = resolve(&call{r, obj, f, args}); err != nil {
			v, fault = nil, err.(*graphError)
		}
	}
	if fault != nil {
		r.errs = append(r.errs, fault.at(f, path))
	}
	return r.complete(f.Definition.Type, v, s, path, fault != nil)
}

// complete turns what a resolver returned into what the answer shows.
// reported says that an error explains a null already.
func (r *run) complete(t *ast.Type, v any, s *selected, path []any, reported bool) (any, float64, error) {
	def := schema().Types[t.Name()]
	switch {
	case v == nil:
		var cost float64
		if strings.HasSuffix(def.Name, "Payload") {
			cost = weight(def.Name, 0, 0) // a refused write costs too
		}
		if !t.NonNull {
			return nil, cost, nil
		}
		if !reported {
			r.errs = append(r.errs, failure("INTERNAL_SERVER_ERROR", "Cannot return null for non-nullable field").at(s.fields[0], path))
		}
		return nil, cost, errNull
	case t.Elem != nil:
		return r.list(t, v.([]any), s, path)
	case def.IsLeafType():
		return v, 0, nil
	}
	if def.IsAbstractType() {
		def = schema().Types[typeName(v)]
	}
	size := 0
	if c, ok := v.(*connection); ok {
		size = len(c.nodes)
	}
	obj, cost, err := r.object(def, v, s.sets(), path)
	cost = weight(def.Name, cost, size)
	if err != nil {
		if t.NonNull {
			return nil, cost, err
		}
		return nil, cost, nil
	}
	return obj, cost, nil
}

func (r *run) list(t *ast.Type, values []any, s *selected, path []any) (any, float64, error) {
	var cost float64
	answer := make([]any, len(values))
	for i, e := range values {
		v, c, err := r.complete(t.Elem, e, s, append(path[:len(path):len(path)], i), false)
		if err != nil {
			if t.NonNull {
				return nil, cost, err
			}
			return nil, cost, nil
		}
		cost = max(cost, c)
		answer[i] = v
	}
	return answer, cost, nil
}

// arguments returns the arguments of a field in their types, defaults included.
func (r *run) arguments(f *ast.Field) (map[string]any, *graphError) {
	args := f.ArgumentMap(r.op.vars)
	for name, v := range args {
		c, p := coerce(f.Definition.Arguments.ForName(name).Type, v)
		if p != nil {
			p = p.under(name)
			return nil, failure("argumentLiteralsIncompatible", "Argument '%s' on Field '%s' has an invalid value: %s",
				joinPath(p.Path), f.Name, p.Explanation)
		}
		args[name] = c
	}
	return args, nil
}

// A selected is a key of an object in the answer: one field of the document,
// or several that say the same with selections to be merged.
type selected struct {
	key    string
	fields []*ast.Field
}

func (s *selected) sets() []ast.SelectionSet {
	sets := make([]ast.SelectionSet, len(s.fields))
	for i, f := range s.fields {
		sets[i] = f.SelectionSet
	}
	return sets
}

// collect returns what is selected of an object of that type, in order. For an
// abstract type that is what may be selected of any object.
func (r *run) collect(def *ast.Definition, sets []ast.SelectionSet) []*selected {
	var found []*selected
	var add func(set ast.SelectionSet)
	add = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if r.skipped(s.Directives) {
					continue
				}
				merged := false
				for _, f := range found {
					if merged = f.key == s.Alias && f.fields[0].Name == s.Name; merged {
						f.fields = append(f.fields, s)
						break
					}
				}
				if !merged {
					found = append(found, &selected{s.Alias, []*ast.Field{s}})
				}
			case *ast.InlineFragment:
				if !r.skipped(s.Directives) && applies(s.TypeCondition, def) {
					add(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				if !r.skipped(s.Directives) && applies(s.Definition.TypeCondition, def) {
					add(s.Definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		add(set)
	}
	return found
}

func (r *run) skipped(ds ast.DirectiveList) bool {
	if d := ds.ForName("skip"); d != nil && d.ArgumentMap(r.op.vars)["if"] == true {
		return true
	}
	d := ds.ForName("include")
	return d != nil && d.ArgumentMap(r.op.vars)["if"] == false
}

func applies(condition string, def *ast.Definition) bool {
	if condition == "" || condition == def.Name || def.IsAbstractType() {
		return true
	}
	for _, possible := range schema().PossibleTypes[condition] {
		if possible == def {
			return true
		}
	}
	return false
}

// An object of an answer keeps its fields in the order of the selection.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes a JSON object.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
