package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/statuspage"
)

// A login says who sent a request, and whether that is somebody who may look and
// act. Yours asks the session of your own users.
type login func(*http.Request) (name string, ok bool)

// anybody is for a simulation.
func anybody(*http.Request) (string, bool) { return "whoever tries the demo", true }

// withPassword takes the name from HTTP's own login.
func withPassword(password string) login {
	want := sha256.Sum256([]byte(password))
	return func(r *http.Request) (string, bool) {
		name, given, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(given))
		return name, name != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
	}
}

// status is the page that says how things are, for whom the login lets in.
func status(s *syncer.Syncer, who login) http.Handler {
	page := statuspage.Handler(s, statuspage.Config{Actor: who})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := who(r); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="stock sync", charset="UTF-8"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		page.ServeHTTP(w, r)
	})
}
