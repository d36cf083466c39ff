package channeltest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A client is an adapter to a service with rows in JSON, with the bugs that its
// fields say. Without any it passes.
type client struct {
	bugs
	http *http.Client
}

type bugs struct {
	patient   bool // no timeout
	hungry    bool // reads answers of any length
	talkative bool // quotes answers
	obedient  bool // follows redirects
	sleepy    bool // waits without its context
	trusting  bool // takes a result that is missing for success
	strict    bool // one odd row fails all
	zero      bool // an odd row is 0
	absent    bool // an odd row is left out
	silent    bool // does not tell of a part that failed
	alone     bool // tells of a part that failed, and not of the SKUs
}

const host = "https://rows.example"

func (c *client) Name() string { return "rows" }

// call makes a request, twice if need be.
func (c *client) call(ctx context.Context, method, path string, body any) (answer struct{ Rows []json.RawMessage }, err error) {
	for attempt := range 2 {
		if attempt > 0 && c.sleepy {
			time.Sleep(time.Minute)
		} else if attempt > 0 {
			select {
			case <-ctx.Done():
				return answer, ctx.Err()
			case <-time.After(time.Minute):
			}
		}
		var data []byte
		if data, err = c.once(ctx, method, path, body); err == nil {
			if err = json.Unmarshal(data, &answer); err == nil && answer.Rows != nil {
				return answer, nil
			}
			err = fmt.Errorf("%w: the answer makes no sense", channel.ErrUnavailable)
		}
		if ctx.Err() != nil || errors.Is(err, channel.ErrUnauthorized) {
			break
		}
	}
	return answer, err
}

func (c *client) once(ctx context.Context, method, path string, body any) ([]byte, error) {
	if !c.patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, host+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Shop-Key", "key-0123456789")
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: no answer", channel.ErrUnavailable)
	}
	defer resp.Body.Close()
	from := io.Reader(resp.Body)
	if !c.hungry {
		from = io.LimitReader(from, 1<<20)
	}
	data, err := io.ReadAll(from)
	switch {
	case resp.StatusCode == 401 || resp.StatusCode == 403:
		return nil, fmt.Errorf("%w: status %d", channel.ErrUnauthorized, resp.StatusCode)
	case c.talkative && resp.StatusCode != 200:
		return nil, fmt.Errorf("%w: %s", channel.ErrUnavailable, data)
	case err != nil || resp.StatusCode != 200:
		return nil, fmt.Errorf("%w: status %d", channel.ErrUnavailable, resp.StatusCode)
	}
	return data, nil
}

type jsonRow struct {
	SKU      string
	Quantity *int
	Error    string
}

// decode reads a row. An odd one still has its SKU.
func (c *client) decode(data json.RawMessage) (r jsonRow, err error) {
	if err = json.Unmarshal(data, &r); err == nil && r.Quantity == nil && r.Error == "" {
		err = errors.New("it has no quantity")
	}
	if err != nil {
		var sku struct{ SKU string }
		_ = json.Unmarshal(data, &sku)
		r = jsonRow{SKU: sku.SKU}
	}
	return r, err
}

