package httpx

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A hearing is of somebody who wants to hear of a request's attempts.
type hearing struct {
	tell     func(context.Context, channel.Request)
	attempts int // made so far; they come one after the other
}

type hearingKey struct{}

// heard returns a context for the attempts of a request. It is ctx if nobody
// listens.
func heard(ctx context.Context) context.Context {
	if tell := channel.Requests(ctx); tell != nil {
		return context.WithValue(ctx, hearingKey{}, &hearing{tell: tell})
	}
	return ctx
}

// observe tells of an attempt. resp is nil if there was no answer.
func (c *Client) observe(ctx context.Context, req *http.Request, sent time.Time, resp *Response, err error) {
	h, _ := ctx.Value(hearingKey{}).(*hearing)
	if h == nil {
		return
	}
	h.attempts++
	op := req.Method
	if c.cfg.Op != nil {
		op = c.cfg.Op(ctx, req.Method, req.URL.Path)
	}
	h.tell(ctx, channel.Request{
		Service: c.cfg.Service, Op: c.Message(op), Method: req.Method, Host: req.URL.Host,
		Attempt: h.attempts, Sent: sent, Took: time.Since(sent), Status: status(resp), Err: err,
	})
}

// Template is a method and a path below base whose segments that are not among
// the words of the API are replaced by "{id}".
func Template(method, base, path string, words map[string]bool) string {
	path = strings.Trim(strings.TrimPrefix(path, strings.TrimSuffix(base, "/")), "/")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if !words[segment] {
			segments[i] = "{id}"
		}
	}
	return method + " /" + strings.Join(segments[:min(len(segments), maxSegments)], "/")
}

// maxSegments is how many segments of a path are told: no API here has more.
const maxSegments = 8

// Words is the set of the words of an API's paths.
func Words(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
