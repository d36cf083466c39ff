package httpx

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/ecosire/stocksync/internal/text"
)

// Endpoint is a URL as it may be printed: without user, query and fragment.
func Endpoint(u *url.URL) string { return u.Scheme + "://" + u.Host + path(u) }

// Printable is an address as somebody has given it, without what may be
// credentials.
func Printable(raw string) string {
	switch u, err := url.Parse(raw); {
	case raw == "":
		return ""
	case err != nil || u.Host == "":
		return "[not a URL]"
	default:
		return text.Clean(Endpoint(u))
	}
}

// path is a URL's path as it is sent: URL.JoinPath may leave its slash out.
func path(u *url.URL) string {
	if u.Path == "" || u.Path[0] == '/' {
		return u.Path
	}
	return "/" + u.Path
}

// ParseBase checks the base URL of a service: https, or http on this machine,
// and nothing but a host and a path. field names it in the error. The result
// has no trailing slash.
func ParseBase(field, raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		// The text of err may hold a password.
		return nil, fmt.Errorf("%s: not a URL like https://example.com", field)
	case u.User != nil:
		return nil, fmt.Errorf("%s: credentials do not belong in the URL", field)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s: a base URL has no query and no fragment", field)
	case u.Scheme == "https", u.Scheme == "http" && Loopback(u):
	default:
		return nil, fmt.Errorf("%s: %s://%s: use https; http would show the credentials to the network, and is accepted on this machine's loopback only", field, u.Scheme, u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// Loopback reports whether a URL's host is this machine.
func Loopback(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
