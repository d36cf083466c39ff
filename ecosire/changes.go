package ecosire

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// A feed is a list read from its newest end back to where it was left off. Its
// exported fields are what a cursor keeps.
type feed struct {
	// Since is the time of the newest entry dealt with, and IDs are the entries
	// of that very time or, wrongly, of a time to come.
	Since time.Time
	IDs   []string
	// If one call could not reach back to Since, Page is where the next one
	// goes on, and Top and TopIDs will be Since and IDs then. Entries that come
	// meanwhile push the rest to later pages: some are seen twice, none is missed.
	Page   int
	Top    time.Time
	TopIDs []string
}

const (
	// pagesPerChange bounds what one call of Changes spends on each feed.
	pagesPerChange = 2
	// maxFeedIDs bounds what a cursor remembers. Entries beyond that are told
	// again.
	maxFeedIDs = 2000
)

// entry is what a feed needs of a move or an order.
type entry struct {
	id       string
	at       time.Time
	products []string
}

// Changes returns products whose stock may have changed since the call that
// returned the cursor, and the cursor for the next call. With the cursor "" it
// returns nothing but a cursor.
//
// It reads the newest stock moves and the orders updated last, with at most
// four requests: called twice a minute it takes no more than a seventh of the
// quota. When more happened than that reads, the next calls catch up. That a
// move has an id, a productId and a createdAt is assumed; if none has, the
// error says so, and a single one that has not is left out and logged. So is an
// entry that is dated in the future by the clock of ECOSIRE's answer: its product
// is told of once, and it hides nothing that happens until then.
func (c *Client) Changes(ctx context.Context, cursor string) (productIDs []string, next string, err error) {
	var state struct{ Moves, Orders *feed }
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &state); err != nil {
			return nil, "", fmt.Errorf("ecosire: Changes: bad cursor: %w", err)
		}
	}
	var ids []string
	for _, f := range []struct {
		path, order string
		state       **feed
	}{
		{"/inventory/moves", "createdAt", &state.Moves},
		{"/orders", "updatedAt", &state.Orders},
	} {
		some, err := c.advance(ctx, f.path, f.order, f.state)
		if err != nil {
			return nil, cursor, err
		}
		ids = append(ids, some...)
	}
	moved, err := json.Marshal(state)
	slices.Sort(ids)
	return slices.Compact(ids), string(moved), err
}

// advance reads one feed, and moves its state on.
func (c *Client) advance(ctx context.Context, path, order string, state **feed) ([]string, error) {
	first := *state == nil
	var f feed
	if !first {
		f = **state
	}
	if f.Page == 0 {
		f.Page, f.Top, f.TopIDs = 1, f.Since, f.IDs
	}
	begins := f.Page == 1
	var ids, future []string
	for range pagesPerChange {
		entries, now, full, err := c.entries(ctx, path, order, f.Page)
		if err != nil {
			return nil, err
		}
		done := !full
		if f.Since.After(now) { // as a cursor of another version may have it
			f.Since = now.Add(-time.Hour)
			f.Top, f.TopIDs, f.IDs = f.Since, nil, nil
		}
		for _, e := range entries {
			if e.at.Before(f.Since) {
				done = true
				break
			}
			switch {
			case e.at.After(now):
				c.odd.once(ctx, slog.LevelError, "ECOSIRE dates an entry in the future", path,
					slog.String("op", "GET "+path), slog.Time("at", e.at), slog.Time("now", now))
				future = append(future, e.id)
				f.remember(e.id)
			case begins && e.at.After(f.Top):
				f.Top, f.TopIDs = e.at, append(slices.Clone(future), e.id)
			case e.at.Equal(f.Top):
				f.remember(e.id)
			}
			if !slices.Contains(f.IDs, e.id) {
				ids = append(ids, e.products...)
			}
		}
		f.Page++
		if done || first {
			f = feed{Since: f.Top, IDs: f.TopIDs}
			break
		}
	}
	*state = &f
	if first {
		return nil, nil
	}
	return ids, nil
}

// remember keeps an entry of Top's time or of a time to come.
func (f *feed) remember(id string) {
	if !slices.Contains(f.TopIDs, id) && len(f.TopIDs) < maxFeedIDs {
		f.TopIDs = append(slices.Clip(f.TopIDs), id) // IDs may be the same slice
	}
}

// entries reads a page of a feed, the newest first. now is ECOSIRE's time.
func (c *Client) entries(ctx context.Context, path, order string, n int) (entries []entry, now time.Time, full bool, err error) {
	v, r, err := c.get(ctx, path, url.Values{
		"limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(n)},
		"sortBy": {order}, "sortOrder": {"desc"},
	})
	if err != nil {
		return nil, now, false, err
	}
	var row strictjson.Row
	row.Read(v)
	rows := row.Elements("data")
	if err := row.Err(); err != nil {
		return nil, now, false, r.nonsense(err.Error())
	}
	if date, err := http.ParseTime(r.Header.Get("Date")); err == nil {
		now = date.Add(time.Second) // it has whole seconds
	} else {
		now = time.Now()
	}
	dated := 0
	for _, v := range rows {
		row.Read(v)
		e := entry{id: row.Text("id")}
		if row.Err() != nil || e.id == "" || len(e.id) > maxID {
			c.odd.once(ctx, slog.LevelError, "an entry cannot be read, and is left out", path,
				slog.String("op", r.op), slog.Any("err", cmp.Or(row.Err(), fmt.Errorf("an id of %d bytes", len(e.id)))))
			continue
		}
		if e.at, err = row.Value(order).Time(); err != nil {
			c.odd.once(ctx, slog.LevelError, "an entry has no date, and is told of once", path,
				slog.String("op", r.op), slog.String("id", text.Clean(e.id)), slog.Any("err", err))
			e.at = now.Add(time.Hour)
		} else {
			dated++
		}
		e.products = c.productsOfEntry(ctx, &row, e.id)
		entries = append(entries, e)
	}
	if len(rows) > 0 && dated == 0 {
		return nil, now, false, r.nonsense("an entry has no id or no " + order)
	}
	return entries, now, len(rows) >= pageSize, nil
}

// productsOfEntry returns what products a move or an order names.
func (c *Client) productsOfEntry(ctx context.Context, row *strictjson.Row, id string) []string {
	ids := newNamed(maxProducts)
	ids.add(row.Value("productId"), nil)
	if row.Has("lineItems") {
		var item strictjson.Row
		for _, v := range row.Elements("lineItems") {
			item.Read(v)
			ids.add(item.Value("productId"), item.Err())
		}
	}
	if err := cmp.Or(ids.err(), row.Err()); err != nil {
		c.odd.once(ctx, slog.LevelError, "not all products of an entry can be read", id, slog.String("id", text.Clean(id)), slog.Any("err", err))
	}
	return ids.ids
}
