package channeltest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrCut is what a client sees of a connection that a [Fault] cut.
var ErrCut = errors.New("channeltest: connection cut")

// A Wire is the network in front of an in-memory server: it carries requests
// to the server's handler, counts them, and goes wrong where a [Fault] says so.
//
// It is an [http.RoundTripper], to be used without a socket (and so inside a
// testing/synctest bubble), and an [http.Handler], to be used with one. It is
// safe for concurrent use.
type Wire struct {
	handler http.Handler

	mu       sync.Mutex
	faults   []*Fault
	requests []Request
	longest  int // of the bodies that had no end, in bytes read
}

// NewWire returns a wire to h that works well.
func NewWire(h http.Handler) *Wire { return &Wire{handler: h} }

// A Request is one that arrived at a [Wire], whatever became of it.
type Request struct {
	Method string
	URL    *url.URL // path and query; with the host for requests over RoundTrip
	Host   string
	Header http.Header
	Body   []byte
	Time   time.Time
}

// A Fault says what goes wrong, and for which requests. The zero Fault
// changes nothing. Delay comes first; then exactly one of these happens:
//
//   - Cut: the connection breaks. With Apply, the server has done its work
//     before: done, but the answer is lost.
//   - Status: this answer is given in place of the server's. With Apply, the
//     server has done its work before, as behind a proxy that timed out.
//   - Twice: the server gets the request twice, and the second answer counts.
//   - Rewrite: the server's answer is changed on its way back.
//   - none of them: the request passes.
type Fault struct {
	// Name says what it is, for the texts of tests; it changes nothing.
	Name string

	// Match chooses requests; nil means all.
	Match func(Request) bool
	// Skip is how many matching requests pass first.
	Skip int
	// Times is how many matching requests are hit: 0 means one, and a negative
	// number all of them.
	Times int

	Delay  time.Duration
	Apply  bool
	Cut    bool
	Status int
	Header http.Header
	Body   string
	// Endless lets the body of a Status go on after Body, byte after byte, until
	// the client closes it or has read 80 MiB; then the connection breaks.
	Endless bool
	Twice   bool
	Rewrite func(status int, header http.Header, body []byte) (int, []byte)

	request func(body []byte) []byte // changes what the server gets
}

// On matches requests by method and by a part of their path; "" matches any.
func On(method, path string) func(Request) bool {
	return func(r Request) bool {
		return (method == "" || r.Method == method) && strings.Contains(r.URL.Path, path)
	}
}

// Inject adds faults. Of several that match a request the first one injected
// is used.
func (w *Wire) Inject(faults ...Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		w.faults = append(w.faults, &f)
	}
}

// Heal takes all faults away.
func (w *Wire) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// Requests returns the requests that arrived since the last Forget, in order.
func (w *Wire) Requests() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// Count returns how many requests arrived since the last Forget that match;
// nil matches all.
func (w *Wire) Count(match func(Request) bool) int {
	n := 0
	for _, r := range w.Requests() {
		if match == nil || match(r) {
			n++
		}
	}
	return n
}

// Forget drops the record of requests.
func (w *Wire) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = nil
}

// Client returns an HTTP client whose every request, for whatever host, goes
// through the wire.
func (w *Wire) Client() *http.Client { return &http.Client{Transport: w} }

// RoundTrip carries the request to the handler in this process.
func (w *Wire) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	answer, err := w.carry(req, body)
	if err != nil {
		return nil, err
	}
	// A client that gave up meanwhile does not hear the answer.
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp := answer.Result()
	resp.Request = req
	if answer.endless {
		resp.ContentLength = -1
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, &endless{wire: w}))
	}
	return resp, nil
}

// ServeHTTP carries the request to the handler and its answer back.
func (w *Wire) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, err := w.carry(req, body)
	if err != nil {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	rw.Write(answer.Body.Bytes())
	if answer.endless {
		io.Copy(rw, &endless{wire: w})
		panic(http.ErrAbortHandler)
	}
}

// An answer is what comes back over the wire.
type answer struct {
	*httptest.ResponseRecorder
	endless bool
}

// endless is the rest of a body that does not end by itself.
type endless struct {
	wire *Wire
	read int
}

const endlessLimit = 80 << 20

var endlessText = strings.Repeat("a", 64<<10)

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= endlessLimit {
		return 0, ErrCut
	}
	n := copy(p, endlessText)
	e.read += n
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	e.wire.longest = max(e.wire.longest, e.read)
	return n, nil
}

func (w *Wire) carry(req *http.Request, body []byte) (answer, error) {
	fault := w.arrive(Request{
		Method: req.Method, URL: req.URL, Host: cmp.Or(req.Host, req.URL.Host), Header: req.Header.Clone(),
		Body: body, Time: time.Now(),
	})
	if err := sleep(req.Context(), fault.Delay); err != nil {
		return answer{}, err
	}
	if fault.request != nil {
		body = fault.request(body)
	}
	if fault.Apply || fault.Twice || (!fault.Cut && fault.Status == 0) {
		if fault.Twice {
			w.serve(req, body)
		}
		got := w.serve(req, body)
		if fault.Rewrite != nil {
			status, changed := fault.Rewrite(got.Code, got.Header(), bytes.Clone(got.Body.Bytes()))
			got = record(status, got.Header(), string(changed))
		}
		if !fault.Apply {
			return answer{got, false}, nil
		}
	}
	if fault.Cut || fault.Status == 0 {
		return answer{}, fmt.Errorf("%w: %s %s", ErrCut, req.Method, req.URL.Path)
	}
	return answer{record(fault.Status, fault.Header, fault.Body), fault.Endless}, nil
}

// arrive records a request and chooses its fault.
func (w *Wire) arrive(r Request) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
	for _, f := range w.faults {
		if f.Times == 0 || (f.Match != nil && !f.Match(r)) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return *f
	}
	return Fault{}
}

func (w *Wire) serve(req *http.Request, body []byte) *httptest.ResponseRecorder {
	in := req.Clone(req.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	in.Host = cmp.Or(req.Host, req.URL.Host)
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234" // TEST-NET-1: nobody's address
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, in)
	return answer
}

func record(status int, header http.Header, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	maps.Copy(answer.Header(), header)
	answer.WriteHeader(status)
	answer.WriteString(body)
	return answer
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
