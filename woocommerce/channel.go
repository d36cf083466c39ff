package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// ChannelConfig configures a [Channel]. Its zero value is ready to use.
type ChannelConfig struct {
	// Name is the channel's; "" means "woocommerce:" and the shop's host, and
	// its path if it has one.
	Name string
	// LeaveUnmanaged leaves simple products and variations alone whose stock
	// WooCommerce does not manage: they are reported as channel.ErrNotTracked.
	// By default they start to be managed when their first figure is pushed.
	LeaveUnmanaged bool
	// WriteParents says what becomes of variations that show the stock of
	// their parent. By default they are reported as channel.ErrShared. With
	// WriteParents the parent gets the figure, once, if all that is pushed for
	// it at a time agrees, and is reported as channel.ErrShared otherwise. It is
	// for catalogues in which such variations have one figure in the source too.
	WriteParents bool
}

// A Channel shows stock in one shop. It is a channel.Channel and a
// channel.Reader, takes any number of updates and SKUs, and is safe for
// concurrent use.
type Channel struct {
	client *Client
	cfg    ChannelConfig
}

var (
	_ channel.Channel = (*Channel)(nil)
	_ channel.Reader  = (*Channel)(nil)
	_ channel.Meter   = (*Channel)(nil)
)

// Channel returns the shop as a channel. It does no I/O.
func (c *Client) Channel(cfg ChannelConfig) (*Channel, error) {
	cfg.Name = cmp.Or(cfg.Name, "woocommerce:"+c.base.Host+c.base.Path)
	return &Channel{client: c, cfg: cfg}, nil
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.cfg.Name }

// Levels reads what the shop shows, 100 SKUs a request. Products are found in
// every status but the trash.
//
// An SKU that differs from the shop's in case, accents or blanks at the end is
// not that product: its level has an error that names the shop's.
func (ch *Channel) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	found, levels, err := ch.client.find(ctx, skus)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		levels = append(levels, ch.level(f))
	}
	return levels, nil
}

// A found row has exactly the SKU that was asked for.
type found struct {
	sku string
	row row
}

