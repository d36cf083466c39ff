package channeltest

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// Deliver posts the delivery of a webhook to a handler, in process, and returns
// the status of its answer, or 0 if it has not answered within a time. The
// request's context is done then. The fakes of shops deliver with it.
func Deliver(h http.Handler, header http.Header, body []byte, within time.Duration) (status int) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://hooks.test/", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header = header.Clone()
	answered := make(chan int, 1)
	go func() {
		w := &statusWriter{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.status == 0 {
			w.status = http.StatusOK
		}
		answered <- w.status
	}()
	select {
	case status = <-answered:
		return status
	case <-ctx.Done():
		return 0
	}
}

// A statusWriter keeps the status of an answer.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header { return w.header }

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}
