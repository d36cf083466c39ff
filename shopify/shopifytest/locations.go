package shopifytest

import (
	"fmt"
	"time"
)

// A place is a location.
type place struct {
	*Server
	number int64
	id     string
	closed bool
}

func locationID(number int64) string { return fmt.Sprintf("gid://shopify/Location/%d", number) }

// AddLocation opens another location, at which nothing is stocked, and returns
// its id.
func (s *Server) AddLocation(number int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &place{s, number, locationID(number), false}
	s.places = append(s.places, p)
	return p.id
}

// CloseLocation closes a location, as somebody in the shop's admin would: its
// levels stop being active, and nothing can be written there.
func (s *Server) CloseLocation(id string) { s.close(id, true) }

// OpenLocation opens a location again.
func (s *Server) OpenLocation(id string) { s.close(id, false) }

func (s *Server) close(id string, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.place(id); p != nil {
		p.closed = closed
	}
}

func (s *Server) place(id string) *place {
	for _, p := range s.places {
		if p.id == id {
			return p
		}
	}
	return nil
}

// StockAt stocks every item with the SKU at a location other than the main one.
func (s *Server) StockAt(location, sku string, available int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.bySKU[sku] {
		if it.elsewhere == nil {
			it.elsewhere = make(map[string]*shelf)
		}
		it.elsewhere[location] = &shelf{available: available}
		it.updated = time.Now()
	}
}

// SetAt is [Server.Set] for any location.
func (s *Server) SetAt(location, sku string, n int) {
	s.mu.Lock()
	for _, it := range s.bySKU[sku] {
		if available, _, ok := s.stock(it, location); ok && *available != n {
			*available, it.updated = n, time.Now()
			s.tell(it, location, n)
		}
	}
	s.mu.Unlock()
	s.deliver()
}

// AvailableAt is [Server.Available] for any location.
func (s *Server) AvailableAt(location, sku string) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if its := s.bySKU[sku]; len(its) == 1 {
		if available, _, ok := s.stock(its[0], location); ok {
			return *available, true
		}
	}
	return 0, false
}

// stock is what a location has of an item; ok is false if that has no level
// there.
func (s *Server) stock(i *item, location string) (available *int, inactive *bool, ok bool) {
	if location == s.location {
		return &i.Item.Available, &i.Item.Inactive, !i.NotStocked
	}
	if shelf, ok := i.elsewhere[location]; ok {
		return &shelf.available, &shelf.inactive, true
	}
	return nil, nil, false
}

// shelve makes a level, which is active or not.
func (s *Server) shelve(i *item, location string, active bool) {
	i.updated = time.Now()
	if location == s.location {
		i.NotStocked, i.Inactive = false, !active
		return
	}
	if i.elsewhere == nil {
		i.elsewhere = make(map[string]*shelf)
	}
	if i.elsewhere[location] == nil {
		i.elsewhere[location] = &shelf{}
	}
	i.elsewhere[location].inactive = !active
}