// find looks SKUs up. Those without a row are in neither result, unless there
// is something to say about them.
func (c *Client) find(ctx context.Context, skus []string) ([]found, []channel.Level, error) {
	unique := make([]string, 0, len(skus))
	seen := make(map[string]bool, len(skus))
	for _, sku := range skus {
		if !seen[sku] {
			seen[sku] = true
			unique = append(unique, sku)
		}
	}
	asks, notes := c.lookups(unique)
	var mu sync.Mutex
	var all []found
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cap(c.slots))
	for _, ask := range asks {
		group.Go(func() error {
			rows, hidden, err := c.rows(ctx, ask)
			if errors.Is(err, errTooMany) && len(ask.skus) == 1 {
				mu.Lock()
				defer mu.Unlock()
				notes = append(notes, refuse(ask.skus[0], "too many products match what can be asked for"))
				return nil
			}
			if err != nil {
				return err
			}
			got, said := ask.match(rows, hidden)
			mu.Lock()
			defer mu.Unlock()
			all, notes = append(all, got...), append(notes, said...)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return all, notes, nil
}

// match picks the rows that have an SKU byte for byte.
func (l lookup) match(rows []row, hidden int) (exact []found, notes []channel.Level) {
	bySKU := make(map[string][]row, len(rows))
	for _, r := range rows {
		bySKU[r.SKU] = append(bySKU[r.SKU], r)
	}
	for _, sku := range l.skus {
		if same := bySKU[sku]; len(same) > 0 {
			for _, r := range same {
				exact = append(exact, found{sku, r})
			}
			continue
		}
		if err := l.nearMiss(sku, rows); err != nil {
			notes = append(notes, channel.Level{SKU: sku, Err: err})
		} else if hidden > 0 {
			notes = append(notes, channel.Level{SKU: sku, Err: fmt.Errorf(
				"%w; but of the products asked for the shop hides %d from this API key's user", channel.UnknownSKU(sku), hidden)})
		}
	}
	return exact, notes
}

// nearMiss tells of a product that the shop's database takes for sku.
func (l lookup) nearMiss(sku string, rows []row) error {
	for _, r := range rows {
		switch {
		case fold(strings.TrimLeft(r.SKU, " ")) == fold(strings.TrimLeft(sku, " ")):
			return channel.UnknownSKU(sku, r.SKU)
		case alike(r.SKU, sku) && !slices.Contains(l.skus, r.SKU):
			return fmt.Errorf("%w %q: the shop takes it for %q; SKUs must match exactly", channel.ErrUnknownSKU, sku, r.SKU)
		}
	}
	return nil
}

// level says what an item shows and whether it can be written.
func (ch *Channel) level(f found) channel.Level {
	r := f.row
	l := channel.Level{SKU: f.sku, Quantity: r.Quantity.n, Unset: !r.Quantity.whole, Ref: r.item().ref()}
	switch {
	case r.Type == "external" || r.Type == "grouped":
		l.Err = fmt.Errorf("%w: %s products have no stock of their own", channel.ErrNotTracked, r.Type)
	case r.Stock == unmanaged && r.Type != "simple" && !r.variation():
		// To manage a variable product would take its unmanaged variations along.
		l.Err = fmt.Errorf("%w: this product of type %q does not manage stock itself", channel.ErrNotTracked, r.Type)
	default:
		l.Err = ch.writable(r.item())
	}
	if l.Err != nil {
		l.Quantity, l.Unset = 0, false
	} else if r.Stock == unmanaged {
		l.Quantity, l.Unset = 0, true
	}
	return l
}

// writable says why the configuration forbids to write an item, or nil.
func (ch *Channel) writable(it item) error {
	switch {
	case it.stock == byParent && !ch.cfg.WriteParents:
		return fmt.Errorf("%w: variation %d shows the stock of its parent, product %d", channel.ErrShared, it.id, it.parent)
	case it.stock == unmanaged && ch.cfg.LeaveUnmanaged:
		return fmt.Errorf("%w: the shop does not manage the stock of this product", channel.ErrNotTracked)
	}
	return nil
}

// Push writes quantities, 100 a request, and checks each one in the shop's
// answer. Updates that carry what Levels returned need no request more;
// others are looked up first.
//
// Where the outcome of a request is not clear, such as after a proxy's timeout,
// Push reads back what became of it until that stands still, and writes only
// what is missing. What it cannot settle in a few attempts ends with an error
// that matches channel.ErrUnavailable. A quantity beyond ±(2³¹−1) is a
// channel.ErrInvalid.
//
// WooCommerce has no compare-and-set: a sale in the shop between the reading
// of the source and the write is overwritten until the source knows of it.
func (ch *Channel) Push(ctx context.Context, updates []channel.Update) error {
	p := &push{ch: ch, errs: make(channel.Errors)}
	room := make([]write, 0, len(updates))
	writes := make([]*write, 0, len(updates))
	add := func(u channel.Update, it item) {
		if err := ch.writable(it); err != nil {
			p.errs[u.SKU] = err
			return
		}
		room = append(room, ch.write(u, it))
		writes = append(writes, &room[len(room)-1])
	}
	var unread []channel.Update
	for _, u := range updates {
		switch {
		case u.Quantity > math.MaxInt32 || u.Quantity < -math.MaxInt32:
			p.errs[u.SKU] = fmt.Errorf("%w: quantity %d is out of range", channel.ErrInvalid, u.Quantity)
		case u.Seen == nil:
			unread = append(unread, u)
		case u.Seen.Err != nil:
			p.errs[u.SKU] = u.Seen.Err
		default:
			if it, ok := parseRef(u.Seen.Ref); ok {
				add(u, it)
			} else {
				unread = append(unread, u)
			}
		}
	}
	p.halt = ch.read(ctx, unread, p.errs, add)

	slices.SortFunc(writes, inOrder)
	var products, variations []*write
	for len(writes) > 0 {
		w, n := writes[0], 1
		for n < len(writes) && writes[n].id == w.id {
			n++ // variations that all write their parent
		}
		same := writes[:n]
		writes = writes[n:]
		if err := agree(same); err != nil {
			p.fail(same, err)
			continue
		}
		for _, other := range same[1:] {
			w.also = append(w.also, other.sku)
		}
		if w.parent == 0 {
			products = append(products, w)
		} else {
			variations = append(variations, w)
		}
	}
	p.run(ctx, products, variations)
	return p.err(len(updates))
}

// read looks up what was not read before, and adds what differs. Its error is
// that of the lookup, which is that of all these updates too.
func (ch *Channel) read(ctx context.Context, updates []channel.Update, errs channel.Errors, add func(channel.Update, item)) error {
	if len(updates) == 0 {
		return nil
	}
	skus := make([]string, len(updates))
	for i, u := range updates {
		skus[i] = u.SKU
	}
	rows, notes, err := ch.client.find(ctx, skus)
	levels := make(map[string][]channel.Level, len(skus))
	for _, l := range notes {
		levels[l.SKU] = append(levels[l.SKU], l)
	}
	items := make(map[string]item, len(rows))
	for _, f := range rows {
		levels[f.sku] = append(levels[f.sku], ch.level(f))
		items[f.sku] = f.row.item()
	}
	for _, u := range updates {
		switch shown := levels[u.SKU]; {
		case err != nil:
			errs[u.SKU] = err
		case len(shown) == 0:
			errs[u.SKU] = channel.UnknownSKU(u.SKU)
		case len(shown) > 1:
			refs := make([]string, len(shown))
			for i, l := range shown {
				refs[i] = l.Ref
			}
			slices.Sort(refs)
			errs[u.SKU] = fmt.Errorf("%w %q: %s", channel.ErrAmbiguousSKU, u.SKU, strings.Join(refs, "; "))
		case shown[0].Err != nil:
			errs[u.SKU] = shown[0].Err
		case shown[0].Unset || shown[0].Quantity != u.Quantity:
			add(u, items[u.SKU])
		}
	}
	return err
}

// agree checks that one figure is wanted of all that write the same item.
func agree(same []*write) error {
	if len(same) == 1 {
		return nil
	}
	var figures []string
	differ := false
	for _, w := range same {
		differ = differ || w.quantity != same[0].quantity
		figures = append(figures, fmt.Sprintf("%q %d", w.sku, w.quantity))
	}
	if !differ {
		return nil
	}
	slices.Sort(figures)
	if len(figures) > 5 {
		figures = append(figures[:5], fmt.Sprintf("%d more", len(figures)-5))
	}
	return fmt.Errorf("%w: product %d is to show different figures: %s", channel.ErrShared, same[0].id, strings.Join(figures, ", "))
}

// Requests implements [channel.Meter]. It counts for the whole [Client].
func (c *Channel) Requests() int64 { return c.client.http.Requests() }
