package amazontest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// Config configures a [Server]. The zero value of each field means its default.
type Config struct {
	// SellerID is the seller; default "A1TESTSELLER".
	SellerID string
	// MarketplaceID is the seller's only store; default "ATVPDKIKX0DER".
	MarketplaceID string
	// ClientID, ClientSecret and RefreshToken are what Login with Amazon
	// accepts; defaults [ClientID], [ClientSecret] and [RefreshToken]. Its
	// tokens expire after an hour.
	ClientID, ClientSecret, RefreshToken string
	// Latency is how long every request takes; default none.
	Latency time.Duration
	// Lag is how long an accepted write takes to show at least, and MaxLag at
	// most; by default a write shows at once. The writes of one listing show in
	// the order in which they were accepted.
	Lag, MaxLag time.Duration
	// FeedTime is how long Amazon works on a feed, one after the other; default
	// 15 minutes. See also [Server.PlanFeed].
	FeedTime time.Duration
	// ReportTime is how long a report takes; default a minute.
	ReportTime time.Duration
	// Charset is what reports are written in; default "UTF-8". With
	// "ISO-8859-1" a character that it does not have becomes "?".
	Charset string
	// FoldCase makes look-ups ignore the case of SKUs. It is not known whether
	// Amazon's do.
	FoldCase bool
}

// The credentials that a [Server] accepts by default.
const (
	ClientID     = "amzn1.application-oa2-client.test"
	ClientSecret = "amzn1.oa2-cs.v1.test-client-secret"
	RefreshToken = "Atzr|test-refresh-token"
)

// tokenLife is how long an access token is good.
const tokenLife = time.Hour

// A Server is a seller's account in one region. It is safe for concurrent use.
type Server struct {
	*channeltest.Wire
	cfg Config

	mu        sync.Mutex
	listings  map[string]*listing
	order     []string             // SKUs, in the order in which they were added
	folded    map[string][]string  // SKUs, by what they are in small letters
	tokens    map[string]time.Time // until when tokens are valid
	buckets   map[string]*bucket   // by operation
	feedQuota bucket               // of JSON_LISTINGS_FEED
	calls     map[string]int
	throttled map[string]int
	documents map[string]*document
	feeds     []*feed
	plans     []FeedPlan
	reports   map[string]*report
	history   []Change
	harm      []string
	refusals  map[string]*refusal
	random    *rand.Rand
	last      int // the number given last
}

// New returns a seller without listings.
func New(cfg Config) *Server {
	cfg.SellerID = cmp.Or(cfg.SellerID, "A1TESTSELLER")
	cfg.MarketplaceID = cmp.Or(cfg.MarketplaceID, "ATVPDKIKX0DER")
	cfg.ClientID = cmp.Or(cfg.ClientID, ClientID)
	cfg.ClientSecret = cmp.Or(cfg.ClientSecret, ClientSecret)
	cfg.RefreshToken = cmp.Or(cfg.RefreshToken, RefreshToken)
	cfg.MaxLag = max(cfg.Lag, cfg.MaxLag)
	cfg.FeedTime = cmp.Or(cfg.FeedTime, 15*time.Minute)
	cfg.ReportTime = cmp.Or(cfg.ReportTime, time.Minute)
	cfg.Charset = cmp.Or(cfg.Charset, "UTF-8")
	s := &Server{
		cfg:       cfg,
		listings:  make(map[string]*listing),
		folded:    make(map[string][]string),
		tokens:    make(map[string]time.Time),
		buckets:   newBuckets(),
		feedQuota: bucket{rate: 5. / 300, burst: 5, tokens: 5, at: time.Now()},
		calls:     make(map[string]int),
		throttled: make(map[string]int),
		documents: make(map[string]*document),
		reports:   make(map[string]*report),
		random:    rand.New(rand.NewPCG(1, 2)),
	}
	s.Wire = channeltest.NewWire(http.HandlerFunc(s.serve))
	return s
}

// storageHost is where the files are for those who reach the server without a
// socket.
const storageHost = "storage.amazon.test"

// storagePath begins the paths of files. The slash within is escaped, and has
// to stay so.
const storagePath = "/seller%2Fdocuments/"

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !wait(r, s.cfg.Latency) {
		return
	}
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("x-amzn-RequestId", fmt.Sprintf("request-%d", s.serial()))
	switch {
	case r.Host == storageHost || strings.HasPrefix(r.URL.EscapedPath(), storagePath):
		s.serveFile(w, r, body)
	case r.URL.Path == "/auth/o2/token":
		s.serveToken(w, r, body)
	default:
		s.serveOperation(w, r, body)
	}
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

