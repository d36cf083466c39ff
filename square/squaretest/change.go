package squaretest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const maxChanges = 100

// A Change is a physical count that Square took over the API.
type Change struct {
	SKU, ID, Location string
	Quantity          string
	OccurredAt        time.Time // as the client gave it, in Square's clock
	ReceivedAt        time.Time // in Square's clock
	ReferenceID       string
	Key               string // the request's idempotency key
	// Effective reports whether the quantity stands on it: no count with a later
	// OccurredAt was there.
	Effective bool
	// Shown is the quantity after it.
	Shown string
}

// An attempt is a request that was answered, by its idempotency key.
type attempt struct {
	digest string
	status int
	body   []byte
}

type changeRequest struct {
	Key             string `json:"idempotency_key"`
	IgnoreUnchanged *bool  `json:"ignore_unchanged_counts"`
	Changes         []struct {
		Type  string `json:"type"`
		Count *count `json:"physical_count"`
	} `json:"changes"`
}

type count struct {
	ID          string `json:"catalog_object_id"`
	State       string `json:"state"`
	Location    string `json:"location_id"`
	Quantity    string `json:"quantity"`
	OccurredAt  string `json:"occurred_at"`
	ReferenceID string `json:"reference_id"`
}

// change serves POST /v2/inventory/changes/batch-create. A late request is
// refused for its rate when half of it is done.
func (s *Server) change(w http.ResponseWriter, body []byte, late bool) {
	var ask changeRequest
	if err := json.Unmarshal(body, &ask); err != nil {
		panic(err) // the schema was checked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.keys[ask.Key]; before != nil {
		if before.digest != digest(string(body)) {
			refuse(w, invalid("IDEMPOTENCY_KEY_REUSED", "idempotency_key", "The idempotency key was used with another request."))
			return
		}
		write(w, before.status, before.body)
		return
	}
	switch n := len(ask.Changes); {
	case n == 0:
		refuse(w, invalid("ARRAY_EMPTY", "changes", "There must be a change."))
		return
	case n > maxChanges:
		refuse(w, s.unnamed(invalid("ARRAY_LENGTH_TOO_LONG", "changes", "At most %d changes.", maxChanges)))
		return
	}
	var faults []fault
	bad := map[int]bool{}
	for i, c := range ask.Changes {
		if c.Type != "PHYSICAL_COUNT" {
			refuse(w, unsupported("changes of type "+c.Type))
			return
		}
		for _, f := range s.objections(c.Count) {
			if f.Field != "" {
				f.Field = fmt.Sprintf("changes[%d].physical_count.%s", i, f.Field)
			}
			faults = append(faults, s.unnamed(f))
			bad[i] = true
		}
	}
	if len(faults) > 0 && (!s.cfg.Doubts.TakesPart || len(bad) == len(ask.Changes)) {
		refuse(w, faults...)
		return
	}
	out, changed := answer{}, []answer{}
	var named []place
	for i, c := range ask.Changes {
		if late && i >= len(ask.Changes)/2 {
			refuse(w, throttled())
			return
		}
		at := place{c.Count.ID, c.Count.Location}
		if s.byID[at.variation] != nil && !slices.Contains(named, at) {
			named = append(named, at)
		}
		if !bad[i] && s.count(c.Count, ask.Key, ask.IgnoreUnchanged == nil || *ask.IgnoreUnchanged) {
			changed = append(changed, answer{"type": "PHYSICAL_COUNT", "physical_count": answer{
				"id": s.id(), "catalog_object_id": at.variation, "catalog_object_type": "ITEM_VARIATION", "state": c.Count.State,
				"location_id": at.location, "quantity": c.Count.Quantity, "occurred_at": c.Count.OccurredAt, "created_at": stamp(s.now()),
			}})
		}
	}
	// The present counts of everything named, of other states too.
	var rows []row
	for _, at := range named {
		rows = append(rows, s.rows(s.byID[at.variation], at.location)...)
	}
	if len(rows) > 0 {
		out["counts"] = objects(rows)
	}
	if len(changed) > 0 {
		out["changes"] = changed
	}
	if len(faults) > 0 {
		out["errors"] = faults
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // nothing here is unencodable
	}
	s.keys[ask.Key] = &attempt{digest(string(body)), http.StatusOK, text}
	write(w, http.StatusOK, text)
}

