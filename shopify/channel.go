package shopify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
)

// ChannelConfig configures a [Channel]. LocationID is required.
type ChannelConfig struct {
	// LocationID is the location whose stock is kept: the number that ends its
	// address in the shop's admin, or its id, "gid://shopify/Location/1".
	LocationID string
	// Name is the channel's name; empty means "shopify:" and the shop. Two
	// locations of one shop need a name each.
	Name string
	// Track makes Push switch on the tracking of items whose stock the shop
	// does not count, and Unset switch it off again. Otherwise these are
	// reported as [channel.ErrNotTracked].
	Track bool
	// Activate makes Push stock items at the location that are not stocked
	// there, and Unset end that. Otherwise these are reported as
	// [channel.ErrNotStocked].
	Activate bool
	// Products says that the app has the scope read_products, too. Levels then
	// tells, for a few points more and no further request, what is not on sale
	// ([channel.Level].OffSale), what goes on selling at zero (SellsAtZero), and
	// which items are bundles, before a write finds out.
	Products bool
	// Duplicates says what an SKU means that several items have; the default is
	// that it is reported. [channel.DuplicatesForSale] implies Products.
	Duplicates channel.Duplicates
}

// A Channel shows stock at one location of a shop. It is a [channel.Channel],
// a [channel.Reader], a [channel.Preloader], a [channel.Lister], a
// [channel.Comparer], a [channel.Unsetter], a [channel.Keeper], a
// [channel.Meter], a [channel.Limited], a [channel.Subscriber] and a
// [channel.Clocked]. It takes any number of SKUs, and splits them into calls of
// 250. Several goroutines may use it at once.
type Channel struct {
	client     *Client
	name       string
	location   string
	track      bool
	activate   bool
	products   bool
	duplicates channel.Duplicates
	place      place
	refused    memory[error]    // items that can never be written, and why
	switched   memory[prepared] // items that were made ready

	subscription subscription
}

var (
	_ channel.Channel   = (*Channel)(nil)
	_ channel.Reader    = (*Channel)(nil)
	_ channel.Preloader = (*Channel)(nil)
	_ channel.Lister    = (*Channel)(nil)
	_ channel.Comparer  = (*Channel)(nil)
	_ channel.Unsetter  = (*Channel)(nil)
	_ channel.Keeper    = (*Channel)(nil)
	_ channel.Meter     = (*Channel)(nil)
)

const locationPrefix = "gid://shopify/Location/"

var locationName = regexp.MustCompile(`^(?:gid://shopify/Location/)?([1-9][0-9]{0,18})$`)

// refusedLife is how long an item that the shop refuses for good is not tried
// again: it may cease to be a bundle.
const refusedLife = 7 * 24 * time.Hour

// Channel returns the channel for one location. It does no I/O.
func (c *Client) Channel(cfg ChannelConfig) (*Channel, error) {
	m := locationName.FindStringSubmatch(cfg.LocationID)
	if m == nil {
		return nil, errors.New(`shopify: ChannelConfig.LocationID: not a number or an id like "gid://shopify/Location/1"`)
	}
	if cfg.Duplicates < channel.DuplicatesReported || cfg.Duplicates > channel.DuplicatesAll {
		return nil, errors.New("shopify: ChannelConfig.Duplicates: not one of the constants of package channel")
	}
	return &Channel{
		client:     c,
		name:       cmp.Or(cfg.Name, "shopify:"+c.shop),
		location:   locationPrefix + m[1],
		track:      cfg.Track,
		activate:   cfg.Activate,
		products:   cfg.Products || cfg.Duplicates == channel.DuplicatesForSale,
		duplicates: cfg.Duplicates,
		refused:    memory[error]{max: 20_000, life: refusedLife},
		switched:   memory[prepared]{max: 20_000, life: 30 * 24 * time.Hour},
	}, nil
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.name }

// Preload prepares for a run over the whole catalogue, so that Levels and Push
// need not search for SKUs, as far as that is quicker. It does nothing if the items
// are known from before and few SKUs of the run before were missing, or if ctx
// expects at most 250 products that are not known ([channel.WithExpected]).
// Otherwise it reads the SKUs of the shop's items page by page, from both ends of
// the list, until searching for what is left would be done sooner: that takes more
// requests and points, of which a sixth of the bucket stays for urgent work. If
// more than 6000 are not known it starts one bulk operation instead, which takes
// some dozen points for any number of items, a second at least, and minutes for a
// large shop.
//
// A bulk operation that makes no progress for three minutes, or takes half an
// hour, is canceled, and none is started for an hour. It is also canceled if the
// caller leaves. A download that breaks off is tried twice more.
//
// After a bulk operation, during the run that ctx names (see
// [channel.WithRun]), an SKU that the shop did not have counts as unknown
// without a search. The channels of one shop share what is read: a further
// Preload in the same run does nothing.
func (ch *Channel) Preload(ctx context.Context) error { return ch.client.loadItems(ctx) }

func (ch *Channel) question() question { return question{ch.location, ch.products} }

