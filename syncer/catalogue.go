package syncer

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// maxAhead is how many pages a source may have under way at a time.
const maxAhead = 60

// catalogue reads every product and sends them on in groups. A group does not
// wait for more products when these are long in coming, as they are when the
// source's quota is spent.
func (e *entrance) catalogue(ctx context.Context, f *fan, known *names, p *progress) error {
	st := e.s.open(ctx)
	defer st.close()
	k := &packer{e: e, fan: f, progress: p, group: e.s.group(st.began), pages: []time.Time{st.began}, flush: time.NewTimer(0)}
	defer k.flush.Stop()
	defer k.send(ctx)
	for {
		it, flushed, more := st.next(k.flush.C)
		switch {
		case flushed:
			k.late(ctx)
			continue
		case !more:
			return ctx.Err()
		case it.err != nil:
			return it.err
		}
		stock := &it.stock
		if stock.ProductID != "" {
			k.last = stock.ProductID
		}
		taken, err := known.claim(ctx, stock)
		if err != nil {
			return err
		}
		if stock.Err != nil {
			e.unread(stock.ProductID, stock.SKU, stock.Err)
			if k.group.recalled(ctx, *stock) {
				k.added(ctx)
			}
			continue
		}
		for i, sku := range taken {
			e.s.doubled.found(e.s.targets[i].name, sku)
		}
		if len(taken) == len(e.s.targets) {
			e.unread(stock.ProductID, stock.SKU, fmt.Errorf("%w %q: another product of the source has it", channel.ErrAmbiguousSKU, stock.SKU))
			continue
		}
		e.report.Read++
		k.add(ctx, stock)
	}
}

// A packer packs what is read into groups, and sends them on.
type packer struct {
	e        *entrance
	fan      *fan
	progress *progress
	group    *group
	since    time.Time // when its first product came
	flush    *time.Timer
	last     string // the product that was read last
	// pages are when the last pages were asked for. What is still to come was
	// asked for after the oldest: a source may have several requests under way
	// at a time.
	pages []time.Time
}

// add adds a product to the group.
func (k *packer) add(ctx context.Context, stock *channel.Stock) {
	k.group.stocks = append(k.group.stocks, *stock)
	if asOf := stock.AsOf; !asOf.Equal(k.pages[len(k.pages)-1]) {
		k.pages = append(k.pages, asOf)
		k.pages = k.pages[max(0, len(k.pages)-maxAhead-1):]
	}
	k.added(ctx)
}

// added sends the group on when it is full, and has it sent later when this was
// its first product.
func (k *packer) added(ctx context.Context) {
	switch len(k.group.stocks) {
	case 1:
		k.since = time.Now()
		k.flush.Reset(flushAfter)
	case groupSize:
		k.next(ctx)
		k.group.stocks = make([]channel.Stock, 0, groupSize) // it will be as full
	}
}

// late sends the group on although it is not full.
func (k *packer) late(ctx context.Context) {
	switch {
	case len(k.group.stocks) == 0:
	case k.fan.waiting() && time.Since(k.since) < fillWithin:
		k.flush.Reset(fillWithin - time.Since(k.since))
	default:
		k.next(ctx)
	}
}

// next sends the group on, and goes on with another. That begins first: sending may
// take a while, and locks forget what is older than all groups that they know.
func (k *packer) next(ctx context.Context) {
	next := k.e.s.group(slices.MinFunc(k.pages, time.Time.Compare))
	k.send(ctx)
	k.group = next
}

// send sends the group on.
func (k *packer) send(ctx context.Context) {
	read := k.e.report.Read
	if k.fan.track != nil && k.last != "" {
		k.group.number = k.fan.track.sent(place{k.last, read, k.e.report.Unread})
	}
	k.fan.send(k.group)
	k.progress.read(ctx, read)
}

// doubled are the SKUs that several products of the source claim, by channel.
// Nothing is written for these, in real time either, until a run over the
// whole catalogue finds that it is over.
type doubled struct {
	mu      sync.Mutex
	read    bool
	skus    map[Key]bool // by channel and SKU
	finding map[Key]bool // what the run under way has found
}

const (
	doubledSet = "doubled"
	maxDoubled = 10_000
)

func (d *doubled) has(channel, sku string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.skus[Key{channel, sku}]
}

func (d *doubled) none() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.skus) == 0
}

// add remembers an SKU that was found in real time.
func (d *doubled) add(channel, sku string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.skus == nil {
		d.skus = make(map[Key]bool)
	}
	if len(d.skus) < maxDoubled {
		d.skus[Key{channel, sku}] = true
	}
}

// found remembers an SKU that a run over the catalogue has found.
func (d *doubled) found(channel, sku string) {
	d.add(channel, sku)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finding == nil {
		d.finding = make(map[Key]bool)
	}
	if len(d.finding) < maxDoubled {
		d.finding[Key{channel, sku}] = true
	}
}

// doubledKey is the key of a record: a name of another length is another one.
func doubledKey(channel, sku string) string {
	return fmt.Sprintf("%d:%s%s", len(channel), channel, sku)
}

// load reads what earlier runs have found.
func (d *doubled) load(ctx context.Context, q Queue) error {
	d.mu.Lock()
	read := d.read
	d.mu.Unlock()
	if read {
		return nil
	}
	var known []Key
	for rec, err := range q.Records(ctx, doubledSet, "") {
		if err != nil {
			return err
		}
		if sku, ok := strings.CutPrefix(rec.Key, doubledKey(string(rec.Value), "")); ok {
			known = append(known, Key{string(rec.Value), sku})
		}
	}
	for _, k := range known {
		d.add(k.Lane, k.ID)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = true
	return nil
}

// forget has the next load read again: another process may have found others.
func (d *doubled) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read, d.skus = false, nil
}

// keep keeps what a complete run has found. It forgets the rest, unless the run
// resumed an earlier one and so read only a part of the catalogue.
func (d *doubled) keep(ctx context.Context, q Queue, whole bool) error {
	d.mu.Lock()
	var records []Record
	for k := range d.skus {
		if whole && !d.finding[k] {
			records = append(records, Record{Key: doubledKey(k.Lane, k.ID)})
		}
	}
	for k := range d.finding {
		records = append(records, Record{doubledKey(k.Lane, k.ID), []byte(k.Lane)})
	}
	if whole {
		d.skus = d.finding
	}
	d.finding = nil
	d.mu.Unlock()
	if len(records) == 0 {
		return nil
	}
	return q.Save(ctx, doubledSet, records...)
}

// kitGroups reads the parts of a target's kits, in groups that have all parts
// of each kit. The error is the host's panic.
func (s *Syncer) kitGroups(ctx context.Context, t *target) iter.Seq2[*group, error] {
	return func(yield func(*group, error) bool) {
		kits, _, err := t.kitList(ctx, s)
		if err != nil {
			yield(nil, err)
			return
		}
		for len(kits) > 0 {
			ids, skus, n := make(map[string]bool), make(map[string]bool), 0
			for ; n < len(kits) && (n == 0 || len(ids)+len(kits[n].Parts) <= groupSize); n++ {
				skus[kits[n].SKU] = true
				for _, part := range kits[n].Parts {
					ids[part.ProductID] = true
				}
			}
			kits = kits[n:]
			g := s.group(time.Now())
			_ = g.read(ctx, s.fetchOnly, slices.Sorted(maps.Keys(ids)), func(string, string, error) {}) // the kit says which part is missing
			g.chosen = func(k Listing) bool { return skus[k.SKU] }
			if !yield(g, nil) {
				return
			}
		}
	}
}
