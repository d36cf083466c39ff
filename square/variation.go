package square

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// A variation is what is known of an item variation: what has an SKU and a
// stock at Square.
type variation struct {
	id, sku string
	item    string // the id of its item, or ""
	err     error  // why it can be counted at no location, or nil
	// tracked and present are for locations without an exception.
	tracked, present bool
	except           []exception
	deleted          bool
}

// An exception is what is different at one location.
type exception struct {
	location string // shared by all variations
	tracked  *bool  // one of the two below, or nil for no difference
	other    bool   // it is present there if it is not elsewhere, and the other way round
	soldOut  bool
}

var yes, no = true, false

// at returns what is different at a location.
func (v *variation) at(location string) exception {
	for _, e := range v.except {
		if e.location == location {
			return e
		}
	}
	return exception{}
}

// obstacle says why a count of it at a location would be no stock that anybody
// sees, or nil.
func (v *variation) obstacle(location string) error {
	e := v.at(location)
	tracked := v.tracked
	if e.tracked != nil {
		tracked = *e.tracked
	}
	switch {
	case v.err != nil:
		return v.err
	case v.present == e.other:
		return fmt.Errorf("%w: %s is not sold at %s; add the location to the item in Square", channel.ErrNotStocked, v.id, location)
	case !tracked:
		return fmt.Errorf("%w: %s at %s; switch stock tracking on for the variation in Square", channel.ErrNotTracked, v.id, location)
	}
	return nil
}

// listed reports whether the location sells it.
func (v *variation) listed(location string) bool {
	return v.sku != "" && !errors.Is(v.err, errArchived) && v.present != v.at(location).other
}

// errArchived is that of variations whose item is archived.
var errArchived = fmt.Errorf("%w: the item is archived; restore it in Square", channel.ErrNotStocked)

// An item is what is known of the item that a variation belongs to.
type item struct {
	archived bool
	err      error
}

// presence says where an object of the catalog is: at all locations or at none,
// but for some.
type presence struct {
	all bool
	but []string
}

// A page is what one answer of the catalog has.
type page struct {
	variations []*variation
	nested     []*variation // of items that came for their own sake
	gone       []string     // items that were deleted
	odd        int          // objects that could not be told apart
	cursor     string
	latest     string
}

// decodePage reads an answer of the catalog object by object, so that one that
// makes no sense is the trouble of its variation alone.
func (c *catalog) decodePage(a *answer, now time.Time) (*page, error) {
	p := &page{}
	items := make(map[string]item)
	for _, name := range []string{"related_objects", "objects"} {
		list, err := a.list(name)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			c.object(v, name == "objects", p, items, now)
		}
	}
	for _, v := range slices.Concat(p.variations, p.nested) {
		v.of(items)
	}
	var err error
	if p.cursor, err = a.text("cursor"); err != nil {
		return nil, err
	}
	if p.latest, err = a.text("latest_time"); err != nil {
		p.latest = "" // a beta: without it everything is read again
	}
	if len(a.details) > 0 {
		return nil, &Error{Op: a.op, Status: http.StatusOK, Details: a.details}
	}
	return p, nil
}

// object reads one object into the page. Related ones matter only if they are
// items.
func (c *catalog) object(v strictjson.Value, asked bool, p *page, items map[string]item, now time.Time) {
	var r strictjson.Row
	r.Read(v)
	kind, id := r.Text("type"), r.Text("id")
	if r.Err() != nil || !plausible(id) {
		p.odd++
		return
	}
	switch kind {
	case "ITEM":
		it, nested, deleted := c.item(&r, asked, now)
		items[id] = it
		if asked && deleted {
			p.gone = append(p.gone, id)
		}
		p.nested = append(p.nested, nested...)
	case "ITEM_VARIATION":
		if !asked {
			return
		}
		full := c.variation(id, &r, now)
		if full.sku == "" && full.err != nil {
			p.odd++ // nobody can tell whose it is
		}
		p.variations = append(p.variations, full)
	}
}

// item reads an item and, if it came for its own sake, its variations.
func (c *catalog) item(r *strictjson.Row, asked bool, now time.Time) (it item, nested []*variation, deleted bool) {
	deleted = flag(r, "is_deleted", false)
	var data strictjson.Row
	if r.Has("item_data") {
		data.Read(r.Value("item_data"))
		it.archived = flag(&data, "is_archived", false)
	}
	if asked && data.Has("variations") {
		for _, v := range data.Elements("variations") {
			var row strictjson.Row
			row.Read(v)
			if id := row.Text("id"); row.Err() == nil && plausible(id) {
				nested = append(nested, c.variation(id, &row, now))
			}
		}
	}
	if err := errors.Join(r.Err(), data.Err()); err != nil {
		it.err = fmt.Errorf("%w: its item cannot be understood: %w", channel.ErrInvalid, err)
	}
	return it, nested, deleted
}

