package amazontest

import "time"

// A bucket holds the requests that may be made.
type bucket struct {
	rate, burst float64 // a second
	tokens      float64
	at          time.Time // when tokens was right
}

// newBuckets has the rates that Amazon's models give.
func newBuckets() map[string]*bucket {
	all := make(map[string]*bucket)
	for rate, ids := range map[bucket][]string{
		{rate: 5, burst: 5}:       {"patchListingsItem", "searchListingsItems"},
		{rate: 5, burst: 10}:      {"getListingsItem"},
		{rate: 0.5, burst: 15}:    {"createFeedDocument"},
		{rate: 0.0083, burst: 15}: {"createFeed"},
		{rate: 2, burst: 15}:      {"getFeed", "cancelFeed", "getReport"},
		{rate: 0.0222, burst: 10}: {"getFeeds", "getFeedDocument"},
		{rate: 0.0167, burst: 15}: {"createReport", "getReportDocument"},
	} {
		for _, id := range ids {
			b := rate
			b.tokens, b.at = b.burst, time.Now()
			all[id] = &b
		}
	}
	return all
}

// sliver is what does not count: a client that waited for exactly what was
// missing is not refused for a nanosecond that was rounded off.
const sliver = 1e-5

func (b *bucket) fill() {
	now := time.Now()
	b.tokens = min(b.burst, b.tokens+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
}

func (b *bucket) take() bool {
	b.fill()
	if b.tokens+sliver < 1 {
		return false
	}
	b.tokens = max(0, b.tokens-1)
	return true
}

// Drain uses up requests of an operation, as another process of the same
// application would.
func (s *Server) Drain(operationID string, requests float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[operationID]
	b.fill()
	b.tokens = max(0, b.tokens-requests)
}

// SetRate changes how many requests a second Amazon grants for an operation.
func (s *Server) SetRate(operationID string, perSecond float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[operationID]
	b.fill()
	b.rate = perSecond
}
