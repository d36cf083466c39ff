package woocommercetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Stock says whether and where a product's stock is counted.
type Stock int

const (
	// Managed: the product has a quantity of its own.
	Managed Stock = iota
	// Unmanaged: nothing is counted; quantities sent to it are ignored.
	Unmanaged
	// ByParent: a variation that shows the quantity of its parent, which must
	// be Managed. A variation that counts nothing under such a parent is one
	// of these, whatever it was added as.
	ByParent
)

// A Product is one product or variation of the shop.
type Product struct {
	// ID is the product's id; 0 means the next free one.
	ID int
	// Type is "simple", "variable", "variation", "grouped" or "external"; ""
	// means simple.
	Type string
	// ParentID is the variable product that a variation belongs to. It has to
	// be there already.
	ParentID int
	// SKU is kept as it is, even where the API would refuse or change it: a
	// shop's catalogue has not come through the API alone. A variation
	// without one shows its parent's, and is not found by it.
	SKU string
	// Status is "publish", "draft", "pending", "private", "future" or
	// "trash"; "" means publish.
	Status string
	// Stock of a grouped or external product is always Unmanaged.
	Stock Stock
	// Quantity is the product's own quantity; it may be negative. It means
	// nothing if the product is not Managed.
	Quantity int
	// Backorders is "no", "notify" or "yes"; "" means no.
	Backorders string
	// OutOfStock says that a product that counts nothing is marked as out of
	// stock. Where stock is counted that follows from the quantity.
	OutOfStock bool
}

// product is a row of the shop's database.
type product struct {
	id, parent        int
	kind, sku, status string
	name              string
	managed           bool
	stock             *int // nil is NULL; may be set for a variation that shows its parent's
	unmanagedStatus   string
	backorders        string
	created, modified time.Time
}

// Add puts products into the shop, in order, and returns their ids. It panics
// if a product cannot exist: an id that is taken, a variation without its
// parent, an unknown type or status.
//
// A shop fills up at about 30 products a second, as in an import, so that
// many products share their date: the default order of lists does not tell
// these apart.
func (s *Server) Add(products ...Product) (ids []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range products {
		p.Type = cmp.Or(p.Type, "simple")
		p.Status = cmp.Or(p.Status, "publish")
		p.Backorders = cmp.Or(p.Backorders, "no")
		p.ID = cmp.Or(p.ID, s.lastID+1)
		parent := s.products[p.ParentID]
		switch {
		case p.ID < 1 || s.products[p.ID] != nil:
			panic(fmt.Sprintf("woocommercetest: product id %d is taken or negative", p.ID))
		case !slices.Contains(append([]string{"variation"}, productTypes...), p.Type):
			panic(fmt.Sprintf("woocommercetest: product type %q", p.Type))
		case !slices.Contains([]string{"publish", "draft", "pending", "private", "future", "trash"}, p.Status):
			panic(fmt.Sprintf("woocommercetest: product status %q", p.Status))
		case !slices.Contains(backorderOptions, p.Backorders):
			panic(fmt.Sprintf("woocommercetest: backorders %q", p.Backorders))
		case p.Type == "variation" && (parent == nil || parent.kind != "variable"):
			panic(fmt.Sprintf("woocommercetest: variation %q: no variable product has the id %d", p.SKU, p.ParentID))
		case p.Type != "variation" && (p.ParentID != 0 || p.Stock == ByParent):
			panic(fmt.Sprintf("woocommercetest: product %q: only a variation has a parent", p.SKU))
		case p.Stock == ByParent && !parent.managed:
			panic(fmt.Sprintf("woocommercetest: variation %q: its parent's stock is not managed", p.SKU))
		}
		row := &product{
			id: p.ID, parent: p.ParentID, kind: p.Type, sku: p.SKU, status: p.Status, backorders: p.Backorders,
			managed:         p.Stock == Managed && p.Type != "grouped" && p.Type != "external",
			unmanagedStatus: "instock",
		}
		if row.managed {
			row.stock = &p.Quantity
		} else if p.OutOfStock {
			row.unmanagedStatus = "outofstock"
		}
		s.insert(row)
		ids = append(ids, row.id)
	}
	return ids
}

const perSecond = 30 // products created in one second

func (s *Server) insert(p *product) {
	p.created = s.opened.Add(time.Duration(s.created/perSecond) * time.Second)
	if p.status == "future" {
		p.created = time.Now().AddDate(1, 0, 0)
	}
	p.modified = time.Now()
	s.created++
	s.lastID = max(s.lastID, p.id)
	s.products[p.id] = p
	s.bySKU[fold(p.sku)] = append(s.bySKU[fold(p.sku)], p)
	if p.parent != 0 {
		s.children[p.parent] = append(s.children[p.parent], p)
		return
	}
	i, _ := slices.BinarySearchFunc(s.listed, p.id, byID)
	s.listed = slices.Insert(s.listed, i, p)
}

// Product returns a product as the shop has it. A variation without an SKU of
// its own has none here; its Quantity is what it shows.
func (s *Server) Product(id int) (Product, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.products[id]
	if p == nil {
		return Product{}, false
	}
	out := Product{ID: p.id, Type: p.kind, ParentID: p.parent, SKU: p.sku, Status: p.status, Backorders: p.backorders}
	switch owner := s.owner(p); {
	case owner == nil:
		out.Stock = Unmanaged
		out.OutOfStock = p.unmanagedStatus == "outofstock"
	case owner != p:
		out.Stock = ByParent
	}
	if n := s.shown(p); n != nil {
		out.Quantity = *n
	}
	return out, true
}

