package squaretest

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Variation is an item variation: what has an SKU and a stock. The zero value
// of every field but SKU and Quantity is the usual case: an item of its own,
// tracked, present at all locations, counted an hour ago at the main one.
type Variation struct {
	SKU string
	// Quantity is the stock at the main location.
	Quantity int
	// Count is the stock as a decimal, such as "3.7", in place of Quantity.
	Count string
	// Uncounted: there never was a count or a move.
	Uncounted bool
	// Item is the item's name; variations with the same one share the item. ""
	// means an item of its own.
	Item string
	// Archived: its item is.
	Archived bool
	// Untracked: track_inventory is false.
	Untracked bool
	// TrackedAt overrides track_inventory for locations.
	TrackedAt map[string]bool
	// PresentAt has the locations at which the variation is present, and
	// AbsentAt, if PresentAt is nil, those at which it is not.
	PresentAt, AbsentAt []string
	// StockedAs is the id of another variation that has the stock of this one,
	// which is not stockable: PerUnit of these are one of that. 0 means 1.
	StockedAs string
	PerUnit   int
	// MeasurementUnitID makes quantities decimals.
	MeasurementUnitID string
	// SoldOutAt has the locations at which somebody marked it as sold out.
	SoldOutAt []string
}

type variation struct {
	Variation
	id      string
	item    *item
	version int64
	updated time.Time
	deleted bool
	// before is what a search finds until it has noticed the last change: nil
	// if that made the variation.
	before *variation
}

type item struct {
	id, name   string
	archived   bool
	updated    time.Time
	variations []*variation
}

// Add adds variations and returns their ids. Several may have the same SKU, and
// an SKU may be empty, as in life.
func (s *Server) Add(variations ...Variation) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range variations {
		full := &variation{Variation: v, id: s.id()}
		name := v.Item
		if name == "" {
			name = "Item " + full.id
		}
		full.item = s.items[name]
		if full.item == nil {
			full.item = &item{id: s.id(), name: name}
			s.items[name] = full.item
		}
		full.item.variations = append(full.item.variations, full)
		full.item.archived = full.item.archived || v.Archived
		s.variations = append(s.variations, full)
		s.bySKU[v.SKU] = append(s.bySKU[v.SKU], full)
		s.byID[full.id] = full
		ids = append(ids, full.id)
		s.touch(full)
		qty, ok := parseDecimal(v.Count)
		if v.Count == "" {
			qty, ok = int64(v.Quantity)*unit, true
		}
		if !ok {
			panic(fmt.Sprintf("squaretest: Variation.Count: %q is no decimal", v.Count))
		}
		if !v.Uncounted && v.StockedAs == "" {
			hour := s.now().Add(-time.Hour)
			s.ledger(full.id, s.cfg.LocationID).add(entry{at: hour, count: true, qty: qty}, hour, s.cfg.Doubts)
		}
	}
	return ids
}

// id returns an id that was not used before.
func (s *Server) id() string {
	s.serial++
	sum := sha256.Sum256([]byte(strconv.Itoa(s.serial)))
	return base32.StdEncoding.EncodeToString(sum[:15])
}

// touch notes that a variation, or its item, has changed.
func (s *Server) touch(v *variation) {
	s.updated = s.now().Truncate(time.Millisecond)
	v.version = s.updated.UnixMilli()
	v.updated, v.item.updated = s.updated, s.updated
}

func (s *Server) ledger(id, location string) *ledger {
	l := s.ledgers[place{id, location}]
	if l == nil {
		l = &ledger{others: map[string]int64{}}
		s.ledgers[place{id, location}] = l
	}
	return l
}

// withSKU are the variations that have an SKU now.
func (s *Server) withSKU(sku string) (all []*variation) {
	for _, v := range s.bySKU[sku] {
		if !v.deleted {
			all = append(all, v)
		}
	}
	return all
}

// edit changes the variations with an SKU in the catalog.
func (s *Server) edit(sku string, change func(v *variation)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.withSKU(sku) {
		before := *v
		before.before = nil
		v.before = &before
		change(v)
		s.touch(v)
		if v.SKU != sku {
			s.bySKU[sku] = slices.DeleteFunc(s.bySKU[sku], func(other *variation) bool { return other == v })
			s.bySKU[v.SKU] = append(s.bySKU[v.SKU], v)
		}
	}
}

