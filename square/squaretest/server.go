package squaretest

import (
	"cmp"
	"context"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// Config configures a [Server]. The zero value of each field means its default.
type Config struct {
	// Token is an access token that is always accepted; default "EAAAtest".
	Token string
	// Scopes are the rights of every token; default all that stock needs.
	Scopes []string
	// LocationID is the seller's main location; default "LMAIN". Further ones
	// come with [Server.AddLocation].
	LocationID string
	// ClockSkew is how far Square's clock is ahead of package time's.
	ClockSkew time.Duration
	// Latency is how long every request takes, and ObjectTime how much longer
	// for each catalog object in the answer; default none.
	Latency, ObjectTime time.Duration
	// Rate is how many requests a second the account may make, and Burst how
	// many at once; default any number.
	Rate, Burst float64
	// UnevenPages makes pages of the catalog shorter and longer than the limit
	// that was asked for.
	UnevenPages bool
	// Doubts choose among behaviours that Square does not document.
	Doubts Doubts
}

// Doubts are behaviours that Square does not document. The zero value is the
// likeliest or, where none is, the stricter one.
type Doubts struct {
	// CountsReplace: a count replaces the quantity when it arrives, and sales
	// that arrived before it are not deducted from it even if they occurred
	// after the time that it is of.
	CountsReplace bool
	// LaterCountWinsTie: of two counts of the same millisecond the one that
	// arrives later is in force, and not the earlier one.
	LaterCountWinsTie bool
	// TakesUntracked: a count of a variation that is not tracked is taken, and
	// changes nothing that customers see. It is refused otherwise.
	TakesUntracked bool
	// TakesClosed: counts at a location that is closed are taken.
	TakesClosed bool
	// TakesPart: of a batch with a bad change the good ones are done, and the
	// answer is 200 with errors. It is refused as a whole otherwise.
	TakesPart bool
	// NamesNoField: errors do not say which change they are about.
	NamesNoField bool
	// NeverCountedIsZero: a variation that was never counted has a row with 0
	// in place of none.
	NeverCountedIsZero bool
	// FewIDs: a read of counts takes 100 ids, and not 1,000.
	FewIDs bool
	// ThrottledInPart: a batch that is refused for its rate has been done in
	// part.
	ThrottledInPart bool
	// LateSearch is how long a change of the catalog takes to be found by a
	// search.
	LateSearch time.Duration
}

// A Server is a seller's account at Square. It is safe for concurrent use.
type Server struct {
	*channeltest.Wire
	cfg Config

	mu         sync.Mutex
	tokens     map[string]string // further ones, with the code of what is wrong with them
	locations  []*location
	variations []*variation // in the order in which they were added
	byID       map[string]*variation
	bySKU      map[string][]*variation
	items      map[string]*item
	ledgers    map[place]*ledger
	keys       map[string]*attempt
	history    []Change
	updated    time.Time // of the catalog
	serial     int
	tokensLeft float64 // of the account's rate
	refilled   time.Time
}

// A place is a variation at a location.
type place struct{ variation, location string }

// New returns an account without any items.
func New(cfg Config) *Server {
	cfg.Token = cmp.Or(cfg.Token, "EAAAtest")
	cfg.LocationID = cmp.Or(cfg.LocationID, "LMAIN")
	cfg.Burst = max(cfg.Burst, 1)
	if cfg.Scopes == nil {
		cfg.Scopes = []string{"ITEMS_READ", "INVENTORY_READ", "INVENTORY_WRITE", "MERCHANT_PROFILE_READ"}
	}
	s := &Server{
		cfg:        cfg,
		tokens:     map[string]string{},
		byID:       map[string]*variation{},
		bySKU:      map[string][]*variation{},
		items:      map[string]*item{},
		ledgers:    map[place]*ledger{},
		keys:       map[string]*attempt{},
		tokensLeft: cfg.Burst,
		refilled:   time.Now(),
	}
	s.updated = s.now()
	s.AddLocation(cfg.LocationID, "ACTIVE")
	s.Wire = channeltest.NewWire(http.HandlerFunc(s.serve))
	return s
}

// now is Square's time.
func (s *Server) now() time.Time { return time.Now().Add(s.cfg.ClockSkew) }

// versions are those that exist. An application has a default version, which
// serves requests that name none.
var versions = []string{"2025-08-20", "2026-07-15", "2026-08-19", "2026-09-16"}

const defaultVersion = "2026-09-16"

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !wait(r.Context(), s.cfg.Latency) {
		return
	}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	version := cmp.Or(r.Header.Get("Square-Version"), defaultVersion)
	if !slices.Contains(versions, version) {
		refuse(w, invalid("INVALID_SQUARE_VERSION_FORMAT", "", "There is no version %q.", version))
		return
	}
	w.Header().Set("Square-Version", version)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	op, known := spec().find(r.Method, r.URL.Path)
	switch {
	case op == nil && known:
		refuse(w, fault{Category: "INVALID_REQUEST_ERROR", Code: "METHOD_NOT_ALLOWED", Detail: "Method not allowed.", status: http.StatusMethodNotAllowed})
		return
	case op == nil:
		refuse(w, invalid("NOT_FOUND", "", "Resource not found."))
		return
	}
	if f, ok := s.authorize(r.Header.Get("Authorization"), op.scope()); !ok {
		refuse(w, f)
		return
	}
	late := false
	if !s.admit() {
		if !s.cfg.Doubts.ThrottledInPart || op.ID != "BatchChangeInventory" {
			refuse(w, throttled())
			return
		}
		late = true
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); op.Body != nil && kind != "application/json" {
		refuse(w, fault{Category: "INVALID_REQUEST_ERROR", Code: "UNSUPPORTED_MEDIA_TYPE", Detail: "Expected application/json.", status: http.StatusUnsupportedMediaType})
		return
	}
	if faults := op.check(r.URL.Query(), body); len(faults) > 0 {
		refuse(w, faults...)
		return
	}
	switch op.ID {
	case "SearchCatalogObjects":
		s.search(w, r, body)
	case "ListCatalog":
		s.list(w, r)
	case "BatchRetrieveCatalogObjects":
		s.retrieve(w, r, body)
	case "BatchRetrieveInventoryCounts":
		s.counts(w, body)
	case "BatchChangeInventory":
		s.change(w, body, late)
	case "ListLocations":
		s.listLocations(w)
	case "RetrieveLocation":
		s.location(w, op.argument(r.URL.Path))
	default:
		refuse(w, unsupported(op.ID))
	}
}

