package ecosire_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
)

// A minute is an ECOSIRE that only counts requests. What it tells, and when, is
// for a test to change.
type minute struct {
	mu     sync.Mutex
	limit  int
	begin  time.Time // windows are a minute from here on; zero means from the first request of each
	end    time.Time
	count  int
	total  int
	most   int                                              // in a window
	over   int                                              // refused
	taken  int                                              // of each window, by others
	before func(n int) time.Duration                        // a request's way there
	after  func(n int) time.Duration                        // and its answer's way back
	tell   func(n int, h http.Header)                       // changes what is told
	answer func(n int) (status int, body string, told bool) // in place of a page; false for none
	at     []time.Time
}

const emptyPage = `{"data":[],"meta":{"total":0,"page":1,"limit":100,"totalPages":0}}`

func (m *minute) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.total++
	n := m.total
	m.mu.Unlock()
	if m.before != nil {
		time.Sleep(m.before(n))
	}
	m.mu.Lock()
	now := time.Now()
	for !now.Before(m.end) {
		if m.begin.IsZero() || m.end.IsZero() {
			m.end = now
			if !m.begin.IsZero() {
				m.end = m.begin
			}
		}
		for m.end = m.end.Add(time.Minute); !m.begin.IsZero() && !now.Before(m.end); {
			m.end = m.end.Add(time.Minute)
		}
		m.count = m.taken
	}
	limit := m.limit
	if limit == 0 {
		limit = 60
	}
	status := 200
	if m.count++; m.count > limit {
		status = 429
		m.over++
		m.count--
	}
	m.most = max(m.most, m.count)
	m.at = append(m.at, now)
	h := http.Header{}
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(limit-m.count))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(m.end.Unix(), 10))
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	m.mu.Unlock()
	body := emptyPage
	if m.answer != nil {
		if s, b, ok := m.answer(n); ok {
			status, body = s, b
		}
	}
	if m.tell != nil {
		m.tell(n, h)
	}
	if m.after != nil {
		time.Sleep(m.after(n))
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// count is how many requests came within a time of the beginning.
func (m *minute) within(start time.Time, d time.Duration) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range m.at {
		if at.Sub(start) <= d {
			n++
		}
	}
	return n
}

func scheduled(t *testing.T, m http.RoundTripper, edit func(*ecosire.Config)) *ecosire.Client {
	t.Helper()
	cfg := ecosire.Config{APIKey: "eco_live_test", HTTPClient: &http.Client{Transport: m}}
	if edit != nil {
		edit(&cfg)
	}
	c, err := ecosire.New(cfg)
	require.NoError(t, err)
	return c
}

// ask makes one request.
func ask(ctx context.Context, c *ecosire.Client) error {
	return c.PostAdjustment(ctx, ecosire.Adjustment{ProductID: "p", LocationID: "l"})
}

// look makes one request that any ECOSIRE answers.
func look(ctx context.Context, c *ecosire.Client) error {
	_, err := c.Count(ctx)
	return err
}
