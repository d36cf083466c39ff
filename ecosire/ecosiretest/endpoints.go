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

func (s *Server) listProducts(r *http.Request) (int, any) {
	q := r.URL.Query()
	all := s.order
	if ids := q.Get("productIds"); ids != "" && !s.cfg.IgnoreProductIDs {
		all = nil
		for id := range strings.SplitSeq(ids, ",") {
			if status := s.refused[id]; status != 0 {
				return refuse(status, "each value in productIds must be a UUID")
			}
			if p := s.byID[id]; p != nil && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
		slices.SortFunc(all, func(a, b *record) int { return cmp.Compare(a.created, b.created) })
	}
	if search := strings.ToLower(q.Get("search")); search != "" { // as ECOSIRE is believed to do it
		all = slices.DeleteFunc(slices.Clone(all), func(p *record) bool {
			return !strings.Contains(strings.ToLower(p.SKU), search) && !strings.Contains(strings.ToLower(p.Name), search)
		})
	}
	warehouse := q.Get("warehouseId")
	if s.cfg.WarehouseFilter == FilterNothing {
		warehouse = ""
	}
	if warehouse != "" {
		if !slices.Contains(s.cfg.Warehouses, warehouse) {
			return refuse(http.StatusNotFound, "Location not found")
		}
		all = slices.DeleteFunc(slices.Clone(all), func(p *record) bool {
			_, there := p.in(warehouse, s.cfg.Warehouses[0])
			return !there
		})
	}
	switch {
	case s.cfg.Unsorted:
		all = slices.SortedFunc(slices.Values(all), func(a, b *record) int { return cmp.Compare(b.changed, a.changed) })
		r = sorted(r, "asc")
	case q.Get("sortBy") == "productId":
		// A catalogue is sorted once, not for each of its pages.
		if len(all) == len(s.order) {
			if s.byKey == nil {
				s.byKey = slices.SortedFunc(slices.Values(s.order), byID)
			}
			all = s.byKey
		} else {
			slices.SortFunc(all, byID)
		}
		r = sorted(r, q.Get("sortOrder"))
	}
	status, body := list(r, all, map[string]func(a, b *record) int{
		"sku":       func(a, b *record) int { return cmp.Compare(a.SKU, b.SKU) },
		"available": func(a, b *record) int { return cmp.Compare(a.OnHand-a.Reserved, b.OnHand-b.Reserved) },
	})
	if status == http.StatusOK {
		m := body.(map[string]any)
		page := []any{}
		for _, p := range m["data"].([]*record) {
			page = append(page, s.row(p, warehouse))
		}
		m["data"] = page
		if s.cfg.NoTotals {
			m["meta"] = map[string]any{}
		}
	}
	return status, body
}

// sorted is a request for entries that have the right order already.
func sorted(r *http.Request, order string) *http.Request {
	q := r.URL.Query()
	q.Set("sortBy", "createdAt")
	q.Set("sortOrder", order)
	r = r.Clone(r.Context())
	r.URL.RawQuery = q.Encode()
	return r
}

// row is an entry of the list of products.
func (s *Server) row(p *record, warehouse string) any {
	u := Units{p.OnHand, p.Reserved}
	if warehouse != "" && s.cfg.WarehouseFilter == FilterQuantities {
		u, _ = p.in(warehouse, s.cfg.Warehouses[0])
	}
	row := productJSON{
		ProductID: p.ID, ProductName: cmp.Or(p.Name, p.SKU), SKU: p.SKU,
		OnHand: u.OnHand, Reserved: u.Reserved, Available: u.OnHand - u.Reserved, UOM: "units",
	}
	if p.odd == nil {
		return row
	}
	if whole, ok := p.odd[""]; ok {
		return json.RawMessage(whole)
	}
	text, _ := json.Marshal(row)
	members := make(map[string]json.RawMessage)
	json.Unmarshal(text, &members)
	for member, odd := range p.odd {
		if members[member] = json.RawMessage(odd); odd == "" {
			delete(members, member)
		}
	}
	return members
}

func byID(a, b *record) int { return cmp.Compare(a.ID, b.ID) }

func (s *Server) stock(r *http.Request) (int, any) {
	p := s.byID[r.PathValue("id")]
	if p == nil {
		return refuse(http.StatusNotFound, "Product not found")
	}
	rows := []any{}
	for _, w := range s.cfg.Warehouses {
		if u, there := p.in(w, s.cfg.Warehouses[0]); there {
			rows = append(rows, map[string]any{"locationId": w, "locationName": "Warehouse " + w, "quantity": u.OnHand})
		}
	}
	return http.StatusOK, rows
}

func (s *Server) listLocations(r *http.Request) (int, any) {
	var all []any
	for _, w := range s.cfg.Warehouses {
		all = append(all, map[string]any{"id": w, "name": "Warehouse " + w})
	}
	return list(r, all, nil)
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
	case !slices.Contains(s.cfg.Warehouses, a.LocationID):
		return refuse(http.StatusNotFound, "Location not found")
	case p == nil:
		return refuse(http.StatusNotFound, "Product not found")
	}
	if len(s.cfg.Warehouses) > 1 {
		s.spread(p)
	}
	p.add(a.LocationID, *a.Quantity, 0)
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
	for _, w := range []string{t.From, t.To} {
		if w != "" && !slices.Contains(s.cfg.Warehouses, w) {
			return refuse(http.StatusNotFound, "Location not found")
		}
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
		from, to := cmp.Or(t.From, s.cfg.Warehouses[0]), cmp.Or(t.To, s.cfg.Warehouses[0])
		if len(s.cfg.Warehouses) > 1 {
			s.spread(p)
		}
		if t.Type != "receipt" {
			p.add(from, -l.Quantity, 0)
		}
		if t.Type != "delivery" {
			p.add(to, l.Quantity, 0)
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
