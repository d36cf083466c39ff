package ecosire

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// A feed is a list read from its newest end back to where it was left off. Its
// exported fields are what a cursor keeps.
type feed struct {
	// Since is the time of the newest entry dealt with, and IDs are the entries
	// of that very time.
	Since time.Time
	IDs   []string
	// If one call could not reach back to Since, Page is where the next one
	// goes on, and Top and TopIDs will be Since and IDs then. Entries that come
	// meanwhile push the rest to later pages: some are seen twice, none is missed.
	Page   int
	Top    time.Time
	TopIDs []string
}

// pagesPerChange bounds what one call of Changes spends on each feed.
const pagesPerChange = 2

// entry is what a feed needs of a move or an order.
type entry struct {
	ID        string    `json:"id"`
	ProductID string    `json:"productId"`
	LineItems []line    `json:"lineItems"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

type line struct {
	ProductID string `json:"productId"`
}

// Changes returns products whose stock may have changed since the call that
// returned the cursor, and the cursor for the next call. With the cursor "" it
// returns nothing but a cursor.
//
// It reads the newest stock moves and the orders updated last, with at most
// four requests: called twice a minute it takes no more than a seventh of the
// quota. When more happened than that reads, the next calls catch up. That a
// move has an id, a productId and a createdAt is assumed; if it has not, the
// error says so.
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
		when        func(entry) time.Time
	}{
		{"/inventory/moves", "createdAt", &state.Moves, func(e entry) time.Time { return e.CreatedAt }},
		{"/orders", "updatedAt", &state.Orders, func(e entry) time.Time { return e.UpdatedAt }},
	} {
		some, err := c.advance(ctx, f.path, f.order, f.state, f.when)
		if err != nil {
			return nil, cursor, err
		}
		ids = append(ids, some...)
	}
	text, err := json.Marshal(state)
	slices.Sort(ids)
	return slices.Compact(ids), string(text), err
}

// advance reads one feed, and moves its state on.
func (c *Client) advance(ctx context.Context, path, order string, state **feed, when func(entry) time.Time) ([]string, error) {
	first := *state == nil
	var f feed
	if !first {
		f = **state
	}
	fresh := f.Page == 0
	if fresh {
		f.Page, f.Top, f.TopIDs = 1, f.Since, f.IDs
	}
	var ids []string
	for n := range pagesPerChange {
		var answer struct {
			Data *[]entry `json:"data"`
		}
		query := url.Values{
			"limit": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(f.Page)},
			"sortBy": {order}, "sortOrder": {"desc"},
		}
		if _, err := c.call(ctx, http.MethodGet, path, query, nil, &answer); err != nil {
			return nil, err
		}
		if answer.Data == nil {
			return nil, &Error{Op: "GET " + path, Status: http.StatusOK, Message: "the answer has no data", nonsense: true}
		}
		done := len(*answer.Data) < pageSize
		for _, e := range *answer.Data {
			t := when(e)
			if e.ID == "" || t.IsZero() {
				return nil, &Error{Op: "GET " + path, Status: http.StatusOK, Message: "an entry has no id or no " + order, nonsense: true}
			}
			if fresh && n == 0 {
				switch {
				case t.After(f.Top):
					f.Top, f.TopIDs = t, []string{e.ID}
				case t.Equal(f.Top) && !slices.Contains(f.TopIDs, e.ID):
					f.TopIDs = append(slices.Clone(f.TopIDs), e.ID)
				}
			}
			if t.Before(f.Since) {
				done = true
				break
			}
			if t.Equal(f.Since) && slices.Contains(f.IDs, e.ID) {
				continue
			}
			if e.ProductID != "" {
				ids = append(ids, e.ProductID)
			}
			for _, l := range e.LineItems {
				if l.ProductID != "" {
					ids = append(ids, l.ProductID)
				}
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
