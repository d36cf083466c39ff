//go:build unix

package storm

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A write is what a replica sends to a shop.
type write struct {
	Replica string    `json:"replica"`
	Term    uint64    `json:"term"`
	Updates []updated `json:"updates"`
}

type updated struct {
	SKU      string    `json:"sku"`
	Quantity int       `json:"quantity"`
	AsOf     time.Time `json:"asOf"`
}

// A shop shows what it was told last, without looking at what it showed. It
// takes a while for each write, and gives one up whose sender has gone. It
// notices what must never be.
type shop struct {
	delay time.Duration

	mu       sync.Mutex
	shown    map[string]updated
	inFlight map[string]int
	term     uint64 // the newest that is known of
	writes   []moment
	under    map[string]int // writes under way, by replica
	wrong    map[string]int // by what is wrong
	examples []string
}

// A moment is when a write of a term was applied.
type moment struct {
	term uint64
	at   time.Time
}

// What must never be.
const (
	older   = "writes below a newer one"
	overlap = "writes in flight beside another of the same SKU"
	deposed = "writes under an old term"
)

func newShop(delay time.Duration) *shop {
	return &shop{delay: delay, shown: make(map[string]updated), inFlight: make(map[string]int), under: make(map[string]int), wrong: make(map[string]int)}
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in write
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.URL.Path == "/levels" {
		s.mu.Lock()
		for i, u := range in.Updates {
			in.Updates[i] = updated{SKU: u.SKU, Quantity: s.shown[u.SKU].Quantity}
		}
		s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(in)
		return
	}
	s.begin(&in)
	defer s.end(&in)
	select {
	case <-time.After(s.delay/2 + rand.N(s.delay)):
		s.apply(&in)
	case <-r.Context().Done():
	}
}

func (s *shop) begin(in *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under[in.Replica]++
	if in.Term < s.term {
		s.bad(deposed, "term %d of %s after term %d", in.Term, in.Replica, s.term)
	}
	s.term = max(s.term, in.Term)
	for _, u := range in.Updates {
		if s.inFlight[u.SKU]++; s.inFlight[u.SKU] > 1 {
			s.bad(overlap, "%s by %s in term %d", u.SKU, in.Replica, in.Term)
		}
	}
}

func (s *shop) apply(in *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Term < s.term {
		s.bad(deposed, "term %d of %s was applied after term %d", in.Term, in.Replica, s.term)
	}
	for _, u := range in.Updates {
		if u.AsOf.Before(s.shown[u.SKU].AsOf) {
			s.bad(older, "%s by %s in term %d: %v after %v", u.SKU, in.Replica, in.Term, u.AsOf, s.shown[u.SKU].AsOf)
		}
		s.shown[u.SKU] = u
	}
	s.writes = append(s.writes, moment{in.Term, time.Now()})
}

func (s *shop) end(in *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under[in.Replica]--
	for _, u := range in.Updates {
		s.inFlight[u.SKU]--
	}
}

func (s *shop) bad(what, format string, args ...any) {
	s.wrong[what]++
	if len(s.examples) < 10 {
		s.examples = append(s.examples, what+": "+fmt.Sprintf(format, args...))
	}
}

// leads tells the shop that a term has begun.
func (s *shop) leads(term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.term = max(s.term, term)
}

// writing reports whether a write of a replica is under way.
func (s *shop) writing(replica string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.under[replica] > 0
}

func (s *shop) quantity(sku string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown[sku].Quantity
}

// violations are what was noticed.
func (s *shop) violations() (wrong map[string]int, examples []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong, s.examples
}