// variation reads a variation. What cannot be read of it becomes its error.
func (c *catalog) variation(id string, r *strictjson.Row, now time.Time) *variation {
	v := &variation{id: id, deleted: flag(r, "is_deleted", false)}
	at := c.presence(r)
	v.present = at.all
	for _, location := range at.but {
		v.exception(c.intern(location)).other = true
	}
	var data strictjson.Row
	data.Read(r.Value("item_variation_data"))
	if v.deleted && data.Err() != nil {
		return v
	}
	if data.Has("sku") {
		v.sku = data.Value("sku").Name() // also where it is a number, to say what the error is about
		data.Text("sku")
	}
	if data.Has("item_id") {
		v.item = data.Text("item_id")
	}
	v.tracked = flag(&data, "track_inventory", false)
	stockable := flag(&data, "stockable", true)
	as := ""
	if data.Has("stockable_conversion") {
		var conversion strictjson.Row
		conversion.Read(data.Value("stockable_conversion"))
		as = conversion.Value("stockable_item_variation_id").Name()
	}
	c.overrides(v, &data, now)
	switch err := errors.Join(r.Err(), data.Err()); {
	case err != nil:
		v.err = fmt.Errorf("%w: %s in the catalog cannot be understood: %w", channel.ErrInvalid, id, err)
	case !stockable:
		v.err = fmt.Errorf("%w: %s is sold from the stock of %s, which a count would change", channel.ErrShared, id, named(as))
	}
	return v
}

func named(id string) string {
	if !plausible(id) {
		return "another variation"
	}
	return id
}

// overrides reads a variation's settings for single locations.
func (c *catalog) overrides(v *variation, data *strictjson.Row, now time.Time) {
	if !data.Has("location_overrides") {
		return
	}
	for _, o := range data.Elements("location_overrides") {
		var r strictjson.Row
		r.Read(o)
		location := r.Text("location_id")
		soldOut := flag(&r, "sold_out", false)
		if soldOut && r.Has("sold_out_valid_until") {
			until, err := time.Parse(time.RFC3339, r.Text("sold_out_valid_until"))
			soldOut = err != nil || now.Before(until)
		}
		var tracked *bool
		if r.Has("track_inventory") {
			tracked = &no
			if r.Bool("track_inventory") {
				tracked = &yes
			}
		}
		if err := r.Err(); err != nil {
			v.err = fmt.Errorf("%w: the settings of %s for its locations cannot be understood: %w", channel.ErrInvalid, v.id, err)
			return
		}
		if soldOut || tracked != nil {
			e := v.exception(c.intern(location))
			e.soldOut, e.tracked = soldOut, tracked
		}
	}
}

// exception returns what is different at a location, to be changed.
func (v *variation) exception(location string) *exception {
	for i := range v.except {
		if v.except[i].location == location {
			return &v.except[i]
		}
	}
	v.except = append(v.except, exception{location: location})
	return &v.except[len(v.except)-1]
}

// of takes in what its item says, if that is among the items.
func (v *variation) of(items map[string]item) {
	it, ok := items[v.item]
	switch {
	case !ok || v.err != nil:
	case it.err != nil:
		v.err = it.err
	case it.archived:
		v.err = errArchived
	}
}

// presence reads where an object is.
func (c *catalog) presence(r *strictjson.Row) presence {
	p := presence{all: flag(r, "present_at_all_locations", true)}
	list := "present_at_location_ids"
	if p.all {
		list = "absent_at_location_ids"
	}
	if !r.Has(list) {
		return p
	}
	for _, v := range r.Elements(list) {
		if id := v.Name(); id != "" {
			p.but = append(p.but, id)
		}
	}
	return p
}

// flag reads a member that may be left out.
func flag(r *strictjson.Row, name string, missing bool) bool {
	if !r.Has(name) {
		return missing
	}
	return r.Bool(name)
}

// plausible reports whether an id is one that Square could have given.
func plausible(id string) bool {
	return id != "" && len(id) <= 100 && id == text.Clean(id) && !strings.ContainsAny(id, " \ufffd")
}
