package show

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/syncer"
)

// Sentence says it all in one.
func (s Summary) Sentence() string {
	agree := 0
	for _, c := range s.Channels {
		agree += c.Agree
	}
	var parts []string
	if agree > 0 || len(s.Rows) == 0 {
		parts = append(parts, Count(agree, "agrees", "agree"))
	}
	for _, p := range []struct {
		state     State
		one, many string
	}{
		{Differs, "differs", "differ"}, {Pending, "accepted and not shown yet", "accepted and not shown yet"}, {Written, "written", "written"}, {Missing, "unknown to the shop", "unknown to the shops"},
		{Unclear, "unclear", "unclear"}, {Failed, "cannot be shown", "cannot be shown"}, {Held, "held", "held"},
	} {
		if n := s.Count(p.state); n > 0 {
			parts = append(parts, Count(n, p.one, p.many))
		}
	}
	says := strings.Join(parts, ", ")
	switch n := s.Count(Held) + s.Count(Failed) + s.Count(Unclear); {
	case n == 1:
		says += ": look at it"
	case n > 1:
		says += ": look at these"
	}
	return says + "."
}

// Blame says why there was drift, the most frequent cause first, or "".
func (s Summary) Blame() string {
	culprits := slices.SortedFunc(maps.Keys(s.Culprits), func(a, b syncer.Culprit) int {
		return cmp.Or(cmp.Compare(s.Culprits[b], s.Culprits[a]), cmp.Compare(a, b))
	})
	if len(culprits) == 0 {
		return ""
	}
	var parts []string
	for _, c := range culprits {
		parts = append(parts, Number(s.Culprits[c])+" "+string(c))
	}
	return "Why it drifted, most likely: " + strings.Join(parts, ", ") + "."
}

// Warning says what happens while nobody looks at what is held, if that is
// dangerous.
func (s Summary) Warning() string {
	soldOut := 0
	for _, r := range s.Rows {
		if r.State == Held && r.SoldOut {
			soldOut++
		}
	}
	if soldOut == 0 {
		return ""
	}
	return fmt.Sprintf("ECOSIRE calls %s of those held sold out: customers may buy them until somebody has decided.", Number(soldOut))
}
