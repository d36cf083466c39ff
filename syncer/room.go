package syncer

import "sync"

// A room is what a pass of a night makes its wants and results in, and the next one
// again: these are most of what a product costs in memory, and are garbage as
// soon as they are added up. What they hold on to goes with the night. A nil room
// has none.
type room struct {
	wants   []want
	results []result
	taken   bool // the wants are in use
}

// takeWants returns an empty slice for n wants.
func (r *room) takeWants(n int) []want {
	if r == nil || r.taken {
		return make([]want, 0, n)
	}
	if cap(r.wants) < n {
		r.wants = make([]want, 0, n)
	}
	r.taken = true
	return r.wants
}

// takeResults returns an empty slice for n results.
func (r *room) takeResults(n int) []result {
	if r == nil || cap(r.results) < n {
		return make([]result, 0, n)
	}
	return r.results
}

// rooms are those of a night that no pass is in.
type rooms struct {
	mu   sync.Mutex
	free []*room
}

func (r *rooms) get() *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.free)
	if n == 0 {
		return new(room)
	}
	one := r.free[n-1]
	r.free = r.free[:n-1]
	return one
}

// put takes a room back with the results that were made in it, of which nobody
// needs anything any more.
func (r *rooms) put(one *room, results []result) {
	one.results, one.taken = results[:0], false
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, one)
}
