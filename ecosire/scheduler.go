package ecosire

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// A scheduler decides which request leaves when. Requests stand in a line, the
// most urgent first, and of these the oldest. What is not urgent leaves enough
// of the quota for urgent work that may come. docs/design.md has the rules.
type scheduler struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when anything below changes
	account account
	sole    bool // nobody else uses the key

	waiting []*place    // the line
	plans   map[any]int // requests that reading a list will still take
	urgent  []time.Time // when urgent requests left in the last minute
	last    time.Time   // the latest of all
	starved time.Time   // when urgent work last had to wait for longer than it should
	let     time.Time   // when pace last let urgent work through, or will
}

func newScheduler(odd *oddities, ceiling int, sole bool) *scheduler {
	return &scheduler{
		account: account{odd: odd, limit: defaultLimit, ceiling: ceiling},
		sole:    sole, changed: make(chan struct{}), plans: make(map[any]int),
	}
}

const (
	// beside is how many requests of a window much urgent work is left beside
	// what is not urgent: one in 1.2 s. alone is the same where nothing waits in
	// the background, at whose cost what is to be done soon would be done.
	beside, alone = 50, 57
	// quiet is after how long without urgent work none is expected.
	quiet = 10 * time.Minute
	// unknown is what work is taken to need that does not tell.
	unknown = 10
	// company is how long after urgent work was let through more may follow: it
	// comes of the same marks, and will share the read.
	company = 50 * time.Millisecond
	// soonEnough is a wait so short that it counts as none.
	soonEnough = time.Millisecond
)

// apart is the time between requests if that many of a full quota are spread over a
// window. It grows as the quota shrinks.
func (s *scheduler) apart(requests int) time.Duration {
	return window / time.Duration(requests) * defaultLimit / time.Duration(s.account.most())
}

// A place is a request's in the line.
type place struct{ urgency channel.Urgency }

type placeKey struct{}

// line gives the request that will be made with the context returned its place
// now. leave must be called afterwards.
func (s *scheduler) line(ctx context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return context.WithValue(ctx, placeKey{}, s.stand(ctx))
}

// leave ends a place in the line whose request may not even have waited, such as when
// its context was done while its key was asked for.
func (s *scheduler) leave(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if me, ok := ctx.Value(placeKey{}).(*place); ok && slices.Contains(s.waiting, me) {
		s.gone(me)
	}
}

// gone takes a place out of the line.
func (s *scheduler) gone(me *place) {
	s.waiting = slices.DeleteFunc(s.waiting, func(other *place) bool { return other == me })
	s.change()
}

func (s *scheduler) stand(ctx context.Context) *place {
	me := &place{channel.UrgencyOf(ctx)}
	s.waiting = append(s.waiting, me)
	slices.SortStableFunc(s.waiting, func(a, b *place) int { return int(a.urgency - b.urgency) })
	return me
}

// wait waits until the caller may send a request.
func (s *scheduler) wait(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	me, _ := ctx.Value(placeKey{}).(*place)
	if !slices.Contains(s.waiting, me) {
		me = s.stand(ctx)
	}
	err := s.until(ctx, func(now time.Time) time.Time { return s.when(me, now) })
	if err == nil {
		now := time.Now()
		if s.account.send(now); me.urgency == channel.Urgent {
			s.urgent, s.last = append(s.lately(now), now), now
		}
	}
	s.gone(me)
	return err
}

// when says when a request may leave, if nothing changes until then.
func (s *scheduler) when(me *place, now time.Time) time.Time {
	before := slices.Index(s.waiting, me)
	if before > 0 && s.waiting[before-1].urgency == me.urgency {
		return now.Add(maxWait) // that one tells
	}
	left, rest := s.account.left(now)
	left -= before // the more urgent
	need, each := s.need()
	switch {
	case left <= 0:
		return now.Add(rest)
	case me.urgency == channel.Urgent, me.urgency == channel.Background && need <= left-s.expected(now, rest):
		return now
	}
	at := now.Add(rest - time.Duration(left)*each)
	// Urgent work that goes on had its last request a moment ago. If it then finds
	// one less, none of its gaps may be too long up to the end of the window.
	if next := s.last.Add(2 * each); at.After(s.last) && at.Before(next) {
		at = next
	}
	if at.After(now) && at.Sub(now) < soonEnough { // where no window has begun it moves on with now
		return now
	}
	return at
}

// need is how many requests work in the background needs, and how far apart are
// those that are left to urgent work beside it.
func (s *scheduler) need() (requests int, each time.Duration) {
	for _, p := range s.waiting {
		if p.urgency == channel.Background {
			requests++
		}
	}
	for _, n := range s.plans {
		requests += n
	}
	switch {
	case requests == 0:
		return 0, s.apart(alone)
	case len(s.plans) == 0:
		return max(requests, unknown), s.apart(beside)
	}
	return requests, s.apart(beside)
}

// expected is how many requests urgent work, and others with the same key, are
// likely to take until the window ends.
func (s *scheduler) expected(now time.Time, rest time.Duration) int {
	part, n := float64(rest)/float64(window), 0.0
	switch {
	case now.Sub(s.starved) < window:
		n = float64(rest / s.apart(beside))
	case now.Sub(s.last) < quiet:
		n = max(2, 1.25*part*float64(len(s.lately(now))))
	}
	if !s.sole {
		n += part * float64(s.account.others)
	}
	return int(math.Ceil(n))
}

// lately is when urgent requests left in the last minute.
func (s *scheduler) lately(now time.Time) []time.Time {
	for len(s.urgent) > 0 && now.Sub(s.urgent[0]) >= window {
		s.urgent = s.urgent[1:]
	}
	return s.urgent
}

// plan tells how many requests a reading will still take; less than none ends it.
func (s *scheduler) plan(reading any, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plans[reading] = requests; requests < 0 {
		delete(s.plans, reading)
	}
	s.change()
}

// answered learns from an answer; nil means that none came.
func (s *scheduler) answered(ctx context.Context, resp *httpx.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account.answered(ctx, resp, time.Now())
	s.change()
}

func (s *scheduler) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits until the time that when says, which is asked again when anything
// changes. It gives the lock away meanwhile.
func (s *scheduler) until(ctx context.Context, when func(now time.Time) time.Time) error {
	for now := time.Now(); ; now = time.Now() {
		at, changed := when(now), s.changed
		if !at.After(now) {
			return nil
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(at.Sub(now)):
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// pace waits until urgent work had better read. Whoever comes meanwhile waits
// for the same moment, so that one request can serve them all.
func (s *scheduler) pace(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.let) > company {
		if s.let = s.let.Add(s.pause(now, requestsOf(ctx))); s.let.Before(now) {
			s.let = now
		}
		if s.let.Sub(now) > s.apart(beside) {
			s.starved = s.let
		}
	}
	let := s.let
	return cmp.Or(s.until(ctx, func(time.Time) time.Time { return let }), ctx.Err())
}

// pause is the least time between two urgent reads, each of that many requests. It
// is 0 while plenty is left of the window, and then spreads the rest evenly over
// it.
func (s *scheduler) pause(now time.Time, requests int) time.Duration {
	left, rest := s.account.left(now)
	if left = max(0, left); time.Duration(left)*s.apart(alone) >= rest {
		return 0
	}
	return min(rest+now.Sub(s.let), maxWait) / time.Duration(left/requests+1)
}

// time estimates how long a number of requests will take.
func (s *scheduler) time(requests int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, rest := s.account.left(time.Now())
	if requests -= max(0, left); requests <= 0 {
		return 0
	}
	return rest + time.Duration((requests-1)/s.account.most())*window
}
