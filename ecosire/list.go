package ecosire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// pageSize is the most that ECOSIRE puts on a page, and the most product ids
// that it is asked for at once.
const pageSize = 100

// A list is one of ECOSIRE's lists: {"data":[…],"meta":{…}}, page by page.
type list[T any] struct {
	path  string
	query url.Values
	// sorts are the fields to sort by, ascending, the best first: one by which
	// what is created meanwhile comes last and moves nothing. Which fields a list
	// can be sorted by is not documented for each; where ECOSIRE refuses all, the
	// list is read in its own order.
	sorts []string
	// ahead is how many pages are under way at a time, once their number is
	// known; 0 means one. Of pages that cost several requests there are as many
	// fewer, or the first of them would be old before it is whole. The last pages
	// are under way together, up to as many as the quota has requests: what fits
	// into a window does not wait for answers.
	ahead int
	// cost is how many requests a page takes in all; 0 means one.
	cost int
	// decode reads an entry. key tells entries apart: "" is one without a name.
	// An entry that decode refuses is left out, and the list is not whole.
	decode func(row *strictjson.Row, page *scratch, asOf time.Time) (T, error)
	key    func(*T) string
	// total is told how many entries the list has, by its first page; it may be nil.
	total func(int)

	// start is the first page to read, if it is not the first, and after the key of
	// an entry that is on it or before: what comes up to it is left out. It needs
	// sorts, and ends with errNoPlace if the list is not so.
	start int
	after string

	// A list with unread yields what this makes of the error in the place of an
	// entry for which ECOSIRE has no answer; one without ends there.
	unread func(error) T
	// A list with same has a clash where one page has an entry twice and the two
	// are not the same.
	same  func(a, b *T) bool
	clash func(*T)
}

type page[T any] struct {
	entries []T       // only those that were not on an earlier page
	sent    time.Time // when the page was asked for
}

// A scratch is what decoding the entries of one page shares.
type scratch struct {
	unit string // of the entry before: most have the same
	text []byte
}

// An answer is a page as ECOSIRE sends it.
type answer[T any] struct {
	entries []T
	rows    int   // entries, those that could not be decoded among them
	bad     error // about the first one that could not be decoded
	total   int   // of the whole list, or -1 if ECOSIRE states none that makes sense
	pages   int   // the same
	sent    time.Time
	err     error
}

// page reads page n, which has up to the given number of entries.
func (l list[T]) page(ctx context.Context, c *Client, r request, n, size int) (a answer[T]) {
	query := url.Values{"limit": {strconv.Itoa(size)}, "page": {strconv.Itoa(n)}}
	for k, v := range l.query {
		query[k] = v
	}
	for k, v := range r.query {
		query[k] = v
	}
	r.method, r.path, r.query = http.MethodGet, l.path, query
	got, err := c.call(ctx, r)
	if err != nil {
		a.err = err
		return a
	}
	v, err := got.json()
	if err != nil {
		a.err = err
		return a
	}
	var top, row strictjson.Row
	top.Read(v)
	rows, meta := top.Elements("data"), top.Value("meta")
	if top.Err() != nil {
		a.err = got.nonsense(top.Err().Error())
		return a
	}
	if row.Read(meta); row.Err() != nil {
		a.err = got.nonsense(`the answer has no "meta" that is an object`)
		return a
	}
	a.sent, a.rows = got.asOf(ctx, c.odd), len(rows)
	a.total, a.pages = number(&row, "total"), number(&row, "totalPages")
	a.entries = make([]T, 0, len(rows))
	var work scratch
	for _, v := range rows {
		row.Read(v)
		entry, err := l.decode(&row, &work, a.sent)
		if err != nil {
			a.bad = cmp.Or(a.bad, err)
			continue
		}
		a.entries = append(a.entries, entry)
	}
	return a
}

// number reads a number of things, or -1.
func number(row *strictjson.Row, key string) int {
	n, err := row.Value(key).Int()
	if err != nil || n < 0 || row.Err() != nil {
		return -1
	}
	return n
}

// pages reads the list to its end. The last pair holds an error if the list
// turns out not to be whole.
func (l list[T]) pages(ctx context.Context, c *Client) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		l.cost = max(1, l.cost)
		r := &reading[T]{list: l, c: c, yield: yield, seen: hashset.New(), ordered: true}
		// Were two entries ever to have one hash, the count at the end would be
		// short by one and say so.
		defer r.seen.Close()
		defer r.fetching.Wait()
		defer c.quota.plan(r, -1)
		defer cancel()
		err := r.pass(ctx)
		if err == nil && r.missing() && !r.ordered && r.start <= 1 {
			// What moved to an earlier page meanwhile is found by looking once more.
			r.joined = true
			err = r.pass(ctx)
		}
		if err == nil {
			err = r.verdict()
		}
		if err != nil && !errors.Is(err, errBroken) {
			yield(page[T]{}, err)
		}
	}
}

