package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
	"github.com/ecosire/stocksync/internal/httpx"
)

// A search looks SKUs up. Where a question fails for one of its SKUs, or has an
// answer that may be about any of several, it asks for parts of them.
type search struct {
	client *Client

	mu     sync.Mutex
	rows   [][]found       // by question
	notes  []channel.Level // of SKUs without a row
	failed map[string]error
	streak int // questions that failed since one was answered
	health bool
}

// find looks SKUs up. Those without a row are in neither result, unless there
// is something to say about them.
func (c *Client) find(ctx context.Context, skus []string) ([]found, []channel.Level, error) {
	unique := hashset.Distinct(skus)
	asks, refused := c.lookups(unique)
	s := &search{client: c, rows: make([][]found, len(asks)), notes: refused}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(c.load.width())
	for i, ask := range asks {
		group.Go(func() error { return s.look(groupCtx, i, ask, len(unique) == 1) })
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	if err := s.blame(ctx); err != nil {
		return nil, nil, err
	}
	if len(s.rows) == 1 {
		return s.rows[0], s.notes, nil
	}
	return slices.Concat(s.rows...), s.notes, nil
}

// hopeless is how many questions without an answer, one after the other, make
// a search take the shop for one that answers none of this kind.
const hopeless = 32

// look answers the question number n, in as many parts as it takes. alone says
// that there is one SKU and no other to compare it with.
func (s *search) look(ctx context.Context, n int, ask lookup, alone bool) error {
	c := s.client
	refused := 0          // the length of the shortest address that was refused
	var answered []lookup // what was not
	harmless := true      // but for its length, no part was refused
	for queue := []lookup{ask}; len(queue) > 0; queue = queue[1:] {
		part, alive := queue[0], false
		divided := len(part.skus) < len(ask.skus)
		rows, hidden, err := c.rows(ctx, part, divided || c.suspects.has(part.skus[0]))
		switch e, _ := errors.AsType[*Error](err); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			answered = append(answered, part)
			s.answered(part)
			queue = append(queue, s.take(n, part, rows, hidden)...)
			continue
		case errors.Is(err, errTooMany) && len(part.skus) == 1:
			s.note(refuse(part.skus[0], "too many products match what can be asked for"))
			continue
		case errors.Is(err, errTooMany):
		case !divisible(err):
			return err
		default:
			if e != nil && tooLong(e) {
				if n := c.length(part.param, part.value); refused == 0 || n < refused {
					refused = n
				}
			}
			ok := false
			if alive, ok = s.doubt(ctx); !ok {
				return cmp.Or(ctx.Err(), err)
			}
		}
		if len(part.skus) > 1 {
			half := (len(part.skus) + 1) / 2
			for _, skus := range [][]string{part.skus[:half], part.skus[half:]} {
				more, _ := c.lookups(skus)
				queue = append(queue, more...)
			}
			continue
		}
		harmless = false
		if alone && passing(err) && !c.suspects.has(part.skus[0]) {
			c.suspects.put(part.skus[0], struct{}{})
			return err // the shop or the SKU: the next failure tells
		}
		s.mu.Lock()
		if s.failed == nil {
			s.failed = make(map[string]error)
		}
		s.failed[part.skus[0]] = err
		s.health = alive
		s.mu.Unlock()
	}
	if refused > 0 && harmless {
		longest := 0
		for _, part := range answered {
			longest = max(longest, c.length(part.param, part.value))
		}
		if longest < refused {
			c.shorten(ctx, max(longest, refused/2))
		}
	}
	return nil
}

