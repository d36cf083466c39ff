package queuetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// A Server is a [syncer.SharedQueue] in memory, for tests of several replicas in
// one process, also in a bubble of testing/synctest. It keeps what
// [TestShared] checks. Nothing in it survives the process.
type Server struct {
	lease time.Duration

	mu sync.Mutex // nothing waits while it is held
	// q is in order at each moment: what a term does and what is remembered of
	// it is one step.
	q *syncer.MemoryQueue
	// The term that goes on, or the last one.
	info     syncer.LeaderInfo
	over     bool
	renewals int
	leased   map[syncer.Key]syncer.Task
}

// NewServer returns an empty queue whose terms last for lease unless they are
// renewed.
func NewServer(lease time.Duration) *Server {
	return &Server{lease: lease, q: syncer.NewMemoryQueue(), over: true, leased: make(map[syncer.Key]syncer.Task)}
}

// Open returns another process's handle.
func (s *Server) Open() *Client { return &Client{server: s} }

// A Client is one process's handle on a [Server].
type Client struct {
	server *Server
	mu     sync.Mutex
	cut    bool
}

var _ syncer.SharedQueue = (*Client)(nil)

var errCut = errors.New("queuetest: cut off from the server")

// Cut cuts the process off from the server, until mend is called: its calls
// fail, and its term is not renewed.
func (c *Client) Cut() (mend func()) {
	set := func(cut bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cut = cut
	}
	set(true)
	return func() { set(false) }
}

func (c *Client) reach(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errCut
	}
	return ctx.Err()
}

// Mark implements [syncer.Queue].
func (c *Client) Mark(ctx context.Context, marks ...syncer.Mark) error {
	if err := c.reach(ctx); err != nil {
		return err
	}
	return c.server.q.Mark(ctx, marks...)
}

// Depth implements [syncer.Queue].
func (c *Client) Depth(ctx context.Context, lane string) (syncer.Depth, error) {
	if err := c.reach(ctx); err != nil {
		return syncer.Depth{}, err
	}
	return c.server.q.Depth(ctx, lane)
}

// Save implements [syncer.Store].
func (c *Client) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if err := c.reach(ctx); err != nil {
		return err
	}
	return c.server.q.Save(ctx, set, records...)
}

// Load implements [syncer.Store].
func (c *Client) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	return c.server.q.Load(ctx, set, key)
}

// Records implements [syncer.Store].
func (c *Client) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	return func(yield func(syncer.Record, error) bool) {
		if err := c.reach(ctx); err != nil {
			yield(syncer.Record{}, err)
			return
		}
		c.server.q.Records(ctx, set, from)(yield)
	}
}

// Lease implements [syncer.SharedQueue]. It fails, as Wait, Ack and Retry do.
func (c *Client) Lease(context.Context, string, int) ([]syncer.Task, error) {
	return nil, syncer.ErrDeposed
}

// Wait implements [syncer.SharedQueue].
func (c *Client) Wait(context.Context, string) error { return syncer.ErrDeposed }

// Ack implements [syncer.SharedQueue].
func (c *Client) Ack(context.Context, ...syncer.Task) error { return syncer.ErrDeposed }

// Retry implements [syncer.SharedQueue].
func (c *Client) Retry(context.Context, time.Time, ...syncer.Task) error { return syncer.ErrDeposed }

