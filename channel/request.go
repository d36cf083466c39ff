package channel

import (
	"context"
	"time"
)

// A Request is one attempt at a request that a client sent to its service, and
// what came of it. It holds no credentials, no ids and no query, so that each of
// its texts can be the label of a metric, but for Err's.
type Request struct {
	Service string // such as "shopify"
	// Op is what was asked for, one of a small number: the service's name of an
	// operation, or a method and a path whose ids are replaced by "{id}".
	Op     string
	Method string
	Host   string // with its port, if the address names one
	// Attempt is 1, and more for a request that is repeated.
	Attempt int
	Sent    time.Time
	Took    time.Duration // until the whole answer was there
	Status  int           // of the answer; 0 if there was none
	Err     error         // why there was no answer, or nil; fit to be printed
}

type requestsKey struct{}

// WithRequests returns a context with which clients tell f of each request that
// they send, and whoever listened before. f is called in line, by several
// goroutines at once, with the context of the request.
func WithRequests(ctx context.Context, f func(context.Context, Request)) context.Context {
	if before := Requests(ctx); before != nil {
		own := f
		f = func(ctx context.Context, r Request) { before(ctx, r); own(ctx, r) }
	}
	return context.WithValue(ctx, requestsKey{}, f)
}

// Requests returns what a client calls with each request that it has sent, or
// nil if nobody listens; see [WithRequests].
func Requests(ctx context.Context) func(context.Context, Request) {
	f, _ := ctx.Value(requestsKey{}).(func(context.Context, Request))
	return f
}

// A Limited is a [Source] or a [Channel] whose service grants it a quota.
type Limited interface {
	// Quota returns what is left, as the client knows it, and asks nobody. ok is
	// false if nothing is known, or the service has no limit that it tells.
	Quota() (q Quota, ok bool)
}

// A Quota is how much of a service may be used at once.
type Quota struct {
	// Left is what may be used now, and Limit the most that it can be.
	Left  float64 `json:"left"`
	Limit float64 `json:"limit"`
	// Unit is "request", or whatever else the service counts, such as "point".
	Unit string `json:"unit"`
}
