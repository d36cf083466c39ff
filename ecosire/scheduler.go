package ecosire

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// A scheduler decides which request leaves when. Of those that wait the most
// urgent leaves first, and of these the oldest. What is not urgent leaves enough
// of the quota for urgent work that may come. docs/design.md has the rules.
type scheduler struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when anything below changes
	account account
	sole    bool // nobody else uses the key

	waiting [channel.Background + 1][]*place // the oldest first
	plans   map[any]int                      // requests that reading a list will still take
	urgent  []time.Time                      // when urgent requests left in the last minute
	last    time.Time                        // the latest of all
	starved time.Time                        // when urgent work last had to wait for longer than spacing
	let     time.Time                        // when pace last let urgent work through, or will
}

func newScheduler(odd *oddities, ceiling int, sole bool) *scheduler {
	return &scheduler{
		account: account{odd: odd, limit: defaultLimit, ceiling: ceiling},
		sole:    sole, changed: make(chan struct{}), plans: make(map[any]int),
	}
}

const (
	// spacing is how far apart much urgent work is read at most. What is not
	// urgent leaves a request for each.
	spacing = window / 50
	// closest is the same where nothing waits in the background, at whose cost
	// what is to be done soon would be done.
	closest = window / 57
	// quiet is after how long without urgent work none is expected.
	quiet = 10 * time.Minute
	// unknown is what work is taken to need that does not tell.
	unknown = 10
	// company is how long after urgent work was let through more may follow: it
	// comes of the same marks, and will share the read.
	company = 50 * time.Millisecond
)

// A place is one in the line of those that wait.
type place struct{ urgency channel.Urgency }

type placeKey struct{}

// line gives the request that will be made with the context returned its place
// now.
func (s *scheduler) line(ctx context.Context) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return context.WithValue(ctx, placeKey{}, s.stand(ctx))
}

func (s *scheduler) stand(ctx context.Context) *place {
	p := &place{channel.UrgencyOf(ctx)}
	s.waiting[p.urgency] = append(s.waiting[p.urgency], p)
	return p
}

func (s *scheduler) leave(p *place) {
	s.waiting[p.urgency] = slices.DeleteFunc(s.waiting[p.urgency], func(other *place) bool { return other == p })
	s.change()
}

// wait waits until the caller may send a request.
func (s *scheduler) wait(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	me, ok := ctx.Value(placeKey{}).(*place)
	if !ok || !slices.Contains(s.waiting[me.urgency], me) {
		me = s.stand(ctx)
	}
	defer s.leave(me)
	for {
		now := time.Now()
		first, at := s.next(now)
		if first == me && !at.After(now) {
			s.account.send(now)
			if me.urgency == channel.Urgent {
				s.urgent, s.last = append(s.urgent, now), now
			}
			return nil
		}
		if first != me {
			at = now.Add(maxWait) // whoever is first tells
		}
		if err := s.sleep(ctx, at); err != nil {
			return err
		}
	}
}

// next says who leaves next, and when if nothing changes until then.
func (s *scheduler) next(now time.Time) (first *place, at time.Time) {
	for urgency, waiting := range s.waiting {
		if len(waiting) == 0 {
			continue
		}
		if when := s.when(channel.Urgency(urgency), now); first == nil || when.Before(at) {
			first, at = waiting[0], when
		}
		if !at.After(now) {
			break
		}
	}
	return first, at
}

// when says when work of an urgency may leave.
func (s *scheduler) when(urgency channel.Urgency, now time.Time) time.Time {
	left, rest := s.account.left(now)
	each := spacing
	if urgency == channel.Soon && len(s.waiting[channel.Background]) == 0 {
		each = closest
	}
	free := time.Duration(left) * each * defaultLimit / time.Duration(s.account.most())
	switch {
	case left <= 0:
		return now.Add(rest)
	case urgency == channel.Urgent, urgency == channel.Background && s.need() <= left-s.expected(now, rest):
		return now
	}
	return now.Add(rest - free)
}

// need is how many requests work in the background needs.
func (s *scheduler) need() int {
	need := len(s.waiting[channel.Background])
	for _, n := range s.plans {
		need += n
	}
	if len(s.plans) == 0 {
		return max(need, unknown)
	}
	return need
}

// expected is how many requests urgent work, and others with the same key, are
// likely to take until the window ends.
func (s *scheduler) expected(now time.Time, rest time.Duration) int {
	for len(s.urgent) > 0 && now.Sub(s.urgent[0]) >= window {
		s.urgent = s.urgent[1:]
	}
	part, n := float64(rest)/float64(window), 0.0
	switch {
	case now.Sub(s.starved) < window:
		n = part * float64(window/spacing)
	case now.Sub(s.last) < quiet:
		n = max(2, 1.25*part*float64(len(s.urgent)))
	}
	if !s.sole {
		n += part * float64(s.account.others)
	}
	return int(math.Ceil(n))
}

// plan tells how many requests a reading will still take, until done.
func (s *scheduler) plan(reading any, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans[reading] = max(0, requests)
}

func (s *scheduler) done(reading any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.plans, reading)
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

// sleep waits until a time, or until something changes. It gives the lock away
// meanwhile.
func (s *scheduler) sleep(ctx context.Context, until time.Time) error {
	changed := s.changed
	s.mu.Unlock()
	defer s.mu.Lock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-timer.C:
	}
	return nil
}

// pace waits until urgent work had better read. Whoever comes meanwhile waits
// for the same moment, so that one request can serve them all.
func (s *scheduler) pace(ctx context.Context) error {
	warehouses, total := channel.Warehouses(ctx)
	requests := len(warehouses)
	if total || requests > 1 {
		requests++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.let) > company {
		if s.let = s.let.Add(s.pause(now, requests)); s.let.Before(now) {
			s.let = now
		}
		if s.let.Sub(now) > spacing {
			s.starved = s.let
		}
	}
	for at := s.let; now.Before(at); now = time.Now() {
		if err := s.sleep(ctx, at); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pause is the least time between two urgent reads, each of that many requests. It
// is 0 while plenty is left of the window, and then spreads the rest evenly over
// it.
func (s *scheduler) pause(now time.Time, requests int) time.Duration {
	left, rest := s.account.left(now)
	if left = max(0, left); time.Duration(left)*closest >= rest {
		return 0
	}
	return min(rest+now.Sub(s.let), maxWait) / time.Duration(left/requests+1)
}

// time estimates how long so many requests will take.
func (s *scheduler) time(requests int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, rest := s.account.left(time.Now())
	if requests -= max(0, left); requests <= 0 {
		return 0
	}
	return rest + time.Duration((requests-1)/s.account.most())*window
}
