package square

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// ChannelConfig configures a [Channel]. LocationID is required.
type ChannelConfig struct {
	// LocationID is the location whose stock is kept, such as "L8XAMPLE0001".
	// Square lists a seller's locations at GET /v2/locations.
	LocationID string
	// Name is the channel's name; empty means "square:" and the location's id.
	Name string
	// BookingLag is how long the source takes at most to book a sale at the till,
	// up to 22 hours; 0 means that it books at once. A count is dated that long
	// before the source was read, and Square deducts what the till has sold since
	// that date. So units that the source may not know of yet are not shown again,
	// except after [channel.ErrNotApplied]: see Push. Sales of that time that the
	// source has booked are deducted twice, until a later count.
	BookingLag time.Duration
}

// maxBookingLag keeps counts within the 24 hours that Square accepts.
const maxBookingLag = 22 * time.Hour

// A Channel shows stock at one location of a seller. It is a
// [channel.Channel], a [channel.Reader], a [channel.Preloader], a
// [channel.Lister], a [channel.Deductor], a [channel.Meter] and a
// [channel.Clocked]. It takes any number of SKUs and updates, and is safe for
// concurrent use.
type Channel struct {
	client   *Client
	name     string
	location string
	lag      time.Duration
	times    times

	open    atomic.Bool // the location was looked at, and is open
	unasked sync.Once
}

var (
	_ channel.Channel   = (*Channel)(nil)
	_ channel.Reader    = (*Channel)(nil)
	_ channel.Preloader = (*Channel)(nil)
	_ channel.Lister    = (*Channel)(nil)
	_ channel.Deductor  = (*Channel)(nil)
	_ channel.Meter     = (*Channel)(nil)
)

var locationName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// Channel returns the channel for one location. It does no I/O.
func (c *Client) Channel(cfg ChannelConfig) (*Channel, error) {
	switch {
	case !locationName.MatchString(cfg.LocationID):
		return nil, errors.New("square: ChannelConfig.LocationID: not the id of a location: letters and digits, at most 32")
	case cfg.LocationID == "main":
		return nil, errors.New(`square: ChannelConfig.LocationID: "main" is no id: GET /v2/locations/main tells it`)
	case cfg.BookingLag < 0 || cfg.BookingLag > maxBookingLag:
		return nil, fmt.Errorf("square: ChannelConfig.BookingLag: %v is not between 0 and %v", cfg.BookingLag, maxBookingLag)
	}
	return &Channel{
		client: c, name: cmp.Or(cfg.Name, "square:"+cfg.LocationID), location: cfg.LocationID, lag: cfg.BookingLag,
		times: times{last: map[string]mark{}},
	}, nil
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.name }

// Deducts implements [channel.Deductor]: the BookingLag, and as much as the
// clocks may differ.
func (ch *Channel) Deducts() time.Duration { return ch.lag + clockMargin }

// Preload reads every variation of the catalog, 1,000 a request, so that Levels
// and Push need not search for their SKUs. Within an hour of the last time it
// reads only what changed.
//
// During the run that ctx names (see [channel.WithRun]) an SKU that Square did
// not have then counts as unknown without a search; what changes in the catalog
// is read once a minute. The channels of one client share what is read: a
// further Preload in the same run does nothing. It stays in memory, about 280
// bytes a variation.
func (ch *Channel) Preload(ctx context.Context) error {
	return ch.client.load(ctx, channel.Run(ctx))
}

// Requests implements [channel.Meter]. It counts for the whole [Client].
func (ch *Channel) Requests() int64 { return ch.client.http.Requests() }

// SKUs implements [channel.Lister]: those of all variations that the location
// sells. In a run that Preload prepared it takes no request, and otherwise one
// for each 1,000.
func (ch *Channel) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if skus, ok := ch.preloaded(channel.Run(ctx)); ok {
			for _, sku := range skus {
				if !yield(sku, nil) {
					return
				}
			}
			return
		}
		stopped := errors.New("the loop was left")
		err := ch.client.pages(ctx, everything, func(p *page) error {
			for _, v := range p.variations {
				if !v.deleted && v.listed(ch.location) && !yield(v.sku, nil) {
					return stopped
				}
			}
			if p.odd > 0 {
				return fmt.Errorf("%w: %d objects of Square's catalog could not be understood", channel.ErrIncomplete, p.odd)
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield("", whole(err))
		}
	}
}

// everything asks for every variation, with its item.
var everything = searchBody{Types: []string{"ITEM_VARIATION"}, Related: true, Limit: pageSize}

// preloaded returns the SKUs of what was read whole for a run.
func (ch *Channel) preloaded(run string) (skus []string, ok bool) {
	c := &ch.client.catalog
	whole, _ := c.has(run)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !whole || c.odd > 0 {
		return nil, false
	}
	for _, v := range c.byID {
		if v.listed(ch.location) {
			skus = append(skus, v.sku)
		}
	}
	return skus, true
}

