package ecosiretest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// Config configures a [Server]; the zero value is a working ECOSIRE.
type Config struct {
	APIKey  string        // accepted key; "" means "eco_live_test"
	Limit   int           // requests in a window; 0 means 60
	Window  time.Duration // 0 means a minute
	Latency time.Duration // of every answer
	// Warehouses are the ids of the locations; nil means one, "LOC-WH01-A1".
	Warehouses []string

	// What the documentation leaves open, and a server could do otherwise.

	// IgnoreProductIDs makes the server ignore the parameter productIds, as
	// one would that has only what the API reference lists.
	IgnoreProductIDs bool
	// WarehouseFilter is what warehouseId does to the list of products.
	WarehouseFilter WarehouseFilter
	// Unsorted makes the list of products ignore sortBy: what changed last comes
	// first.
	Unsorted bool
	// NoTotals leaves the totals out of the lists' meta.
	NoTotals bool
}

// A WarehouseFilter is what the parameter warehouseId does to the list of
// products.
type WarehouseFilter int

// What a filter may do. The zero value is what package ecosire makes use of.
const (
	// FilterQuantities lists the products that are in the warehouse, with what
	// is there.
	FilterQuantities WarehouseFilter = iota
	// FilterRows lists the same products, with what is in all warehouses.
	FilterRows
	// FilterNothing ignores the parameter.
	FilterNothing
)

// A Server is an ECOSIRE in memory. It is safe for concurrent use.
type Server struct {
	*channeltest.Wire
	cfg Config

	mu       sync.Mutex
	byID     map[string]*record
	order    []*record // by time of creation
	byKey    []*record // by product id; nil when it must be sorted again
	orders   []order
	moves    []move
	transfer map[string]*transfer
	serial   int
	refused  map[string]int // statuses by product id

	windowEnd time.Time
	used      int
}

// A Product is one of ECOSIRE's products. What is available is OnHand less
// Reserved.
type Product struct {
	ID               string // "" lets the server choose one
	SKU, Name        string
	OnHand, Reserved int // in all warehouses together
	// At is where the units are, by warehouse, and what OnHand and Reserved are
	// then. With nil they are in the first warehouse.
	At map[string]Units
}

// Units is how much of a product is in one warehouse.
type Units struct{ OnHand, Reserved int }

type record struct {
	Product
	created, changed int
	odd              map[string]string // JSON in place of members
}

func (r *record) copy() Product {
	p := r.Product
	p.At = maps.Clone(p.At)
	return p
}

// add puts units into a warehouse, or takes them away.
func (r *record) add(warehouse string, onHand, reserved int) {
	r.OnHand += onHand
	r.Reserved += reserved
	if r.At != nil {
		u := r.At[warehouse]
		r.At[warehouse] = Units{u.OnHand + onHand, u.Reserved + reserved}
	}
}

// in returns what is in a warehouse, and whether the product is kept there.
func (r *record) in(warehouse, first string) (Units, bool) {
	if r.At == nil {
		return Units{r.OnHand, r.Reserved}, warehouse == first
	}
	u, ok := r.At[warehouse]
	return u, ok
}

// New returns an ECOSIRE without products.
func New(cfg Config) *Server {
	cfg.APIKey = cmp.Or(cfg.APIKey, "eco_live_test")
	cfg.Limit = cmp.Or(cfg.Limit, 60)
	cfg.Window = cmp.Or(cfg.Window, time.Minute)
	if cfg.Warehouses == nil {
		cfg.Warehouses = []string{"LOC-WH01-A1"}
	}
	s := &Server{cfg: cfg, byID: make(map[string]*record), transfer: make(map[string]*transfer), refused: make(map[string]int)}
	s.Wire = channeltest.NewWire(s.handler())
	return s
}

// Add creates products and returns their ids.
func (s *Server) Add(products ...Product) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, len(products))
	for i, p := range products {
		if p.ID == "" {
			p.ID = s.id("018e5678-abcd-7000-8000")
		}
		if s.byID[p.ID] != nil {
			panic("ecosiretest: two products with the id " + p.ID)
		}
		s.serial++
		r := &record{Product: p, created: s.serial, changed: s.serial}
		if p.At != nil {
			r.At = maps.Clone(p.At)
			r.OnHand, r.Reserved = 0, 0
			for w, u := range p.At {
				if !slices.Contains(s.cfg.Warehouses, w) {
					panic("ecosiretest: no warehouse " + w)
				}
				r.OnHand += u.OnHand
				r.Reserved += u.Reserved
			}
		}
		s.byID[p.ID] = r
		s.order = append(s.order, r)
		s.byKey = nil
		ids[i] = p.ID
	}
	return ids
}