// Quantity returns the quantity that the shop shows for an SKU, compared byte
// for byte: a variation whose stock is its parent's shows its parent's. ok is
// false if no product, or several, have the SKU, or there is no quantity.
// Products in the trash are not shown.
func (s *Server) Quantity(sku string) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, _ := s.one(sku); p != nil {
		if shown := s.shown(p); shown != nil {
			return *shown, true
		}
	}
	return 0, false
}

// Set gives the product with this SKU another quantity, as somebody does in the
// shop's admin. It panics if there is not exactly one, or its stock is not
// managed.
func (s *Server) Set(sku string, n int) {
	s.edit(sku, func(p *product) { p.stock = &n })
}

// Sell takes n from the quantity of the product with this SKU, as an order does:
// in the database, so that no sale is ever lost to another. It panics as Set
// does.
func (s *Server) Sell(sku string, n int) {
	s.edit(sku, func(p *product) {
		left := -n
		if p.stock != nil {
			left += *p.stock
		}
		p.stock = &left
	})
}

// Publish publishes the product with this SKU, or takes it back to a draft. It
// panics if there is not exactly one.
func (s *Server) Publish(sku string, on bool) {
	status := "draft"
	if on {
		status = "publish"
	}
	s.edit(sku, func(p *product) { p.status = status })
}

// Rename gives the product with this SKU another one, without looking whether
// it is free. It panics if there is not exactly one.
func (s *Server) Rename(sku, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.one(sku)
	if err != nil {
		panic(err.Error())
	}
	s.rename(p, to)
	s.touch(p)
}

// Remove deletes a product, and its variations, for good. It panics if there
// is none with this id.
func (s *Server) Remove(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.products[id]
	if p == nil {
		panic(fmt.Sprintf("woocommercetest: no product has the id %d", id))
	}
	for _, child := range slices.Clone(s.children[id]) {
		s.remove(child)
	}
	s.remove(p)
}

func (s *Server) remove(p *product) {
	is := func(other *product) bool { return other == p }
	delete(s.products, p.id)
	s.bySKU[fold(p.sku)] = slices.DeleteFunc(s.bySKU[fold(p.sku)], is)
	s.children[p.parent] = slices.DeleteFunc(s.children[p.parent], is)
	if i, ok := slices.BinarySearchFunc(s.listed, p.id, byID); ok {
		s.listed = slices.Delete(s.listed, i, i+1)
	}
}

func byID(p *product, id int) int { return cmp.Compare(p.id, id) }

func (s *Server) rename(p *product, to string) {
	key := fold(p.sku)
	s.bySKU[key] = slices.DeleteFunc(s.bySKU[key], func(other *product) bool { return other == p })
	p.sku = to
	s.bySKU[fold(to)] = append(s.bySKU[fold(to)], p)
}

func (s *Server) edit(sku string, change func(*product)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.one(sku)
	if err != nil {
		panic(err.Error())
	}
	owner := s.owner(p)
	if owner == nil {
		panic(fmt.Sprintf("woocommercetest: the stock of %q is not managed", sku))
	}
	change(owner)
	s.touch(owner)
}

// one finds the product that has an SKU of its own, byte for byte.
func (s *Server) one(sku string) (*product, error) {
	var found []*product
	for _, p := range s.bySKU[fold(sku)] {
		if p.sku == sku && p.status != "trash" {
			found = append(found, p)
		}
	}
	if len(found) != 1 || sku == "" {
		return nil, fmt.Errorf("woocommercetest: %d products have the SKU %q", len(found), sku)
	}
	return found[0], nil
}

// touch dates a change, and announces it. That of a variation shows on its
// parent too.
func (s *Server) touch(p *product) {
	p.modified = time.Now()
	s.announce(p)
	if parent := s.products[p.parent]; parent != nil {
		parent.modified = p.modified
	}
}

// owner is the product whose quantity p shows: itself, its parent, or nil.
func (s *Server) owner(p *product) *product {
	if p.managed {
		return p
	}
	if parent := s.products[p.parent]; parent != nil && parent.managed {
		return parent
	}
	return nil
}

func (s *Server) shown(p *product) *int {
	if owner := s.owner(p); owner != nil {
		return owner.stock
	}
	return nil
}

// stockStatus is never anybody's choice where stock is managed, and that of a
// variable product without stock of its own is its variations'.
func (s *Server) stockStatus(p *product) string {
	if owner := s.owner(p); owner != nil {
		return owner.derivedStatus()
	}
	if p.kind != "variable" || len(s.children[p.id]) == 0 {
		return p.unmanagedStatus
	}
	status := "outofstock"
	for _, child := range s.children[p.id] {
		switch s.stockStatus(child) {
		case "instock":
			return "instock"
		case "onbackorder":
			status = "onbackorder"
		}
	}
	return status
}

func (p *product) derivedStatus() string {
	switch {
	case p.stock != nil && *p.stock > 0:
		return "instock"
	case p.backorders != "no":
		return "onbackorder"
	}
	return "outofstock"
}
