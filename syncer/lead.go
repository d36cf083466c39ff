package syncer

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A tenure is a term as the work under it sees it. It travels in the work's
// context: so what is left over of an old term can only ask for things under
// that term, and is refused.
type tenure struct {
	Term
	shared  bool
	id      string             // of no other tenure of any process
	over    context.CancelFunc // ends the work at once
	deposed atomic.Bool        // the queue has said so
	writes  atomic.Int64
	// newChannels reports that a channel was not compared as a whole yet, while
	// others were.
	newChannels bool
}

type tenureKey struct{}

func tenureOf(ctx context.Context) *tenure {
	t, _ := ctx.Value(tenureKey{}).(*tenure)
	return t
}

// on returns the queue for work: the term that ctx belongs to, if it does.
func (s *Syncer) on(ctx context.Context) Queue {
	if t := tenureOf(ctx); t != nil {
		return t.Term
	}
	return s.queue
}

// proven returns an error, and ends the work, if the term that ctx belongs to
// can no longer be proven. It asks the clock, so it is right also where a
// process that slept has not come to cancel anything yet.
func proven(ctx context.Context) error {
	if t := tenureOf(ctx); t != nil && t.Left() <= 0 {
		t.over()
	}
	return ctx.Err()
}

// forever is the term of a queue that only this process has open.
type forever struct{ Queue }

func (forever) Number() uint64               { return 0 }
func (forever) Left() time.Duration          { return math.MaxInt64 }
func (forever) Done() <-chan struct{}        { return nil }
func (forever) Interrupted() []Key           { return nil }
func (forever) Resign(context.Context) error { return nil }

// A Role is what a process does for a queue that several have open.
type Role string

// The roles. A process whose queue is its own has none.
const (
	RoleLeader  Role = "leader"  // it does what Run does
	RoleStandby Role = "standby" // Run runs, and waits until nobody else leads
)

// rank is the role of this process, as Health tells it.
type rank struct {
	mu   sync.Mutex
	role Role
	term *tenure // that it leads in, or led in last
}

func (r *rank) set(role Role, t *tenure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.role = role
	if t != nil {
		r.term = t
	}
}

func (r *rank) get() (Role, *tenure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.role, r.term
}

// knows reports whether this process knows what the channels show and which
// products their SKUs are: it leads, or nobody else can.
func (s *Syncer) knows() bool {
	role, _ := s.rank.get()
	return s.shared == nil || role == RoleLeader
}

// processName is the name by which a process is known if its host gives none.
func processName() string {
	host, _ := os.Hostname() // the number may do
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// lead waits until this process leads. It returns nil if ctx is done first.
func (s *Syncer) lead(ctx context.Context) *tenure {
	t := &tenure{Term: forever{s.queue}, id: rand.Text()[:10]}
	if s.shared == nil {
		return t
	}
	s.rank.set(RoleStandby, nil)
	t.shared = true
	if s.insist(ctx, "Lead", func() (err error) { t.Term, err = s.shared.Lead(ctx, s.name); return err }) != nil {
		return nil
	}
	s.trouble.set(nil)
	_, last := s.rank.get()
	if last == nil || t.Number() != last.Number()+1 {
		s.forget() // another has led meanwhile
	}
	s.rank.set(RoleLeader, t)
	s.logger.LogAttrs(ctx, slog.LevelInfo, "leads", slog.String("name", s.name), slog.Uint64("term", t.Number()),
		slog.Int("interrupted", len(t.Interrupted())))
	s.hooks.leading(ctx, s, LeaderInfo{Name: s.name, Number: t.Number(), Since: time.Now(), Renewed: time.Now()})
	return t
}

// resigning is how long a process that ends tries to hand over.
const resigning = 5 * time.Second

// resign ends a tenure: the term is over, or is resigned so that another
// process leads at once.
func (s *Syncer) resign(ctx context.Context, t *tenure) {
	if !t.shared {
		return
	}
	s.rank.set(RoleStandby, nil)
	lost := t.deposed.Load() || t.Left() <= 0
	if lost {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "leads no longer", slog.String("name", s.name), slog.Uint64("term", t.Number()))
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), resigning)
	defer cancel()
	if err := s.safely(ctx, "the queue: Resign", func() error { return t.Resign(within) }); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "could not resign; another process leads when the lease ends", slog.Any("err", err))
	}
	s.hooks.deposed(ctx, s, t.Number(), lost)
}

// forget drops what this process knows of channels and of the store from an
// earlier term: another process has worked on them since.
func (s *Syncer) forget() {
	s.doubled.forget()
	s.index.forget()
	for _, t := range s.targets {
		t.memory.forget()
		t.troubles.forget()
		t.keeper.mu.Lock()
		t.keeper.read, t.keeper.held = time.Time{}, nil
		t.keeper.mu.Unlock()
	}
}

// serve does what Run does, for one term: until ctx is done, and then for the
// grace, or until the term is over, and then not a moment longer.
func (s *Syncer) serve(ctx context.Context, t *tenure) {
	work, over := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), tenureKey{}, t))
	t.over = over
	accept, stop := context.WithCancel(work)
	defer over()
	lost := t.Done()
	go func() {
		select {
		case <-ctx.Done():
			stop()
			// Calls have a moment to return after their context is done.
			_ = sleepOr(work, s.grace-2*s.returning, lost)
		case <-lost:
		case <-work.Done():
		}
		over()
	}()
	if s.prepareTerm(accept, t) == nil {
		s.labour(accept, work, t)
		if t.Left() > 0 {
			last, cancel := outlive(work, lastWord)
			defer cancel()
			s.keepPending(last)
		}
	}
}

// prepareTerm takes over what the store has from earlier terms.
func (s *Syncer) prepareTerm(accept context.Context, t *tenure) error {
	for _, debt := range s.owed.take() { // of an earlier Run
		debt.settle(accept)
	}
	if err := s.insist(accept, "Load", func() error { return s.checkFormat(accept) }); err != nil {
		return err
	}
	if err := s.insist(accept, "load", func() error { return s.doubled.load(accept, s.on(accept)) }); err != nil {
		return err
	}
	s.forgetPassed()
	if err := s.insist(accept, "Records", func() error { return s.heed(accept) }); err != nil {
		return err
	}
	if err := s.insist(accept, "load", func() error { return s.loadFlights(accept, t.shared) }); err != nil {
		return err
	}
	if t.shared {
		if err := s.insist(accept, "Save", func() error { return s.inherit(accept, t) }); err != nil {
			return err
		}
	}
	if err := s.insist(accept, "load", func() error { return s.recallPending(accept) }); err != nil {
		return err
	}
	if err := s.insist(accept, "Mark", func() error { return s.spreadAll(accept) }); err != nil {
		return err
	}
	s.recollect(accept)
	return s.insist(accept, "lanes", func() error { return s.adopt(accept) })
}
