package shopify

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
)

const (
	// placeLife is how long a location that was seen to be active counts as such.
	placeLife = 10 * time.Minute
	// closedLife is the same for one that is not: whoever asks for part after
	// part of a catalogue gets the same answer without a request.
	closedLife = 10 * time.Second
)

// A place is what is known of the location.
type place struct {
	mu    sync.Mutex
	until time.Time // what follows holds until then
	err   error     // nil if it is active
}

func (p *place) is(err error, life time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until, p.err = time.Now().Add(life), err
}

func (p *place) good() { p.is(nil, placeLife) }

func (p *place) known() (ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.until), p.err
}

// locate returns an error if the location is closed or not the shop's. It is
// asked when no item is stocked there, which most often has this one reason,
// and would otherwise be reported for each item.
func (ch *Channel) locate(ctx context.Context) error {
	if ok, err := ch.place.known(); ok {
		return err
	}
	vars := findLocationVars{ID: ch.location}
	for range 20 { // no plan has 5000 locations
		a, err := ch.client.do(ctx, findLocation, vars)
		if fault, ok := errors.AsType[*Error](err); ok && fault.Is(channel.ErrUnauthorized) && fault.Status == http.StatusOK {
			return nil // it cannot be told
		}
		if err != nil {
			return err
		}
		var data strictjson.Row
		data.Read(a.data)
		if data.Value("location").Null() {
			return ch.wrongPlace("is not a location of this shop")
		}
		list, ok := a.object("locations")
		nodes := list.Elements("nodes")
		info, more := member(&list, "pageInfo")
		if !ok || !more || list.Err() != nil {
			return unusable(findLocation.name, "the answer has no list of locations")
		}
		var row strictjson.Row
		for _, v := range nodes {
			row.Read(v)
			if row.Text("id") == ch.location {
				ch.place.good()
				return nil
			}
		}
		if !info.Bool("hasNextPage") {
			return ch.wrongPlace("is closed")
		}
		cursor := info.Text("endCursor")
		if info.Err() != nil || cursor == "" {
			return unusable(findLocation.name, "the list of locations does not end")
		}
		vars.After = &cursor
	}
	return unusable(findLocation.name, "the list of locations does not end")
}

// wrongPlace is the one error for the location as a whole.
func (ch *Channel) wrongPlace(why string) *Error {
	err := &Error{Op: findLocation.name, Status: http.StatusOK, Codes: []string{"INVALID_LOCATION"},
		Message: ch.location + " " + why + ": nothing can be stocked there; open it in the shop, or set ChannelConfig.LocationID to another one"}
	ch.place.is(err, closedLife)
	return err
}
