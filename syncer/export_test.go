package syncer

import (
	"context"
	"net/http"
)

// OpenRuns is how many runs the lanes wait for. When all work is over there is
// none: one that was never ended would have its lane remember everything.
func (s *Syncer) OpenRuns() (n int) {
	for _, t := range s.targets {
		t.locks.mu.Lock()
		n += len(t.locks.open)
		t.locks.mu.Unlock()
	}
	return n
}

// Unobserved does what is done for hooks that nobody set, for each call,
// delivery, mark and turn.
func Unobserved(ctx context.Context) {
	s, r := &unobserved, &unobservedRequest
	s.reporting(ctx, "a")
	_, done := s.hooks.delivered(s, r)
	done(200)
	s.trace(ctx)
	d := s.newDelays()
	d.shown(Task{})
	d.get()
	s.gotOn()
	s.tellHealth(ctx)()
}

var (
	unobserved        Syncer
	unobservedRequest http.Request
)
