package syncer

import (
	"context"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Progress says how far a reconciliation has got.
type Progress struct {
	Run string `json:"run"`
	// Read is the number of products read, and Total how many there were when
	// the run began, or 0 if the source cannot tell.
	Read     int               `json:"read"`
	Total    int               `json:"total,omitempty"`
	Channels []ChannelProgress `json:"channels"`
	// Ends is when the last product will have been read, as far as the source
	// can tell from its quota, or zero.
	Ends time.Time `json:"ends,omitzero"`
}

// A ChannelProgress says how far a reconciliation has got on one channel.
type ChannelProgress struct {
	Channel  string `json:"channel"`
	Compared int    `json:"compared"`
	Written  int    `json:"written"`
	Held     int    `json:"held,omitempty"`
	Failed   int    `json:"failed,omitempty"`
}

// progress gathers what [Hooks.Progress] and [Health] are told. A plan has
// none.
type progress struct {
	s   *Syncer
	ctx context.Context
	mu  channelLock // held while the hook is called
	p   Progress
}

// An estimator is a source that knows its quota.
type estimator interface {
	ReadingTime(ctx context.Context, products int) time.Duration
}

// countWithin is how long a run waits for the number of products, which may cost a
// request of the source's quota.
const countWithin = time.Minute

func (s *Syncer) newProgress(ctx context.Context, r *Report) *progress {
	p := &progress{s: s, ctx: ctx, mu: make(channelLock, 1), p: Progress{Run: r.Run, Channels: make([]ChannelProgress, len(s.targets))}}
	for i, t := range s.targets {
		p.p.Channels[i].Channel = t.name
	}
	if s.hooks.Progress == nil { // a count may cost a request
		last, _ := s.recall(ctx)
		p.p.Total = last.Products
	} else if c, ok := channel.As[channel.Counter](s.source); ok {
		n, err := bounded(ctx, s, "the source: Count", min(s.patience, countWithin), c.Count)
		if err == nil { // without it there is just no total
			p.p.Total = n
		}
	}
	p.show()
	return p
}

func (p *progress) read(ctx context.Context, products int) {
	if p == nil {
		return
	}
	p.tell(func(q *Progress) {
		q.Read, q.Ends = products, time.Time{}
		if e, ok := channel.As[estimator](p.s.source); ok && q.Total > products && p.s.calls.left("the source: ReadingTime") == nil {
			left := q.Total - products
			takes, err := bounded(ctx, p.s, "the source: ReadingTime", maxCounting, func(ctx context.Context) (time.Duration, error) {
				return e.ReadingTime(p.s.need.in(ctx), left), nil
			})
			if err == nil {
				q.Ends = time.Now().Add(takes)
			}
		}
	})
}

func (p *progress) did(i int, c *ChannelReport) {
	p.tell(func(q *Progress) {
		q.Channels[i] = ChannelProgress{c.Channel, c.Checked, c.Updated, c.Held, c.Failed}
	})
}

// tell changes the progress and reports it, one at a time.
func (p *progress) tell(change func(*Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.p)
	told := p.show()
	if p.s.hooks.Progress == nil {
		return
	}
	p.s.hook(p.ctx, "Hooks.Progress", "", "", "", func() { p.s.hooks.Progress(p.ctx, told) })
}

// show has Health tell the progress, and returns a copy.
func (p *progress) show() Progress {
	told := p.p
	told.Channels = slices.Clone(p.p.Channels)
	p.s.underWay.Store(&told)
	return told
}

// end has Health tell that nothing is under way.
func (p *progress) end() { p.s.underWay.Store(nil) }
