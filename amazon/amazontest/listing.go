package amazontest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A Listing is one of the seller's. The zero value of every field but SKU and
// Quantity is the usual case: the merchant ships it, and it has a quantity.
type Listing struct {
	SKU      string
	Quantity int
	Unset    bool // its record has no quantity
	NoRecord bool // it has no record of availability at all
	// FBA is fulfilled by Amazon: it has a record "AMAZON_NA" without a
	// quantity, and none of the merchant's, unless Merchant is set.
	FBA, Merchant bool
	// Locations are supply sources that keep its stock; "DEFAULT" must stay 0.
	Locations []string
	// HandlingDays is the shop's handling time, lead_time_to_ship_max_days.
	HandlingDays int
}

// A Change is a quantity of the merchant's that a write set, or, if Deleted,
// took away.
type Change struct {
	SKU      string
	Quantity int
	Deleted  bool
	By       string    // "patch" or "feed"
	Accepted time.Time // when Amazon took it
	Shows    time.Time // when it shows
}

type listing struct {
	sku        string
	ghost      bool
	created    time.Time
	updated    time.Time
	attributes []map[string]any // fulfillment_availability, as last submitted
	offered    []record
	due        []effect // what was accepted and does not show yet, in order
}

type record struct {
	code     string
	quantity *int
}

type effect struct {
	at time.Time
	record
	deleted bool
}

const merchant = "DEFAULT"

// Add adds listings, or puts them in place of those with the same SKU.
func (s *Server) Add(listings ...Listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, l := range listings {
		in := &listing{sku: l.SKU, created: now, updated: now}
		own := record{code: merchant}
		if !l.Unset {
			own.quantity = &l.Quantity
		}
		switch {
		case l.NoRecord:
		case len(l.Locations) > 0:
			in.offered = append(in.offered, record{merchant, new(int)})
		case !l.FBA || l.Merchant:
			in.offered = append(in.offered, own)
		}
		for _, id := range l.Locations {
			in.offered = append(in.offered, record{id, &l.Quantity})
		}
		if l.FBA {
			in.offered = append(in.offered, record{code: "AMAZON_NA"})
		}
		for _, r := range in.offered {
			attribute := map[string]any{"fulfillment_channel_code": r.code}
			if r.quantity != nil {
				attribute["quantity"] = *r.quantity
			}
			if l.HandlingDays > 0 {
				attribute["lead_time_to_ship_max_days"] = l.HandlingDays
			}
			in.attributes = append(in.attributes, attribute)
		}
		s.put(in)
	}
}

func (s *Server) put(l *listing) {
	if s.listings[l.sku] == nil {
		s.order = append(s.order, l.sku)
		lower := strings.ToLower(l.sku)
		s.folded[lower] = append(s.folded[lower], l.sku)
	}
	s.listings[l.sku] = l
}

// Remove deletes a listing.
func (s *Server) Remove(sku string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listings, sku)
	s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == sku })
}

// Quantity returns what customers are offered of a listing by the merchant. ok
// is false if there is no such listing, or it has no quantity.
func (s *Server) Quantity(sku string) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	if l := s.listings[sku]; l != nil {
		l.show()
		if r := l.record(merchant); r != nil && r.quantity != nil {
			return *r.quantity, true
		}
	}
	return 0, false
}

// Submitted returns the quantity that was last submitted for a listing, which
// sales leave alone.
func (s *Server) Submitted(sku string) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	if l := s.listings[sku]; l != nil {
		if a := l.attribute(merchant); a != nil {
			n, ok = a["quantity"].(int)
		}
	}
	return n, ok
}

// HandlingDays returns the handling time of a listing, or 0.
func (s *Server) HandlingDays(sku string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	n := 0
	if l := s.listings[sku]; l != nil {
		if a := l.attribute(merchant); a != nil {
			n, _ = a["lead_time_to_ship_max_days"].(int)
		}
	}
	return n
}

// Set changes what customers are offered, at once, as somebody's edit would.
// What was accepted before still comes to show.
func (s *Server) Set(sku string, n int) {
	s.change(sku, func(int) int { return n })
}

// Sell sells units of a listing: what is offered goes down at once, as far as
// to 0.
func (s *Server) Sell(sku string, units int) {
	s.change(sku, func(n int) int { return max(0, n-units) })
}

