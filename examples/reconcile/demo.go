package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

type demoOptions struct {
	seed                       uint64
	products, drift, badImport int
}

// A kind is a way in which a shop drifts from ECOSIRE.
type kind string

const (
	editedUp   kind = "edited up"
	editedDown kind = "edited down"
	wiped      kind = "wiped to zero"
	renamed    kind = "renamed"    // cannot be mended: the shop does not have the SKU
	duplicated kind = "duplicated" // cannot be mended: two items have the SKU
	badImport  kind = "bad import" // the shop is right, and ECOSIRE says 0
)

// A drift is one quantity that is wrong.
type drift struct {
	kind          kind
	shown, wanted int
	now           string // the SKU that a renamed item has now
}

// A place is where a quantity is shown.
type place struct{ channel, sku string }

// A world is an ECOSIRE with two shops, and what is wrong in them.
type world struct {
	ecosire *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
	shops   []*shop
	drift   map[place]drift // what was injected and is not mended yet
	seed    uint64
}

// A shop is what the demo needs of either fake.
type shop struct {
	name   string
	add    func(sku string, quantity int) (id string)
	set    func(sku string, quantity int)
	rename func(sku, to string)
	look   func(id string) item
	writes func() int // quantities written over the API so far

	items   []string        // ids
	before  map[string]item // by id, when last checked
	written int             // writes when last checked
}

type item struct {
	sku      string
	quantity int
}

// newWorld makes the same world whenever the options are the same.
func newWorld(o demoOptions) (*world, error) {
	w := &world{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
		drift:   make(map[place]drift),
		seed:    o.seed,
	}
	w.shops = []*shop{shopifyShop(w.shopify), wooShop(w.woo)}
	rng := rand.New(rand.NewPCG(o.seed, 0))
	for i := range o.products {
		sort := [...]struct{ code, name string }{
			{"MUG", "Mug, glazed"}, {"TEE", "T-shirt, organic cotton"}, {"CAP", "Cap, corduroy"}, {"BAG", "Tote bag"}, {"PEN", "Ballpoint pen"},
		}[i%5]
		p := ecosiretest.Product{SKU: fmt.Sprintf("%s-%05d", sort.code, i), Name: sort.name, OnHand: rng.IntN(40)}
		p.Reserved = rng.IntN(1 + p.OnHand/4)
		w.ecosire.Add(p)
		for _, s := range w.shops {
			s.items = append(s.items, s.add(p.SKU, p.OnHand-p.Reserved))
		}
	}
	if err := w.inject(o, rng); err != nil {
		return nil, err
	}
	for _, s := range w.shops {
		s.remember()
	}
	return w, nil
}

// inject puts drift into both shops, each product into one kind at the most.
func (w *world) inject(o demoOptions, rng *rand.Rand) error {
	deck := w.ecosire.Products()
	rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	var err error
	// draw calls f with n products of which at least so many are available.
	draw := func(n, least int, f func(id, sku string, available int)) {
		for range n {
			i := slices.IndexFunc(deck, func(p ecosiretest.Product) bool { return p.OnHand-p.Reserved >= least })
			if i < 0 {
				err = errors.New("there are too few -products for that much drift")
				return
			}
			p := deck[i]
			deck = slices.Delete(deck, i, i+1)
			f(p.ID, p.SKU, p.OnHand-p.Reserved)
		}
	}
	for _, s := range w.shops {
		show := func(k kind, sku string, shown, wanted int) {
			s.set(sku, shown)
			w.drift[place{s.name, sku}] = drift{kind: k, shown: shown, wanted: wanted}
		}
		draw(o.drift, 0, func(_, sku string, n int) { show(editedUp, sku, n+1+rng.IntN(9), n) })
		draw(o.drift, 2, func(_, sku string, n int) { show(editedDown, sku, 1+rng.IntN(n-1), n) })
		draw(o.drift, 1, func(_, sku string, n int) { show(wiped, sku, 0, n) })
		draw(o.drift, 0, func(_, sku string, n int) {
			to := []string{strings.ToLower(sku), sku + "-OLD"}[rng.IntN(2)]
			s.rename(sku, to)
			w.drift[place{s.name, sku}] = drift{kind: renamed, wanted: n, now: to}
		})
		draw(o.drift, 0, func(_, sku string, n int) {
			s.items = append(s.items, s.add(sku, rng.IntN(20)))
			w.drift[place{s.name, sku}] = drift{kind: duplicated, wanted: n}
		})
	}
	draw(o.badImport, 1, func(id, sku string, n int) {
		w.ecosire.Set(id, 0, 0)
		for _, s := range w.shops {
			w.drift[place{s.name, sku}] = drift{kind: badImport, shown: n}
		}
	})
	return err
}

