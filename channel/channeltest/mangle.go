package channeltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// A document is a JSON text that is being changed.
type document struct{ root any }

func parseDocument(text []byte) (*document, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // what is not changed stays as it is
	var root any
	if d.Decode(&root) != nil || d.More() {
		return nil, false
	}
	return &document{root}, true
}

func (d *document) text() []byte {
	text, err := json.Marshal(d.root)
	if err != nil {
		panic(err) // it came from JSON
	}
	return text
}

// rows returns the longest array of objects in the document, and what puts
// others in its place. It has at least two rows; else ok is false.
func (d *document) rows() (rows []any, replace func([]any), ok bool) {
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key], func(n any) { v[key] = n })
			}
		case []any:
			if len(v) >= 2 && len(v) > len(rows) && !slices.ContainsFunc(v, func(e any) bool { _, object := e.(map[string]any); return !object }) {
				rows, replace = v, func(n []any) { set(n) }
			}
			for i := range v {
				walk(v[i], func(n any) { v[i] = n })
			}
		}
	}
	walk(d.root, func(n any) { d.root = n })
	return rows, replace, rows != nil
}

// withoutLast drops the last row of a JSON text, and returns how many are left;
// 0 if it has no rows.
func withoutLast(text []byte) (shorter []byte, left int) {
	d, ok := parseDocument(text)
	if !ok {
		return text, 0
	}
	rows, replace, ok := d.rows()
	if !ok {
		return text, 0
	}
	replace(rows[:len(rows)-1])
	return d.text(), len(rows) - 1
}

// A leaf is a place in a row that has a number, or what may be one, or
// whether: what may be a quantity, and is no name.
type leaf struct {
	path  string
	truth bool // it is true or false
	set   func(v any)
}

func leaves(row any) (found []leaf) {
	var walk func(v any, path string, set func(any))
	walk = func(v any, path string, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key], path+"."+key, func(n any) { v[key] = n })
			}
		case []any:
			for i := range v {
				walk(v[i], path+"."+strconv.Itoa(i), func(n any) { v[i] = n })
			}
		case string:
			if _, err := strconv.ParseFloat(v, 64); err == nil {
				found = append(found, leaf{path, false, set})
			}
		default:
			_, truth := v.(bool)
			found = append(found, leaf{path, truth, set})
		}
	}
	walk(row, "", nil)
	return found
}

// A bad row is one that is odd in every answer that has it.
type badRow struct {
	names  []string        // texts that no other row has, such as its id
	paths  []string        // of the leaves
	truths map[string]bool // of these, those that are true or false
}

// chooseRow chooses a row of an answer.
func chooseRow(text []byte) (*badRow, bool) {
	d, ok := parseDocument(text)
	if !ok {
		return nil, false
	}
	rows, _, ok := d.rows()
	if !ok {
		return nil, false
	}
	count := make(map[string]int)
	for _, row := range rows {
		for text := range texts(row) {
			count[text]++
		}
	}
	bad := &badRow{truths: make(map[string]bool)}
	for text := range texts(rows[1]) {
		if count[text] == 1 {
			bad.names = append(bad.names, text)
		}
	}
	for _, l := range leaves(rows[1]) {
		bad.paths = append(bad.paths, l.path)
		bad.truths[l.path] = l.truth
	}
	return bad, len(bad.names) > 0
}

// texts are the values in a row by which it can be known: the texts, and the
// numbers under a name of ids. A quantity is none.
func texts(row any) map[string]bool {
	found := make(map[string]bool)
	var walk func(v any, key string)
	walk = func(v any, key string) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(e, k)
			}
		case []any:
			for _, e := range v {
				walk(e, key)
			}
		case string:
			if _, err := strconv.ParseFloat(v, 64); err != nil && v != "" {
				found[v] = true
			}
		case json.Number:
			if key == "id" {
				found[key+" "+v.String()] = true
			}
		}
	}
	walk(row, "")
	return found
}

// spoil puts a value at a path of the bad row, if the text has it.
func (b *badRow) spoil(text []byte, path string, value any) ([]byte, bool) {
	d, ok := parseDocument(text)
	if !ok {
		return text, false
	}
	rows, _, ok := d.rows()
	if !ok {
		return text, false
	}
	spoilt := false
	for _, row := range rows {
		known := texts(row)
		if !slices.ContainsFunc(b.names, func(name string) bool { return known[name] }) {
			continue
		}
		for _, l := range leaves(row) {
			if l.path == path {
				l.set(value)
				spoilt = true
			}
		}
	}
	return d.text(), spoilt
}

// junk are values that a service, or a plugin in it, puts where a number or a
// truth value belongs.
var junk = []any{"", "x", json.Number("1.5"), json.Number("1e300"), nil, true, map[string]any{}, []any{}}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