// errBroken says that whoever ranges over the list has had enough.
var errBroken = errors.New("broken off")

// A reading is one time that a list is read.
type reading[T any] struct {
	list[T]
	c     *Client
	yield func(page[T], error) bool

	sort     string // what the list is sorted by, or ""
	ordered  bool   // and it is, as far as it was read
	last     string // the key of the last entry
	joined   bool   // this is the second pass
	fetching sync.WaitGroup

	seen    *hashset.Set
	unnamed int   // entries that nothing tells apart
	bad     error // about entries that were left out
	size    int   // entries on the first page
	most    int   // the largest total that any page stated
	stated  bool  // by the last page, too
}

// pass reads all pages once.
func (r *reading[T]) pass(ctx context.Context) error {
	// The pages asked for and not yet read, in their order.
	var coming []chan answer[T]
	asked, pages := 0, 0
	ask := func() {
		asked++
		if channel.UrgencyOf(ctx) == channel.Background {
			r.c.quota.plan(r, max(0, pages-asked)*r.cost)
		}
		got, n := make(chan answer[T], 1), asked
		coming = append(coming, got)
		ctx := r.c.quota.line(ctx)
		r.fetching.Go(func() { defer r.c.quota.leave(ctx); got <- r.fetch(ctx, n) })
	}
	again := false
	r.last = ""
	start := max(1, r.start)
	for n := start; ; n++ {
		var a answer[T]
		if n == start {
			asked, a = n, r.first(ctx)
			if a.err == nil && !r.found(&a) {
				return errNoPlace
			}
		} else {
			a, coming = <-coming[0], coming[1:]
		}
		if a.err != nil {
			if n > start && ctx.Err() == nil {
				a.err = fmt.Errorf("page %d: %w: %w", n, channel.ErrIncomplete, a.err)
			}
			return a.err
		}
		fresh, err := r.fresh(a, again)
		switch {
		case err != nil:
			return fmt.Errorf("ecosire: %s: page %d: %w: %w", r.path, n, channel.ErrIncomplete, err)
		case a.rows > 0 && fresh == nil && !again && !r.joined && a.bad == nil:
			return &shortError{fmt.Sprintf("ecosire: %s: page %d repeats earlier ones", r.path, n)}
		case len(fresh) > 0 && !r.yield(page[T]{fresh, a.sent}, nil):
			return errBroken
		}
		var end bool
		pages, end = r.end(n, a)
		if n == start && r.stated && r.total != nil {
			r.total(a.total)
		}
		if end {
			if again || !r.missing() || r.ahead <= 1 || !r.ordered {
				return nil
			}
			// What is created while pages are under way side by side may come on
			// the last page after that was read.
			again, asked, coming = true, n-1, nil
			n--
		}
		for len(coming) < r.abreast(pages-asked) && (len(coming) == 0 || asked < pages) {
			ask()
		}
	}
}

// abreast is how many pages to have under way while left are still to be asked for.
func (r *reading[T]) abreast(left int) int {
	ahead := r.ahead
	if ahead > 1 && left*r.cost <= defaultLimit {
		ahead = defaultLimit
	}
	return max(1, ahead/r.cost)
}

// first reads the first page, and finds out what the list can be sorted by.
func (r *reading[T]) first(ctx context.Context) answer[T] {
	sorts := r.sorts
	if known, ok := r.c.orders.Load(r.path); ok && len(sorts) > 0 {
		sorts = []string{known.(string)}
	}
	for _, sort := range append(sorts[:len(sorts):len(sorts)], "") {
		r.sort = sort
		a := r.fetch(ctx, max(1, r.start))
		if e, ok := errors.AsType[*Error](a.err); ok && sort != "" &&
			(e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity) {
			r.c.orders.Delete(r.path)
			continue
		}
		if a.err == nil && len(r.sorts) > 0 {
			r.c.orders.Store(r.path, sort)
			r.ordered = r.ordered && sort == r.sorts[0]
		}
		return a
	}
	panic("unreachable")
}

