package shopifytest

import (
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// Config configures a [Server]. The zero value of each field means its default.
type Config struct {
	// Shop is the shop's name; default "test-shop".
	Shop string
	// Token is the access token that is always accepted; default "shpat_test".
	Token string
	// ClientID and ClientSecret are what the client credentials grant accepts;
	// defaults "client-id" and "client-secret". Its tokens expire after 86399
	// seconds.
	ClientID, ClientSecret string
	// Version is the API version that is served, whatever version is asked
	// for; default "2026-10". It changes the name only.
	Version string
	// LocationID is the number of the shop's main location; default 1.
	LocationID int64
	// ReadProducts says that access tokens have the scope read_products, too.
	ReadProducts bool
	// Bucket is how many points there can be, and RestoreRate how many come
	// back in a second; defaults 2000 and 100, those of the plan Standard.
	Bucket, RestoreRate float64
	// Latency is how long every request takes; default none.
	Latency time.Duration
	// BulkTime is how long a bulk operation runs. By default it is done when
	// it is looked at for the first time. One that takes a negative time never
	// ends, and counts no object.
	BulkTime time.Duration
	// IndexLag is how long search does not find an item that was added or
	// renamed; default none.
	IndexLag time.Duration
	// Deliver gets the deliveries of a subscription to the webhook topic
	// inventory_levels/update, one for each change of a quantity: those over
	// the API, before the answer to the request, and those by Set, before that
	// returns. nil means that there is no subscription.
	Deliver func(header http.Header, body []byte)
}

// tokenLife is what the client credentials grant says: a day less a second.
const tokenLife = 86399 * time.Second

// A Server is a shop. It is safe for concurrent use.
type Server struct {
	*channeltest.Wire
	cfg      Config
	location string

	mu      sync.Mutex
	items   []*item // by number
	byID    map[string]*item
	bySKU   map[string][]*item
	index   *index               // nil if it has to be made anew
	grants  map[string]time.Time // until when tokens are valid
	keys    map[string]*attempt
	bulk    []*bulkOperation
	history []Change
	bucket  bucket
	last    int64 // the number given last
	places  []*place
	told    []delivery // not delivered yet

	subscriptions []*Subscription
	subscribed    int64 // how many there ever were
}

// New returns an empty shop.
func New(cfg Config) *Server {
	cfg.Shop = cmp.Or(cfg.Shop, "test-shop")
	cfg.Token = cmp.Or(cfg.Token, "shpat_test")
	cfg.ClientID = cmp.Or(cfg.ClientID, "client-id")
	cfg.ClientSecret = cmp.Or(cfg.ClientSecret, "client-secret")
	cfg.Version = cmp.Or(cfg.Version, "2026-10")
	cfg.LocationID = cmp.Or(cfg.LocationID, 1)
	cfg.Bucket = cmp.Or(cfg.Bucket, 2000)
	cfg.RestoreRate = cmp.Or(cfg.RestoreRate, 100)
	s := &Server{
		cfg:      cfg,
		location: locationID(cfg.LocationID),
		byID:     map[string]*item{},
		bySKU:    map[string][]*item{},
		grants:   map[string]time.Time{},
		keys:     map[string]*attempt{},
		bucket:   bucket{size: cfg.Bucket, rate: cfg.RestoreRate, points: cfg.Bucket, at: time.Now()},
		last:     1000,
	}
	s.places = []*place{{s, cfg.LocationID, s.location, false}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /admin/api/{version}/graphql.json", s.serveGraphQL)
	mux.HandleFunc("POST /admin/oauth/access_token", s.serveGrant)
	mux.HandleFunc("GET "+bulkPath+"{name}", s.serveBulk)
	s.Wire = channeltest.NewWire(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wait(r, cfg.Latency) {
			return
		}
		w.Header().Set("X-Request-Id", s.requestID())
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		if r.Host == storageHost && !strings.HasPrefix(r.URL.Path, bulkPath) {
			http.NotFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	return s
}

// wait reports whether the client is still there after the time.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *Server) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("request-%d", s.serial())
}

var versionName = regexp.MustCompile(`^(\d{4}-\d{2}|unstable)$`)

func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	if !versionName.MatchString(r.PathValue("version")) {
		reply(w, http.StatusNotFound, map[string]any{"errors": "Not Found"})
		return
	}
	w.Header().Set("X-Shopify-API-Version", s.cfg.Version)
	if !s.authorized(r.Header.Get("X-Shopify-Access-Token")) {
		reply(w, http.StatusUnauthorized, map[string]any{
			"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)",
		})
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var req struct {
		Query         string          `json:"query"`
		Variables     json.RawMessage `json:"variables"`
		OperationName string          `json:"operationName"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" || json.Unmarshal(body, &req) != nil || req.Query == "" {
		reply(w, http.StatusBadRequest, map[string]any{
			"errors": map[string]string{"query": "Required parameter missing or invalid"},
		})
		return
	}
	vars, err := decodeVariables(req.Variables)
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]any{
			"errors": map[string]string{"variables": "Required parameter missing or invalid"},
		})
		return
	}
	status, answer := s.answer(req.Query, req.OperationName, vars, filesBase(r))
	s.deliver()
	reply(w, status, answer)
}

// answer executes a query, or says why it is refused.
func (s *Server) answer(query, name string, vars map[string]any, base string) (status int, answer map[string]any) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case unsupported:
			status = http.StatusNotImplemented
			answer = map[string]any{"errors": "shopifytest: this fake does not do " + string(p)}
		default:
			panic(p)
		}
	}()
	op, errs := parse(query, name, vars)
	if len(errs) > 0 {
		return http.StatusOK, map[string]any{"errors": errs}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &run{server: s, op: op, base: base}
	requested := r.requested()
	refuse := func(e *graphError, actual *float64) (int, map[string]any) {
		return http.StatusOK, map[string]any{
			"errors": []*graphError{e}, "extensions": s.bucket.status(requested, actual),
		}
	}
	if requested > maxCost {
		e := failure("MAX_COST_EXCEEDED", "Query cost is %v, which exceeds the single query max cost limit (%d).", requested, maxCost)
		e.Extensions["cost"], e.Extensions["maxCost"] = requested, maxCost
		return refuse(e, nil)
	}
	if !s.bucket.has(requested) {
		return refuse(failure("THROTTLED", "Throttled"), nil)
	}
	if e := r.oversized(); e != nil {
		s.bucket.take(requested)
		return refuse(e, &requested)
	}
	data, actual := r.execute()
	s.bucket.take(actual)
	answer = map[string]any{"data": data, "extensions": s.bucket.status(requested, &actual)}
	if len(r.errs) > 0 {
		answer["errors"] = r.errs
	}
	return http.StatusOK, answer
}

func (s *Server) authorized(token string) bool {
	if token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token)) == 1 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.grants[token]
	return ok && time.Now().Before(until)
}

func (s *Server) serveGrant(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(body))
	refuse := func(code, text string) {
		reply(w, http.StatusBadRequest, map[string]any{"error": code, "error_description": text})
	}
	switch {
	case kind != "application/x-www-form-urlencoded" || err != nil:
		refuse("invalid_request", "The request is not a form.")
		return
	case form.Get("grant_type") != "client_credentials":
		refuse("unsupported_grant_type", "The grant type is not supported.")
		return
	case form.Get("client_id") != s.cfg.ClientID || form.Get("client_secret") != s.cfg.ClientSecret:
		refuse("invalid_client", "The client id or the client secret is wrong.")
		return
	}
	s.mu.Lock()
	token := fmt.Sprintf("granted-%d", s.serial())
	s.grants[token] = time.Now().Add(tokenLife)
	s.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{
		"access_token": token,
		"scope":        "read_inventory,write_inventory",
		"expires_in":   int(tokenLife.Seconds()),
	})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.WriteHeader(status)
	w.Write(body)
}