// Leader implements [syncer.SharedQueue].
func (c *Client) Leader(ctx context.Context) (syncer.LeaderInfo, error) {
	if err := c.reach(ctx); err != nil {
		return syncer.LeaderInfo{}, err
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || time.Since(s.info.Renewed) > s.lease {
		return syncer.LeaderInfo{}, syncer.ErrNoLeader
	}
	return s.info, nil
}

// Lead implements [syncer.SharedQueue].
func (c *Client) Lead(ctx context.Context, self string) (syncer.Term, error) {
	seen, since := -1, time.Now()
	for {
		sent := time.Now()
		if err := c.reach(ctx); err == nil {
			s := c.server
			s.mu.Lock()
			if s.renewals != seen {
				seen, since = s.renewals, sent
			}
			if s.over || sent.Sub(since) >= s.lease+s.lease/4 {
				t := c.begin(self)
				s.mu.Unlock()
				t.until = sent.Add(s.lease)
				go t.renew()
				return t, nil
			}
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(c.server.lease / 10):
		}
	}
}

// begin begins a term. mu of the server is held.
func (c *Client) begin(self string) *term {
	s, now := c.server, time.Now()
	s.free()
	s.info = syncer.LeaderInfo{Name: self, Number: s.info.Number + 1, Since: now, Renewed: now}
	s.over = false
	s.renewals++
	t := &term{Client: c, number: s.info.Number, interrupted: slices.Collect(maps.Keys(s.leased)), done: make(chan struct{})}
	clear(s.leased)
	return t
}

// free makes what is leased due. mu is held.
func (s *Server) free() {
	tasks := slices.Collect(maps.Values(s.leased))
	_ = s.q.Retry(context.Background(), time.Time{}, tasks...) // fails for a done context only
}

// A term is a Client that leads.
type term struct {
	*Client
	number      uint64
	interrupted []syncer.Key

	mu    sync.Mutex
	until time.Time // no other term begins before
	done  chan struct{}
	ended bool // done is closed
}

// renew renews the term until it is over.
func (t *term) renew() {
	s := t.server
	for {
		select {
		case <-t.done:
			return
		case <-time.After(min(s.lease/5, t.Left())):
		}
		sent := time.Now()
		err := t.reach(context.Background())
		if err == nil {
			s.mu.Lock()
			if err = t.holds(); err == nil {
				s.info.Renewed = sent
				s.renewals++
			}
			s.mu.Unlock()
		}
		t.mu.Lock()
		if err == nil {
			t.until = sent.Add(s.lease)
		}
		if errors.Is(err, syncer.ErrDeposed) || !time.Now().Before(t.until) {
			t.end()
		}
		t.mu.Unlock()
	}
}

// end closes done. mu is held.
func (t *term) end() {
	if !t.ended {
		t.ended = true
		close(t.done)
	}
}

// holds tells whether the server has this term. Its mu is held.
func (t *term) holds() error {
	if t.server.over || t.server.info.Number != t.number {
		return fmt.Errorf("queuetest: term %d: %w", t.number, syncer.ErrDeposed)
	}
	return nil
}

// do calls f, in one step with the check that the term goes on.
func (t *term) do(ctx context.Context, f func(q *syncer.MemoryQueue) error) error {
	if t.Left() == 0 {
		return fmt.Errorf("queuetest: term %d: %w", t.number, syncer.ErrDeposed)
	}
	if err := t.reach(ctx); err != nil {
		return err
	}
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	if err := t.holds(); err != nil {
		return err
	}
	return f(t.server.q)
}

func (t *term) Lease(ctx context.Context, lane string, n int) (tasks []syncer.Task, err error) {
	err = t.do(ctx, func(q *syncer.MemoryQueue) error {
		tasks, err = q.Lease(ctx, lane, n)
		for _, task := range tasks {
			t.server.leased[task.Key] = task
		}
		return err
	})
	return tasks, err
}

func (t *term) Ack(ctx context.Context, tasks ...syncer.Task) error {
	return t.do(ctx, func(q *syncer.MemoryQueue) error {
		t.forget(tasks)
		return q.Ack(ctx, tasks...)
	})
}

func (t *term) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	return t.do(ctx, func(q *syncer.MemoryQueue) error {
		t.forget(tasks)
		return q.Retry(ctx, at, tasks...)
	})
}

func (t *term) forget(tasks []syncer.Task) {
	for _, task := range tasks {
		if t.server.leased[task.Key].Token == task.Token {
			delete(t.server.leased, task.Key)
		}
	}
}

func (t *term) Save(ctx context.Context, set string, records ...syncer.Record) error {
	return t.do(ctx, func(q *syncer.MemoryQueue) error { return q.Save(ctx, set, records...) })
}

func (t *term) Wait(ctx context.Context, lane string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-t.done:
			cancel(fmt.Errorf("queuetest: term %d: %w", t.number, syncer.ErrDeposed))
		}
	}()
	if t.Left() == 0 {
		return fmt.Errorf("queuetest: term %d: %w", t.number, syncer.ErrDeposed)
	}
	if err := t.server.q.Wait(ctx, lane); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (t *term) Number() uint64 { return t.number }

func (t *term) Left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return 0
	}
	return max(0, time.Until(t.until))
}

func (t *term) Done() <-chan struct{} { return t.done }

func (t *term) Interrupted() []syncer.Key { return slices.Clone(t.interrupted) }

func (t *term) Resign(ctx context.Context) error {
	t.mu.Lock()
	over := t.ended
	t.end()
	t.mu.Unlock()
	if over {
		return nil
	}
	if err := t.reach(ctx); err != nil {
		return err
	}
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	if t.holds() == nil {
		t.server.free()
		t.server.over = true
	}
	return nil
}
