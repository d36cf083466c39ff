package httpx

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"runtime/debug"
)

// An Error says that a request got no usable answer. It names the method, the
// host and the path, never the query.
type Error struct {
	Service string
	Op      string // "GET https://host/path"
	Err     error
	// Kind is what the error matches besides Err; see [Config].
	Kind error
	// Unsent reports that the service surely did not get the request.
	Unsent bool
}

func (e *Error) Error() string        { return e.Service + ": " + e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error        { return e.Err }
func (e *Error) Is(target error) bool { return e.Kind != nil && target == e.Kind }

func (c *Client) fail(r Request, err error) error {
	return &Error{
		Service: c.cfg.Service, Op: c.Message(r.Method + " " + Endpoint(r.URL)), Kind: c.cfg.Kind,
		Unsent: unsent(err), Err: clean(explain(err), c.Message),
	}
}

// panicked logs a panic of the host's code, and makes an error of it that nothing is
// repeated for.
func (c *Client) panicked(ctx context.Context, method string, u *url.URL, p any, message func(string) string) error {
	said := message(fmt.Sprint(p))
	op := c.Message(method + " " + path(u))
	c.cfg.Logger.LogAttrs(ctx, slog.LevelError, "recovered from a panic", slog.String("service", c.cfg.Service),
		slog.String("host", u.Host), slog.String("op", op), slog.String("panic", said), slog.String("stack", string(debug.Stack())))
	return &fatalError{error: errors.New("the host's code panicked: " + said)}
}

// unsent reports whether nothing was sent for sure.
func unsent(err error) bool {
	if f, ok := errors.AsType[*fatalError](err); ok {
		return f.unsent
	}
	if h, ok := errors.AsType[*cleaned](err); ok {
		return h.unsent
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// explain takes off what net/http and this package put around an error, the
// whole URL with its query among it.
func explain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if f, ok := errors.AsType[*fatalError](err); ok {
		err = f.error
	}
	return err
}

// helpful adds what to do about an error.
func helpful(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		err = fmt.Errorf("%w (if the certificate is right, name its authority's file in SSL_CERT_FILE, or trust it in the HTTPClient)", err)
	}
	return err
}

// clean returns err, or, if its text is not fit to be printed, one with a clean
// text that matches what err matches.
func clean(err error, message func(string) string) error {
	text := message(err.Error())
	if text == err.Error() {
		return err
	}
	return &cleaned{text, unsent(err), func(target error) bool { return errors.Is(err, target) }}
}

// cleaned hides its cause: that may hold a secret.
type cleaned struct {
	text   string
	unsent bool
	is     func(error) bool
}

func (e *cleaned) Error() string        { return e.text }
func (e *cleaned) Is(target error) bool { return e.is(target) }
