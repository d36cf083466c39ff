package woocommerce

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
)

// authorize adds the key to one attempt. It never goes into the URL, where
// access logs would keep it. What is read gets an address that no cache has seen.
func (c *Client) authorize(req *http.Request) error {
	if sent, ok := req.Context().Value(sentKey{}).(*atomic.Bool); ok {
		sent.Store(true)
	}
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		if req.URL.RawQuery != "" {
			req.URL.RawQuery += "&"
		}
		req.URL.RawQuery += "fresh=" + rand.Text()[:freshDigits]
	}
	key, secret := c.credentials(req)
	if c.signs.Load() {
		// The shop refuses a nonce that it has seen, so each attempt needs its own.
		req.Header.Set("Authorization", oauthHeader(req, key, secret, rand.Text(), time.Now()))
		return nil
	}
	req.Header.Set("Authorization", "Basic "+basicToken(key, secret))
	return nil
}

// freshDigits is the length of what makes an address another one.
const freshDigits = 10

// sentKey is that of a context's *atomic.Bool that tells whether a request was
// handed to the network.
type sentKey struct{}

func basicToken(key, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(key + ":" + secret))
}

// anonymous reports whether the shop did not see any credentials, which is
// how it treats Basic authentication over plain HTTP.
func anonymous(resp *httpx.Response) bool {
	var e struct{ Code string }
	return resp.Status == http.StatusUnauthorized && json.Unmarshal(resp.Body, &e) == nil &&
		strings.HasPrefix(e.Code, "woocommerce_rest_cannot_")
}

// oauthHeader signs a request by OAuth 1.0a (RFC 5849), with HMAC-SHA256 and
// without a token. Its body is not signed.
func oauthHeader(req *http.Request, key, secret, nonce string, now time.Time) string {
	oauth := map[string]string{
		"oauth_consumer_key":     key,
		"oauth_nonce":            nonce,
		"oauth_signature_method": "HMAC-SHA256",
		"oauth_timestamp":        strconv.FormatInt(now.Unix(), 10),
	}
	mac := hmac.New(sha256.New, []byte(escape(secret)+"&"))
	mac.Write([]byte(oauthBase(req.Method, req.URL, oauth)))
	oauth["oauth_signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))

	fields := make([]string, 0, len(oauth))
	for _, name := range slices.Sorted(maps.Keys(oauth)) {
		fields = append(fields, fmt.Sprintf("%s=%q", name, escape(oauth[name])))
	}
	return "OAuth " + strings.Join(fields, ", ")
}

// oauthBase returns the text that is signed.
func oauthBase(method string, u *url.URL, oauth map[string]string) string {
	var params []string
	for name, values := range u.Query() {
		for _, value := range values {
			params = append(params, escape(name)+"="+escape(value))
		}
	}
	for name, value := range oauth {
		params = append(params, escape(name)+"="+escape(value))
	}
	slices.Sort(params)
	address := u.Scheme + "://" + u.Host + u.EscapedPath()
	return method + "&" + escape(address) + "&" + escape(strings.Join(params, "&"))
}

// escape is the percent-encoding of RFC 5849, which knows no plus for a blank.
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