// id makes an id like ECOSIRE's, which sort in the order of creation.
func (s *Server) id(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s-%012x", prefix, s.serial)
}

// Set changes what is on hand and what is reserved of a product, as somebody
// in the warehouse would: all of it in the first one.
func (s *Server) Set(id string, onHand, reserved int) {
	s.change(id, func(r *record) {
		r.OnHand, r.Reserved = onHand, reserved
		if r.At != nil {
			r.At = map[string]Units{s.cfg.Warehouses[0]: {onHand, reserved}}
		}
	})
}

// SetAt changes what is in one warehouse.
func (s *Server) SetAt(id, warehouse string, onHand, reserved int) {
	s.change(id, func(r *record) {
		s.spread(r)
		u := r.At[warehouse]
		r.add(warehouse, onHand-u.OnHand, reserved-u.Reserved)
	})
}

// Move takes n units from one warehouse to another.
func (s *Server) Move(id, from, to string, n int) {
	s.change(id, func(r *record) {
		s.spread(r)
		r.add(from, -n, 0)
		r.add(to, n, 0)
	})
}

// spread makes a product one whose units have places.
func (s *Server) spread(r *record) {
	if r.At == nil {
		r.At = map[string]Units{s.cfg.Warehouses[0]: {r.OnHand, r.Reserved}}
	}
}

// Sell confirms an order for n units of a product: they are reserved, where
// most are available.
func (s *Server) Sell(id string, n int) {
	s.change(id, func(r *record) {
		best := s.cfg.Warehouses[0]
		for w, u := range r.At {
			if b := r.At[best]; u.OnHand-u.Reserved > b.OnHand-b.Reserved {
				best = w
			}
		}
		r.add(best, 0, n)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UTC()
	s.orders = append(s.orders, order{
		ID: s.id("018e9abc-abcd-7000-8000"), Status: "confirmed", CreatedAt: now, UpdatedAt: now,
		LineItems: []line{{ProductID: id, Quantity: n}},
	})
}

// Return takes back n units of a product that had been shipped, into the first
// warehouse.
func (s *Server) Return(id string, n int) {
	s.change(id, func(r *record) { r.add(s.cfg.Warehouses[0], n, 0) })
}

// Break makes the list of products show JSON in place of a member of a product,
// such as Break(id, "sku", "4006381333931"); "" leaves the member out. With ""
// for the member it shows that in place of the whole product.
func (s *Server) Break(id, member, json string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	if r.odd == nil {
		r.odd = make(map[string]string)
	}
	r.odd[member] = json
}

// Refuse makes the list of products answer with a status whenever one of these
// is among the productIds. The status 0 ends that.
func (s *Server) Refuse(status int, productIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range productIDs {
		s.refused[id] = status
	}
}

// Rename gives a product another SKU.
func (s *Server) Rename(id, sku string) {
	s.change(id, func(r *record) { r.SKU = sku })
}

// Remove deletes products.
func (s *Server) Remove(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.byID, id)
	}
	s.order = slices.DeleteFunc(s.order, func(r *record) bool { return s.byID[r.ID] != r })
	s.byKey = nil
}

// Product returns a product as it is now.
func (s *Server) Product(id string) (Product, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byID[id]; r != nil {
		return r.copy(), true
	}
	return Product{}, false
}

// Products returns all products, in the order of their creation.
func (s *Server) Products() []Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Product, len(s.order))
	for i, r := range s.order {
		all[i] = r.copy()
	}
	return all
}

