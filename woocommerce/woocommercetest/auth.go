package woocommercetest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oauthWindow is how far a timestamp may be off.
const oauthWindow = 15 * time.Minute

// secure reports whether PHP would know that a request came over TLS. A proxy
// that ends TLS without telling PHP makes a request insecure.
func secure(r *http.Request) bool { return r.TLS != nil || r.URL.Scheme == "https" }

func authError(message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "woocommerce_rest_authentication_error", message: message}
}

// authenticate finds out whose request this is. Over plain HTTP only OAuth is
// looked for: a key sent in another way is as good as none, and so is a key
// that the shop does not know.
func (s *Server) authenticate(c *call) (anonymous bool, _ *apiError) {
	known := false
	if secure(c.Request) {
		// A key in the query wins over one in the header.
		key, _ := c.query.text("consumer_key")
		secret, _ := c.query.text("consumer_secret")
		if key == "" || secret == "" {
			key, secret, _ = c.BasicAuth()
		}
		if key == s.cfg.Key {
			if !hmac.Equal([]byte(secret), []byte(s.cfg.Secret)) {
				return true, authError("Consumer secret is invalid.")
			}
			known = true
		}
	}
	if !known {
		var e *apiError
		if known, e = s.authenticateOAuth(c); e != nil {
			return true, e
		}
	}
	if known && s.cfg.ReadOnly && c.Method != http.MethodGet && c.Method != http.MethodHead {
		return false, authError("The API key provided does not have write permissions.")
	}
	return !known, nil
}

// authenticateOAuth checks OAuth 1.0a with one leg: a key and its secret, no
// token. The parameters are in the query or in the Authorization header. The
// body is not signed.
func (s *Server) authenticateOAuth(c *call) (known bool, _ *apiError) {
	signed := map[string]string{}
	for _, key := range c.query.keys {
		signed[key], _ = c.query.text(key)
	}
	if header, ok := strings.CutPrefix(c.Header.Get("Authorization"), "OAuth "); ok {
		for part := range strings.SplitSeq(header, ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			value, err := url.PathUnescape(strings.Trim(value, `"`))
			if err == nil && strings.HasPrefix(key, "oauth_") {
				signed[key] = value
			}
		}
	}
	var missing []string
	required := []string{"oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method"}
	for _, name := range required {
		if signed[name] == "" {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == len(required):
		return false, nil
	case len(missing) > 0:
		return false, &apiError{status: http.StatusUnauthorized, code: "woocommerce_rest_authentication_missing_parameter",
			message: "Missing OAuth parameters " + strings.Join(missing, ", ")}
	case signed["oauth_consumer_key"] != s.cfg.Key:
		return false, authError("Consumer key is invalid.")
	}

	var algorithm func() hash.Hash
	switch signed["oauth_signature_method"] {
	case "HMAC-SHA1":
		algorithm = sha1.New
	case "HMAC-SHA256":
		algorithm = sha256.New
	default:
		return false, authError("Invalid signature - signature method is invalid.")
	}
	signature := signed["oauth_signature"]
	delete(signed, "oauth_signature")
	base := baseString(c.Method, c.origin+c.URL.EscapedPath(), signed)
	mac := hmac.New(algorithm, []byte(s.cfg.Secret+"&"))
	mac.Write([]byte(base))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(signature)) {
		return false, authError("Invalid signature - provided signature does not match.")
	}

	seconds, err := strconv.ParseInt(signed["oauth_timestamp"], 10, 64)
	at := time.Unix(seconds, 0)
	if err != nil || time.Since(at).Abs() > oauthWindow {
		return false, authError("Invalid timestamp.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.nonces, func(_ string, used time.Time) bool { return time.Since(used) > oauthWindow })
	if _, used := s.nonces[signed["oauth_nonce"]]; used {
		return false, authError("Invalid nonce - nonce has already been used.")
	}
	s.nonces[signed["oauth_nonce"]] = at
	return true, nil
}

// baseString is what RFC 5849 has signed: method, URL without query, and the
// parameters in order.
func baseString(method, endpoint string, signed map[string]string) string {
	pairs := make([]string, 0, len(signed))
	for _, key := range slices.Sorted(maps.Keys(signed)) {
		pairs = append(pairs, percent(key)+"="+percent(signed[key]))
	}
	return strings.ToUpper(method) + "&" + percent(endpoint) + "&" + percent(strings.Join(pairs, "&"))
}

// percent is the encoding of RFC 3986: unlike net/url's, a blank is %20, and
// only letters, digits and -._~ stay.
func percent(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