// argument is what stands in a path for the operation's parameter.
func (o *operation) argument(path string) string {
	for i, segment := range strings.Split(path, "/") {
		if o.segments[i] != segment {
			return segment
		}
	}
	return ""
}

func (s *Server) authorize(header, scope string) (fault, bool) {
	token, ok := strings.CutPrefix(header, "Bearer ")
	s.mu.Lock()
	code, known := s.tokens[token]
	s.mu.Unlock()
	switch {
	case !ok || !known && token != s.cfg.Token:
		return unauthorized(http.StatusUnauthorized, "UNAUTHORIZED", "This request could not be authorized."), false
	case code != "":
		return unauthorized(http.StatusUnauthorized, code, "The access token is not valid any more."), false
	case !slices.Contains(s.cfg.Scopes, scope):
		return unauthorized(http.StatusForbidden, "INSUFFICIENT_SCOPES", "The merchant has not given your application sufficient permissions to do that. "+
			"The merchant must authorize your application for the following scopes: "+scope), false
	}
	return fault{}, true
}

// admit takes a request off what the account may make.
func (s *Server) admit() bool {
	if s.cfg.Rate == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.tokensLeft = min(s.cfg.Burst, s.tokensLeft+now.Sub(s.refilled).Seconds()*s.cfg.Rate)
	s.refilled = now
	if s.tokensLeft < 1 {
		return false
	}
	s.tokensLeft--
	return true
}

// Drain takes requests off what the account may make, as another application
// of the seller would.
func (s *Server) Drain(requests float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokensLeft -= requests
}

// Grant returns a further access token.
func (s *Server) Grant() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "EAAAgranted" + s.id()
	s.tokens[token] = ""
	return token
}

// Expire ends the validity of a token that Grant returned.
func (s *Server) Expire(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = "ACCESS_TOKEN_EXPIRED"
}

// wait reports whether the client is still there after the time.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
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
