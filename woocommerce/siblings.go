package woocommerce

import (
	"maps"
	"strings"
	"sync"
)

// siblings knows what is wanted of variations that show one stock, their
// parent's. A caller pushes only what differs, so two that disagree would take
// turns: each is right while the other is wrong. What is read and not pushed is
// wanted as it is shown.
type siblings struct {
	mu       sync.Mutex
	families map[int64]*family // by parent
	clock    int               // counts calls
}

type family struct {
	members map[string]*member // by SKU
	read    int                // the latest read, by the clock
}

type member struct {
	shown, readAt  int // the latest read, and when
	wanted, wantAt int // the latest push, and when; 0 for never
}

// want is what is most likely wanted.
func (m *member) want() int {
	if m.wantAt > m.readAt {
		return m.wanted
	}
	return m.shown
}

const maxFamilies = 10_000

func (s *siblings) family(parent int64) *family {
	if s.families == nil || len(s.families) >= maxFamilies && s.families[parent] == nil {
		s.families = make(map[int64]*family)
	}
	f := s.families[parent]
	if f == nil {
		f = &family{members: make(map[string]*member)}
		s.families[parent] = f
	}
	return f
}

func (f *family) member(sku string) *member {
	m := f.members[sku]
	if m == nil {
		m = new(member)
		f.members[sku] = m
	}
	return m
}

// read takes in what was read together.
func (s *siblings) read(rows []found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	for _, f := range rows {
		parent := f.row.parent
		if f.row.stock == managed && strings.HasPrefix(f.row.kind, "variable") {
			parent = f.row.id // its own SKU is one of the family
		} else if f.row.stock != byParent {
			parent = 0
		}
		if parent == 0 || f.row.err != nil {
			continue
		}
		family := s.family(parent)
		family.read = s.clock
		m := family.member(f.sku)
		m.shown, m.readAt = f.row.quantity.n, s.clock
	}
}

// want takes in what is wanted of a product now, and says why that contradicts
// what is wanted of it otherwise, or returns nil. Of siblings that were read at
// the same time that is certain. Of others it may have changed too; they
// contradict only somebody who wants what he wanted before.
func (s *siblings) want(same []*write) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	family := s.families[same[0].id]
	if family == nil {
		return nil
	}
	s.clock++
	wants := make(map[string]int, len(same))
	together, unchanged := false, true
	for _, w := range same {
		m := family.member(w.sku)
		wants[w.sku] = w.quantity
		together = together || m.readAt == family.read
		unchanged = unchanged && m.wantAt > 0 && m.wanted == w.quantity
		m.wanted, m.wantAt = w.quantity, s.clock
	}
	others := maps.Clone(wants)
	for sku, m := range family.members {
		if _, mine := wants[sku]; mine || m.want() == same[0].quantity {
			continue
		}
		if unchanged || together && m.readAt == family.read {
			others[sku] = m.want()
		}
	}
	if len(others) == len(wants) {
		return nil
	}
	return disagreement(same[0].id, others)
}
