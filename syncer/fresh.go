package syncer

import (
	"context"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// freshFor is how long a figure that was read for one channel serves the
// others. Each channel works through its marks at its own pace; those that
// are behind by less share a read.
const freshFor = 30 * time.Second

// fresh reads stock for the workers of all channels. A figure serves a task if
// the request for it was sent after the task's last mark.
type fresh struct {
	s     *Syncer
	turn  chan struct{} // holds a token while nobody reads
	stock map[string]channel.Stock
	reads []group // what is in stock, the oldest first
}

func newFresh(s *Syncer) *fresh {
	f := &fresh{s: s, turn: make(chan struct{}, 1), stock: make(map[string]channel.Stock)}
	f.turn <- struct{}{}
	return f
}

// read returns the stock of the tasks' products, by id. Those that the source
// did not answer are missing. Who waits for another's read most often finds
// its own products in it.
func (f *fresh) read(ctx context.Context, tasks []Task) (map[string]channel.Stock, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.turn:
	}
	defer func() { f.turn <- struct{}{} }()
	f.expire(time.Now().Add(-freshFor))

	found := make(map[string]channel.Stock, len(tasks))
	var ids []string
	for _, t := range tasks {
		if s, ok := f.stock[t.ID]; ok && s.AsOf.After(t.Last) {
			found[t.ID] = s
		} else {
			ids = append(ids, t.ID)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	// The lanes know of the read until its figures are forgotten: one of them
	// may be pushed at any time until then.
	g := f.s.begin(time.Now())
	defer func() { f.reads = append(f.reads, g) }()
	for s, err := range f.s.source.Stock(ctx, ids...) {
		if err != nil {
			return nil, err
		}
		if s.AsOf.IsZero() {
			s.AsOf = g.began
		}
		found[s.ProductID] = s
		if s.Err == nil { // else the next attempt must ask again
			f.stock[s.ProductID] = s
		}
		g.stocks = append(g.stocks, s)
	}
	return found, nil
}

// drop makes the next read of products ask the source.
func (f *fresh) drop(productIDs []string) {
	if len(productIDs) == 0 {
		return
	}
	<-f.turn
	defer func() { f.turn <- struct{}{} }()
	for _, id := range productIDs {
		delete(f.stock, id)
	}
}

// tidy forgets what is no longer fresh, again and again until ctx is done. A
// read that nobody forgets would keep the lanes from forgetting, too.
func (f *fresh) tidy(ctx context.Context) {
	for sleep(ctx, freshFor) == nil {
		select {
		case <-f.turn:
			f.expire(time.Now().Add(-freshFor))
			f.turn <- struct{}{}
		default: // somebody reads, and tidies up first
		}
	}
}

// close forgets everything.
func (f *fresh) close() { f.expire(time.Now().Add(time.Hour)) }

// expire forgets what was read before a time.
func (f *fresh) expire(before time.Time) {
	for len(f.reads) > 0 && f.reads[0].began.Before(before) {
		g := f.reads[0]
		for _, s := range g.stocks {
			if f.stock[s.ProductID].AsOf.Equal(s.AsOf) {
				delete(f.stock, s.ProductID)
			}
		}
		for _, t := range f.s.targets {
			t.lane.end(g.began)
		}
		f.reads = f.reads[1:]
	}
}