// A call is a request for an operation that may be served.
type call struct {
	params map[string]string
	query  url.Values
	body   []byte
	base   string // where files are
}

// handlers serve the operations. They return the status and the body.
var handlers = map[string]func(*Server, call) (int, any){
	"searchListingsItems": (*Server).search,
	"getListingsItem":     (*Server).get,
	"patchListingsItem":   (*Server).patch,
	"createFeedDocument":  (*Server).createDocument,
	"createFeed":          (*Server).createFeed,
	"getFeed":             (*Server).getFeed,
	"getFeeds":            (*Server).getFeeds,
	"cancelFeed":          (*Server).cancelFeed,
	"getFeedDocument":     (*Server).getFeedDocument,
	"createReport":        (*Server).createReport,
	"getReport":           (*Server).getReport,
	"getReportDocument":   (*Server).getReportDocument,
}

func (s *Server) serveOperation(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodGet && len(body) > 0 {
		reply(w, 400, fail("InvalidInput", "A GET has no body.", ""))
		return
	}
	// Amazon says the same of a bad token, a missing role and a wrong path.
	if details := s.refuses(r.Header); details != "" {
		reply(w, 403, fail("Unauthorized", denied, details))
		return
	}
	op, params, err := find(r.Method, r.URL)
	if err != nil || params["sellerId"] != "" && params["sellerId"] != s.cfg.SellerID {
		reply(w, 403, fail("Unauthorized", denied, ""))
		return
	}
	s.calls[op.ID]++
	b := s.buckets[op.ID]
	if !b.take() {
		s.throttled[op.ID]++
		reply(w, 429, fail("QuotaExceeded", "You exceeded your quota for the requested resource.", ""))
		return
	}
	limit := func(status int) { // never on 403, 429 or 5xx
		if status < 403 || status == 404 {
			w.Header().Set("x-amzn-RateLimit-Limit", fmt.Sprintf("%g", b.rate))
		}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if len(body) > 0 && kind != "application/json" {
		reply(w, 415, fail("UnsupportedMediaType", "The entity of the request is in a format not supported.", ""))
		return
	}
	if err := op.checkRequest(params, r.URL.Query(), body); err != nil {
		limit(400)
		reply(w, 400, fail("InvalidInput", err.Error(), ""))
		return
	}
	if ids, ok := r.URL.Query()["marketplaceIds"]; ok && ids[0] != s.cfg.MarketplaceID {
		limit(400)
		reply(w, 400, fail("InvalidInput", "Invalid 'marketplaceIds' provided.", ""))
		return
	}
	status, answer := handlers[op.ID](s, call{params, r.URL.Query(), body, filesBase(r)})
	limit(status)
	reply(w, status, answer)
}

const denied = "Access to requested resource is denied."

// filesBase is where a request reaches the files: the same host when it came
// over a socket.
func filesBase(r *http.Request) string {
	switch {
	case r.URL.Host != "":
		return "https://" + storageHost
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// fail is the body of an answer that is an error.
func fail(code, message, details string) any {
	return map[string]any{"errors": []any{map[string]any{"code": code, "message": message, "details": details}}}
}

// unsupported is the answer to what Amazon can do and this package cannot.
func unsupported(what string) (int, any) {
	return http.StatusNotImplemented, fail("NotImplemented", "amazontest: this fake does not do "+what, "")
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if v == nil {
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Write(body)
}

// serial returns a number that was not used before.
func (s *Server) serial() int {
	s.last++
	return s.last
}

// Calls returns how many requests for the operation with that id, such as
// "patchListingsItem", have arrived, refused ones included, and how many of
// them were over the quota. "" stands for all operations.
func (s *Server) Calls(operationID string) (calls, throttled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if operationID != "" {
		return s.calls[operationID], s.throttled[operationID]
	}
	for _, n := range s.calls {
		calls += n
	}
	for _, n := range s.throttled {
		throttled += n
	}
	return calls, throttled
}

// Harm returns what was done that a careful client does not do, in the order
// in which it was done: Amazon accepts all of it.
func (s *Server) Harm() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.harm)
}

func (s *Server) hurt(format string, args ...any) {
	s.harm = append(s.harm, fmt.Sprintf(format, args...))
}

// Operations returns the ids of the operations that the server knows.
func Operations() []string { return slices.Sorted(maps.Keys(handlers)) }
