package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// ChannelConfig configures a [Channel]. Its zero value is ready to use.
type ChannelConfig struct {
	// Name is the channel's; "" means "woocommerce:" and the shop's host, and
	// its path if it has one.
	Name string
	// Track makes Push switch on the stock management of simple products and
	// variations whose stock the shop does not manage, which customers can buy
	// without a limit. By default these are reported as channel.ErrNotTracked.
	// [Channel.Unset] switches it off again.
	Track bool
	// WriteParents says what becomes of variations that show the stock of
	// their parent. By default they are reported as channel.ErrShared. With
	// WriteParents the parent gets the quantity, once, if all that is known to
	// be wanted of it agrees, and is reported as channel.ErrShared otherwise. It
	// is for catalogues in which such variations have one quantity in the source
	// too.
	WriteParents bool
	// Duplicates says what becomes of an SKU that several items have, such as a
	// product, its draft copies and its translations. By default it is reported
	// as channel.ErrAmbiguousSKU. For sale is what is published and has a price,
	// whether it is in stock or not. With channel.DuplicatesAll each copy offers
	// the whole quantity: choose it only where a plugin books a sale of one copy
	// on the others, or the same units may be sold once for each.
	Duplicates channel.Duplicates
	// SkipList keeps [Channel.SKUs] from reading, which takes a request for 100
	// products and one for each product with variations.
	SkipList bool
}

// A Channel shows stock in one shop. It is a channel.Channel, a channel.Reader,
// a channel.Unsetter, a channel.Lister, a channel.ChangeLister, a channel.Meter,
// a channel.Subscriber and a channel.Clocked; it takes any number of updates and
// SKUs, and is safe for concurrent use.
type Channel struct {
	client *Client
	cfg    ChannelConfig
	hook   *hook
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Reader   = (*Channel)(nil)
	_ channel.Unsetter = (*Channel)(nil)
	_ channel.Lister   = (*Channel)(nil)
	_ channel.Meter    = (*Channel)(nil)
)

// Channel returns the shop as a channel. It does no I/O.
func (c *Client) Channel(cfg ChannelConfig) (*Channel, error) {
	if cfg.Duplicates < channel.DuplicatesReported || cfg.Duplicates > channel.DuplicatesAll {
		return nil, errors.New("woocommerce: ChannelConfig.Duplicates is none of package channel's")
	}
	cfg.Name = cmp.Or(cfg.Name, "woocommerce:"+c.base.Host+c.base.Path)
	return &Channel{client: c, cfg: cfg, hook: new(hook)}, nil
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.cfg.Name }

// Requests implements [channel.Meter]. It counts for the whole [Client].
func (ch *Channel) Requests() int64 { return ch.client.http.Requests() }

// Levels reads what the shop shows, 100 SKUs a request. Products are found in
// every status but the trash; what is not published or has no price is OffSale.
//
// An SKU that differs from the shop's in case, accents or blanks at the end is
// not that product: its level has an error that names the shop's. A product of
// which the shop says nonsense, or that makes it fail, has an error of its own,
// and the others are read all the same.
func (ch *Channel) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	asked := time.Now()
	rows, levels, err := ch.client.find(ctx, skus)
	if err != nil {
		return nil, err
	}
	ch.client.written.read(rows, asked)
	if ch.cfg.WriteParents {
		ch.client.siblings.read(rows)
	}
	if len(levels) == 0 {
		return ch.levels(rows), nil
	}
	return append(levels, ch.levels(rows)...), nil
}

// levels says what rows show, by the configuration's choice where several have
// one SKU.
func (ch *Channel) levels(rows []found) []channel.Level {
	levels := make([]channel.Level, 0, len(rows))
	if ch.cfg.Duplicates == channel.DuplicatesReported {
		for _, f := range rows {
			levels = append(levels, ch.level(f.sku, f.row))
		}
		return levels
	}
	slices.SortStableFunc(rows, func(a, b found) int { return cmp.Or(cmp.Compare(a.sku, b.sku), cmp.Compare(a.row.id, b.row.id)) })
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].sku == rows[0].sku {
			n++
		}
		levels = append(levels, ch.duplicates(rows[:n])...)
		rows = rows[n:]
	}
	return levels
}

// duplicates says what all rows with an SKU show.
func (ch *Channel) duplicates(rows []found) []channel.Level {
	levels := make([]channel.Level, len(rows))
	var live []channel.Level
	odd := false
	for i, f := range rows {
		levels[i] = ch.level(f.sku, f.row)
		odd = odd || f.row.err != nil
		if f.row.live {
			live = append(live, levels[i])
		}
	}
	switch {
	case len(rows) == 1 || odd:
	case ch.cfg.Duplicates == channel.DuplicatesForSale && len(live) == 1:
		return live
	case ch.cfg.Duplicates == channel.DuplicatesAll:
		return []channel.Level{together(rows, levels)}
	}
	return levels
}

// together is the one level of several items.
func together(rows []found, levels []channel.Level) channel.Level {
	all := levels[0]
	items := make([]item, len(rows))
	for i, l := range levels {
		items[i] = rows[i].row.item
		if l.Err != nil {
			return channel.Level{SKU: l.SKU, Ref: l.Ref, Err: fmt.Errorf("of %d items with this SKU one cannot be written: %w", len(rows), l.Err)}
		}
		all.Unset = all.Unset || l.Unset || l.Quantity != levels[0].Quantity
		all.Inexact = all.Inexact || l.Inexact
		all.OffSale = all.OffSale && l.OffSale
		all.SellsAtZero = all.SellsAtZero || l.SellsAtZero
	}
	if all.Unset {
		all.Quantity, all.Inexact = 0, false
	}
	all.Ref = refs(items)
	return all
}

// level says what an item shows and whether it can be written.
func (ch *Channel) level(sku string, r *row) channel.Level {
	l := channel.Level{SKU: sku, Ref: r.ref()}
	switch {
	case r.err != nil:
		l.Err = r.err
	case r.kind == "external" || r.kind == "grouped":
		l.Err = fmt.Errorf("%w: %s products have no stock of their own", channel.ErrNotTracked, r.kind)
	case r.stock == unmanaged && r.kind != "simple" && !r.variation():
		// To manage a variable product would take its unmanaged variations along.
		l.Err = fmt.Errorf("%w: this product of type %q does not manage stock itself", channel.ErrNotTracked, text.Cut(r.kind, 50))
	default:
		l.Err = ch.writable(r.item)
	}
	if l.Err != nil {
		return l
	}
	l.SellsAtZero = r.owed
	l.OffSale = !r.live
	if r.stock == unmanaged || r.quantity.none {
		l.Unset = true
		l.OffSale = l.OffSale || r.out
		return l
	}
	l.Quantity, l.Inexact = r.quantity.n, r.quantity.fraction
	l.OffSale = l.OffSale || r.out && l.Quantity > 0 // below a threshold of the shop's, or by a plugin
	return l
}

// writable says why the configuration forbids to write an item, or nil.
func (ch *Channel) writable(it item) error {
	switch {
	case it.stock == byParent && !ch.cfg.WriteParents:
		return fmt.Errorf("%w: variation %d shows the stock of its parent, product %d", channel.ErrShared, it.id, it.parent)
	case it.stock == unmanaged && !ch.cfg.Track:
		return fmt.Errorf("%w: the shop does not manage the stock of this product; switch that on in the shop, or set ChannelConfig.Track", channel.ErrNotTracked)
	}
	return nil
}