// fetch reads page n, in parts if ECOSIRE has no answer for the whole.
func (r *reading[T]) fetch(ctx context.Context, n int) answer[T] {
	req := request{query: url.Values{}}
	if r.sort != "" {
		req.query = url.Values{"sortBy": {r.sort}, "sortOrder": {"asc"}}
	}
	a := r.page(ctx, r.c, req, n, pageSize)
	if a.err == nil || r.unread == nil || final(a.err) || !partial(a.err) {
		return a
	}
	return r.inParts(ctx, req, n, a.err)
}

// fresh returns the entries of an answer that did not come before, or nil if
// all did. What is read again says nothing about the order.
func (r *reading[T]) fresh(a answer[T], again bool) ([]T, error) {
	fresh := a.entries[:0]
	for i := range a.entries {
		entry := &a.entries[i]
		key := r.key(entry)
		if key != "" && !again {
			r.ordered = r.ordered && key >= r.last
			r.last = key
		}
		isNew := true
		if key == "" {
			if r.joined {
				continue // one of those that the first pass told of already
			}
			r.unnamed++
		} else {
			var err error
			if isNew, err = r.seen.Add(key); err != nil {
				return nil, err
			}
		}
		if isNew {
			fresh = append(fresh, *entry)
		} else if r.same != nil {
			for j := range fresh {
				if r.key(&fresh[j]) == key && !r.same(&fresh[j], entry) {
					r.clash(&fresh[j])
				}
			}
		}
	}
	if a.bad != nil && r.bad == nil {
		r.bad = a.bad
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	return fresh, nil
}

// end reports whether page n is the last one, and how many pages there are as
// far as ECOSIRE tells. What an answer says about the list's length counts
// only if the answer itself does not contradict it.
func (r *reading[T]) end(n int, a answer[T]) (pages int, end bool) {
	if n == max(1, r.start) {
		r.size = max(a.rows, 1)
		if n > 1 {
			r.size = pageSize
		}
	}
	if n == max(1, r.start) || a.rows > 0 { // behind the end there is nothing to contradict
		r.stated = a.total >= (n-1)*r.size+a.rows
	}
	r.most = max(r.most, a.total)
	pages = a.pages
	if r.stated && pages*pageSize < a.total {
		pages = (a.total + r.size - 1) / r.size
	}
	switch {
	case a.rows == 0:
		return pages, true
	case r.stated:
		return pages, n >= pages
	case pages > n:
		return pages, false
	}
	// Nobody tells: there may be more behind a full page, and behind the first.
	return 0, n > 1 && a.rows < r.size
}

// came is how many entries there were, with those on the pages before the start.
func (r *reading[T]) came() int { return max(0, r.start-1)*pageSize + r.seen.Len() + r.unnamed }

// missing reports whether fewer entries came than ECOSIRE stated.
func (r *reading[T]) missing() bool { return r.came() < r.most }

// errNoPlace says that a list does not go on where it was.
var errNoPlace = fmt.Errorf("ecosire: the list does not go on where it was: %w", errors.ErrUnsupported)

// found reports whether the place to go on from is on the first page that was
// read.
func (r *reading[T]) found(a *answer[T]) bool {
	if r.start == 0 {
		return true
	}
	last := ""
	for i := range a.entries {
		key := r.key(&a.entries[i])
		if key == "" {
			continue
		}
		if last == "" && r.start > 1 && key > r.after || key < last {
			return false // it is on an earlier page by now, or there is no order
		}
		last = key
	}
	return r.sort == r.sorts[0]
}

// verdict says whether the list is whole.
func (r *reading[T]) verdict() error {
	switch {
	case r.bad != nil:
		return &shortError{fmt.Sprintf("ecosire: %s: an entry cannot be read: %v", r.path, r.bad)}
	case r.missing():
		return &shortError{fmt.Sprintf("ecosire: %s: read %d of %d", r.path, r.came(), r.most)}
	case r.start > 1 && !r.ordered:
		return &shortError{fmt.Sprintf("ecosire: %s: not in the order asked for", r.path)}
	case !r.stated:
		return &shortError{fmt.Sprintf("ecosire: %s: read %d, and ECOSIRE states no total that fits", r.path, r.came())}
	case r.unnamed > 0:
		return &shortError{fmt.Sprintf("ecosire: %s: %d entries have no name that can be read", r.path, r.unnamed)}
	}
	return nil
}

// all is pages entry by entry.
func (l list[T]) all(ctx context.Context, c *Client) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for p, err := range l.pages(ctx, c) {
			if err != nil {
				yield(zero, err) // the last pair, and it has no entries
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
