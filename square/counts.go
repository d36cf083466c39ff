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

// A figure is a stock, rounded down.
type figure struct {
	n       int
	inexact bool // there is a fraction on top
	err     error
}

// atMost reports whether it is at most n units.
func (f figure) atMost(n int) bool { return f.n < n || f.n == n && !f.inexact }

func (f figure) equals(n int) bool { return f.n == n && !f.inexact }

func (f figure) String() string {
	if f.inexact {
		return fmt.Sprintf("somewhat more than %d", f.n)
	}
	return strconv.Itoa(f.n)
}

// maxFigure is far beyond any stock, and exact in every number format.
const maxFigure = 1 << 53

// parseFigure reads a decimal, such as "79", "-3" or "3.75".
func parseFigure(text string) (figure, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return figure{}, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > maxFigure || int64(int(n)) != n {
		return figure{}, false
	}
	f := figure{n: int(n), inexact: strings.Trim(fraction, "0") != ""}
	if negative {
		if f.n = -f.n; f.inexact {
			f.n--
		}
	}
	return f, true
}

// figures are the stocks of variations at one location.
type figures struct {
	location string
	byID     map[string]figure
	odd      int // rows that could not be told apart
}

// read takes in the rows of an answer. Others than those of the location and
// of what is in stock come where a filter is not obeyed, and after a write.
func (f *figures) read(rows []strictjson.Value) {
	told := make(map[string]figure, len(rows))
	for _, v := range rows {
		var r strictjson.Row
		r.Read(v)
		id := r.Text("catalog_object_id")
		if r.Err() != nil {
			f.odd++
			continue
		}
		state, location := r.Text("state"), r.Text("location_id")
		if r.Err() == nil && (state != inStock || location != f.location) {
			continue
		}
		got := figure{}
		if quantity := r.Text("quantity"); r.Err() != nil {
			got.err = fmt.Errorf("%w: its count cannot be understood: %w", channel.ErrInvalid, r.Err())
		} else if n, ok := parseFigure(quantity); ok {
			got = n
		} else {
			got.err = fmt.Errorf("%w: its count is %.40q, which is no quantity", channel.ErrInvalid, quantity)
		}
		if before, twice := told[id]; twice && before != got {
			got = figure{err: fmt.Errorf("%w: it has two counts in one answer", channel.ErrInvalid)}
		}
		told[id] = got
	}
	for id, got := range told {
		f.byID[id] = got // of several pages the later one was read later
	}
}

// counts reads the stock of variations at a location. Those without a row are
// not in it: they never had a stock there.
func (c *Client) counts(ctx context.Context, location string, ids []string) (map[string]figure, error) {
	f := &figures{location: location, byID: make(map[string]figure, len(ids))}
	if err := c.readCounts(ctx, f, ids); err != nil {
		return nil, err
	}
	// Pages are sorted by when a count changed last, so that a sale between two
	// of them can make rows slip through.
	missing := f.missing(ids)
	if len(missing) == 0 {
		return f.byID, nil
	}
	f.odd = 0
	if err := c.readCounts(ctx, f, missing); err != nil {
		return nil, err
	}
	if f.odd > 0 { // it may be theirs
		for _, id := range f.missing(missing) {
			f.byID[id] = figure{err: fmt.Errorf("%w: it has no count, and %d rows of Square's answer could not be understood", channel.ErrInvalid, f.odd)}
		}
	}
	return f.byID, nil
}

func (f *figures) missing(ids []string) (missing []string) {
	for _, id := range ids {
		if _, ok := f.byID[id]; !ok {
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

func (c *Client) readCounts(ctx context.Context, f *figures, ids []string) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.parallel)
	for some := range slices.Chunk(ids, int(c.limits.ids.Load())) {
		group.Go(func() error { return c.readSome(ctx, f, &mu, some) })
	}
	return whole(group.Wait())
}

// readSome reads the counts of as many ids as a request may have. Where Square
// refuses them, it asks for parts: it may take fewer, or object to one.
func (c *Client) readSome(ctx context.Context, f *figures, mu *sync.Mutex, ids []string) error {
	return halve(ids, func(some []string) (refused *Error, err error) {
		err = c.readPages(ctx, f, mu, some)
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
		f.byID[id] = figure{err: ofItem(refused.Details[0])}
	})
}

func (c *Client) readPages(ctx context.Context, f *figures, mu *sync.Mutex, ids []string) error {
	// One page holds all: there is one row for each id.
	ask := countsBody{IDs: ids, Locations: []string{f.location}, States: []string{inStock}, Limit: maxIDs}
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
		f.read(rows)
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
