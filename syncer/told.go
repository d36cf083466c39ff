package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// Channels tell of sales long before the source knows of them. A delivery names
// SKUs, so it is turned into marks of products: at once where this process has
// the index, else by whoever leads, who also asks the source for an SKU that the
// index does not have. A delivery is never believed. It marks, and the read
// decides.

// skuLane has the SKUs that channels told of and whose products are still to be
// found.
const skuLane = "inbox/skus"

// skuKey names an SKU of a channel in that lane.
func skuKey(channel, sku string) string { return channel + "\x00" + sku }

// maxToldSKU bounds an SKU that a delivery names.
const maxToldSKU = 1000

// ChannelHandler returns the handler for the webhooks of a target's channel, to
// be mounted under any path of any mux. It authenticates a delivery with
// Target.Webhooks, or with the channel itself if that is a [channel.Receiver],
// marks the products with the cause [CauseChannel], and answers; [Syncer.Run] does the
// work, in whichever process that leads. What it answers:
//
//	200  the delivery is genuine and concerns nothing: a ping, another topic
//	202  what it is about is stored as safely as the queue stores
//	400  the body is not what the channel sends, or did not come within 10 seconds
//	401  the signature is wrong
//	405  not a POST
//	413  the body is larger than 256 KiB
//	503  it could not be stored, or its receiver did not say within 10 seconds
//	     what it is about, or 100 others of the channel are being read
//
// A delivery is only a reason to look. What it says of quantities is never
// written anywhere: at most it shows that a delivery is the echo of a write of
// this process's own, and then it marks nothing. A thousand deliveries for one
// product are a few reads.
//
// The name is that of [channel.Channel]. It is an error if no target has it, or
// if nothing can authenticate its deliveries.
func (s *Syncer) ChannelHandler(name string) (http.Handler, error) {
	i := slices.IndexFunc(s.targets, func(t *target) bool { return t.name == name })
	if i < 0 {
		return nil, fmt.Errorf("syncer: ChannelHandler: no target's channel is named %q", text.Cut(name, 100))
	}
	t := s.targets[i]
	receiver := t.Webhooks
	if receiver == nil {
		receiver, _ = channel.As[channel.Receiver](t.Channel)
	}
	if receiver == nil {
		return nil, fmt.Errorf("syncer: ChannelHandler: %s: set Target.Webhooks to what authenticates the channel's deliveries", name)
	}
	t.hearing.mount()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, done := s.hooks.delivered(s, r)
		status := s.hear(w, r, t, receiver)
		done(status)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		w.WriteHeader(status)
	}), nil
}

// hear handles a channel's delivery and returns the status of the answer.
func (s *Syncer) hear(w http.ResponseWriter, r *http.Request, t *target, receiver channel.Receiver) int {
	ctx := s.reporting(logs.With(r.Context(), logs.Channel, t.name), t.name)
	any := func(*http.Request) bool { return true } // what it may be is the receiver's to say
	event, status := s.accept(ctx, w, r, t.name+": Receive", receiver, t.receiving, any)
	if status != 0 {
		return status
	}
	ctx = ofEvent(ctx, event)
	if len(event.SKUs) == 1 {
		ctx = logs.With(ctx, logs.SKU, text.Clean(event.SKUs[0]))
	}
	if event.Odd != "" {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a part of a delivery makes no sense", slog.String("err", text.Clean(event.Odd)))
	}
	s.hooks.received(ctx, s, event)
	if len(event.SKUs) == 0 && len(event.ProductIDs) == 0 {
		return http.StatusOK
	}
	if err := s.tell(s.tracedBy(ctx, r), t, event); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelError, "event not stored", slog.Any("err", err))
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

