package syncer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A write that was under way when its process died, or was cut off, may land
// late, on top of a newer one. So whoever leads next looks a second time at
// these products, when such a write must have landed.
//
// Which products these are is known from what was leased. What a run over the
// catalogue or an asked one writes is leased by nobody, so it is written down
// before, and struck out after.

const (
	writingSet = "writing"
	// soonLanded is when most of such writes have landed: products are looked at
	// then already, and once more after Config.Patience.
	soonLanded = time.Minute
)

// writingKey names a write: by channel, product, tenure, and number.
func writingKey(channel, product, tenure string, n int64) string {
	return fmt.Sprintf("%s\x00%s\x00%s\x00%d", channel, product, tenure, n)
}

// writing writes down that a pass is about to write changes. The end strikes
// them out, unless a call was left behind that may still write. An error means
// that the term is over, and nothing may be written.
func (p *pass) writing(ctx context.Context, changes []change) (end func(), err error) {
	t := tenureOf(ctx)
	if t == nil || !t.shared {
		return func() {}, nil
	}
	wants := make([]want, len(changes))
	for i := range changes {
		wants[i] = changes[i].want
	}
	n := t.writes.Add(1)
	var begun, ended []Record
	for _, id := range productsOf(wants) {
		key := writingKey(p.t.name, id, t.id, n)
		begun, ended = append(begun, Record{key, []byte{}}), append(ended, Record{Key: key})
	}
	save := func(records []Record) error { return t.Save(context.WithoutCancel(ctx), writingSet, records...) }
	if !p.leased {
		if err := p.s.insist(ctx, "Save", func() error { return save(begun) }); err != nil {
			return nil, cmp.Or(ctx.Err(), err)
		}
	}
	return func() {
		stuck := p.t.stuck() != nil
		switch { // if it fails there is a second look more than need be, or the term is over
		case stuck && p.leased:
			_ = p.s.safely(ctx, "the queue: Save", func() error { return save(begun) })
		case !stuck && !p.leased:
			_ = p.s.safely(ctx, "the queue: Save", func() error { return save(ended) })
		}
	}, nil
}

// inherit writes down what the last leader had leased, so that it is looked at
// a second time even if this one dies before; and takes over what was counted.
func (s *Syncer) inherit(ctx context.Context, t *tenure) error {
	for _, target := range s.targets {
		if err := target.window.inherit(ctx, t, target.name); err != nil {
			return err
		}
	}
	lanes := make(map[string]*target)
	for _, target := range s.targets {
		for _, lane := range target.lanes() {
			lanes[lane] = target
		}
	}
	var records []Record
	for _, key := range t.Interrupted() {
		if target := lanes[key.Lane]; target != nil {
			records = append(records, Record{writingKey(target.name, key.ID, "before/"+t.id, 0), []byte{}})
		}
	}
	if len(records) == 0 {
		return nil
	}
	return t.Save(ctx, writingSet, records...)
}

// lookAgain looks a second time at what was interrupted before this term.
func (s *Syncer) lookAgain(accept context.Context, t *tenure) {
	var done []Record
	products := make(map[*target][]string)
	if s.insist(accept, "Records", func() error {
		done, products = nil, make(map[*target][]string)
		for rec, err := range t.Records(accept, writingSet, "") {
			if err != nil {
				return err
			}
			parts := strings.Split(rec.Key, "\x00")
			if len(parts) == 4 && parts[2] == t.id {
				continue
			}
			done = append(done, Record{Key: rec.Key})
			for _, target := range s.targets { // those of a channel that is gone are dropped
				if len(parts) == 4 && parts[0] == target.name {
					products[target] = append(products[target], parts[1])
				}
			}
		}
		return nil
	}) != nil || len(done) == 0 {
		return
	}
	var marks []Mark
	for target, ids := range products {
		for _, id := range ids {
			marks = append(marks, Mark{Key: Key{Lane: target.eventLane(), ID: id}, Why: CauseRetry})
		}
	}
	waited := time.Duration(0)
	for _, at := range []time.Duration{min(soonLanded, s.patience), s.patience} {
		if sleep(accept, at-waited) != nil {
			return
		}
		if at == waited {
			continue
		}
		waited = at
		if len(marks) > 0 && s.insist(accept, "Mark", func() error { return t.Mark(accept, marks...) }) != nil {
			return
		}
		s.logger.LogAttrs(accept, slog.LevelInfo, "looks again at what was being written when the last term ended", slog.Int("products", len(marks)))
	}
	_ = s.insist(accept, "Save", func() error { return t.Save(accept, writingSet, done...) })
}
