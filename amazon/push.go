package amazon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// maxFailures is how many writes in a row may fail before the others are not
// tried: Amazon is in trouble, not a listing.
const maxFailures = 5

// Push asks Amazon to show quantities, one request a listing, several at a
// time, in the order of the updates. What Amazon accepts shows minutes later:
// it is named with [channel.ErrPending]. So Push returns an error in most
// cases.
//
// An update that carries what Levels returned is written without another
// question; any other is looked up first, since Amazon takes a write for an SKU
// that does not exist, and leaves an incomplete listing behind. What Levels
// refuses is not written, whatever Amazon would accept.
//
// Amazon has no compare-and-set: a sale on Amazon between the reading of the
// source and the write is overwritten until the source knows of it.
//
// With [ChannelConfig].FeedFrom large writes of a run are gathered for a feed.
// They are pending for as long as that takes, which [channel.LagOf] tells.
func (ch *Channel) Push(ctx context.Context, updates []channel.Update) error {
	if len(updates) == 0 {
		return nil
	}
	p := &push{Channel: ch, errs: make(channel.Errors)}
	writes := p.readable(ctx, updates)
	writes = p.feed(ctx, writes)
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, u := range writes {
		group.Go(func() error { p.write(ctx, u); return nil })
	}
	group.Wait()
	if p.whole != nil && !p.known {
		return p.whole
	}
	return p.errs.Err()
}

// A push is one call of Push.
type push struct {
	*Channel

	mu       sync.Mutex
	errs     channel.Errors
	known    bool  // the fate of some update is known
	whole    error // the first error that is about no update in particular
	stop     error // one after which Amazon is left alone
	failures int   // in a row
}

// settle notes what became of one update.
func (p *push) settle(sku string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[sku] = err
	if errors.Is(err, channel.ErrPending) || channel.Permanent(err) {
		p.known, p.failures = true, 0
		return
	}
	if e, ok := err.(*Error); ok && e.own {
		p.known = true
		return
	}
	if p.whole == nil {
		p.whole = err
	}
	p.failures++
	if p.stop == nil && (p.failures >= maxFailures || fatal(err)) {
		p.stop = err
	}
}

// fatal reports whether another request would fare no better now.
func fatal(err error) bool {
	e, ok := err.(*Error)
	return !ok || e.Is(channel.ErrUnauthorized) || e.Status == http.StatusTooManyRequests || e.Op == tokenOp
}

// readable returns the updates that may be written. Those whose listings were
// not read before are looked up first.
func (p *push) readable(ctx context.Context, updates []channel.Update) []channel.Update {
	var unread []string
	for _, u := range updates {
		read := u.Seen != nil && (u.Seen.Err != nil || writable(u.Seen))
		if !read && u.SKU != "" && refuseSKU(u.SKU) == nil && sound(u.Quantity) {
			unread = append(unread, u.SKU)
		}
	}
	levels, err := p.read(ctx, unread)
	bySKU := make(map[string]*channel.Level, len(levels))
	for _, l := range levels {
		bySKU[l.SKU] = &l
	}
	var writes []channel.Update
	for _, u := range updates {
		seen := u.Seen
		if l := bySKU[u.SKU]; l != nil {
			seen = l
		}
		switch refusal := refuseSKU(u.SKU); {
		case u.SKU == "":
			p.settle(u.SKU, channel.UnknownSKU(u.SKU))
		case refusal != nil:
			p.settle(u.SKU, refusal)
		case !sound(u.Quantity):
			p.settle(u.SKU, fmt.Errorf("%w: %d is not a quantity from 0 to %d", channel.ErrInvalid, u.Quantity, maxQuantity))
		case seen != nil && seen.Err != nil:
			p.settle(u.SKU, seen.Err)
		case writable(seen):
			u.Seen = seen
			writes = append(writes, u)
		case err != nil:
			p.settle(u.SKU, err)
		default:
			p.settle(u.SKU, channel.UnknownSKU(u.SKU))
		}
	}
	return writes
}

func sound(quantity int) bool { return quantity >= 0 && quantity <= maxQuantity }

// write writes one update.
func (p *push) write(ctx context.Context, u channel.Update) {
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	if stop == nil {
		stop = ctx.Err()
	}
	if stop != nil {
		if e, ok := stop.(*Error); ok && e.unclear {
			unsent := *e // this update was not sent
			unsent.unclear = false
			stop = &unsent
		}
		p.settle(u.SKU, stop)
		return
	}
	err := p.patch(ctx, u.SKU, u.Quantity)
	if e, ok := err.(*Error); ok && e.Status == http.StatusForbidden && e.Op == patchListing && dots(u.SKU) {
		err = invalid(e) // a server takes it for the path of something else
	}
	if err == nil {
		err = channel.ErrPending
	}
	p.settle(u.SKU, err)
}

// dots reports whether an SKU is a segment that means another path.
func dots(sku string) bool { return sku == "." || sku == ".." }

// feed settles the updates that a feed carries, and returns those that are to
// be written one by one. Trouble with feeds keeps nothing from being written.
func (p *push) feed(ctx context.Context, writes []channel.Update) []channel.Update {
	f := p.feeds
	if f.idle || len(writes) == 0 {
		return writes
	}
	leave, err := f.enter(ctx)
	if err != nil {
		p.client.logger.LogAttrs(ctx, slog.LevelWarn, "feeds are left out of account", slog.String("channel", p.name), slog.Any("err", err))
		return writes
	}
	defer leave()
	urgency := channel.UrgencyOf(ctx)
	if urgency > channel.Urgent { // what a feed has already needs nothing more
		writes = slices.DeleteFunc(writes, func(u channel.Update) bool {
			o := f.newest(u.SKU)
			if o == nil || !o.open() || o.changed[u.SKU] || o.entries[o.index[u.SKU]].Quantity != u.Quantity {
				return false
			}
			p.settle(u.SKU, f.pending(o))
			return true
		})
	}
	if urgency == channel.Background && f.from > 0 && f.resumed && len(writes)*gatherShare >= f.from {
		rest, err := f.gather(ctx, writes)
		if err != nil {
			p.client.logger.LogAttrs(ctx, slog.LevelWarn, "no feed is made", slog.String("channel", p.name), slog.Any("err", err))
		}
		for _, u := range writes[:len(writes)-len(rest)] {
			p.settle(u.SKU, f.pending(f.newest(u.SKU)))
		}
		writes = rest
	}
	out := make(map[*feed][]entry)
	for _, u := range writes {
		if o := f.newest(u.SKU); o != nil && o.Phase == gathering {
			out[o] = append(out[o], entry{u.SKU, -1})
		}
		f.change(u.SKU)
	}
	for o, entries := range out {
		err := f.put(ctx, o, entries)
		if err == nil {
			err = f.save(ctx)
		}
		if err != nil {
			p.client.logger.LogAttrs(ctx, slog.LevelWarn, "a feed will carry old quantities, until its listings are compared",
				slog.String("channel", p.name), slog.Any("err", err))
		}
	}
	return writes
}