func (s *Server) change(id string, f func(*record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	if r == nil {
		panic("ecosiretest: no product " + id)
	}
	f(r)
	s.moved(id)
}

func (s *Server) moved(id string) {
	s.serial++
	if r := s.byID[id]; r != nil {
		r.changed = s.serial
	}
	s.moves = append(s.moves, move{ID: s.id("018edef0-abcd-7000-8000"), ProductID: id, CreatedAt: time.Now().UTC()})
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (status int, body any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			status, body := f(r)
			write(w, status, body)
		})
	}
	const api = "/api"
	handle("GET "+api+"/inventory/products", s.listProducts)
	handle("GET "+api+"/inventory/products/{id}/stock", s.stock)
	handle("GET "+api+"/inventory/locations", s.listLocations)
	handle("GET "+api+"/inventory/moves", s.listMoves)
	handle("GET "+api+"/inventory/transfers", s.listTransfers)
	handle("POST "+api+"/inventory/transfers", s.createTransfer)
	handle("GET "+api+"/inventory/transfers/{id}", s.oneTransfer)
	handle("POST "+api+"/inventory/transfers/{id}/validate", s.validateTransfer)
	handle("POST "+api+"/inventory/transfers/{id}/cancel", s.cancelTransfer)
	handle("POST "+api+"/inventory/adjustments", s.adjust)
	handle("GET "+api+"/orders", s.listOrders)
	handle("GET "+api+"/orders/{id}", s.oneOrder)
	handle("/", func(r *http.Request) (int, any) {
		return refuse(http.StatusNotFound, "Cannot "+r.Method+" "+r.URL.Path)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Latency > 0 {
			timer := time.NewTimer(s.cfg.Latency)
			defer timer.Stop()
			select {
			case <-r.Context().Done():
			case <-timer.C:
			}
		}
		allowed := s.admit(w.Header())
		switch {
		case !allowed:
			status, body := refuse(http.StatusTooManyRequests, "Rate limit exceeded")
			write(w, status, body)
		case r.Header.Get("Authorization") != "Bearer "+s.cfg.APIKey:
			status, body := refuse(http.StatusUnauthorized, "Missing or expired token")
			write(w, status, body)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// admit counts a request and tells of the quota. The window is a fixed one
// that begins with the first request after the last one's end.
func (s *Server) admit(h http.Header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !now.Before(s.windowEnd) {
		s.windowEnd, s.used = now.Add(s.cfg.Window), 0
	}
	allowed := s.used < s.cfg.Limit
	if allowed {
		s.used++
	}
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.cfg.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(s.cfg.Limit-s.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(s.windowEnd.Unix(), 10))
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	return allowed
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// refuse makes the body of an error; several messages become a list, as after
// a failed validation.
func refuse(status int, messages ...string) (int, any) {
	body := map[string]any{"statusCode": status, "error": http.StatusText(status), "message": messages[0]}
	if status == http.StatusUnprocessableEntity || len(messages) > 1 {
		body["message"] = messages
	}
	return status, body
}

// list pages through entries as ECOSIRE's lists do. fields maps what the list
// can be sorted by to a comparison; the entries come in ascending order of
// creation.
func list[T any](r *http.Request, entries []T, fields map[string]func(a, b T) int) (int, any) {
	q := r.URL.Query()
	number := func(name string, fallback, low, high int) (int, string) {
		v := q.Get(name)
		if v == "" {
			return fallback, ""
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return 0, fmt.Sprintf("%s must be a number from %d to %d", name, low, high)
		}
		return n, ""
	}
	page, bad := number("page", 1, 1, 1<<30)
	limit, worse := number("limit", 20, 1, 100)
	var wrong []string
	for _, w := range []string{bad, worse} {
		if w != "" {
			wrong = append(wrong, w)
		}
	}
	by := q.Get("sortBy")
	compare, sortable := fields[by]
	if by != "" && by != "createdAt" && !sortable {
		wrong = append(wrong, "sortBy must be one of "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
	}
	if len(wrong) > 0 {
		return refuse(http.StatusUnprocessableEntity, wrong...)
	}
	if compare != nil {
		entries = slices.SortedStableFunc(slices.Values(entries), compare)
	}
	total := len(entries)
	from, to := min(total, (page-1)*limit), min(total, page*limit)
	var shown []T
	if q.Get("sortOrder") == "asc" {
		shown = append([]T{}, entries[from:to]...)
	} else {
		shown = append([]T{}, entries[total-to:total-from]...)
		slices.Reverse(shown)
	}
	return http.StatusOK, map[string]any{
		"data": shown,
		"meta": map[string]int{"total": total, "page": page, "limit": limit, "totalPages": (total + limit - 1) / limit},
	}
}