// Levels reads what is in stock at the location: after a search for each 250
// SKUs, which Preload makes needless, a request for each 1,000 variations. Ref
// is the id of the variation.
//
// A variation that the till does not count at the location has an error. One
// that it counts and that never had a stock is Unset. One that was marked as
// sold out is OffSale, whatever its stock; nobody can lift that but a person.
//
// An SKU that was searched for in vain for less than three minutes is an error
// that matches [channel.ErrUnknownSKU] and is not permanent
// ([channel.NotYet]): Square's search may be late.
func (ch *Channel) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	skus = hashset.Distinct(skus)
	if len(skus) == 0 {
		return nil, ctx.Err()
	}
	if err := ch.ready(ctx); err != nil {
		return nil, err
	}
	levels, _, err := ch.read(ctx, skus)
	return levels, err
}

// locate finds the variations of SKUs. SKUs without one are in neither result,
// unless there is something to say about them.
func (ch *Channel) locate(ctx context.Context, skus []string) (found []located, notes []channel.Level, err error) {
	ask := make([]string, 0, len(skus))
	for _, sku := range skus {
		switch err := askable(sku); {
		case err == nil:
			ask = append(ask, sku)
		case !errors.Is(err, channel.ErrUnknownSKU):
			notes = append(notes, channel.Level{SKU: sku, Err: err})
		}
	}
	matches, err := ch.client.find(ctx, ask)
	if err != nil {
		return nil, nil, err
	}
	for _, sku := range ask {
		m := matches[sku]
		for _, v := range m.exact {
			found = append(found, located{sku, v, v.obstacle(ch.location)})
		}
		if len(m.exact) == 0 && (len(m.near) > 0 || m.odd > 0 || m.late) {
			notes = append(notes, channel.Level{SKU: sku, Err: m.unknown(sku)})
		}
	}
	return found, notes, nil
}

// A located variation has exactly the SKU that was asked for.
type located struct {
	sku string
	*variation
	err error // why it cannot be counted at the location
}

// read reads the levels of SKUs.
func (ch *Channel) read(ctx context.Context, skus []string) ([]channel.Level, []located, error) {
	found, levels, err := ch.locate(ctx, skus)
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, v := range found {
		if v.err == nil {
			ids = append(ids, v.id)
		}
	}
	counts, err := ch.client.counts(ctx, ch.location, ids)
	if err != nil {
		return nil, nil, err
	}
	levels = slices.Grow(levels, len(found))
	for _, v := range found {
		l := channel.Level{SKU: v.sku, Ref: v.id, Err: v.err}
		if v.err == nil {
			f, counted := counts[v.id]
			l.Quantity, l.Inexact, l.Err, l.Unset = f.n, f.inexact, f.err, !counted
			l.OffSale = v.at(ch.location).soldOut
		}
		levels = append(levels, l)
	}
	return levels, found, nil
}

const locationsPath = "/v2/locations/"

// ready looks once whether the location is there and open: Square takes what is
// asked for another one, too, and a count at a closed one is seen by nobody.
func (ch *Channel) ready(ctx context.Context) error {
	if ch.open.Load() {
		return ctx.Err()
	}
	_, a, err := ch.client.send(ctx, request{method: http.MethodGet, path: locationsPath + url.PathEscape(ch.location), repeat: true})
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.Status == http.StatusForbidden && len(e.Details) > 0:
			// It can be done without.
			ch.unasked.Do(func() {
				ch.client.log.LogAttrs(ctx, slog.LevelWarn, "Square does not let this token look at the location: whether it is open is not known",
					slog.String("channel", ch.name), slog.Any("err", err))
			})
			ch.open.Store(true)
			return nil
		case e.Status == http.StatusNotFound && len(e.Details) > 0:
			return fmt.Errorf("%w: the seller of this token has no location %s: %w", channel.ErrUnavailable, ch.location, err)
		}
	}
	if err != nil {
		return whole(err)
	}
	var location strictjson.Row
	location.Read(a.body.Value("location"))
	id, status := location.Text("id"), location.Text("status")
	switch err := location.Err(); {
	case err != nil:
		return unusable(a.op, http.StatusOK, "the answer cannot be understood: "+err.Error())
	case id != ch.location:
		return unusable(a.op, http.StatusOK, "the answer is about another location")
	case !strings.EqualFold(status, "ACTIVE"):
		return fmt.Errorf("%w: the location %s is closed: at Square it is not ACTIVE", channel.ErrUnavailable, ch.location)
	}
	ch.open.Store(true)
	return nil
}
