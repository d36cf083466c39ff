package ecosire

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// inParts reads what it can of page n, which fails as a whole.
func (r *reading[T]) inParts(ctx context.Context, req request, n int, failure error) answer[T] {
	type part struct {
		at int
		answer[T]
	}
	var parts []part
	req.once = true
	left, err := hunt[span]{Client: r.c, patient: true,
		size: span.len,
		join: func(parts []span) []span { return parts },
		// Parts are pages of a smaller size.
		split: func(s span) (parts []span) {
			size := map[int]int{pageSize: pageSize / 2, pageSize / 2: pageSize / 4, pageSize / 4: pageSize / 20}[s.len()]
			for from := s.from; from < s.to; from += max(size, 1) {
				parts = append(parts, span{from, from + max(size, 1)})
			}
			return parts
		},
		ask: func(s span) error {
			a := r.page(ctx, r.c, req, ((n-1)*pageSize+s.from)/s.len()+1, s.len())
			if a.err == nil {
				parts = append(parts, part{s.from, a})
			}
			return a.err
		},
		alone: func(s span, err error) {
			err = fmt.Errorf("ecosire: number %d of %s fails by itself: %w", (n-1)*pageSize+s.from+1, r.path, err)
			parts = append(parts, part{s.from, answer[T]{entries: []T{r.unread(err)}, rows: 1, total: -1}})
		},
	}.isolate(ctx, span{0, pageSize}, failure)
	if err == nil && left != nil {
		err = failure
	}
	whole := answer[T]{total: -1, pages: -1, err: err}
	for _, p := range slices.SortedFunc(slices.Values(parts), func(a, b part) int { return a.at - b.at }) {
		whole.entries = append(whole.entries, p.entries...)
		whole.rows += p.rows
		whole.bad = cmp.Or(whole.bad, p.bad)
		whole.total = max(whole.total, p.total)
		if whole.sent.IsZero() {
			whole.sent = p.sent
		}
	}
	return whole
}

// A span is a part of a page: from an index up to another.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }
