package statuspage_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/statuspage"
)

// nothing is a source without products.
type nothing struct{}

func (nothing) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(func(channel.Stock, error) bool) {}
}

// The page behind a host's login, which here is HTTP's own.
func Example() {
	s, err := syncer.New(syncer.Config{Source: nothing{}, Targets: []syncer.Target{{Channel: channeltest.NewMemory("shop")}}})
	if err != nil {
		panic(err)
	}
	login := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, password, ok := r.BasicAuth(); !ok || password != "secret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="stock"`)
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	page := statuspage.Handler(s, statuspage.Config{
		Title: "Acme",
		Actor: func(r *http.Request) (string, bool) {
			name, _, _ := r.BasicAuth()
			return name, name == "ann" // everybody else may look
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/status/", login(page))

	look := httptest.NewRequest("GET", "/status/", nil)
	look.SetBasicAuth("bob", "secret")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, look)
	_, after, _ := strings.Cut(answer.Body.String(), "<title>")
	title, _, _ := strings.Cut(after, "</title>")
	fmt.Println(answer.Code, title)
	// Output: 200 Nothing is being synced · Acme
}
