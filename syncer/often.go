package syncer

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

const (
	// againEvery is how far apart a product may be wanted without being one that is
	// marked again and again, and againBurst how often it may be sooner.
	againEvery = 4 * time.Second
	againBurst = 5
	// oftenBurst is how often requests for nothing but such products may come sooner
	// than they may on the whole.
	oftenBurst = 3
	// perMinute is the quota of a source that does not tell it in requests. Those
	// that it tells are taken to be a minute's.
	perMinute = 60
)

// tooSoon returns how long to wait before a request for nothing but products that
// are marked again and again, such as by a delivery that is sent each second. With
// others they are read at any time, which costs nothing; so they look every few
// seconds whether there are some. A source that cannot pace its reads is taken to
// have no quota.
func (r *stockReader) tooSoon(ctx context.Context, ids []string) (wait time.Duration) {
	if r.s.pacer == nil {
		return 0
	}
	for _, id := range ids {
		if k, ok := r.stock[id]; !ok || k.repeats == nil || k.repeats.Tokens() >= againBurst-1 {
			r.others = append(r.lately(), time.Now())
			return 0
		}
	}
	every := r.oftenEvery(ctx)
	if r.often.SetLimit(rate.Every(every)); r.often.Allow() {
		return 0
	}
	for _, id := range ids {
		r.stock[id].repeats.Allow()
	}
	wait = time.Duration((1-r.often.Tokens())*float64(every)) + time.Millisecond // tokens are not whole
	return min(wait, againEvery)
}

// oftenEvery is how far apart requests for nothing but such products are: they get
// a quarter of what others left of the source's quota in the last minute.
func (r *stockReader) oftenEvery(ctx context.Context) time.Duration {
	limit := float64(perMinute)
	if q := r.s.quotaOf(ctx, "", r.s.source); q != nil && q.Unit == "request" {
		limit = q.Limit
	}
	reads := limit/float64(r.s.need.requests()) - float64(len(r.lately()))
	return time.Duration(float64(time.Minute) / max(1, reads/4))
}

// lately is when there were reads for other products in the last minute.
func (r *stockReader) lately() []time.Time {
	for len(r.others) > 0 && time.Since(r.others[0]) >= time.Minute {
		r.others = r.others[1:]
	}
	return r.others
}
