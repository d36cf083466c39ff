package squaretest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxPage    = 1000
	maxValues  = 250
	listPage   = 100
	maxObjects = 1000
)

// search serves POST /v2/catalog/search.
func (s *Server) search(w http.ResponseWriter, r *http.Request, body []byte) {
	var ask struct {
		Cursor         string                     `json:"cursor"`
		Types          []string                   `json:"object_types"`
		IncludeDeleted bool                       `json:"include_deleted_objects"`
		Related        bool                       `json:"include_related_objects"`
		BeginTime      string                     `json:"begin_time"`
		Limit          int                        `json:"limit"`
		Query          map[string]json.RawMessage `json:"query"`
	}
	if err := json.Unmarshal(body, &ask); err != nil {
		panic(err) // the schema was checked
	}
	values, f := skuQuery(ask.Query)
	if f != nil {
		refuse(w, *f)
		return
	}
	var begin time.Time
	if ask.BeginTime != "" {
		var err error
		if begin, err = time.Parse(time.RFC3339, ask.BeginTime); err != nil {
			refuse(w, invalid("INVALID_TIME", "begin_time", "Invalid timestamp."))
			return
		}
	}
	page := ask.Limit
	if page <= 0 || page > maxPage {
		page = listPage
	}
	question := fmt.Sprint(ask.Types, ask.BeginTime, ask.Related, ask.IncludeDeleted, string(ask.Query["set_query"]))

	s.mu.Lock()
	var objects []any
	for _, v := range s.variations {
		if v = s.found(v); v == nil || !slices.Contains(ask.Types, "ITEM_VARIATION") {
			continue
		}
		switch {
		case values != nil && !values[fold(v.SKU)]:
		case !begin.IsZero() && !v.updated.After(begin):
		case v.deleted && begin.IsZero() && !ask.IncludeDeleted: // with begin_time they come in any case
		default:
			objects = append(objects, v)
		}
	}
	if slices.Contains(ask.Types, "ITEM") && values == nil {
		for _, v := range s.variations {
			if i := v.item; i.variations[0] == v && (begin.IsZero() || i.updated.After(begin)) {
				objects = append(objects, i)
			}
		}
	}
	out, f := s.page(objects, ask.Cursor, question, page, ask.Related)
	if len(out) > 0 || !begin.IsZero() {
		out["latest_time"] = stamp(s.updated)
	}
	s.mu.Unlock()
	s.send(w, r, out, f)
}

// found is a variation as a search finds it, or nil.
func (s *Server) found(v *variation) *variation {
	if v.updated.After(s.now().Add(-s.cfg.Doubts.LateSearch)) && s.cfg.Doubts.LateSearch > 0 {
		return v.before
	}
	return v
}

// skuQuery reads a query for SKUs, the only one that this fake knows. nil
// values mean that there is no query.
func skuQuery(query map[string]json.RawMessage) (values map[string]bool, f *fault) {
	refused := func(f fault) (map[string]bool, *fault) { return nil, &f }
	switch {
	case len(query) == 0:
		return nil, nil
	case len(query) > 1:
		return refused(invalid("CONFLICTING_PARAMETERS", "query", "Only one type of query may be set."))
	case query["set_query"] == nil:
		return refused(unsupported("other queries than set_query"))
	}
	var set struct {
		Name   string   `json:"attribute_name"`
		Values []string `json:"attribute_values"`
	}
	if err := json.Unmarshal(query["set_query"], &set); err != nil {
		panic(err) // the schema was checked
	}
	switch {
	case set.Name != "sku":
		return refused(unsupported("set_query for " + set.Name))
	case len(set.Values) == 0:
		return refused(invalid("ARRAY_EMPTY", "query.set_query.attribute_values", "The list must have a value."))
	case len(set.Values) > maxValues:
		return refused(invalid("ARRAY_LENGTH_TOO_LONG", "query.set_query.attribute_values", "At most %d values.", maxValues))
	}
	values = map[string]bool{}
	for _, v := range set.Values {
		values[fold(v)] = true
	}
	return values, nil
}

