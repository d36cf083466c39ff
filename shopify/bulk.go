package shopify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// loadItems adds every item to the index by a bulk operation. What is in the
// index and gone from the shop stays until somebody asks for it: two indexes
// side by side would take twice the memory. See [Channel.Preload].
func (c *Client) loadItems(ctx context.Context) error {
	select {
	case c.loading <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.loading }()
	run := channel.Run(ctx)
	if c.items.whole(run) {
		return nil
	}
	err := c.everyItem(ctx, func(sku string, id uint64) bool {
		c.items.add(sku, id)
		return true
	})
	if err == nil {
		c.items.filled(run)
	}
	return err
}

// everyItem calls f with the SKU and the number of each item that has an SKU,
// by a bulk operation, until f returns false.
func (c *Client) everyItem(ctx context.Context, f func(sku string, id uint64) bool) error {
	var started startBulkData
	if err := c.do(ctx, startBulk, startBulkVars{everyItem}, &started); err != nil {
		return err
	}
	start := started.BulkOperationRunQuery
	switch {
	case start == nil || start.UserErrors == nil:
		return unusable(startBulk.name, "the answer says nothing")
	case len(start.UserErrors) > 0:
		return c.refusal(startBulk, start.UserErrors)
	case start.BulkOperation == nil || start.BulkOperation.ID == "":
		return unusable(startBulk.name, "the answer has no operation")
	}
	done, err := c.await(ctx, start.BulkOperation.ID)
	if err != nil {
		return err
	}
	rows, whole := 0, true
	if done.URL != "" {
		if rows, whole, err = c.fetch(ctx, done.URL, f); err != nil {
			return err
		}
	}
	if want := done.count(); whole && want >= 0 && rows < want {
		return fmt.Errorf("%w: shopify: the result of the bulk operation has %d of %d items", channel.ErrIncomplete, rows, want)
	}
	return nil
}

// await asks until the operation is done, less and less often.
func (c *Client) await(ctx context.Context, id string) (*bulkOperation, error) {
	start := time.Now()
	for wait := 250 * time.Millisecond; ; wait = min(max(wait, time.Since(start)/8), 3*time.Second) {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		var data pollBulkData
		if err := c.do(ctx, pollBulk, pollBulkVars{id}, &data); err != nil {
			return nil, err
		}
		op := data.BulkOperation
		if op == nil {
			return nil, unusable(pollBulk.name, "the operation is gone")
		}
		switch op.Status {
		case "COMPLETED":
			return op, nil
		case "CREATED", "RUNNING", "CANCELING":
		default: // FAILED, CANCELED, EXPIRED
			fault := &Error{Op: pollBulk.name, Status: http.StatusOK, Message: "the bulk operation ended as " + op.Status}
			if op.ErrorCode != "" {
				fault.Codes = []string{op.ErrorCode}
			}
			return nil, fault
		}
	}
}

// newDownload returns the client for results, which lie on a host of their
// own: it carries neither token nor cookies.
func newDownload(hc *http.Client) *http.Client {
	if hc == nil {
		hc = &http.Client{}
	}
	return &http.Client{
		Transport:     hc.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch reads a result, a JSON object a line, and returns the number of lines.
// whole is false if f ended the reading.
func (c *Client) fetch(ctx context.Context, address string, f func(sku string, id uint64) bool) (rows int, whole bool, err error) {
	const op = "bulk result"
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && httpx.Loopback(u)) {
		return 0, false, unusable(op, "its address is not an https URL")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The whole may take long; a minute without a line is a broken connection.
	stalled := time.AfterFunc(time.Minute, func() { cancel(errors.New("nothing came for a minute")) })
	defer stalled.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, false, unusable(op, "its address is not an https URL")
	}
	resp, err := c.download.Do(req)
	if err != nil {
		return 0, false, broken(ctx, u, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, false, &Error{Op: op, Status: resp.StatusCode, Message: "from " + httpx.Endpoint(u), nonsense: resp.StatusCode < 400}
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		stalled.Reset(time.Minute)
		if len(lines.Bytes()) == 0 {
			continue
		}
		var line struct {
			ID  string  `json:"id"`
			SKU *string `json:"sku"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			return 0, false, unusable(op, "a line is not the JSON that was expected")
		}
		id, ok := itemNumber(line.ID)
		if !ok {
			return 0, false, unusable(op, "a line has no item")
		}
		rows++
		if line.SKU != nil && *line.SKU != "" && !f(*line.SKU, id) {
			return rows, false, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, false, broken(ctx, u, err)
	}
	return rows, true, nil
}

// broken describes a download that failed, without its signed address.
func broken(ctx context.Context, u *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the connection broke")
	}
	return &httpx.Error{Service: "shopify", Op: http.MethodGet + " " + httpx.Endpoint(u), Err: err, Kind: channel.ErrUnavailable}
}
