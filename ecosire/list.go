package ecosire

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
)

// pageSize is the most that ECOSIRE puts on a page, and the most product ids
// that it is asked for at once.
const pageSize = 100

// A list is one of ECOSIRE's lists: {"data":[…],"meta":{…}}, page by page.
type list[T any] struct {
	path  string
	query url.Values
	// order is the field to sort by, ascending, so that what is created
	// meanwhile comes last and moves nothing. Which fields a list can be
	// sorted by is not documented for each; where ECOSIRE refuses this one, the
	// list is read in its own order.
	order string
	// key tells entries apart.
	key func(*T) string
	// ahead is how many pages are under way at a time, once their number is
	// known; 0 means one.
	ahead int
}

type page[T any] struct {
	entries []T       // only those that were not on an earlier page
	sent    time.Time // when the page was asked for
}

// An answer is a page as ECOSIRE sends it.
type answer[T any] struct {
	Data *[]T `json:"data"`
	Meta *struct {
		Total      int `json:"total"`
		TotalPages int `json:"totalPages"`
	} `json:"meta"`

	sent time.Time
	err  error
}

// pages reads the list to its end. The last pair holds an error if the list
// turns out not to be whole.
func (l list[T]) pages(ctx context.Context, c *Client) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for k, v := range l.query {
			query[k] = v
		}
		if l.order != "" {
			query.Set("sortBy", l.order)
			query.Set("sortOrder", "asc")
		}
		ctx, cancel := context.WithCancel(ctx)
		var fetching sync.WaitGroup
		defer fetching.Wait()
		defer cancel()
		// The pages asked for and not yet read, in their order.
		var coming []chan answer[T]
		asked := 0
		ask := func(ctx context.Context) {
			asked++
			got, n := make(chan answer[T], 1), asked
			coming = append(coming, got)
			fetching.Go(func() { got <- l.page(ctx, c, query, n) })
		}
		ask(ctx)
		// Were two entries ever to have one hash, the count at the end would be
		// short by one and say so.
		seen := hashset.New()
		defer seen.Close()
		most := 0 // the largest total that any page stated
		again := false
		for n := 1; ; n++ {
			a := <-coming[0]
			coming = coming[1:]
			if e, ok := a.err.(*Error); ok && n == 1 && query.Has("sortBy") &&
				(e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity) {
				query.Del("sortBy")
				query.Del("sortOrder")
				a = l.page(ctx, c, query, 1)
			}
			if a.err != nil {
				if n > 1 && ctx.Err() == nil {
					a.err = fmt.Errorf("page %d: %w: %w", n, channel.ErrIncomplete, a.err)
				}
				yield(page[T]{}, a.err)
				return
			}
			entries := *a.Data
			fresh := entries[:0]
			for i := range entries {
				isNew, err := seen.Add(l.key(&entries[i]))
				if err != nil {
					yield(page[T]{}, fmt.Errorf("ecosire: %s: page %d: %w: %w", l.path, n, channel.ErrIncomplete, err))
					return
				}
				if isNew {
					fresh = append(fresh, entries[i])
				}
			}
			if len(entries) > 0 && len(fresh) == 0 && !again {
				yield(page[T]{}, &shortError{fmt.Sprintf("ecosire: %s: page %d repeats earlier ones", l.path, n)})
				return
			}
			if len(fresh) > 0 && !yield(page[T]{fresh, a.sent}, nil) {
				return
			}
			most = max(most, a.Meta.Total)
			if len(entries) == 0 || n >= a.Meta.TotalPages {
				if seen.Len() < most && l.ahead > 1 && !again {
					// What is created while pages are under way side by side may
					// come on the last page after that was read.
					again, asked, coming = true, n-1, nil
					ask(ctx)
					n--
					continue
				}
				if seen.Len() < most {
					yield(page[T]{}, &shortError{fmt.Sprintf("ecosire: %s: read %d of %d", l.path, seen.Len(), most)})
				}
				return
			}
			if len(coming) == 0 {
				ask(ctx)
			}
			// More only while the quota has some: pages that wait would get theirs in
			// any order, and the figures of a later one grow old.
			for len(coming) < l.ahead && asked < a.Meta.TotalPages {
				paid, ok := c.quota.advance(ctx)
				if !ok {
					break
				}
				ask(paid)
			}
		}
	}
}

// page reads page n.
func (l list[T]) page(ctx context.Context, c *Client, query url.Values, n int) (a answer[T]) {
	query = maps.Clone(query)
	query.Set("page", strconv.Itoa(n))
	a.sent, a.err = c.call(ctx, http.MethodGet, l.path, query, nil, &a)
	if a.err == nil && (a.Data == nil || a.Meta == nil) {
		a.err = &Error{Op: "GET " + l.path, Status: http.StatusOK, Message: "the answer has no data or no meta", nonsense: true}
	}
	return a
}

// all is pages entry by entry.
func (l list[T]) all(ctx context.Context, c *Client) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for p, err := range l.pages(ctx, c) {
			if err != nil {
				yield(zero, err)
				return
			}
			for _, entry := range p.entries {
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

// A shortError says that a list was read to its end and is not whole.
type shortError struct{ what string }

func (e *shortError) Error() string        { return e.what + ": " + channel.ErrIncomplete.Error() }
func (e *shortError) Is(target error) bool { return target == channel.ErrIncomplete }

// path joins segments, each escaped. call refuses what is left of an id that
// would reach another endpoint.
func path(segments ...string) string {
	p := ""
	for _, s := range segments {
		p += "/" + url.PathEscape(s)
	}
	return p
}
