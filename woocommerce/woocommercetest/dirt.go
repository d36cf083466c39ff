package woocommercetest

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// dirt is what other software does to a shop's answers.
type dirt struct {
	disguises     map[int]func(row map[string]any)
	fatal         map[int]string // what PHP dies of, by product
	forgetful     map[int]bool
	before, after string
	cacheFor      time.Duration
	cacheBlind    bool
	cached        map[string]copied
}

// Disguise changes how a product is shown, in lists and in answers to writes,
// as plugins do: row is what the API would show. Numbers may become texts, and
// fields vanish. A nil change ends it. What the shop has is not changed.
func (s *Server) Disguise(id int, change func(row map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirt.disguises == nil {
		s.dirt.disguises = make(map[int]func(map[string]any))
	}
	s.dirt.disguises[id] = change
}

// Fatal makes PHP die whenever it shows a product or writes it, as a plugin
// with a mistake does: whatever the request was for ends with 500, and what
// came before the product in a batch stays applied. "" ends it.
func (s *Server) Fatal(id int, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirt.fatal == nil {
		s.dirt.fatal = make(map[int]string)
	}
	s.dirt.fatal[id] = message
	if message == "" {
		delete(s.dirt.fatal, id)
	}
}

// Forgetful makes a product's quantity one that the shop takes, answers as it was
// sent, and does not keep, as a stale cache of objects does.
func (s *Server) Forgetful(id int, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirt.forgetful == nil {
		s.dirt.forgetful = make(map[int]bool)
	}
	s.dirt.forgetful[id] = on
}

// Noise puts texts around every JSON that the shop answers: a byte order mark
// of a theme's file, a cache's comment, PHP's warnings.
func (s *Server) Noise(before, after string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirt.before, s.dirt.after = before, after
}

// Cache puts a cache before the shop: what is read is answered from it, by its
// address, for so long, and says so in its headers. A blind one does not look at
// parameters that WooCommerce does not know. 0 takes it away.
func (s *Server) Cache(d time.Duration, blind bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirt.cacheFor, s.dirt.cacheBlind, s.dirt.cached = d, blind, make(map[string]copied)
}

// copied is an answer in the cache.
type copied struct {
	reply reply
	at    time.Time
}

// known are the parameters that a blind cache looks at.
var known = map[string]bool{
	"sku": true, "search_sku": true, "page": true, "per_page": true, "offset": true, "order": true, "orderby": true, "_fields": true, "include": true, "status": true,
}

// fromCache answers a request from the cache, or puts the answer there.
func (s *Server) fromCache(r *http.Request, answer func() reply) reply {
	s.mu.Lock()
	on := s.dirt.cacheFor > 0 && r.Method == http.MethodGet
	key := r.URL.RequestURI()
	if s.dirt.cacheBlind {
		q := r.URL.Query()
		maps.DeleteFunc(q, func(name string, _ []string) bool { return !known[name] })
		key = (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).RequestURI()
	}
	have, ok := s.dirt.cached[key]
	age := time.Since(have.at)
	s.mu.Unlock()
	switch {
	case !on:
		return answer()
	case ok && age < s.dirt.cacheFor:
		rep := have.reply
		rep.header = maps.Clone(rep.header)
		rep.header.Set("Age", fmt.Sprint(int(age.Seconds())))
		rep.header.Set("X-Boxcar-Cache", "hit")
		return rep
	}
	rep := answer()
	rep.header.Set("X-Boxcar-Cache", "miss")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirt.cached != nil {
		s.dirt.cached[key] = copied{rep, time.Now()}
	}
	return rep
}

// shows is what a product looks like in the end.
func (d *dirt) shows(id int, row map[string]any) map[string]any {
	if change := d.disguises[id]; change != nil {
		row = maps.Clone(row)
		change(row)
	}
	return row
}

func (d *dirt) around(body []byte) []byte {
	return bytes.Join([][]byte{[]byte(d.before), body, []byte(d.after)}, nil)
}

// died is PHP's end at a product.
func died(message string) reply {
	rep := fatal()
	data := rep.body.(map[string]any)["data"].(map[string]any)["error"].(map[string]any)
	data["message"] = message
	data["file"] = "/srv/shop/wp-content/plugins/stock-badges/includes/badge.php"
	return rep
}

// refused reports whether a gateway before the shop refuses an address.
func (cfg *Config) refused(r *http.Request) (status int, refused bool) {
	if len(r.RequestURI) > cfg.URLLimit {
		return http.StatusRequestURITooLong, true
	}
	if _, query, _ := strings.Cut(r.RequestURI, "?"); cfg.QueryLimit > 0 && len(query) > cfg.QueryLimit {
		return cfg.QueryStatus, true
	}
	return 0, false
}

// Trash puts a product into the trash, and its variations with it. It panics if
// there is none with this id.
func (s *Server) Trash(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.products[id]
	if p == nil {
		panic(fmt.Sprintf("woocommercetest: no product has the id %d", id))
	}
	for _, gone := range append([]*product{p}, s.children[id]...) {
		gone.status = "trash"
		s.touch(gone)
	}
}
