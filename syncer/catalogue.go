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
	last := ""
	st := e.s.open(ctx)
	defer st.close()
	// What is still to come was asked for after the page before the last few:
	// a source may have several requests under way at a time.
	pages := []time.Time{st.began}
	g := e.s.group(st.began)
	flush, began := time.NewTimer(0), time.Time{} // since when a group is not empty
	defer flush.Stop()
	number := func() {
		if f.track != nil && last != "" {
			g.number = f.track.sent(place{last, e.report.Read, e.report.Unread})
		}
	}
	send := func() {
		number()
		next := e.s.group(slices.MinFunc(pages, time.Time.Compare))
		if len(g.stocks) == groupSize { // so will the next one be
			next.stocks = make([]channel.Stock, 0, groupSize)
		}
		f.send(g)
		g = next
		p.read(ctx, e.report.Read)
	}
	defer func() {
		number()
		f.send(g)
		p.read(ctx, e.report.Read)
	}()
	for {
		it, flushed, more := st.next(flush.C)
		switch {
		case flushed:
			switch {
			case len(g.stocks) == 0:
			case f.waiting() && time.Since(began) < fillWithin:
				flush.Reset(fillWithin - time.Since(began))
			default:
				send()
			}
			continue
		case !more:
			return ctx.Err()
		case it.err != nil:
			return it.err
		}
		stock := &it.stock
		if f.track != nil && stock.ProductID != "" {
			last = stock.ProductID
		}
		taken, err := known.claim(ctx, stock)
		switch {
		case err != nil:
			return err
		case stock.Err != nil:
			e.unread(stock.ProductID, stock.SKU, stock.Err)
			if g.recalled(ctx, *stock) && len(g.stocks) == groupSize {
				send()
			}
			continue
		case len(taken) > 0:
			for i, sku := range taken {
				e.s.doubled.found(e.s.targets[i].name, sku)
			}
			if len(taken) == len(e.s.targets) {
				e.unread(stock.ProductID, stock.SKU, fmt.Errorf("%w %q: another product of the source has it", channel.ErrAmbiguousSKU, stock.SKU))
				continue
			}
		}
		if len(g.stocks) == 0 {
			began = time.Now()
			flush.Reset(flushAfter)
		}
		e.report.Read++
		g.stocks = append(g.stocks, *stock)
		if asOf := stock.AsOf; !asOf.Equal(pages[len(pages)-1]) {
			pages = append(pages, asOf)
			pages = pages[max(0, len(pages)-maxAhead-1):]
		}
		if len(g.stocks) == groupSize {
			send()
		}
	}
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

// keep keeps what a complete run has found, and forgets the rest, unless the run
// went on with another one and has not met all products itself.
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