func shopifyShop(f *shopifytest.Server) *shop {
	return &shop{
		name: "shopify:test-shop",
		add: func(sku string, quantity int) string {
			return f.Add(shopifytest.Item{SKU: sku, Available: quantity})[0]
		},
		set: f.Set, rename: f.Rename,
		look: func(id string) item {
			it, _ := f.Item(id)
			return item{it.SKU, it.Available}
		},
		writes: func() int { return len(f.History()) },
	}
}

// wooShop sells every tee as a variation.
func wooShop(f *woocommercetest.Server) *shop {
	tees := f.Add(woocommercetest.Product{Type: "variable", Stock: woocommercetest.Unmanaged})[0]
	return &shop{
		name: "woocommerce:shop.example",
		add: func(sku string, quantity int) string {
			p := woocommercetest.Product{SKU: sku, Quantity: quantity}
			if strings.HasPrefix(sku, "TEE-") {
				p.Type, p.ParentID = "variation", tees
			}
			return strconv.Itoa(f.Add(p)[0])
		},
		set: f.Set, rename: f.Rename,
		look: func(id string) item {
			n, _ := strconv.Atoi(id)
			p, _ := f.Product(n)
			return item{p.SKU, p.Quantity}
		},
		writes: f.Writes,
	}
}

func (s *shop) remember() {
	s.before, s.written = make(map[string]item, len(s.items)), s.writes()
	for _, id := range s.items {
		s.before[id] = s.look(id)
	}
}

// services are built as yours are, but for what the variables say, and for the
// HTTP client, which leads to the world's servers.
func (w *world) services() (*stocksync.Services, error) {
	env := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api",
		"SHOPIFY_SHOP": "test-shop", "SHOPIFY_LOCATION_ID": w.shopify.Location(), "SHOPIFY_ACCESS_TOKEN": "shpat_test",
		"WC_SITE_URL": "https://shop.example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
	}
	return stocksync.FromEnv(stocksync.Config{
		Getenv:     func(name string) string { return env[name] },
		HTTPClient: &http.Client{Transport: w},
	})
}

// RoundTrip makes the world a network, which goes nowhere else.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Host {
	case "ecosire.example":
		return w.ecosire.RoundTrip(req)
	case "shop.example":
		return w.woo.RoundTrip(req)
	}
	return w.shopify.RoundTrip(req)
}

// describe prints what was injected.
func (w *world) describe(out io.Writer) {
	fmt.Fprintf(out, "%d products in ECOSIRE. Injected with -seed %d:\n", len(w.ecosire.Products()), w.seed)
	for _, s := range w.shops {
		lists := make(map[kind][]string)
		for at, d := range w.drift {
			if at.channel == s.name {
				lists[d.kind] = append(lists[d.kind], d.describe(at.sku))
			}
		}
		for _, k := range []kind{editedUp, editedDown, wiped, renamed, duplicated, badImport} {
			const most = 3
			list := lists[k]
			slices.Sort(list)
			if len(list) > most {
				list = append(list[:most], fmt.Sprintf("… and %d more", len(list)-most))
			}
			if len(list) > 0 {
				fmt.Fprintf(out, "  %s %s: %s\n", s.name, k, strings.Join(list, ", "))
			}
		}
	}
	fmt.Fprintln(out)
}

func (d drift) describe(sku string) string {
	switch d.kind {
	case renamed:
		return sku + " is now " + d.now
	case duplicated:
		return sku
	}
	return fmt.Sprintf("%s (%d, not %d)", sku, d.shown, d.wanted)
}

// is reports whether a line says what is wrong.
func (d drift) is(l syncer.Line) bool {
	switch d.kind {
	case renamed:
		return l.Reason == syncer.ReasonUnknown
	case duplicated:
		return l.Reason == syncer.ReasonAmbiguous
	}
	return l.Reason.Writable() && l.Shown != nil && *l.Shown == d.shown && l.Wanted == d.wanted
}

// errDemo: what was found or mended is not what was injected.
var errDemo = errors.New("this is not what was injected")

