package shopify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

const (
	// bulkIdle is how long a bulk operation may count no further object, and
	// bulkLimit how long it may take at all, until it is given up.
	bulkIdle  = 3 * time.Minute
	bulkLimit = 30 * time.Minute
	// cancelGrace is how long is waited for the answer to a cancellation.
	cancelGrace = 3 * time.Second
	// maxDownloads is how often the result is asked for.
	maxDownloads = 3
	// maxLine bounds a line of the result.
	maxLine = 64 << 10
)

// everyItem calls f with the SKU and the number of each item that has an SKU,
// by a bulk operation, until f returns false. whole is false if f did, or if it
// is not certain that these were all.
func (c *Client) everyItem(ctx context.Context, f func(sku string, id uint64) bool) (whole bool, _ error) {
	if until, ok := c.load.resting(); ok {
		return false, unusable(startBulk.name, fmt.Sprintf("a bulk operation did not end; none is started until %s", until.UTC().Format(time.RFC3339)))
	}
	id, err := c.startBulk(ctx)
	if err != nil {
		return false, err
	}
	done, err := c.await(ctx, id)
	if err != nil {
		return false, err
	}
	d := &download{Client: c, each: f}
	for try := 1; done.url != ""; try++ {
		err := d.fetch(ctx, done)
		if err == nil {
			break
		}
		if try == maxDownloads || ctx.Err() != nil || !repeatableDownload(err) {
			return false, err
		}
		c.logger.LogAttrs(ctx, slog.LevelInfo, "the result of a bulk operation is asked for again",
			slog.String("shop", c.shop), slog.Int("attempt", try), slog.Any("err", err))
		if err := pause(ctx, time.Duration(try)*time.Second); err != nil {
			return false, err
		}
		if done, err = c.await(ctx, id); err != nil { // with a fresh address
			return false, err
		}
	}
	if d.ended {
		return false, nil
	}
	switch {
	case d.rows < done.count:
		return false, short(d.rows, done.count)
	case d.odd > 0 && d.odd == d.rows:
		return false, unusable(downloadName, "no line is the JSON that was expected")
	}
	return d.odd == 0 && d.rows == done.count, nil
}

func short(rows, want int) error {
	return fmt.Errorf("%w: shopify: the result of the bulk operation has %d of %d items", channel.ErrIncomplete, rows, want)
}

func (c *Client) startBulk(ctx context.Context) (id string, _ error) {
	a, err := c.do(ctx, startBulk, startBulkVars{everyItem})
	if err != nil {
		return "", err
	}
	payload, ok := a.object(startBulk.name)
	errs, told := a.userErrors(&payload)
	if !ok || !told {
		return "", unusable(startBulk.name, "the answer says nothing")
	}
	if len(errs) > 0 {
		return "", c.refusal(startBulk, errs)
	}
	operation, ok := member(&payload, "bulkOperation")
	if id = operation.Text("id"); !ok || operation.Err() != nil || id == "" {
		return "", unusable(startBulk.name, "the answer has no operation")
	}
	return id, nil
}

// A bulkOperation is one that is completed.
type bulkOperation struct {
	url   string // "" if there are no rows
	count int    // lines of the result; -1 if that was not told
}

// await asks until the operation is done, less and less often. One that does
// not get on is canceled, and so is one whose caller leaves.
func (c *Client) await(ctx context.Context, id string) (*bulkOperation, error) {
	start := time.Now()
	progress, moved := -1, start
	for wait := 250 * time.Millisecond; ; wait = min(max(wait, time.Since(start)/8), 3*time.Second) {
		if err := pause(ctx, wait); err != nil {
			c.cancelBulk(ctx, id)
			return nil, err
		}
		a, err := c.do(ctx, pollBulk, pollBulkVars{id})
		if err != nil {
			if ctx.Err() != nil {
				c.cancelBulk(ctx, id)
			}
			return nil, err
		}
		op, ok := a.object(pollBulk.name)
		if !ok {
			return nil, unusable(pollBulk.name, "the operation is gone")
		}
		status := op.Text("status")
		if op.Err() != nil {
			return nil, unusable(pollBulk.name, "the answer has no status")
		}
		switch status {
		case "COMPLETED":
			done := &bulkOperation{count: digits(op.Value("rootObjectCount"))}
			done.url, _ = op.Value("url").Text()
			return done, nil
		case "CREATED", "RUNNING", "CANCELING":
		default: // FAILED, CANCELED, EXPIRED
			fault := &Error{Op: pollBulk.name, Status: http.StatusOK, Message: c.said("the bulk operation ended as "+status, a.token)}
			c.addCode(fault, op.Value("errorCode").Name(), a.token)
			return nil, fault
		}
		if n := digits(op.Value("objectCount")); n != progress {
			progress, moved = n, time.Now()
		}
		if idle := time.Since(moved); idle > bulkIdle || time.Since(start) > bulkLimit {
			c.load.rest()
			c.cancelBulk(ctx, id)
			c.logger.LogAttrs(ctx, slog.LevelWarn, "a bulk operation does not end; it is canceled, and SKUs are searched for",
				slog.String("shop", c.shop), slog.Duration("took", time.Since(start)), slog.Duration("idle", idle))
			return nil, unusable(pollBulk.name, fmt.Sprintf("the bulk operation did not end within %s", time.Since(start).Round(time.Second)))
		}
	}
}

