package square

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
)

const (
	countsPath = "/v2/inventory/counts/batch-retrieve"
	inStock    = "IN_STOCK"

	maxIDs     = 1000 // of a read of counts, which is also the most rows of an answer
	fewIDs     = 100  // that any server takes
	maxChanges = 100  // of a write
)

// limits are what was learned of how much a request may have.
type limits struct{ ids, changes atomic.Int64 }

// lower lowers a limit, never raises it.
func lower(limit *atomic.Int64, n int) {
	for {
		old := limit.Load()
		if int64(n) >= old || n < 1 || limit.CompareAndSwap(old, int64(n)) {
			return
		}
	}
}

// A quantity is what is in stock, rounded down.
type quantity struct {
	n       int
	inexact bool // there is a fraction on top
	err     error
}

// atMost reports whether it is at most n units.
func (q quantity) atMost(n int) bool { return q.n < n || q.n == n && !q.inexact }

func (q quantity) equals(n int) bool { return q.n == n && !q.inexact }

func (q quantity) String() string {
	if q.inexact {
		return fmt.Sprintf("somewhat more than %d", q.n)
	}
	return strconv.Itoa(q.n)
}

// maxCount is far beyond any stock, and exact in every number format.
const maxCount = 1 << 53

// parseQuantity reads a decimal, such as "79", "-3" or "3.75".
func parseQuantity(text string) (quantity, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return quantity{}, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > maxCount || int64(int(n)) != n {
		return quantity{}, false
	}
	q := quantity{n: int(n), inexact: strings.Trim(fraction, "0") != ""}
	if negative {
		if q.n = -q.n; q.inexact {
			q.n--
		}
	}
	return q, true
}

// quantities are what is in stock of variations at one location.
type quantities struct {
	location string
	byID     map[string]quantity
	odd      int // rows that could not be told apart
}

// read takes in the rows of an answer. Others than those of the location and
// of what is in stock come where a filter is not obeyed, and after a write.
func (q *quantities) read(rows []strictjson.Value) {
	told := make(map[string]quantity, len(rows))
	for _, v := range rows {
		var r strictjson.Row
		r.Read(v)
		id := r.Text("catalog_object_id")
		if r.Err() != nil {
			q.odd++
			continue
		}
		state, location := r.Text("state"), r.Text("location_id")
		if r.Err() == nil && (state != inStock || location != q.location) {
			continue
		}
		got := quantity{}
		if text := r.Text("quantity"); r.Err() != nil {
			got.err = fmt.Errorf("%w: its count cannot be understood: %w", channel.ErrInvalid, r.Err())
		} else if n, ok := parseQuantity(text); ok {
			got = n
		} else {
			got.err = fmt.Errorf("%w: its count is %.40q, which is no quantity", channel.ErrInvalid, text)
		}
		if before, twice := told[id]; twice && before != got {
			got = quantity{err: fmt.Errorf("%w: it has two counts in one answer", channel.ErrInvalid)}
		}
		told[id] = got
	}
	for id, got := range told {
		q.byID[id] = got // of several pages the later one was read later
	}
}

// counts reads the stock of variations at a location. Those without a row are
// not in it: they never had a stock there.
func (c *Client) counts(ctx context.Context, location string, ids []string) (map[string]quantity, error) {
	q := &quantities{location: location, byID: make(map[string]quantity, len(ids))}
	if err := c.readCounts(ctx, q, ids); err != nil {
		return nil, err
	}
	// Pages are sorted by when a count changed last, so that a sale between two
	// of them can make rows slip through.
	missing := q.missing(ids)
	if len(missing) == 0 {
		return q.byID, nil
	}
	q.odd = 0
	if err := c.readCounts(ctx, q, missing); err != nil {
		return nil, err
	}
	if q.odd > 0 { // it may be theirs
		for _, id := range q.missing(missing) {
			q.byID[id] = quantity{err: fmt.Errorf("%w: it has no count, and %d rows of Square's answer could not be understood", channel.ErrInvalid, q.odd)}
		}
	}
	return q.byID, nil
}

func (q *quantities) missing(ids []string) (missing []string) {
	for _, id := range ids {
		if _, ok := q.byID[id]; !ok {
			missing = append(missing, id)
		}
	}
	return missing
}

type countsBody struct {
	IDs       []string `json:"catalog_object_ids"`
	Locations []string `json:"location_ids"`
	States    []string `json:"states"`
	Limit     int      `json:"limit"`
	Cursor    string   `json:"cursor,omitempty"`
}

func (c *Client) readCounts(ctx context.Context, q *quantities, ids []string) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.parallel)
	for some := range slices.Chunk(ids, int(c.limits.ids.Load())) {
		group.Go(func() error { return c.readSome(ctx, q, &mu, some) })
	}
	return whole(group.Wait())
}

// readSome reads the counts of as many ids as a request may have. Where Square
// refuses them, it asks for parts: it may take fewer, or object to one.
func (c *Client) readSome(ctx context.Context, q *quantities, mu *sync.Mutex, ids []string) error {
	return halve(ids, func(some []string) (refused *Error, err error) {
		err = c.readPages(ctx, q, mu, some)
		if e, ok := errors.AsType[*Error](err); ok && e.refusal() && !e.general() {
			if e.tooLong() || len(some) > fewIDs {
				lower(&c.limits.ids, max(fewIDs, len(some)/2))
			}
			return e, nil
		}
		return nil, err
	}, func(id string, refused *Error) {
		mu.Lock()
		defer mu.Unlock()
		q.byID[id] = quantity{err: ofItem(refused.Details[0])}
	})
}

func (c *Client) readPages(ctx context.Context, q *quantities, mu *sync.Mutex, ids []string) error {
	// One page holds all: there is one row for each id.
	ask := countsBody{IDs: ids, Locations: []string{q.location}, States: []string{inStock}, Limit: maxIDs}
	seen := map[string]bool{}
	for {
		r, err := post(countsPath, ask)
		if err != nil {
			return err
		}
		_, a, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		if len(a.details) > 0 {
			return &Error{Op: a.op, Status: http.StatusOK, Details: a.details}
		}
		rows, err := a.list("counts")
		if err != nil {
			return err
		}
		mu.Lock()
		q.read(rows)
		mu.Unlock()
		switch cursor, err := a.text("cursor"); {
		case err != nil || cursor == "":
			return err
		case seen[cursor]:
			return unusable(a.op, http.StatusOK, "the counts do not end: a cursor comes again")
		default:
			seen[cursor] = true
			ask.Cursor = cursor
		}
	}
}

// maxRefusals is how many parts of a request may be refused before any is
// accepted: then it is not about single ones.
const maxRefusals = 31

// halve tries parts of what was refused, half by half, until it is clear which
// are to blame. These are given to blame; any other error ends it.
func halve[T any](all []T, try func([]T) (refused *Error, err error), blame func(T, *Error)) error {
	queue := [][]T{all}
	refusals, accepted := 0, false
	for len(queue) > 0 {
		part := queue[0]
		queue = queue[1:]
		refused, err := try(part)
		switch {
		case err != nil:
			return err
		case refused == nil:
			accepted = true
			continue
		case len(part) == 1:
			blame(part[0], refused)
		default:
			queue = append(queue, part[:len(part)/2], part[len(part)/2:])
		}
		if refusals++; refusals >= maxRefusals && !accepted {
			return whole(refused)
		}
	}
	return nil
}