// page is a page of catalog objects, variations and items.
func (s *Server) page(objects []any, cursor, question string, size int, related bool) (answer, *fault) {
	from, ok := offset(cursor, question)
	if !ok || from > len(objects) {
		f := invalid("INVALID_CURSOR", "cursor", "The cursor is not of this query.")
		return nil, &f
	}
	if s.cfg.UnevenPages { // the limit is advice
		size = max(1, size+[]int{-size / 3, 7, -1}[from%3])
	}
	end := min(len(objects), from+size)
	out := answer{}
	var list, others []answer
	seen := map[string]bool{}
	for _, o := range objects[from:end] {
		switch o := o.(type) {
		case *variation:
			list = append(list, s.object(o))
			if related && !o.deleted && !seen[o.item.id] {
				seen[o.item.id] = true
				others = append(others, s.itemObject(o.item))
			}
		case *item:
			list = append(list, s.itemObject(o))
		}
	}
	if len(list) > 0 {
		out["objects"] = list
	}
	if len(others) > 0 {
		out["related_objects"] = others
	}
	if end < len(objects) {
		out["cursor"] = mark(end, question)
	}
	return out, nil
}

// send waits for as long as the objects take, and answers.
func (s *Server) send(w http.ResponseWriter, r *http.Request, out answer, f *fault) {
	if f != nil {
		refuse(w, *f)
		return
	}
	objects, _ := out["objects"].([]answer)
	if wait(r.Context(), time.Duration(len(objects))*s.cfg.ObjectTime) {
		reply(w, http.StatusOK, out)
	}
}

// list serves GET /v2/catalog/list: never late, never deleted objects.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	types := strings.Split(query.Get("types"), ",")
	s.mu.Lock()
	var objects []any
	for _, v := range s.variations {
		if slices.Contains(types, "ITEM_VARIATION") && !v.deleted {
			objects = append(objects, v)
		}
	}
	if slices.ContainsFunc(types, func(t string) bool { return t != "ITEM_VARIATION" }) {
		s.mu.Unlock()
		refuse(w, unsupported("a list of "+url.QueryEscape(query.Get("types"))))
		return
	}
	out, f := s.page(objects, query.Get("cursor"), query.Get("types"), listPage, false)
	s.mu.Unlock()
	s.send(w, r, out, f)
}

// retrieve serves POST /v2/catalog/batch-retrieve. What does not exist is left
// out.
func (s *Server) retrieve(w http.ResponseWriter, r *http.Request, body []byte) {
	var ask struct {
		IDs            []string `json:"object_ids"`
		Related        bool     `json:"include_related_objects"`
		IncludeDeleted bool     `json:"include_deleted_objects"`
	}
	if err := json.Unmarshal(body, &ask); err != nil {
		panic(err) // the schema was checked
	}
	if len(ask.IDs) == 0 || len(ask.IDs) > maxObjects {
		refuse(w, invalid("VALUE_TOO_LONG", "object_ids", "Between 1 and %d ids.", maxObjects))
		return
	}
	s.mu.Lock()
	var objects []any
	for _, id := range ask.IDs {
		if v := s.byID[id]; v != nil && (!v.deleted || ask.IncludeDeleted) {
			objects = append(objects, v)
		}
	}
	out, f := s.page(objects, "", "", maxObjects+1, ask.Related)
	delete(out, "cursor")
	s.mu.Unlock()
	s.send(w, r, out, f)
}

// mark is a cursor: a place in the answer to a question.
func mark(at int, question string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(at) + "|" + digest(question)))
}

// offset is the inverse of mark.
func offset(cursor, question string) (at int, ok bool) {
	if cursor == "" {
		return 0, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	number, sum, found := strings.Cut(string(raw), "|")
	at, wrong := strconv.Atoi(number)
	return at, err == nil && found && wrong == nil && at > 0 && sum == digest(question)
}
