package squaretest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// A row is a line of the counts.
type row struct {
	place
	state, quantity string
	calculated      time.Time
}

func (r row) object() answer {
	return answer{
		"catalog_object_id": r.variation, "catalog_object_type": "ITEM_VARIATION", "state": r.state,
		"location_id": r.location, "quantity": r.quantity, "calculated_at": stamp(r.calculated),
	}
}

// rows are the counts of a variation at a location in every state.
func (s *Server) rows(v *variation, location string) (rows []row) {
	at := place{v.id, location}
	l := s.ledgers[at]
	if v.StockedAs != "" {
		return nil // its stock is the other's
	}
	if qty, ok := l.quantity(s.cfg.Doubts); ok {
		rows = append(rows, row{at, "IN_STOCK", decimal(qty), l.calculated})
	} else if s.cfg.Doubts.NeverCountedIsZero && v.tracked(location) {
		rows = append(rows, row{at, "IN_STOCK", "0", v.updated})
	}
	if l != nil {
		for _, state := range slices.Sorted(maps.Keys(l.others)) {
			rows = append(rows, row{at, state, decimal(l.others[state]), l.calculated})
		}
	}
	return rows
}

// counts serves POST /v2/inventory/counts/batch-retrieve.
func (s *Server) counts(w http.ResponseWriter, body []byte) {
	var ask struct {
		IDs          []string `json:"catalog_object_ids"`
		Locations    []string `json:"location_ids"`
		States       []string `json:"states"`
		UpdatedAfter string   `json:"updated_after"`
		Cursor       string   `json:"cursor"`
		Limit        int      `json:"limit"`
	}
	if err := json.Unmarshal(body, &ask); err != nil {
		panic(err) // the schema was checked
	}
	maxIDs := 1000
	if s.cfg.Doubts.FewIDs {
		maxIDs = 100
	}
	if ask.UpdatedAfter != "" {
		refuse(w, unsupported("updated_after"))
		return
	}
	if len(ask.IDs) > maxIDs {
		refuse(w, s.unnamed(invalid("ARRAY_LENGTH_TOO_LONG", "catalog_object_ids", "At most %d ids.", maxIDs)))
		return
	}
	size := ask.Limit
	if size == 0 {
		size = 100
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []row
	add := func(v *variation) {
		for _, l := range s.locations {
			if len(ask.Locations) > 0 && !slices.Contains(ask.Locations, l.id) {
				continue
			}
			for _, r := range s.rows(v, l.id) {
				if len(ask.States) == 0 || slices.Contains(ask.States, r.state) {
					rows = append(rows, r)
				}
			}
		}
	}
	if len(ask.IDs) == 0 { // the filter does not apply: everything
		for _, v := range s.variations {
			if !v.deleted {
				add(v)
			}
		}
	}
	asked := map[string]bool{}
	for _, id := range ask.IDs {
		if v := s.byID[id]; v != nil && !v.deleted && !asked[id] {
			asked[id] = true
			add(v)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return b.calculated.Compare(a.calculated) })
	question := fmt.Sprint(strings.Join(ask.IDs, ","), ask.Locations, ask.States, size)
	from, ok := offset(ask.Cursor, question)
	if !ok {
		refuse(w, invalid("INVALID_CURSOR", "cursor", "The cursor is not of this query."))
		return
	}
	from = min(from, len(rows))
	end := min(len(rows), from+size)
	out := answer{}
	if end > from {
		out["counts"] = objects(rows[from:end])
	}
	if end < len(rows) {
		out["cursor"] = mark(end, question)
	}
	reply(w, http.StatusOK, out)
}

func objects(rows []row) []answer {
	out := make([]answer, len(rows))
	for i, r := range rows {
		out[i] = r.object()
	}
	return out
}

// unnamed takes the field off an error where Square may not tell it.
func (s *Server) unnamed(f fault) fault {
	if s.cfg.Doubts.NamesNoField {
		f.Field = ""
	}
	return f
}