// objections are what speaks against a count.
func (s *Server) objections(c *count) []fault {
	if c == nil {
		return []fault{invalid("MISSING_REQUIRED_PARAMETER", "", "Missing physical_count.")}
	}
	for _, m := range []struct{ field, value string }{
		{"catalog_object_id", c.ID}, {"state", c.State}, {"location_id", c.Location}, {"quantity", c.Quantity}, {"occurred_at", c.OccurredAt},
	} {
		if m.value == "" {
			return []fault{invalid("MISSING_REQUIRED_PARAMETER", m.field, "Missing required parameter.")}
		}
	}
	if c.State != "IN_STOCK" {
		return []fault{unsupported("counts of the state " + c.State)}
	}
	qty, ok := parseDecimal(c.Quantity)
	occurred, err := time.Parse(time.RFC3339, c.OccurredAt)
	now := s.now()
	v, l := s.byID[c.ID], s.locate(c.Location)
	switch {
	case !ok:
		return []fault{invalid("INVALID_VALUE", "quantity", "%q is no quantity.", c.Quantity)}
	case qty < 0:
		return []fault{invalid("VALUE_TOO_LOW", "quantity", "A count cannot be negative.")}
	case err != nil:
		return []fault{invalid("INVALID_TIME", "occurred_at", "Invalid timestamp.")}
	case occurred.After(now):
		return []fault{invalid("INVALID_TIME", "occurred_at", "The time must not be in the future.")}
	case occurred.Before(now.Add(-24 * time.Hour)):
		return []fault{invalid("INVALID_TIME", "occurred_at", "The time must not be older than 24 hours.")}
	case l == nil:
		return []fault{invalid("NOT_FOUND", "location_id", "Merchant does not have a location with ID %s.", c.Location)}
	case l.status != "ACTIVE" && !s.cfg.Doubts.TakesClosed:
		return []fault{invalid("INVALID_VALUE", "location_id", "Location %s is not active.", c.Location)}
	case v == nil || v.deleted:
		return []fault{invalid("NOT_FOUND", "catalog_object_id", "Catalog object with ID %s not found.", c.ID)}
	case qty%unit != 0 && v.MeasurementUnitID == "":
		return []fault{invalid("INVALID_VALUE", "quantity", "This variation is counted in whole units.")}
	case !v.present(c.Location):
		return []fault{invalid("INVALID_VALUE", "catalog_object_id", "The variation is not present at this location.")}
	case !v.tracked(c.Location) && !s.cfg.Doubts.TakesUntracked:
		return []fault{invalid("INVALID_VALUE", "catalog_object_id", "Inventory is not tracked for this variation.")}
	}
	return nil
}

// count takes a count in, and reports whether it made a change of it.
func (s *Server) count(c *count, key string, ignoreUnchanged bool) bool {
	qty, _ := parseDecimal(c.Quantity)
	occurred, _ := time.Parse(time.RFC3339, c.OccurredAt)
	v := s.byID[c.ID]
	id := c.ID
	if v.StockedAs != "" { // what is counted is the stock of another
		id, qty = v.StockedAs, qty/int64(max(1, v.PerUnit))
	}
	l := s.ledger(id, c.Location)
	if last, ok := l.lastCount(s.cfg.Doubts); ignoreUnchanged && ok && last == qty {
		return false
	}
	effective := l.add(entry{at: occurred, count: true, qty: qty}, s.now(), s.cfg.Doubts)
	shown, _ := l.quantity(s.cfg.Doubts)
	s.history = append(s.history, Change{
		SKU: v.SKU, ID: c.ID, Location: c.Location, Quantity: c.Quantity, OccurredAt: occurred, ReceivedAt: s.now(),
		ReferenceID: c.ReferenceID, Key: key, Effective: effective, Shown: decimal(shown),
	})
	return true
}

// History returns the counts that came over the API, oldest first.
func (s *Server) History() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.history)
}
