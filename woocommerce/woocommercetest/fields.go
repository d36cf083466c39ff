package woocommercetest

import (
	"fmt"
	"maps"
	"strings"
)

// fieldList reads a _fields parameter: names divided by commas or blanks. nil
// means that there is none, or that it is empty.
func fieldList(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || strings.ContainsRune(" \t\r\n\f\v", r) })
	case []any:
		var names []string
		for _, name := range v {
			if name, ok := name.(string); ok {
				names = append(names, name)
			}
		}
		return names
	}
	return nil
}

// cutBatch applies a request's own _fields to a batch's answer. The names are
// paths from its top, such as "update.0.id": "id" alone leaves nothing, which
// comes out as an empty list because PHP's arrays are both.
func cutBatch(rows []any, names []string) any {
	whole := map[string]any{"update": rows}
	if len(names) == 0 {
		return whole
	}
	top := map[string]any{}
	wanted := map[string][]string{} // item to its fields; none means all
	all, some := false, false
	for _, name := range names {
		if name == "update" {
			all = true
		}
		rest, ok := strings.CutPrefix(name, "update.")
		if !ok {
			continue
		}
		some = true
		item, field, _ := strings.Cut(rest, ".")
		if have, ok := wanted[item]; ok && len(have) == 0 || field == "" {
			wanted[item] = nil
		} else {
			wanted[item] = append(wanted[item], field)
		}
	}
	switch {
	case all:
		return whole
	case !some:
		return []string{}
	}
	kept := map[string]any{}
	list := []any{}
	dense := true // the kept items are the first ones, so that PHP sees a list
	for i, row := range rows {
		fields, ok := wanted[fmt.Sprint(i)]
		if !ok {
			continue
		}
		left := cutPaths(row.(map[string]any), fields)
		dense = dense && len(list) == i
		list = append(list, left)
		kept[fmt.Sprint(i)] = left
	}
	top["update"] = list
	if !dense {
		top["update"] = kept
	}
	return top
}

func cutPaths(row map[string]any, paths []string) any {
	if len(paths) == 0 {
		return row
	}
	out := map[string]any{}
	for _, path := range paths {
		key, rest, nested := strings.Cut(path, ".")
		value, ok := row[key]
		if !ok {
			continue
		}
		if inner, isMap := value.(map[string]any); nested && isMap {
			value = cutPaths(maps.Clone(inner), []string{rest})
		} else if nested {
			continue
		}
		out[key] = value
	}
	if len(out) == 0 {
		return []any{}
	}
	return out
}