// take takes an answer to a part of the question number n in, and returns what
// is to be asked because of it.
func (s *search) take(n int, part lookup, rows []row, hidden int) (again []lookup) {
	exact, notes, missing, odd := part.match(rows)
	switch {
	case len(missing) == 0:
	case len(odd) >= len(missing):
		for _, sku := range missing {
			notes = append(notes, channel.Level{SKU: sku, Err: oddRow(sku, odd[0])})
		}
	case len(odd) > 0:
		half := (len(missing) + 1) / 2
		for _, skus := range [][]string{missing[:half], missing[half:]} {
			more, _ := s.client.lookups(skus)
			again = append(again, more...)
		}
	case hidden > 0:
		for _, sku := range missing {
			notes = append(notes, channel.Level{SKU: sku, Err: fmt.Errorf(
				"%w; but of the products asked for the shop hides %d from this API key's user", channel.UnknownSKU(sku), hidden)})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[n] == nil {
		s.rows[n] = exact
	} else {
		s.rows[n] = append(s.rows[n], exact...)
	}
	s.notes = append(s.notes, notes...)
	return again
}

// oddRow says that a row is most likely that of an SKU.
func oddRow(sku string, r row) error {
	if r.err != nil {
		return fmt.Errorf("SKU %q: %w", short(sku), r.err)
	}
	return fmt.Errorf("%w: SKU %q: the shop answered with product %d, whose SKU is %q", channel.ErrInvalid, short(sku), r.id, short(r.sku))
}

func (s *search) note(l channel.Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, l)
}

func (s *search) answered(part lookup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streak, s.health = 0, true
	if len(part.skus) == 1 {
		s.client.suspects.remove(part.skus[0])
	}
}

// doubt counts a question that failed, and asks after the first of several
// whether the shop answers at all. ok is false if it is the cause.
func (s *search) doubt(ctx context.Context) (alive, ok bool) {
	s.mu.Lock()
	s.streak++
	streak := s.streak
	s.mu.Unlock()
	if streak == 1 {
		alive = s.client.alive(ctx) == nil
		return alive, alive
	}
	return false, streak < hopeless
}

// blame makes notes of what failed for an SKU, if the shop works otherwise.
func (s *search) blame(ctx context.Context) error {
	if len(s.failed) == 0 {
		return nil
	}
	c := s.client
	for sku, err := range s.failed {
		if !s.health && c.alive(ctx) != nil {
			return cmp.Or(ctx.Err(), err)
		}
		s.health = true
		c.suspects.put(strings.Clone(sku), struct{}{})
		s.notes = append(s.notes, channel.Level{SKU: sku, Err: fmt.Errorf("the shop fails when it is asked for SKU %q alone: %w", short(sku), err)})
	}
	return nil
}

// alive asks the shop for any product at all.
func (c *Client) alive(ctx context.Context) error {
	r := request{method: http.MethodGet, path: "products", once: true,
		query: url.Values{"per_page": {"1"}, "orderby": {"id"}, "order": {"asc"}, "_fields": {"id"}}}
	resp, err := c.send(ctx, r)
	if err == nil {
		_, err = decodeRows(resp, nil)
	}
	return err
}

// divisible reports whether a request for several things may have failed for
// one of them, or for their number.
func divisible(err error) bool {
	if h, ok := errors.AsType[*httpx.Error](err); ok {
		return !h.Unsent
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.whole {
		return false
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false
	case http.StatusForbidden:
		return e.Code == ""
	}
	return e.Code != "rest_no_route" && (e.Status < 300 || e.Status >= 400)
}

// passing reports whether a failure is one that often passes at once, and was
// not tried again.
func passing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status < 500
}

// tooLong reports whether an answer may be that of a gateway to an address that
// is too long for it.
func tooLong(e *Error) bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusNotAcceptable, http.StatusRequestEntityTooLarge,
		http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge, 494: // nginx's own
		return e.Code == ""
	}
	return false
}

// shorten remembers that longer addresses are refused.
func (c *Client) shorten(ctx context.Context, n int) {
	for {
		limit := c.maxURL.Load()
		if int64(n) >= limit {
			return
		}
		if c.maxURL.CompareAndSwap(limit, int64(n)) {
			c.log.LogAttrs(ctx, slog.LevelWarn, "long addresses are refused, fewer SKUs are looked up at a time from now on",
				slog.String("host", c.base.Host), slog.Int("bytes", n))
			return
		}
	}
}
