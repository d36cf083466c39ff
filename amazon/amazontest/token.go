package amazontest

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// refuses returns the details of the 403 for a token, or "" if it is good.
func (s *Server) refuses(h http.Header) string {
	if h.Get("Authorization") != "" {
		return "Authorization is not the header for the access token."
	}
	token := h.Get("x-amz-access-token")
	until, ok := s.tokens[token]
	switch {
	case token == "":
		return "Access token is missing in the request header."
	case !ok:
		return "The access token you provided is revoked, malformed or invalid."
	case !time.Now().Before(until):
		return "The access token you provided has expired."
	}
	return ""
}

// serveToken is Login with Amazon.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, body []byte) {
	s.calls["token"]++
	form := url.Values{}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	switch kind {
	case "application/x-www-form-urlencoded":
		form, err = url.ParseQuery(string(body))
	case "application/json":
		var fields map[string]string
		err = json.Unmarshal(body, &fields)
		for name, v := range fields {
			form.Set(name, v)
		}
	}
	refuse := func(status int, code, text string) {
		reply(w, status, map[string]string{"error": code, "error_description": text})
	}
	same := func(name, want string) bool {
		return subtle.ConstantTimeCompare([]byte(form.Get(name)), []byte(want)) == 1
	}
	switch {
	case r.Method != http.MethodPost || err != nil || r.URL.RawQuery != "":
		refuse(400, "invalid_request", "The request is malformed.")
	case form.Get("grant_type") != "refresh_token":
		refuse(400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server")
	case !same("client_id", s.cfg.ClientID), !same("client_secret", s.cfg.ClientSecret):
		refuse(401, "invalid_client", "Client authentication failed")
	case !same("refresh_token", s.cfg.RefreshToken):
		refuse(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.")
	default:
		token := fmt.Sprintf("Atza|test-access-token-%d", s.serial())
		s.tokens[token] = time.Now().Add(tokenLife)
		reply(w, 200, map[string]any{
			"access_token": token, "token_type": "bearer", "expires_in": int(tokenLife.Seconds()), "refresh_token": s.cfg.RefreshToken,
		})
	}
}

// ExpireTokens ends the validity of every access token given so far.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = time.Time{}
	}
}

// RotateSecret replaces the client secret, as Amazon forces every 180 days.
// The access tokens given so far stay good.
func (s *Server) RotateSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.ClientSecret = secret
}

// Revoke withdraws the seller's authorization: neither the refresh token nor
// any access token is good any more.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
	s.cfg.RefreshToken = ""
}
