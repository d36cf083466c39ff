package syncer

// OpenRuns is how many runs the lanes wait for. When all work is over there is
// none: one that was never ended would have its lane remember everything.
func (s *Syncer) OpenRuns() (n int) {
	for _, t := range s.targets {
		t.lane.mu.Lock()
		n += len(t.lane.open)
		t.lane.mu.Unlock()
	}
	return n
}
