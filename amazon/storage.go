package amazon

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// The operations on files, which lie on a host of their own.
const (
	upload   = "upload"
	download = "download"
)

// maxFile bounds a file as it is carried, in bytes.
const maxFile = 256 << 20

// transfer carries a file to or from a presigned address: whoever knows the
// address may use it, so it takes no credentials, and is one itself.
func (c *Client) transfer(ctx context.Context, op, address, contentType string, body []byte) (*httpx.Response, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && httpx.Loopback(u)) {
		return nil, &Error{Op: op, kind: channel.ErrUnavailable, Message: "the file's address is not an https URL"}
	}
	cfg := c.storage
	for _, s := range []string{address, u.String(), u.RawQuery, u.Path, u.EscapedPath()} {
		if len(s) > 1 { // more than a slash
			cfg.Secrets = append(cfg.Secrets, s)
		}
	}
	client := httpx.New(cfg)
	defer func() { c.others.Add(client.Requests()) }()
	r := httpx.Request{Method: http.MethodGet, URL: u, Header: http.Header{"User-Agent": {c.userAgent}}, Repeat: true}
	if op == upload {
		r.Method, r.Body = http.MethodPut, body
		r.Header.Set("Content-Type", contentType) // it is signed
	}
	resp, err := client.Do(ctx, r)
	if err != nil {
		return nil, failure(ctx, op, err)
	}
	if resp.Status < 200 || resp.Status > 299 {
		e := &Error{Op: op, Status: resp.Status, kind: channel.ErrUnavailable}
		if m := storageCode.FindSubmatch(resp.Body); m != nil {
			e.Code = string(m[1])
		}
		return nil, e
	}
	if op == upload && len(resp.Body) > 0 {
		return nil, nonsense(op, resp, "got "+httpx.Describe(resp)+", and not the storage's")
	}
	return resp, nil
}

var storageCode = regexp.MustCompile(`<Code>([A-Za-z]{1,60})</Code>`)

// content reads a file, which may be compressed, whatever its description
// says: a transport may have unpacked it already.
func content(file []byte) (io.Reader, error) {
	if !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
		return bytes.NewReader(file), nil
	}
	return gzip.NewReader(bytes.NewReader(file))
}

// readAll reads a file up to a number of bytes.
func readAll(file []byte, most int64) ([]byte, error) {
	r, err := content(file)
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(all)) > most {
		err = errors.New("the file is too large")
	}
	return all, err
}
