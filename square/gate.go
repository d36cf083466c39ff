package square

import (
	"context"
	"sync"

	"github.com/ecosire/stocksync/channel"
)

// A gate lets so many requests be under way at once. Of those that wait it lets
// the most urgent pass first, so that a sale does not queue up behind a
// reconciliation, and then the one that came first.
type gate struct {
	mu      sync.Mutex
	free    int
	waiting [channel.Background + 1][]chan struct{} // each is closed when it may pass
}

// enter waits until a request may begin. leave must be called at its end.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return nil
	}
	urgency := channel.UrgencyOf(ctx)
	turn := make(chan struct{})
	g.waiting[urgency] = append(g.waiting[urgency], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.abandon(urgency, turn)
		return ctx.Err()
	}
}

// abandon takes one that waits out, or passes on the turn that it has got.
func (g *gate) abandon(urgency channel.Urgency, turn chan struct{}) {
	g.mu.Lock()
	for i, other := range g.waiting[urgency] {
		if other == turn {
			g.waiting[urgency] = append(g.waiting[urgency][:i:i], g.waiting[urgency][i+1:]...)
			g.mu.Unlock()
			return
		}
	}
	g.mu.Unlock()
	g.leave()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for urgency, waiting := range g.waiting {
		if len(waiting) > 0 {
			g.waiting[urgency] = waiting[1:]
			close(waiting[0])
			return
		}
	}
	g.free++
}
