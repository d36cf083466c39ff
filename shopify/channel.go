package shopify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"

	"github.com/ecosire/stocksync/channel"
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
	// does not count. Otherwise these are reported as
	// [channel.ErrNotTracked].
	Track bool
	// Activate makes Push stock items at the location that are not stocked
	// there. Otherwise these are reported as [channel.ErrNotStocked].
	Activate bool
}

// A Channel shows stock at one location of a shop. It is a [channel.Channel],
// a [channel.Reader] and a [channel.Preloader]. It takes any number of SKUs,
// and splits them into calls of 250.
type Channel struct {
	client   *Client
	name     string
	location string
	track    bool
	activate bool
}

var (
	_ channel.Channel   = (*Channel)(nil)
	_ channel.Reader    = (*Channel)(nil)
	_ channel.Preloader = (*Channel)(nil)
	_ channel.Lister    = (*Channel)(nil)
	_ channel.Meter     = (*Channel)(nil)
)

var locationName = regexp.MustCompile(`^(?:gid://shopify/Location/)?([1-9][0-9]{0,18})$`)

// Channel returns the channel for one location. It does no I/O.
func (c *Client) Channel(cfg ChannelConfig) (*Channel, error) {
	m := locationName.FindStringSubmatch(cfg.LocationID)
	if m == nil {
		return nil, errors.New(`shopify: ChannelConfig.LocationID: not a number or an id like "gid://shopify/Location/1"`)
	}
	return &Channel{
		client:   c,
		name:     cmp.Or(cfg.Name, "shopify:"+c.shop),
		location: "gid://shopify/Location/" + m[1],
		track:    cfg.Track,
		activate: cfg.Activate,
	}, nil
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.name }

// Preload reads the SKUs of all the shop's items in one bulk operation, so
// that Levels and Push need not search for them: some dozen points for any
// number of items, in place of one search for every 25. It takes a second at
// least, and minutes for a large shop. If ctx is done meanwhile, Shopify still
// ends the operation, and nobody reads its result.
//
// During the run that ctx names (see [channel.WithRun]) an SKU that the shop
// did not have then counts as unknown without a search. The channels of one
// shop share what is read: a further Preload in the same run does nothing.
func (ch *Channel) Preload(ctx context.Context) error { return ch.client.loadItems(ctx) }

// Levels reads what is available at the location: one request for 250 SKUs
// whose items are known, and before it one for each 25 that are not. Ref is
// the id of the inventory item. An item that Push will first have to track or
// to activate is Unset.
//
// Bundles, which have no stock of their own, look like any item; only Push
// finds out, and reports [channel.ErrShared].
func (ch *Channel) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	wanted := make([]string, 0, len(skus))
	seen := make(map[string]bool, len(skus))
	for _, sku := range skus {
		if sku != "" && !seen[sku] { // items without a SKU belong to nobody
			seen[sku] = true
			wanted = append(wanted, sku)
		}
	}
	found, err := ch.client.find(ctx, ch.location, wanted)
	if err != nil {
		return nil, err
	}
	levels := make([]channel.Level, 0, len(wanted))
	for _, sku := range wanted {
		m := found[sku]
		for _, n := range m.exact {
			levels = append(levels, ch.level(sku, n))
		}
		if len(m.exact) == 0 && len(m.near) > 0 {
			levels = append(levels, channel.Level{SKU: sku, Err: channel.UnknownSKU(sku, m.near...)})
		}
	}
	return levels, nil
}

func (ch *Channel) level(sku string, n *node) channel.Level {
	l := channel.Level{SKU: sku, Ref: n.ID, Err: ch.obstacle(n)}
	switch {
	case l.Err != nil:
	case !n.Tracked || !n.active():
		l.Unset = true
	default:
		l.Quantity, _ = n.available() // nodes has seen to it that it is there
	}
	return l
}

// obstacle says why the item cannot be written and may not be made so.
func (ch *Channel) obstacle(n *node) error {
	switch {
	case !n.Tracked && !ch.track:
		return fmt.Errorf("%w: %s; switch it on in the shop, or set ChannelConfig.Track", channel.ErrNotTracked, n.ID)
	case !n.active() && !ch.activate:
		return fmt.Errorf("%w: %s at %s; stock it there, or set ChannelConfig.Activate", channel.ErrNotStocked, n.ID, ch.location)
	}
	return nil
}

// ambiguous names the items that share an SKU.
func ambiguous(sku string, nodes []*node) error {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	slices.Sort(ids)
	return fmt.Errorf("%w %q: it is on %d inventory items: %v", channel.ErrAmbiguousSKU, sku, len(ids), ids)
}

// SKUs implements [channel.Lister] by a bulk operation over all items of the
// shop, at whatever location.
func (c *Channel) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := c.client.everyItem(ctx, func(sku string, _ uint64) bool { return yield(sku, nil) })
		if err != nil {
			yield("", err)
		}
	}
}

// Requests implements [channel.Meter]. It counts for the whole [Client], but
// not the downloads of bulk results.
func (c *Channel) Requests() int64 { return c.client.http.Requests() }
