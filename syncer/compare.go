package syncer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/channel"
)

// A change is a want that the channel does not show.
type change struct {
	want
	seen *channel.Level // nil if the channel cannot be read
}

// compare compares what the channel should show with what it shows. What
// agrees, and what cannot be written, goes to out; the differences come back,
// the most dangerous ones first.
func (p *pass) compare(wants []want, bySKU levelIndex, out *outcome) []change {
	if p.t.reader == nil {
		changes := make([]change, len(wants))
		for i := range wants {
			changes[i].want = wants[i]
		}
		return p.doubtful(changes)
	}
	var changes []change
	for i := range wants {
		w := &wants[i]
		level, more := bySKU.of(w.sku)
		r := result{want: *w, seen: level, state: failed}
		switch {
		case level == nil:
			r.err = channel.UnknownSKU(w.sku)
		case len(more) > 0:
			r.err = ambiguous(w.sku, *level, more)
		case level.Err != nil:
			r.err = level.Err
		case p.unsetter != nil && level.Unset:
			r.state = agreed
		case p.fixed != nil && (p.unsetter != nil || level.Unset || level.Quantity != w.quantity):
			changes = append(changes, change{*w, level})
			continue
		case !level.Unset && level.Quantity == w.quantity && level.Inexact:
			changes = append(changes, change{*w, level}) // a fraction more
			continue
		case !level.Unset && level.Quantity == w.quantity:
			var awaits, landed bool
			if p.purpose == surveying {
				awaits = p.t.memory.awaitsOther(w)
			} else {
				awaits, landed = p.t.memory.agrees(w, p.purpose.catalogue())
			}
			if awaits {
				changes = append(changes, change{*w, level})
				continue
			}
			r.state, r.landed = agreed, landed
		default:
			switch v, times, settles := p.t.memory.judge(w, level, p.purpose == surveying); v {
			case notYet:
				r.state, r.settles = pending, settles
			case undone:
				r.err = fmt.Errorf("%w: %q shows %s again, as before %d writes of %d", channel.ErrNotApplied, w.sku, quantityOf(level), times, w.quantity)
			default:
				if r.settles = p.lazily(w, level); r.settles == 0 {
					changes = append(changes, change{*w, level})
					continue
				}
				p.doubts(w.sku)
				r.state = pending
			}
		}
		if r.state == failed {
			p.doubts(w.sku)
		}
		out.add(r)
	}
	return p.doubtful(changes)
}

// doubtful puts differences in order. From now on the memory knows of none of them
// what the channel shows, until it is known to be written.
func (p *pass) doubtful(changes []change) []change {
	for i := range changes {
		p.doubts(changes[i].sku)
	}
	inOrder(changes)
	return changes
}

func (p *pass) doubts(sku string) {
	if p.purpose != surveying {
		p.t.memory.doubts(sku)
	}
}

// levelIndex finds levels by SKU; most have one. It belongs to one goroutine.
type levelIndex struct{ *levelTable }

type levelTable struct {
	levels []channel.Level
	// ordered says that no two have one SKU, and that they are in the order of
	// the wants, in which they will be asked for. Then next is the one that is
	// most likely asked for, and no map is made as long as that is so.
	ordered bool
	next    int
	first   map[string]int
	more    map[string][]channel.Level
}

// index makes an index of the levels of wants, of which no two have one SKU.
func index(wants []want, levels []channel.Level) levelIndex {
	n := 0
	for i := range wants {
		if n < len(levels) && levels[n].SKU == wants[i].sku {
			n++
		}
	}
	return levelIndex{&levelTable{levels: levels, ordered: n == len(levels)}}
}

// of returns the level of an SKU, or nil, and what else has the SKU.
func (x *levelTable) of(sku string) (level *channel.Level, more []channel.Level) {
	if x.ordered && len(x.levels) > 0 {
		if x.next == len(x.levels) { // they are asked for once more
			x.next = 0
		}
		if x.levels[x.next].SKU == sku {
			x.next++
			return &x.levels[x.next-1], nil
		}
	}
	if x.first == nil {
		x.fill()
	}
	if at, ok := x.first[sku]; ok {
		x.next = at + 1
		return &x.levels[at], x.more[sku]
	}
	return nil, nil
}

func (x *levelTable) fill() {
	x.first = make(map[string]int, len(x.levels))
	for i, l := range x.levels {
		if _, twice := x.first[l.SKU]; !twice {
			x.first[l.SKU] = i
			continue
		}
		if x.more == nil {
			x.more = make(map[string][]channel.Level)
		}
		x.more[l.SKU] = append(x.more[l.SKU], l)
	}
}

// only returns the level of an SKU that has just one, or nil.
func (x *levelTable) only(sku string) *channel.Level {
	if level, more := x.of(sku); len(more) == 0 {
		return level
	}
	return nil
}

func ambiguous(sku string, first channel.Level, more []channel.Level) error {
	refs := []string{cmp.Or(first.Ref, "?")}
	for _, l := range more {
		refs = append(refs, cmp.Or(l.Ref, "?"))
	}
	slices.Sort(refs)
	return fmt.Errorf("%w %q: it stands for %s", channel.ErrAmbiguousSKU, sku, strings.Join(refs, " and "))
}

// inOrder sorts changes so that what could be sold twice goes first: zeros,
// then decreases and what is not known to be an increase, then increases.
func inOrder(changes []change) {
	rank := func(c *change) int {
		switch {
		case c.quantity <= 0:
			return 0
		case c.seen == nil || c.seen.Unset || c.quantity < c.seen.Quantity:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(rank(&a), rank(&b)) })
}

// quantityOf is what a level shows, for people.
func quantityOf(l *channel.Level) string {
	if l.Unset {
		return "no quantity"
	}
	return strconv.Itoa(l.Quantity)
}

// onSale reports whether customers can buy what a level shows.
func onSale(l *channel.Level) bool {
	return l != nil && l.Err == nil && !l.OffSale && (l.Unset || l.Quantity > 0)
}