// digits reads a count, which comes as a string of digits; -1 if it is none.
func digits(v strictjson.Value) int {
	n, err := strconv.Atoi(v.Name())
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// cancelBulk asks the shop not to go on for nobody: few operations may run at a
// time. Whether it does changes nothing here.
func (c *Client) cancelBulk(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	if _, err := c.do(ctx, cancelBulk, pollBulkVars{id}); err != nil {
		c.logger.LogAttrs(ctx, slog.LevelInfo, "a bulk operation could not be canceled", slog.String("shop", c.shop), slog.Any("err", err))
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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

const downloadName = "bulk result"

// A download reads a result, a JSON object a line. After a failure it goes on
// where it was: the result does not change.
type download struct {
	*Client
	each  func(sku string, id uint64) bool
	rows  int  // lines read
	odd   int  // of these, such that make no sense
	ended bool // each ended it
	row   strictjson.Row
}

// repeatableDownload reports whether another try may help: the connection
// broke, the server failed, the address is no longer good.
func repeatableDownload(err error) bool {
	if fault, ok := errors.AsType[*Error](err); ok {
		return fault.Status >= 500 || fault.Status == http.StatusForbidden || fault.Status == http.StatusNotFound || fault.Status == http.StatusGone
	}
	_, broke := errors.AsType[*httpx.Error](err)
	return broke || errors.Is(err, channel.ErrIncomplete)
}

func (d *download) fetch(ctx context.Context, done *bulkOperation) (err error) {
	defer func() { // of the host's transport; what it says may be the address, which is a credential
		if recover() != nil {
			d.logger.LogAttrs(ctx, slog.LevelError, "recovered from a panic", slog.String("shop", d.shop), slog.String("op", downloadName), slog.String("stack", string(debug.Stack())))
			err = unusable(downloadName, "the host's transport panicked")
		}
	}()
	u, err := url.Parse(done.url)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && httpx.Loopback(u)) {
		return unusable(downloadName, "its address is not an https URL")
	}
	ctx, release := context.WithTimeoutCause(ctx, bulkLimit, fmt.Errorf("it took longer than %s", bulkLimit))
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The whole may take long; a minute without a line is a broken connection.
	stalled := time.AfterFunc(time.Minute, func() { cancel(errors.New("nothing came for a minute")) })
	defer stalled.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return unusable(downloadName, "its address is not an https URL")
	}
	resp, err := d.download.Do(req)
	if err != nil {
		return d.broken(ctx, u, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &Error{Op: downloadName, Status: resp.StatusCode, Message: d.said("from "+httpx.Endpoint(u), ""), nonsense: resp.StatusCode < 400}
	}
	lines := bufio.NewReaderSize(resp.Body, maxLine)
	for n := 0; ; {
		line, err := lines.ReadSlice('\n')
		stalled.Reset(time.Minute)
		cut := err != nil // the line does not end: it may be half of one
		switch {
		case ctx.Err() != nil: // a body of the host's transport may know no context
			return d.broken(ctx, u, ctx.Err())
		case err == nil || errors.Is(err, io.EOF):
		case errors.Is(err, bufio.ErrBufferFull):
			return unusable(downloadName, "a line is too long")
		default:
			return d.broken(ctx, u, err)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if n++; n > d.rows {
				if d.rows >= maxKept || done.count >= 0 && d.rows > done.count {
					return unusable(downloadName, "it has more lines than it should")
				}
				if cut && !json.Valid(line) {
					return fmt.Errorf("%w: shopify: the result of the bulk operation ends within a line", channel.ErrIncomplete)
				}
				d.read(line)
				if d.ended {
					return nil
				}
			}
		}
		if cut {
			break
		}
	}
	if d.rows < done.count {
		return short(d.rows, done.count)
	}
	return nil
}

// read reads a line. One that makes no sense is an item that is not known.
func (d *download) read(line []byte) {
	d.rows++
	v, err := strictjson.Parse(line)
	if err != nil {
		d.odd++
		return
	}
	d.row.Read(v)
	it := readItem(&d.row)
	switch {
	case it.err != nil:
		d.odd++
	case it.sku != "" && !d.each(it.sku, it.id):
		d.ended = true
	}
}

// broken describes a download that failed, without its signed address.
func (d *download) broken(ctx context.Context, u *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the connection broke")
	}
	if said := d.said(err.Error(), ""); said != err.Error() {
		err = errors.New(said)
	}
	return &httpx.Error{Service: "shopify", Op: d.said(http.MethodGet+" "+httpx.Endpoint(u), ""), Err: err, Kind: channel.ErrUnavailable}
}
