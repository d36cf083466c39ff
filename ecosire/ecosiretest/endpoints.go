package ecosiretest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

type line struct {
	ProductID string `json:"productId"`
	Quantity  int    `json:"quantity"`
}

type order struct {
	ID        string    `json:"id"`
	Status    string    `json:"status"`
	LineItems []line    `json:"lineItems"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

type move struct {
	ID        string    `json:"id"`
	ProductID string    `json:"productId"`
	CreatedAt time.Time `json:"createdAt"`
}

type transfer struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Status    string    `json:"status"`
	From      string    `json:"sourceLocationId,omitempty"`
	To        string    `json:"destinationLocationId,omitempty"`
	LineItems []line    `json:"lineItems"`
	CreatedAt time.Time `json:"createdAt"`
}

type productJSON struct {
	ProductID    string `json:"productId"`
	ProductName  string `json:"productName"`
	SKU          string `json:"sku"`
	OnHand       int    `json:"onHand"`
	Reserved     int    `json:"reserved"`
	Available    int    `json:"available"`
	ReorderPoint int    `json:"reorderPoint"`
	UOM          string `json:"uom"`
}

// The one warehouse of this ECOSIRE.
const locationID, locationName = "LOC-WH01-A1", "Warehouse 01 / Shelf A1"

func (s *Server) listProducts(r *http.Request) (int, any) {
	q := r.URL.Query()
	all := s.order
	if ids := q.Get("productIds"); ids != "" && !s.cfg.IgnoreProductIDs {
		all = nil
		for id := range strings.SplitSeq(ids, ",") {
			if p := s.byID[id]; p != nil && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
		slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.created, b.created) })
	}
	if q.Get("sortBy") == "productId" {
		// A catalogue is sorted once, not for each of its pages.
		if len(all) == len(s.order) {
			if s.byKey == nil {
				s.byKey = slices.SortedFunc(slices.Values(s.order), byID)
			}
			all = s.byKey
		} else {
			slices.SortFunc(all, byID)
		}
		q.Set("sortBy", "createdAt")
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
	}
	status, body := list(r, all, map[string]func(a, b *record) int{
		"sku":       func(a, b *record) int { return cmp.Compare(a.SKU, b.SKU) },
		"available": func(a, b *record) int { return cmp.Compare(a.OnHand-a.Reserved, b.OnHand-b.Reserved) },
	})
	if status == http.StatusOK {
		m := body.(map[string]any)
		page := []productJSON{}
		for _, p := range m["data"].([]*record) {
			page = append(page, productJSON{
				ProductID: p.ID, ProductName: cmp.Or(p.Name, p.SKU), SKU: p.SKU,
				OnHand: p.OnHand, Reserved: p.Reserved, Available: p.OnHand - p.Reserved, UOM: "units",
			})
		}
		m["data"] = page
	}
	return status, body
}

func byID(a, b *record) int { return cmp.Compare(a.ID, b.ID) }

func (s *Server) stock(r *http.Request) (int, any) {
	p := s.byID[r.PathValue("id")]
	if p == nil {
		return refuse(http.StatusNotFound, "Product not found")
	}
	return http.StatusOK, []any{map[string]any{"locationId": locationID, "locationName": locationName, "quantity": p.OnHand}}
}

func (s *Server) listLocations(r *http.Request) (int, any) {
	return list(r, []any{map[string]any{"id": locationID, "name": locationName}}, nil)
}

func (s *Server) listMoves(r *http.Request) (int, any) { return list(r, s.moves, nil) }

func (s *Server) listOrders(r *http.Request) (int, any) {
	q := r.URL.Query()
	var some []order
	for _, o := range s.orders {
		from, _ := time.Parse(time.RFC3339, q.Get("from"))
		to, err := time.Parse(time.RFC3339, q.Get("to"))
		if (q.Get("status") == "" || o.Status == q.Get("status")) &&
			!o.CreatedAt.Before(from) && (err != nil || !o.CreatedAt.After(to)) {
			some = append(some, o)
		}
	}
	return list(r, some, map[string]func(a, b order) int{
		"updatedAt": func(a, b order) int { return a.UpdatedAt.Compare(b.UpdatedAt) },
		"status":    func(a, b order) int { return cmp.Compare(a.Status, b.Status) },
	})
}

func (s *Server) oneOrder(r *http.Request) (int, any) {
	for _, o := range s.orders {
		if o.ID == r.PathValue("id") {
			return http.StatusOK, o
		}
	}
	return refuse(http.StatusNotFound, "Order not found")
}

func (s *Server) adjust(r *http.Request) (int, any) {
	var a struct {
		ProductID, LocationID, Reason string
		Quantity                      *int
	}
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		return refuse(http.StatusBadRequest, "Malformed JSON")
	}
	p := s.byID[a.ProductID]
	switch {
	case a.Quantity == nil:
		return refuse(http.StatusUnprocessableEntity, "quantity must be an integer")
	case a.LocationID != locationID:
		return refuse(http.StatusNotFound, "Location not found")
	case p == nil:
		return refuse(http.StatusNotFound, "Product not found")
	}
	p.OnHand += *a.Quantity
	s.moved(p.ID)
	return http.StatusCreated, map[string]any{"id": s.id("018efedc-abcd-7000-8000"), "productId": p.ID, "quantity": *a.Quantity}
}

func (s *Server) listTransfers(r *http.Request) (int, any) {
	q := r.URL.Query()
	var some []transfer
	for _, t := range s.transfer {
		if (q.Get("type") == "" || t.Type == q.Get("type")) && (q.Get("status") == "" || t.Status == q.Get("status")) {
			some = append(some, *t)
		}
	}
	slices.SortFunc(some, func(a, b transfer) int { return cmp.Compare(a.ID, b.ID) })
	return list(r, some, nil)
}

func (s *Server) createTransfer(r *http.Request) (int, any) {
	var t transfer
	if err := json.NewDecoder(r.Body).Decode(&t); err != nil {
		return refuse(http.StatusBadRequest, "Malformed JSON")
	}
	if !slices.Contains([]string{"receipt", "delivery", "internal"}, t.Type) {
		return refuse(http.StatusUnprocessableEntity, "type must be one of receipt, delivery, internal")
	}
	for _, l := range t.LineItems {
		if s.byID[l.ProductID] == nil {
			return refuse(http.StatusNotFound, "Product not found")
		}
	}
	t.ID, t.Status, t.CreatedAt = s.id("018e1357-abcd-7000-8000"), "ready", time.Now().UTC()
	s.transfer[t.ID] = &t
	return http.StatusCreated, t
}

func (s *Server) oneTransfer(r *http.Request) (int, any) {
	if t := s.transfer[r.PathValue("id")]; t != nil {
		return http.StatusOK, t
	}
	return refuse(http.StatusNotFound, "Transfer not found")
}

func (s *Server) validateTransfer(r *http.Request) (int, any) {
	t := s.transfer[r.PathValue("id")]
	switch {
	case t == nil:
		return refuse(http.StatusNotFound, "Transfer not found")
	case t.Status != "ready":
		return refuse(http.StatusConflict, "Transfer is "+t.Status)
	}
	t.Status = "done"
	for _, l := range t.LineItems {
		p := s.byID[l.ProductID]
		if p == nil {
			continue // deleted since
		}
		switch t.Type {
		case "receipt":
			p.OnHand += l.Quantity
		case "delivery":
			p.OnHand -= l.Quantity
		}
		s.moved(p.ID)
	}
	return http.StatusOK, t
}

func (s *Server) cancelTransfer(r *http.Request) (int, any) {
	t := s.transfer[r.PathValue("id")]
	switch {
	case t == nil:
		return refuse(http.StatusNotFound, "Transfer not found")
	case t.Status != "ready":
		return refuse(http.StatusConflict, "Transfer is "+t.Status)
	}
	t.Status = "cancelled"
	return http.StatusOK, t
}
