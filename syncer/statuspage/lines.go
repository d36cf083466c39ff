package statuspage

import (
	"net/http"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

const (
	// openLines is how many held lines are open to the eye; the rest unfold.
	openLines = 100
	// maxTroubles is how many products in trouble are listed.
	maxTroubles = 500
)

// held shows all lines that are held on a channel, with the button that
// approves these and no others. It is never refreshed by itself: what is
// approved must be what was read.
func (p *server) held(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("channel")
	all, err := p.s.Held(r.Context())
	if err != nil {
		p.message(w, r, http.StatusServiceUnavailable, "The queue does not answer", failure(err))
		return
	}
	for _, h := range all {
		if h.Channel != name {
			continue
		}
		open := min(openLines, len(h.Lines))
		data := struct {
			syncer.Holding
			Open, More []syncer.Line
			Can        bool
		}{h, h.Lines[:open], h.Lines[open:], p.actor(r) != ""}
		p.render(w, r, http.StatusOK, "held", frame{Name: plural(len(h.Lines), "line") + " held", Page: data})
		return
	}
	p.message(w, r, http.StatusOK, "Nothing is held there", "The guard has not tripped, or what it held is dealt with.")
}

// troubles lists the products that are in trouble, of one reason or all.
func (p *server) troubles(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	data := struct {
		Reason string
		List   []syncer.Trouble
		More   int
	}{Reason: q.Get("reason")}
	for t, err := range p.s.Troubles(r.Context()) {
		if err != nil {
			p.message(w, r, http.StatusServiceUnavailable, "The queue does not answer", failure(err))
			return
		}
		switch {
		case data.Reason != "" && (!t.GivenUp || channel.Class(t.Err) != data.Reason):
		case len(data.List) == maxTroubles:
			data.More++
		default:
			data.List = append(data.List, t)
		}
	}
	name := "Products in trouble"
	if data.Reason != "" {
		name = "Given up: " + reason(data.Reason)
	}
	p.render(w, r, http.StatusOK, "troubles", frame{Name: name, Page: data})
}
