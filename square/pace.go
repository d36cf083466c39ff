package square

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	minRate = 0.2  // requests a second
	growth  = 0.02 // of the rate, in requests a second, for each answer
)

// A pacer spreads requests. Square does not tell its limits, and they are the
// account's, so that other applications draw on them too: the rate is halved
// when a request is refused for it, and grows slowly.
type pacer struct {
	limiter *rate.Limiter

	mu     sync.Mutex
	rate   float64
	max    float64
	halved time.Time
}

// newPacer returns one that begins with a rate, goes up to its double, and lets
// so many requests through at once.
func newPacer(begin float64, burst int) *pacer {
	return &pacer{limiter: rate.NewLimiter(rate.Limit(begin), burst), rate: begin, max: 2 * begin}
}

func (p *pacer) wait(ctx context.Context) error { return p.limiter.Wait(ctx) }

// refused takes in a refusal. Requests that were under way when the rate was
// halved tell nothing about the new one.
func (p *pacer) refused(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sent.Before(p.halved) {
		return
	}
	p.halved = time.Now()
	p.set(p.rate / 2)
}

func (p *pacer) passed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate < p.max {
		p.set(p.rate + growth)
	}
}

func (p *pacer) set(r float64) {
	p.rate = min(max(r, minRate), p.max)
	p.limiter.SetLimit(rate.Limit(p.rate))
}