func (c *client) Push(ctx context.Context, updates []channel.Update) error {
	errs, failed := channel.Errors{}, []error(nil)
	for some := range slices.Chunk(updates, 50) {
		err := c.push(ctx, some, errs)
		if err != nil && c.silent && len(errs) > 0 {
			continue
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	switch {
	case len(failed) == 0:
		return errs.Err()
	case len(errs) == 0 || c.alone:
		return failed[0]
	}
	return errors.Join(errs, failed[0])
}

func (c *client) push(ctx context.Context, updates []channel.Update, errs channel.Errors) error {
	type set struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	}
	var body struct {
		Rows []set `json:"rows"`
	}
	for _, u := range updates {
		body.Rows = append(body.Rows, set{u.SKU, u.Quantity})
	}
	answer, err := c.call(ctx, http.MethodPost, "/stock", body)
	if err != nil {
		return err
	}
	results := make(map[string]jsonRow)
	for _, data := range answer.Rows {
		r, err := c.decode(data)
		if err != nil && c.strict {
			return fmt.Errorf("%w: %w", channel.ErrUnavailable, err)
		}
		if err == nil {
			results[r.SKU] = r
		}
	}
	for _, u := range updates {
		switch r, ok := results[u.SKU]; {
		case ok && r.Error == "unknown":
			errs[u.SKU] = channel.UnknownSKU(u.SKU)
		case ok && r.Error == "ambiguous":
			errs[u.SKU] = channel.ErrAmbiguousSKU
		case ok && r.Error != "":
			errs[u.SKU] = channel.ErrNotTracked
		case !ok && !c.trusting, ok && *r.Quantity != u.Quantity:
			errs[u.SKU] = channel.ErrNotApplied
		}
	}
	return nil
}

func (c *client) Levels(ctx context.Context, skus []string) (levels []channel.Level, err error) {
	for some := range slices.Chunk(skus, 50) {
		query := url.Values{}
		for _, sku := range some {
			query.Add("sku", sku)
		}
		answer, err := c.call(ctx, http.MethodGet, "/stock?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		for _, data := range answer.Rows {
			r, err := c.decode(data)
			l := channel.Level{SKU: r.SKU}
			switch {
			case err != nil && c.strict:
				return nil, fmt.Errorf("%w: %w", channel.ErrUnavailable, err)
			case err != nil && c.absent:
				continue
			case err != nil && !c.zero:
				l.Err = fmt.Errorf("%w: an odd row", channel.ErrInvalid)
			case r.Error == "unset":
				l.Unset = true
			case r.Error != "":
				l.Err = channel.ErrNotTracked
			case r.Quantity != nil:
				l.Quantity = *r.Quantity
			}
			levels = append(levels, l)
		}
	}
	return levels, nil
}

// rows makes the client's service.
func rows(b bugs) channeltest.Maker {
	return func(t *testing.T, seed []channel.Level) channeltest.Subject {
		m := channeltest.NewMemory("")
		m.Add(seed...)
		type result struct {
			SKU      string `json:"sku"`
			Quantity int    `json:"quantity"`
			Error    string `json:"error,omitempty"`
		}
		wire := channeltest.NewWire(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out := []result{}
			if r.Method == http.MethodGet {
				levels, _ := m.Levels(r.Context(), r.URL.Query()["sku"])
				for _, l := range levels {
					row := result{l.SKU, l.Quantity, ""}
					if l.Unset {
						row.Error = "unset"
					} else if l.Err != nil {
						row.Error = "untracked"
					}
					out = append(out, row)
				}
			} else {
				var body struct{ Rows []result }
				json.NewDecoder(r.Body).Decode(&body)
				for _, row := range body.Rows {
					err := m.Push(r.Context(), []channel.Update{{SKU: row.SKU, Quantity: row.Quantity}})
					row.Error = map[bool]string{errors.Is(err, channel.ErrUnknownSKU): "unknown", errors.Is(err, channel.ErrAmbiguousSKU): "ambiguous"}[true]
					if err != nil {
						row.Error = cmp.Or(row.Error, "untracked")
					}
					out = append(out, row)
				}
			}
			json.NewEncoder(w).Encode(struct {
				Rows []result `json:"rows"`
			}{out})
		}))
		c := wire.Client()
		if !b.obedient {
			c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}
		return channeltest.Subject{Channel: &client{b, c}, Shown: m.Quantity, Set: m.Set, Wire: wire}
	}
}

// brokenHTTP are adapters with one bug each, and the rules of TestHTTPChannel
// that must find it.
var brokenHTTP = map[string]struct {
	bugs
	rules string
}{
	"sound":                      {bugs{}, ""},
	"no timeout":                 {bugs{patient: true}, "NoAnswerEver"},
	"an unbounded body":          {bugs{hungry: true}, "EndlessAnswer"},
	"a body in an error":         {bugs{talkative: true}, "ErrorsAreShortAndClean"},
	"redirects are followed":     {bugs{obedient: true}, "RedirectElsewhere"},
	"a wait without context":     {bugs{sleepy: true}, "CancelledBetweenAttempts"},
	"what is missing is done":    {bugs{trusting: true}, "AResultIsMissing"},
	"one row fails all":          {bugs{strict: true}, "AnOddResult AnOddLevel"},
	"an odd row is zero":         {bugs{zero: true}, "AnOddLevel"},
	"an odd row is absent":       {bugs{absent: true}, "AnOddLevel"},
	"a part that failed is done": {bugs{silent: true}, "AnUnknownSKUOnABadDay"},
	"a part that failed says it": {bugs{alone: true}, ""},
}