// found compares what the lines say with the drift at those places that due
// chooses.
func (w *world) found(lines []syncer.Line, due func(place) bool) error {
	said := make(map[place]bool, len(lines))
	for _, l := range lines {
		at := place{l.Channel, l.SKU}
		d, injected := w.drift[at]
		if !injected || !d.is(l) || said[at] {
			return fmt.Errorf("%w: %s %q: %s", errDemo, l.Channel, l.SKU, cmp.Or(l.Error, string(l.Reason)))
		}
		said[at] = true
	}
	for at, d := range w.drift {
		if due(at) && !said[at] {
			return fmt.Errorf("%w: %s %q was %s, and nobody noticed", errDemo, at.channel, at.sku, d.kind)
		}
	}
	return nil
}

func everywhere(place) bool { return true }

// checkPlan returns nil if the plan says exactly what was injected, and the
// shops were left alone.
func (w *world) checkPlan(plan *syncer.Plan) error {
	for _, c := range plan.Channels {
		if c.Error != "" {
			return fmt.Errorf("%s: %s", c.Channel, c.Error)
		}
	}
	if err := w.found(plan.Lines, everywhere); err != nil {
		return err
	}
	for i, s := range w.shops {
		var extra []string
		for at, d := range w.drift {
			if at.channel == s.name && d.kind == renamed {
				extra = append(extra, d.now)
			}
		}
		slices.Sort(extra)
		if found := slices.Sorted(slices.Values(plan.Channels[i].ExtraSKUs)); !slices.Equal(found, extra) {
			return fmt.Errorf("%w: %s has %q, which ECOSIRE has not; found were %q", errDemo, s.name, extra, found)
		}
	}
	return w.shown(nil)
}

// check returns nil if a run found exactly what was injected, if the shops
// show what it says they show, and if nothing else in them has changed. plan is
// what was applied; nil means the whole catalogue.
func (w *world) check(r *syncer.Report, plan *syncer.Plan) error {
	if r.Unread > 0 || r.Replanned != nil {
		return r.Err()
	}
	var lines []syncer.Line
	mended := make(map[place]int)
	for _, c := range r.Channels {
		if c.Err != nil {
			return fmt.Errorf("%s: %w", c.Channel, c.Err)
		}
		for _, ch := range c.Changes {
			lines = append(lines, syncer.Line{Channel: c.Channel, SKU: ch.SKU, Shown: ch.Shown, Wanted: ch.Wanted, Reason: syncer.ReasonOver})
			mended[place{c.Channel, ch.SKU}] = ch.Wanted
		}
		for _, p := range c.Problems {
			l := syncer.Line{Channel: c.Channel, SKU: p.SKU, Error: p.Err.Error()}
			switch {
			case errors.Is(p.Err, channel.ErrUnknownSKU):
				l.Reason = syncer.ReasonUnknown
			case errors.Is(p.Err, channel.ErrAmbiguousSKU):
				l.Reason = syncer.ReasonAmbiguous
			}
			lines = append(lines, l)
		}
	}
	if r.Held != nil {
		lines = append(lines, r.Held.Lines...)
	}
	due := everywhere
	if plan != nil {
		planned := make(map[place]bool)
		for _, l := range plan.Lines {
			planned[place{l.Channel, l.SKU}] = l.Reason.Writable()
		}
		due = func(at place) bool { return planned[at] }
	}
	if err := w.found(lines, due); err != nil {
		return err
	}
	if err := w.shown(mended); err != nil {
		return err
	}
	for at := range mended {
		delete(w.drift, at)
	}
	if r.Held != nil {
		return fmt.Errorf("%d lines: %w", len(r.Held.Lines), syncer.ErrHeld)
	}
	return nil
}

// shown looks into the shops themselves: they must show what was mended, and
// all else as they did before.
func (w *world) shown(mended map[place]int) error {
	for _, s := range w.shops {
		want := s.written
		for id, was := range s.before {
			if n, ok := mended[place{s.name, was.sku}]; ok {
				was.quantity = n
				want++
			}
			if now := s.look(id); now != was {
				return fmt.Errorf("%w: %s: %q shows %d, and should show %d", errDemo, s.name, now.sku, now.quantity, was.quantity)
			}
		}
		if n := s.writes(); n != want {
			return fmt.Errorf("%w: %s: %d quantities were written, and not %d", errDemo, s.name, n-s.written, want-s.written)
		}
		s.remember()
	}
	return nil
}