func (s *Server) change(sku string, f func(int) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	l := s.listings[sku]
	if l == nil {
		return
	}
	l.show()
	if r := l.record(merchant); r == nil {
		l.offered = append(l.offered, record{merchant, new(f(0))})
	} else {
		was := 0
		if r.quantity != nil {
			was = *r.quantity
		}
		r.quantity = new(f(was))
	}
}

// Records returns the fulfilment channel codes of a listing's availability.
func (s *Server) Records(sku string) (codes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	if l := s.listings[sku]; l != nil {
		l.show()
		for _, r := range l.offered {
			codes = append(codes, r.code)
		}
	}
	return codes
}

// Ghosts returns the SKUs of incomplete listings that a write for an unknown
// SKU left behind.
func (s *Server) Ghosts() (skus []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	for _, sku := range s.order {
		if s.listings[sku].ghost {
			skus = append(skus, sku)
		}
	}
	return skus
}

// History returns the quantities that writes set, in the order in which they
// were accepted. Set and Sell are not in it.
func (s *Server) History() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	return slices.Clone(s.history)
}

// find returns the listings that a look-up for an SKU finds.
func (s *Server) find(sku string) (found []*listing) {
	if l := s.listings[sku]; l != nil {
		found = append(found, l)
	}
	if s.cfg.FoldCase {
		for _, other := range s.folded[strings.ToLower(sku)] {
			if other != sku && s.listings[other] != nil {
				found = append(found, s.listings[other])
			}
		}
	}
	return found
}

func (l *listing) record(code string) *record {
	for i := range l.offered {
		if l.offered[i].code == code {
			return &l.offered[i]
		}
	}
	return nil
}

func (l *listing) attribute(code string) map[string]any {
	for _, a := range l.attributes {
		if a["fulfillment_channel_code"] == code {
			return a
		}
	}
	return nil
}

// show lets show what is due by now.
func (l *listing) show() {
	now := time.Now()
	for len(l.due) > 0 && !l.due[0].at.After(now) {
		e := l.due[0]
		l.due = l.due[1:]
		r := l.record(e.code)
		switch {
		case e.deleted:
			l.offered = slices.DeleteFunc(l.offered, func(r record) bool { return r.code == e.code })
		case r == nil:
			l.offered = append(l.offered, e.record)
		default:
			r.quantity = e.quantity
		}
	}
}

// take schedules what a write accepted at a time has to show, and writes it
// down. What was accepted earlier shows earlier.
func (s *Server) take(l *listing, by string, accepted time.Time, es ...effect) {
	lag := s.cfg.Lag
	if more := s.cfg.MaxLag - s.cfg.Lag; more > 0 {
		lag += time.Duration(s.random.Int64N(int64(more) + 1))
	}
	at := accepted.Add(lag)
	if n := len(l.due); n > 0 && l.due[n-1].at.After(at) {
		at = l.due[n-1].at
	}
	for _, e := range es {
		e.at = at
		l.due = append(l.due, e)
		if e.code == merchant {
			c := Change{SKU: l.sku, Deleted: e.quantity == nil, By: by, Accepted: accepted, Shows: at}
			if e.quantity != nil {
				c.Quantity = *e.quantity
			}
			s.history = append(s.history, c)
		}
	}
	l.updated = accepted
	l.show()
}

// item is a listing as the API shows it.
func (s *Server) item(l *listing, included string) map[string]any {
	l.show()
	item := map[string]any{"sku": l.sku}
	for data := range strings.SplitSeq(included, ",") {
		switch data {
		case "", "summaries":
			summary := map[string]any{
				"marketplaceId": s.cfg.MarketplaceID, "productType": "PRODUCT", "status": []string{},
				"createdDate": l.created.UTC().Format(time.RFC3339), "lastUpdatedDate": l.updated.UTC().Format(time.RFC3339),
			}
			if !l.ghost {
				summary["asin"], summary["status"] = "B000000000", []string{"BUYABLE", "DISCOVERABLE"}
			}
			item["summaries"] = []any{summary}
		case "attributes":
			item["attributes"] = map[string]any{"fulfillment_availability": l.attributes}
		case "fulfillmentAvailability":
			records := []any{}
			for _, r := range l.offered {
				shown := map[string]any{"fulfillmentChannelCode": r.code}
				if r.quantity != nil {
					shown["quantity"] = *r.quantity
				}
				records = append(records, shown)
			}
			item["fulfillmentAvailability"] = records
		case "issues":
			item["issues"] = []any{}
		}
	}
	return item
}

// whole is a number of JSON that is an int.
func whole(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}
