package queuetest

import (
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// LiveInBubbles is Live by the clocks of bubbles.
func LiveInBubbles(unit time.Duration) Option {
	return func(k *kit) { k.live, k.unit = true, unit }
}

// Queue is what the server keeps, without a fence.
func (s *Server) Queue() *syncer.MemoryQueue { return s.q }

// End ends the term that goes on, as far as the server is concerned.
func (s *Server) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