// tell marks what a channel told of.
func (s *Syncer) tell(ctx context.Context, t *target, event channel.Event) error {
	ids := slices.Clone(event.ProductIDs)
	var marks []Mark
	t.hearing.told()
	echoes, trace := 0, s.trace(ctx)
	knows := s.knows()
	var kits []Listing
	if knows {
		kits = t.kits(ctx, s)
	}
	for _, sku := range event.SKUs {
		if strings.TrimSpace(text.Clean(sku)) == "" || len(sku) > maxToldSKU {
			continue
		}
		var of []string
		if knows {
			of = s.productsUnder(t, kits, sku)
		}
		if n, says := event.Shows[sku]; says && s.echoes(t, of, sku, n) {
			echoes++
			continue
		}
		if len(of) == 0 {
			marks = append(marks, Mark{Key: Key{skuLane, skuKey(t.name, sku)}, Why: CauseChannel, Trace: trace})
		}
		ids = append(ids, of...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		marks = append(marks, Mark{Key: Key{inboxLane, id}, Why: CauseChannel, Trace: trace})
	}
	if len(marks) == 0 {
		s.logger.LogAttrs(ctx, slog.LevelDebug, "a channel tells nothing new", slog.Int("skus", len(event.SKUs)), slog.Int("echoes", echoes))
		return nil
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "a channel tells that what it shows has changed", slog.Int("skus", len(event.SKUs)),
		slog.Int("products", len(ids)), slog.Int("echoes", echoes))
	if err := s.queue.Mark(ctx, marks...); err != nil {
		return fmt.Errorf("syncer: %w", err)
	}
	if len(ids) > 0 {
		s.hooks.marked(ctx, s, ids)
	}
	return nil
}

// productsUnder returns the products that a target lists under an SKU, as far as
// is known: one, or all the parts of one of its kits.
func (s *Syncer) productsUnder(t *target, kits []Listing, sku string) []string {
	ids := kitParts(kits, sku)
	if id, ok := s.index.product(t, sku); ok && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids
}

// echoes reports whether a channel that says that it shows a quantity of some
// products says nothing new: it is known to show just that, and nothing about it is
// in doubt.
func (s *Syncer) echoes(t *target, ids []string, sku string, quantity int) bool {
	for _, id := range ids {
		if n, known := s.ledger.shows(t.name, id, sku); known {
			return n == quantity
		}
	}
	return false
}

// shows returns what a listing of a product was last known to show, unless
// nothing is, or it is not certain.
func (l *ledger) shows(channel, productID, sku string) (quantity int, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pos, ok := l.table.get(productID)
	if !ok {
		return 0, false
	}
	b := pos.base(slices.Index(l.names, channel), sku)
	if b == nil || b.low != b.high {
		return 0, false
	}
	return b.low, true
}

// How the products of SKUs are found that the index does not have.
const (
	findEvery = 15 * time.Second
	findBurst = 4
	// findBatch is the number of SKUs that are looked up in a turn.
	findBatch = 200
	// unfoundFor is how long an SKU that no product has is not looked up again.
	unfoundFor = time.Hour
	// maxUnfound bounds these.
	maxUnfound = 10_000
	// toldWait is how long an SKU waits for the first run over the catalogue.
	toldWait = time.Minute
)

// resolveSKUs marks the products of SKUs that channels told of.
func (s *Syncer) resolveSKUs(ctx context.Context, tasks []Task) {
	o := &settlement{s: s}
	type known struct {
		kits []Listing
		err  error
	}
	listed := make(map[*target]known)
	for _, task := range tasks {
		name, sku, _ := strings.Cut(task.ID, "\x00")
		i := slices.IndexFunc(s.targets, func(t *target) bool { return t.name == name })
		if i < 0 { // its channel is no longer configured
			o.done(task)
			continue
		}
		t := s.targets[i]
		t.hearing.told()
		its, ok := listed[t]
		if !ok {
			its.kits, _, its.err = t.kitList(ctx, s)
			listed[t] = its
		}
		ids, wait, err := []string(nil), time.Duration(0), its.err // it may be a kit's
		if err == nil {
			ids, wait, err = s.findSKU(ctx, t, its.kits, sku)
		}
		if err == nil && len(ids) > 0 {
			marks := make([]Mark, len(ids))
			for i, id := range ids {
				marks[i] = task.Mark(inboxLane)
				marks[i].ID = id
			}
			err = s.on(ctx).Mark(ctx, marks...)
		}
		switch {
		case err != nil:
			s.once.warn(about(ctx, name, "", sku), s, "the product of an SKU that a channel told of could not be found yet", slog.Any("err", err))
			wait = backoff(err, task.Attempt, maxProductBackoff)
			task.Attempt++
			o.putBack(task, wait)
		case wait > 0:
			o.putBack(task, wait)
		default:
			if len(ids) == 0 {
				s.logger.LogAttrs(about(ctx, name, "", sku), slog.LevelDebug, "a channel told of an SKU that no product has")
			}
			o.done(task)
		}
	}
	o.settle(ctx)
}

// search asks the source for the products that have an SKU, if it can tell.
func (s *Syncer) search(ctx context.Context, sku string) ([]string, error) {
	finder, can := channel.As[channel.Finder](s.source)
	if !can {
		return nil, nil
	}
	return bounded(channel.WithUrgency(ctx, channel.Soon), s, "the source: Find", s.patience, func(ctx context.Context) ([]string, error) {
		return finder.Find(ctx, sku)
	})
}

// findSKU finds the products that a target lists under an SKU. A wait says that
// it cannot be told before.
func (s *Syncer) findSKU(ctx context.Context, t *target, kits []Listing, sku string) (ids []string, wait time.Duration, err error) {
	if ids = s.productsUnder(t, kits, sku); len(ids) > 0 {
		return ids, 0, nil
	}
	_, can := channel.As[channel.Finder](s.source)
	switch {
	case t.Listings != nil || !can: // the source would not know the SKU
		if s.index.complete() {
			return nil, 0, nil
		}
		return nil, toldWait, nil
	case s.unfound.has(sku):
		return nil, 0, nil
	}
	if r := s.findRate.Reserve(); r.Delay() > 0 {
		r.Cancel()
		return nil, findEvery, nil
	}
	ids, err = s.search(ctx, sku)
	if errors.Is(err, channel.ErrInvalid) || errors.Is(err, channel.ErrIncomplete) { // it will not get better soon
		ids, err = nil, nil
	}
	if err == nil && len(ids) == 0 {
		s.unfound.add(sku)
	}
	return ids, 0, err
}