// Levels reads what is available at the location: one request for 250 SKUs
// whose items are known, and before it one for each 25 that are not. Ref is
// the id of the inventory item. An item that Push will first have to track or
// to activate is Unset; it is OffSale if it is tracked, since then nothing is
// sold from the location.
//
// Whatever the answer lacks or says oddly of one item is the Err of its level.
// An SKU that is not found, and was asked for in vain for less than three
// minutes, is an Err that matches [channel.ErrUnknownSKU] and is not permanent
// ([channel.NotYet]): the shop's search is late.
//
// Bundles, which have no stock of their own, look like any item unless
// [ChannelConfig].Products is set; Push finds out, reports [channel.ErrShared],
// and Levels says so for a week.
//
// A location that is closed, or not the shop's, is an error. It is looked at
// again after ten seconds.
func (ch *Channel) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	wanted := hashset.Distinct(skus)
	if at := slices.Index(wanted, ""); at >= 0 { // items without an SKU belong to nobody
		wanted = slices.Concat(wanted[:at], wanted[at+1:])
	}
	found, err := ch.find(ctx, wanted)
	if err != nil {
		return nil, err
	}
	levels := make([]channel.Level, 0, len(wanted))
	for i, sku := range wanted {
		m := &found[i]
		switch {
		case m.nothing():
		case m.err != nil || len(m.exact) == 0:
			levels = append(levels, channel.Level{SKU: sku, Err: m.unknown(sku)})
		case len(m.exact) > 1 && ch.duplicates == channel.DuplicatesAll:
			levels = append(levels, ch.together(sku, m.exact))
		default:
			for _, n := range m.exact {
				levels = append(levels, ch.level(sku, n))
			}
		}
	}
	return levels, nil
}

// find reads the items of SKUs, and makes sure of the location.
func (ch *Channel) find(ctx context.Context, skus []string) ([]match, error) {
	if ok, err := ch.place.known(); ok && err != nil {
		return nil, err
	}
	found, err := ch.client.find(ctx, ch.question(), skus)
	if err != nil {
		return nil, err
	}
	somewhere, here := false, false
	for i := range found {
		m := &found[i]
		for _, n := range m.exact {
			somewhere = somewhere || n.err == nil
			here = here || n.err == nil && n.active
		}
		if ch.duplicates == channel.DuplicatesForSale && len(m.exact) > 1 {
			m.exact = forSale(m.exact)
		}
	}
	switch {
	case here:
		ch.place.good()
	case somewhere:
		if err := ch.locate(ctx); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// forSale returns the one of several items that is for sale, or all of them.
func forSale(nodes []*node) []*node {
	var only []*node
	for _, n := range nodes {
		if n.err != nil || n.onSale {
			only = append(only, n)
		}
	}
	if len(only) == 1 {
		return only
	}
	return nodes
}

// level is that of one item.
func (ch *Channel) level(sku string, n *node) channel.Level {
	l := channel.Level{SKU: sku, Ref: n.id(), Err: ch.obstacle(n)}
	if l.Err != nil {
		return l
	}
	l.OffSale = n.products && !n.onSale
	l.SellsAtZero = n.backlog
	if n.tracked && n.active {
		l.Quantity = n.available
		return l
	}
	l.Unset = true
	l.OffSale = l.OffSale || n.tracked
	return l
}

// together is the level of several items that get the same quantity. It is
// Unset where they disagree.
func (ch *Channel) together(sku string, nodes []*node) channel.Level {
	all := ch.level(sku, nodes[0])
	for _, n := range nodes[1:] {
		l := ch.level(sku, n)
		switch {
		case all.Err != nil:
			return all
		case l.Err != nil:
			return l
		}
		all.Ref += " " + l.Ref
		if l.Unset || l.Quantity != all.Quantity {
			all.Unset = true
		}
		all.OffSale = all.OffSale && l.OffSale
		all.SellsAtZero = all.SellsAtZero || l.SellsAtZero
	}
	if all.Unset {
		all.Quantity = 0
	}
	return all
}

// obstacle says why the item cannot be written and may not be made so.
func (ch *Channel) obstacle(n *node) error {
	if n.err != nil {
		return n.err
	}
	if why, ok := ch.refused.get(n.number); ok {
		mended := errors.Is(why, channel.ErrNotTracked) && n.tracked || errors.Is(why, channel.ErrNotStocked) && n.active
		if !mended {
			return why
		}
		ch.refused.drop(n.number)
	}
	switch {
	case n.bundle:
		return fmt.Errorf("%w: %s is a bundle", channel.ErrShared, n.id())
	case !n.tracked && !ch.track:
		return fmt.Errorf("%w: %s; switch it on in the shop, or set ChannelConfig.Track", channel.ErrNotTracked, n.id())
	case !n.active && !ch.activate:
		return fmt.Errorf("%w: %s at %s; stock it there, or set ChannelConfig.Activate", channel.ErrNotStocked, n.id(), ch.location)
	}
	return nil
}

// ambiguous names the items that share an SKU.
func ambiguous(sku string, nodes []*node) error {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.id()
	}
	slices.Sort(ids)
	const some = 5
	return fmt.Errorf("%w %q: it is on %d inventory items: %v", channel.ErrAmbiguousSKU, clip(sku), len(ids), ids[:min(some, len(ids))])
}

// SKUs implements [channel.Lister] by a bulk operation over all items of the
// shop, at whatever location.
func (ch *Channel) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		stopped := false
		whole, err := ch.client.everyItem(ctx, func(sku string, id uint64) bool {
			ch.client.items.add(sku, id)
			stopped = !yield(sku, nil)
			return !stopped
		})
		switch {
		case stopped:
		case err != nil:
			yield("", err)
		case !whole:
			yield("", fmt.Errorf("%w: shopify: the result of the bulk operation has lines that make no sense, or does not say how many there are", channel.ErrIncomplete))
		default:
			ch.client.load.filled(channel.Run(ctx), true)
		}
	}
}

// Requests implements [channel.Meter]. It counts for the whole [Client], but
// not the downloads of bulk results.
func (ch *Channel) Requests() int64 { return ch.client.http.Requests() }

// ComparesAndSets implements [channel.Comparer].
func (c *Channel) ComparesAndSets() {}
