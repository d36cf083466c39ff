package statuspage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// explaining is how long a search may take.
const explaining = 30 * time.Second

// explain shows why a product shows what it does, found by its SKU or its id.
func (p *server) explain(w http.ResponseWriter, r *http.Request) {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	switch {
	case q == "" || len(q) > 300:
		p.render(w, r, http.StatusOK, "message", frame{Name: "Which product?", Page: "Search for an SKU, or for the source's id of the product.", Query: q})
		return
	case elsewhere(r): // it costs requests
		p.message(w, r, http.StatusForbidden, "That came from another site", "Open this page itself and search there.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), explaining)
	defer cancel()
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		p.message(w, r, http.StatusServiceUnavailable, "Others are searching", "Try again in a moment.")
		return
	}
	x, err := p.s.Explain(ctx, syncer.Question{SKU: q})
	if errors.Is(err, syncer.ErrNoProduct) {
		x, err = p.s.Explain(ctx, syncer.Question{ProductID: q})
		if err == nil && x.Stock == nil && (errors.Is(x.Err, syncer.ErrNoProduct) || channel.Permanent(x.Err)) {
			p.render(w, r, http.StatusNotFound, "message", frame{Name: "There is no such product", Query: q,
				Page: "The source has no product with that id, and nothing was heard of the SKU lately. Search by the source's id."})
			return
		}
	}
	if err != nil {
		p.render(w, r, http.StatusServiceUnavailable, "message", frame{Name: "That could not be found out", Query: q, Page: failure(err)})
		return
	}
	data := struct {
		*syncer.Explanation
		Channels []explained
		Text     string
	}{Explanation: x, Text: x.String()}
	for i := range x.Channels {
		data.Channels = append(data.Channels, explainedOf(&x.Channels[i]))
	}
	name := x.Name
	if name == "" {
		name = "Product " + x.ProductID
	}
	p.render(w, r, http.StatusOK, "explain", frame{Name: name, Page: data, Query: q})
}

// elsewhere reports whether another site's page has loaded this one as a part
// of it. A link that somebody follows is none.
func elsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none" && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

// An explained is what the page says of a product on one channel.
type explained struct {
	*syncer.ChannelExplanation
	Listings []listed
	Said     []string
	History  []happened
}

type happened struct {
	At   time.Time
	What string
	Run  string
}

type listed struct {
	syncer.ListingExplanation
	State state
	Notes []string
}

func explainedOf(c *syncer.ChannelExplanation) explained {
	x := explained{ChannelExplanation: c}
	if !c.Down.IsZero() {
		x.Said = append(x.Said, "The channel is down since "+day(c.Down)+": "+failure(c.DownErr)+".")
	}
	if c.Paused != nil {
		x.Said = append(x.Said, "The channel is paused since "+day(c.Paused.Since)+", by "+c.Paused.Who+".")
	}
	if len(c.Listings) == 0 {
		x.Said = append(x.Said, "Nothing is known of it here, or the channel is not to show it.")
	}
	switch {
	case c.Waiting != nil && c.Waiting.Leased:
		x.Said = append(x.Said, "It is being worked on.")
	case c.Waiting != nil && time.Until(c.Waiting.Due) > time.Second:
		x.Said = append(x.Said, "It is looked at again "+when(c.Waiting.Due)+".")
	case c.Waiting != nil:
		x.Said = append(x.Said, "It waits for its turn since "+day(c.Waiting.First)+".")
	}
	if t := c.Trouble; t != nil {
		said := "It is tried again: "
		if t.GivenUp {
			said = "It was given up until it changes: "
		}
		x.Said = append(x.Said, said+failure(t.Err)+".")
	}
	for _, l := range c.Listings {
		x.Listings = append(x.Listings, listedOf(l, !c.Down.IsZero()))
	}
	for _, e := range c.History {
		x.History = append(x.History, happened{e.At, entry(e), e.Run})
	}
	return x
}

func listedOf(l syncer.ListingExplanation, down bool) listed {
	out := listed{ListingExplanation: l, State: state{"ok", "As it should"}}
	note := func(s string) { out.Notes = append(out.Notes, s) }
	switch {
	case l.Held != nil && l.Approved != nil:
		out.State = state{"look", "Approved by " + l.Approved.Who}
	case l.Held != nil:
		out.State = state{"look", "Held"}
	case l.Err != nil:
		out.State = state{"bad", reason(channel.Class(l.Err))}
	case l.Pending != nil:
		out.State = state{"look", "Accepted, does not show yet"}
	case l.Wanted == nil || l.Shows == nil && !l.Unset:
		out.State = state{"look", "Not known"}
	case l.Unset || *l.Shows != *l.Wanted:
		out.State = state{"look", "Differs"}
	}
	if l.Err != nil && !down {
		note(failure(l.Err))
	}
	if l.Trip != nil && l.Held != nil {
		note(l.Trip.Why())
	}
	if l.Pinned != nil {
		note(fmt.Sprintf("Pinned at %s by %s: %s.", count(l.Pinned.Quantity), l.Pinned.Who, l.Pinned.Why))
	}
	if l.Unset {
		note("It is sold without a quantity.")
	}
	if l.OffSale {
		note("It is off sale there.")
	}
	if !l.SeenAt.IsZero() && time.Since(l.SeenAt) > time.Minute {
		note("As last known " + when(l.SeenAt) + ".")
	}
	if len(l.Steps) > 1 {
		var steps []string
		for _, s := range l.Steps {
			steps = append(steps, s.Name+" → "+count(s.Quantity))
		}
		note(strings.Join(steps, ", "))
	}
	if len(l.Parts) > 0 && slices.ContainsFunc(l.Parts, func(p syncer.Part) bool { return p.Units > 1 || len(l.Parts) > 1 }) {
		var parts []string
		for _, p := range l.Parts {
			parts = append(parts, count(p.Units)+" of "+p.ProductID)
		}
		note("Takes " + strings.Join(parts, ", ") + ".")
	}
	return out
}