// Rename gives another SKU to every variation with this one.
func (s *Server) Rename(sku, to string) { s.edit(sku, func(v *variation) { v.SKU = to }) }

// Remove deletes every variation with the SKU. Its id is never used again.
func (s *Server) Remove(sku string) { s.edit(sku, func(v *variation) { v.deleted = true }) }

// Track switches the tracking of every variation with the SKU on or off.
func (s *Server) Track(sku string, on bool) { s.edit(sku, func(v *variation) { v.Untracked = !on }) }

// Archive archives the items of the SKU, or brings them back.
func (s *Server) Archive(sku string, archived bool) {
	s.edit(sku, func(v *variation) { v.item.archived = archived })
}

// SellOut marks every variation with the SKU as sold out at a location, as
// somebody at the till does.
func (s *Server) SellOut(sku, location string) {
	s.edit(sku, func(v *variation) { v.SoldOutAt = append(slices.Clone(v.SoldOutAt), location) })
}

// tracked is the rule for what the till counts.
func (v *variation) tracked(location string) bool {
	if on, ok := v.TrackedAt[location]; ok {
		return on
	}
	return !v.Untracked
}

func (v *variation) present(location string) bool {
	if v.PresentAt != nil {
		return slices.Contains(v.PresentAt, location)
	}
	return !slices.Contains(v.AbsentAt, location)
}

// object is a variation as the catalog shows it.
func (s *Server) object(v *variation) answer {
	o := s.presence(answer{
		"type": "ITEM_VARIATION", "id": v.id, "updated_at": stamp(v.updated), "version": v.version, "is_deleted": v.deleted,
	}, v)
	data := answer{
		"item_id": v.item.id, "name": "Regular", "ordinal": 1, "pricing_type": "FIXED_PRICING",
		"price_money": answer{"amount": 1000, "currency": "USD"}, "sellable": true, "stockable": v.StockedAs == "",
	}
	if v.SKU != "" {
		data["sku"] = v.SKU
	}
	if !v.Untracked {
		data["track_inventory"] = true
	}
	if v.MeasurementUnitID != "" {
		data["measurement_unit_id"] = v.MeasurementUnitID
	}
	if v.StockedAs != "" {
		data["stockable_conversion"] = answer{
			"stockable_item_variation_id": v.StockedAs, "stockable_quantity": "1", "nonstockable_quantity": strconv.Itoa(max(1, v.PerUnit)),
		}
	}
	if overrides := s.overrides(v); len(overrides) > 0 {
		data["location_overrides"] = overrides
	}
	o["item_variation_data"] = data
	return o
}

func (s *Server) presence(o answer, v *variation) answer {
	o["present_at_all_locations"] = v.PresentAt == nil
	if len(v.PresentAt) > 0 {
		o["present_at_location_ids"] = v.PresentAt
	}
	if v.PresentAt == nil && len(v.AbsentAt) > 0 {
		o["absent_at_location_ids"] = v.AbsentAt
	}
	return o
}

// overrides are a variation's settings for single locations. One that is
// tracked and has nothing left is marked as sold out.
func (s *Server) overrides(v *variation) (all []answer) {
	locations := slices.Sorted(maps.Keys(v.TrackedAt))
	for _, l := range s.locations {
		if !slices.Contains(locations, l.id) {
			locations = append(locations, l.id)
		}
	}
	for _, id := range locations {
		o := answer{"location_id": id}
		if on, ok := v.TrackedAt[id]; ok {
			o["track_inventory"] = on
		}
		if qty, ok := s.ledgers[place{v.id, id}].quantity(s.cfg.Doubts); slices.Contains(v.SoldOutAt, id) || ok && qty <= 0 && v.tracked(id) {
			o["sold_out"] = true
		}
		if len(o) > 1 {
			all = append(all, o)
		}
	}
	return all
}

// object is an item with its variations.
func (s *Server) itemObject(i *item) answer {
	var nested []answer
	for _, v := range i.variations {
		if !v.deleted {
			nested = append(nested, s.object(v))
		}
	}
	o := answer{
		"type": "ITEM", "id": i.id, "updated_at": stamp(i.updated), "version": i.updated.UnixMilli(), "is_deleted": len(nested) == 0,
		"present_at_all_locations": true,
		"item_data":                answer{"name": i.name, "is_archived": i.archived, "product_type": "REGULAR", "variations": nested},
	}
	return o
}

// stamp is a time as Square writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func fold(sku string) string { return strings.ToLower(sku) }
