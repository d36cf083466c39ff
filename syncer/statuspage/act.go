package statuspage

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ecosire/stocksync/syncer"
)

// An action is something that a person may do. It tells what was done, as
// notices have it.
type action struct {
	did string
	do  func(ctx context.Context, s *syncer.Syncer, who string, form url.Values) error
}

// actions are those of the page, by the last part of the path.
var actions = map[string]action{
	"approve": {"approved", func(ctx context.Context, s *syncer.Syncer, who string, form url.Values) error {
		if form.Get("hash") == "" {
			return syncer.ErrOtherLines
		}
		return s.Approve(ctx, syncer.Approval{Channel: form.Get("channel"), Who: who, Hash: form.Get("hash")})
	}},
	"pause": {"paused", func(ctx context.Context, s *syncer.Syncer, who string, form url.Values) error {
		return s.Pause(ctx, form.Get("channel"), who)
	}},
	"resume": {"resumed", func(ctx context.Context, s *syncer.Syncer, who string, form url.Values) error {
		return s.Resume(ctx, form.Get("channel"), who)
	}},
}

// maxForm bounds what a form may send.
const maxForm = 16 << 10

// act does what a form asks for, if whoever sent it may.
func (p *server) act(w http.ResponseWriter, r *http.Request, a action) {
	who := p.actor(r)
	if who == "" {
		p.message(w, r, http.StatusForbidden, "You may only look", "Nothing was done. Who may approve, pause and resume is for the service to say that has this page.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.message(w, r, http.StatusBadRequest, "The form cannot be read", "Nothing was done.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	err := a.do(ctx, p.s, who, r.PostForm) // what is in the address does not count
	p.cache.forget()
	switch {
	case errors.Is(err, syncer.ErrOtherLines):
		p.message(w, r, http.StatusConflict, "The lines have changed since you looked", "Nothing was approved. Go back, look at what is held now, and decide again.")
	case err != nil:
		p.message(w, r, http.StatusServiceUnavailable, "That did not work", "It may be done or not; look again. "+failure(err))
	default:
		w.Header().Set("Location", "./?did="+a.did) // the path may have been stripped: it is relative
		w.WriteHeader(http.StatusSeeOther)
	}
}
