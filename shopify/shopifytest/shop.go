package shopifytest

import (
	"fmt"
	"slices"
	"time"
)

// An Item is an inventory item of the shop, with its stock at the main location
// (see [Server.AddLocation] for others) and what is read of its product, if
// [Config].ReadProducts is set. The zero value of every field but SKU and
// Available is the usual case.
type Item struct {
	SKU        string
	Available  int
	Untracked  bool // Shopify keeps no count of it: tracked is false
	NotStocked bool // it has no level at the location
	Inactive   bool // it has a level at the location, which is not active
	Bundle     bool // it is a bundle's parent, and cannot be given a quantity
	Unindexed  bool // search never finds it; its id and bulk operations do
	Draft      bool // its product is a draft, which nobody can buy
	Continue   bool // it goes on selling at zero
}

// A Change is a quantity that a write over the API changed.
type Change struct {
	SKU, ItemID          string
	LocationID           string // "" for the main location
	From, To             int
	ReferenceDocumentURI string // as the write gave it
	Key                  string // its idempotency key
	Time                 time.Time
}

type item struct {
	Item
	number           int64
	id               string
	created, updated time.Time
	indexed          time.Time         // when search heard of its SKU
	elsewhere        map[string]*shelf // by the ids of other locations
}

// A shelf is an item's stock at one location.
type shelf struct {
	available int
	inactive  bool
}

// Add adds items and returns their ids. Several may have the same SKU, and an
// SKU may be empty, as in life.
func (s *Server) Add(items ...Item) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, i := range items {
		if i.NotStocked {
			i.Available, i.Inactive = 0, false
		}
		it := &item{Item: i, number: s.serial(), created: now, updated: now, indexed: now}
		it.id = fmt.Sprintf("gid://shopify/InventoryItem/%d", it.number)
		s.items = append(s.items, it)
		s.byID[it.id] = it
		s.bySKU[it.SKU] = append(s.bySKU[it.SKU], it)
		ids = append(ids, it.id)
	}
	s.index = nil
	return ids
}

// Available returns what the shop shows for an SKU at its main location. ok is
// false if no item has it, or several, or the one that does has no level there.
func (s *Server) Available(sku string) (n int, ok bool) { return s.AvailableAt(s.location, sku) }

// Set changes what the shop shows for every item with the SKU, as somebody's
// edit or a sale would, at its main location. Items without a level there stay as
// they are.
func (s *Server) Set(sku string, n int) { s.SetAt(s.location, sku, n) }

// Edit changes what is known of every item with the SKU, as somebody in the
// shop's admin would. It must not change the SKU; see [Server.Rename].
func (s *Server) Edit(sku string, change func(*Item)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.bySKU[sku] {
		change(&it.Item)
		it.SKU, it.updated = sku, time.Now()
	}
	s.index = nil
}

// Rename gives another SKU to every item with this one.
func (s *Server) Rename(sku, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sku == to {
		return
	}
	its := s.bySKU[sku]
	delete(s.bySKU, sku)
	for _, it := range its {
		it.SKU, it.updated, it.indexed = to, time.Now(), time.Now()
	}
	s.bySKU[to] = append(s.bySKU[to], its...)
	s.index = nil
}

// Remove deletes every item with the SKU.
func (s *Server) Remove(sku string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.bySKU[sku] {
		delete(s.byID, it.id)
		if i, ok := slices.BinarySearchFunc(s.items, it.number, byNumber); ok {
			s.items = slices.Delete(s.items, i, i+1)
		}
	}
	delete(s.bySKU, sku)
	s.index = nil
}

// Item returns an item as it is now.
func (s *Server) Item(id string) (Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.byID[id]
	if !ok {
		return Item{}, false
	}
	return it.Item, true
}

// History returns what writes over the API changed, oldest first. Set is not
// in it, and neither is a write of the value that was there already.
func (s *Server) History() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.history)
}

// Location returns the id of the shop's main location.
func (s *Server) Location() string { return s.location }

// Drain uses up points, as another process of the same app would.
func (s *Server) Drain(points float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bucket.take(points)
}

// RevokeTokens ends the validity of every token that client credentials gave
// so far.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.grants)
}

// serial returns a number that was not used before.
func (s *Server) serial() int64 {
	s.last++
	return s.last
}

func byNumber(it *item, number int64) int {
	switch {
	case it.number < number:
		return -1
	case it.number > number:
		return 1
	}
	return 0
}
