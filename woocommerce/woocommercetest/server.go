package woocommercetest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// Config configures a [Server]. The zero Config is a shop that answers at
// once and takes the key "ck_test" with the secret "cs_test".
type Config struct {
	// Key and Secret are the shop's only REST API key. "" means "ck_test" and
	// "cs_test".
	Key, Secret string
	// ReadOnly says that the key may read but not write.
	ReadOnly bool

	// BatchLimit is how many items one batch may hold; 0 means 100. A shop can
	// lower it with a filter.
	BatchLimit int
	// URLLimit is how many bytes the URL in a request line may have before the
	// web server answers 414 with a page of HTML; 0 means 8190.
	URLLimit int
	// QueryLimit is how many bytes a query string may have before a gateway
	// answers a page of HTML with the status QueryStatus; 0 means any number,
	// and the status 403.
	QueryLimit, QueryStatus int
	// SingleParent takes away an undocumented trick: in a batch of variations
	// an item's own product_id is then ignored, and the URL's parent counts.
	SingleParent bool

	// RequestTime is what every request takes, ItemReadTime each product in a
	// list, and ItemWriteTime each product written: it passes between loading
	// and saving that product. 0 means no time. A client that gives up does
	// not stop the shop: a write is then finished without waiting.
	RequestTime, ItemReadTime, ItemWriteTime time.Duration
	// Lingers says that PHP goes on with a batch at its pace when its client has
	// given up, rather than finish it at once. In a testing/synctest bubble, let
	// the time of the whole batch pass before the test ends.
	Lingers bool
	// Cores is how many requests can use this time at once: with more of them,
	// each one only gets slower. 0 means any number.
	Cores int
}

// A Server is a WooCommerce shop in memory. Its requests come through the
// embedded [channeltest.Wire], which can also make them fail. It is safe for
// concurrent use.
type Server struct {
	*channeltest.Wire
	cfg Config

	mu       sync.Mutex
	products map[int]*product
	webhooks []*Webhook
	listed   []*product         // all but variations, by id
	children map[int][]*product // variations by parent
	bySKU    map[string][]*product
	lastID   int
	created  int // how many products were ever created
	opened   time.Time
	writes   int
	slowly   []time.Duration
	dirt     dirt
	nonces   map[string]time.Time // OAuth nonces used, with their timestamp
	cores    chan struct{}        // holds one element for each that is busy; nil if they are not counted
}

// New returns an empty shop.
func New(cfg Config) *Server {
	cfg.Key = cmp.Or(cfg.Key, "ck_test")
	cfg.Secret = cmp.Or(cfg.Secret, "cs_test")
	cfg.BatchLimit = cmp.Or(cfg.BatchLimit, 100)
	cfg.URLLimit = cmp.Or(cfg.URLLimit, 8190)
	cfg.QueryStatus = cmp.Or(cfg.QueryStatus, http.StatusForbidden)
	s := &Server{
		cfg:      cfg,
		products: map[int]*product{},
		children: map[int][]*product{},
		bySKU:    map[string][]*product{},
		lastID:   10,
		// Products are created at a rate; a day is long enough for millions.
		opened: time.Now().Add(-24 * time.Hour),
		nonces: map[string]time.Time{},
	}
	if cfg.Cores > 0 {
		s.cores = make(chan struct{}, cfg.Cores)
	}
	s.Wire = channeltest.NewWire(http.HandlerFunc(s.serve))
	return s
}

// ApplySlowly makes the next batch outlast the proxy in front of the shop.
// Its items are applied one by one, one each d. After the first of them, the
// client gets 504 with a page of HTML; PHP knows nothing of that and goes on
// in the background until the last item, whether the client waits or not.
// Calls add up: each one is for one batch.
//
// In a testing/synctest bubble, let the time of the whole batch pass before
// the test ends.
func (s *Server) ApplySlowly(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowly = append(s.slowly, d)
}

// Writes returns how many products the API has written so far. A write that
// changes nothing costs a shop as much as any other, and counts.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// A call is one request as PHP sees it.
type call struct {
	*http.Request
	query     params
	body      params // the fields of a JSON object or form; empty if there is none
	origin    string // "https://shop.test"
	root      string // the REST API: "https://shop.test/wp-json"
	anonymous bool
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if status, refused := s.cfg.refused(r); refused {
		htmlReply(status, fmt.Sprint(status, " ", http.StatusText(status))).write(w, r, nil)
		return
	}
	rep := s.fromCache(r, func() reply {
		s.compute(r.Context(), s.cfg.RequestTime)
		return s.answer(r)
	})
	s.mu.Lock()
	dirt := s.dirt
	s.mu.Unlock()
	rep.write(w, r, &dirt)
}

