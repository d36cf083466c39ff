package httpx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// An exchanged is an answer as the transport gave it, with its whole body.
type exchanged struct {
	resp     *http.Response
	body     []byte
	received time.Time // the header
	err      error
}

const (
	// returnWithin is how long after its end a request may take to return: a transport of
	// a test may sleep.
	returnWithin = 15 * time.Second
	// maxHung is how many requests may be left behind that do not return.
	maxHung = 1000
)

// exchange has the transport answer, and reads the answer to its end. net/http's own
// transport ends with its context; a host's may not, and is left behind: an attempt
// has a time limit, and one that hangs must not hold up all others.
func (a *attempt) exchange(ctx context.Context, req *http.Request, message func(string) string) (exchanged, error) {
	if !a.host {
		x := a.try(ctx, req, message)
		return x, x.err
	}
	hung := &a.client.hung
	if n := hung.Load(); n >= maxHung {
		return exchanged{}, &fatalError{error: fmt.Errorf("%d requests have not returned from the host's transport", n), unsent: true}
	}
	done := make(chan exchanged, 1)
	var mu sync.Mutex
	left, over := false, false
	go func() {
		x := exchanged{err: errors.New("the host's transport ended its goroutine")}
		defer func() {
			if p := recover(); p != nil {
				x.err = a.client.panicked(ctx, req.Method, req.URL, p, message)
			}
			mu.Lock()
			defer mu.Unlock()
			if over = true; left {
				hung.Add(-1)
			}
			done <- x
		}()
		x = a.try(ctx, req, message)
	}()
	select {
	case x := <-done:
		return x, x.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(returnWithin)
	defer timer.Stop()
	select {
	case x := <-done:
		return x, x.err
	case <-timer.C:
	}
	mu.Lock()
	defer mu.Unlock()
	if left = !over; left {
		hung.Add(1)
	}
	return exchanged{}, fmt.Errorf("%w, and the host's transport has not returned", ctx.Err())
}

// try is exchange in the goroutine in which it is called.
func (a *attempt) try(ctx context.Context, req *http.Request, message func(string) string) (x exchanged) {
	x.resp, x.err = a.next.RoundTrip(req)
	if x.err == nil && x.resp == nil {
		x.err = errors.New("the transport returned neither an answer nor an error")
	}
	if x.err != nil {
		x.err = clean(helpful(x.err), message)
		return x
	}
	x.received = time.Now()
	if x.resp.Body != nil { // a host's transport may leave it out
		x.body, x.err = readAll(io.LimitReader(timely{ctx, x.resp.Body}, a.client.cfg.MaxBody+1))
		x.resp.Body.Close()
	}
	if x.err == nil && int64(len(x.body)) > a.client.cfg.MaxBody {
		x.err = &fatalError{error: fmt.Errorf("the answer is larger than %d bytes", a.client.cfg.MaxBody)}
	}
	return x
}

// A timely reader ends with its context, also where a host's transport gives a body
// that never ends and knows no context.
type timely struct {
	ctx context.Context
	io.Reader
}

func (t timely) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.Reader.Read(p)
}

// buffers are for answers of unknown length, most of which are about as long as
// the one before.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxBuffer is how large a buffer may be that is kept.
const maxBuffer = 1 << 20

// readAll is [io.ReadAll] without what slices cost that grow.
func readAll(r io.Reader) ([]byte, error) {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	_, err := b.ReadFrom(r)
	body := bytes.Clone(b.Bytes())
	if b.Cap() <= maxBuffer {
		buffers.Put(b)
	}
	return body, err
}