// answer does what WordPress does between the web server and a route: it
// finds the REST API in the URL and checks the key.
func (s *Server) answer(r *http.Request) reply {
	c := &call{Request: r, query: parseQuery(r.URL.RawQuery), origin: "http://" + r.Host}
	if secure(r) {
		c.origin = "https://" + r.Host
	}
	prefix, route, keys := strings.Cut(r.URL.Path, "/wp-json/")
	if !keys {
		// A shop without pretty permalinks. WooCommerce then does not see that
		// the request is for its API, and ignores the keys.
		prefix = strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/index.php")
		asked, _ := c.query.text("rest_route")
		if route = strings.TrimPrefix(asked, "/"); route == "" {
			return htmlReply(http.StatusNotFound, "Page not found")
		}
	}
	c.root = c.origin + prefix + "/wp-json"
	c.anonymous = true
	var e *apiError
	if keys && strings.HasPrefix(route, "wc/") {
		c.anonymous, e = s.authenticate(c)
	}
	var rep reply
	if e != nil {
		rep = e.reply()
	} else {
		rep = s.dispatch(c, strings.Split(strings.TrimRight(route, "/"), "/"))
	}
	if rep.header.Get("Link") == "" {
		rep.header.Set("Link", "<"+c.root+"/>; rel=\"https://api.w.org/\"")
	}
	return rep
}

// dispatch finds the route. What a real shop has and this one has not ends
// with 501, so that nobody mistakes it for a shop's own answer.
func (s *Server) dispatch(c *call, route []string) reply {
	if len(route) < 3 || route[0] != "wc" || route[1] != "v3" {
		if route[0] == "wp" || route[0] == "batch" || route[0] == "wc" && len(route) > 2 {
			return notImplemented("the route /" + strings.Join(route, "/")).reply()
		}
		return noRoute()
	}
	route = route[2:]
	if len(route) == 1 && route[0] == "webhooks" && c.Method == http.MethodGet {
		return s.listWebhooks(c)
	}
	if elsewhere[route[0]] || len(route) > 1 && route[0] == "products" && elsewhere["products/"+route[1]] {
		return notImplemented("the route /wc/v3/" + strings.Join(route, "/")).reply()
	}
	if route[0] != "products" {
		return noRoute()
	}
	one, isOne := number(route, 1)
	parent := 0
	if isOne && len(route) > 2 && route[2] == "variations" {
		// What is left has the shape of a route to products.
		parent, route = cmp.Or(one, nobody), route[2:]
		one, isOne = number(route, 1)
	}
	read := c.Method == http.MethodGet || c.Method == http.MethodHead
	write := c.Method == http.MethodPost || c.Method == http.MethodPut || c.Method == http.MethodPatch
	var handle func() reply
	var allow string
	switch {
	case len(route) == 1:
		allow = "GET, POST"
		if read {
			handle = func() reply { return s.list(c, parent) }
		} else if c.Method == http.MethodPost {
			handle = func() reply { return s.create(c, parent) }
		}
	case len(route) == 2 && route[1] == "batch":
		allow = "POST, PUT, PATCH"
		if write {
			handle = func() reply { return s.batch(c, parent) }
		}
	case len(route) == 2 && isOne:
		allow = "GET, POST, PUT, PATCH, DELETE"
		if read {
			handle = func() reply { return s.read(c, parent, one) }
		} else if write {
			handle = func() reply { return s.update(c, parent, one) }
		} else if c.Method == http.MethodDelete {
			handle = func() reply { return notImplemented("DELETE").reply() }
		}
	}
	if handle == nil {
		return noRoute()
	}
	var rep reply
	if e := c.readParams(); e != nil {
		rep = e.reply()
	} else {
		rep = handle()
	}
	if !c.anonymous {
		rep.header.Set("Allow", allow)
	}
	return rep
}

// nobody is the id of a parent that has no variations; 0 stands for no parent.
const nobody = -1

// elsewhere are routes that a real shop has besides the ones here.
var elsewhere = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`coupons customers orders refunds reports settings shipping taxes webhooks
		system_status payment_gateways data shipping_methods products/attributes products/categories products/brands
		products/tags products/reviews products/shipping_classes products/custom-fields products/duplicate`) {
		m[name] = true
	}
	return m
}()

// number returns the route's segment i if it is one of digits.
func number(route []string, i int) (n int, ok bool) {
	if i >= len(route) || route[i] == "" || strings.Trim(route[i], "0123456789") != "" || len(route[i]) > 15 {
		return 0, false
	}
	for _, d := range route[i] {
		n = n*10 + int(d-'0')
	}
	return n, true
}

// compute takes the time d of a core, in slices, since all who want one take
// turns. Without a client that waits it takes none.
func (s *Server) compute(ctx context.Context, d time.Duration) {
	if s.cores == nil {
		pause(ctx, d)
		return
	}
	for d > 0 {
		select {
		case s.cores <- struct{}{}:
			pause(ctx, min(d, slice))
			<-s.cores
		case <-ctx.Done():
			return
		}
		d -= slice
	}
}

// slice is how long work holds a core at a time.
const slice = 20 * time.Millisecond

// pause waits for d, or until ctx is done. It reports which.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
