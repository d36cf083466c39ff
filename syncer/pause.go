package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// A Pause says that somebody has paused a channel; see [Syncer.Pause].
type Pause struct {
	Channel string    `json:"channel"`
	Who     string    `json:"who"`
	Since   time.Time `json:"since"`
}

// ErrPaused: the channel is paused. It was not asked anything.
var ErrPaused = errors.New("the channel is paused")

// Pause stops all work on a channel until somebody calls Resume, as for a
// shop's maintenance, or while a person changes it by hand. who is the name of
// the person or program that pauses, and is required.
//
// A pause is a record where the queue keeps things: it outlives the process
// where the queue does, and holds for all processes that share the queue. When
// Pause returns nil, nothing more is asked of the channel in this process but
// what is under way, and within five seconds wherever Run works. No other
// channel notices.
//
// Nothing is lost meanwhile. Marks wait for the channel, and their products are
// read when it is resumed. SyncProducts and Apply mark what they would have
// done there. Approve keeps an approval until then, as long as that is valid.
// A run over the catalogue passes the channel by and is as complete as if it
// had no such target; if it has a Schedule, Run makes another one when the
// channel is resumed. Each report says so in [ChannelReport].Paused, which is no
// error, since somebody has decided it. Plan fails with [ErrPaused].
//
// A channel that is paused already stays so, by whoever paused it first.
func (s *Syncer) Pause(ctx context.Context, channel, who string) error {
	p := &Pause{Channel: channel, Who: strings.TrimSpace(who), Since: time.Now()}
	return s.setPause(ctx, "Pause", p, func(old *Pause) (value []byte, err error) {
		if old != nil {
			return nil, nil
		}
		return json.Marshal(p)
	})
}

// Resume ends a Pause. The products that were marked meanwhile are due at once.
// who is as for Pause. Of a channel that is not paused it does nothing.
func (s *Syncer) Resume(ctx context.Context, channel, who string) error {
	return s.setPause(ctx, "Resume", &Pause{Channel: channel, Who: strings.TrimSpace(who)}, func(old *Pause) ([]byte, error) {
		if old == nil {
			return nil, nil
		}
		return resumption, nil
	})
}

const (
	// pauseSet has a record for each channel that is paused, and one for each
	// that a run over the catalogue has passed by.
	pauseSet  = "pauses"
	pausedKey = "paused/"
	passedKey = "passed/"
	// pauseEvery is how often Run looks for pauses that other processes have made.
	pauseEvery = 5 * time.Second
)

// resumption stands for the end of a pause.
var resumption = []byte{}

// setPause saves what change makes of the pause of a channel, if that is anything.
func (s *Syncer) setPause(ctx context.Context, op string, p *Pause, change func(old *Pause) (value []byte, err error)) error {
	i := slices.IndexFunc(s.targets, func(t *target) bool { return t.name == p.Channel })
	switch {
	case i < 0:
		return fmt.Errorf("syncer: %s: there is no channel %q", op, p.Channel)
	case p.Who == "":
		return fmt.Errorf("syncer: %s: who is empty: whoever pauses or resumes has a name", op)
	}
	t := s.targets[i]
	s.pauses.mu.Lock()
	defer s.pauses.tell()
	err := s.heedLocked(ctx)
	var value []byte
	if err == nil {
		value, err = change(t.pause.get())
	}
	if err != nil || value == nil {
		return wrapped("syncer: "+op, err)
	}
	e := Entry{Kind: EntryPaused, Channel: t.name, Why: "by " + p.Who}
	if len(value) == 0 {
		value, e.Kind = nil, EntryResumed
	}
	if err := s.on(ctx).Save(ctx, pauseSet, Record{pausedKey + t.name, value}); err != nil {
		return fmt.Errorf("syncer: %s: %w", op, err)
	}
	if value == nil {
		s.resumed(ctx, t, p.Who)
	} else {
		s.paused(ctx, t, p)
	}
	s.journal.write(ctx, e)
	return nil
}

func wrapped(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}

// pauses is what a syncer keeps of the pauses of its channels.
type pauses struct {
	mu   channelLock // of reading and changing them in the store
	told []func()    // hooks to be called without the lock
	// owed reports that a run over the catalogue is to be made up for, and due
	// has a token then.
	owed atomic.Bool
	due  chan struct{}
}

// tell ends the lock, and calls the hooks: these may ask how things are.
func (p *pauses) tell() {
	told := p.told
	p.told = nil
	p.mu.Unlock()
	for _, f := range told {
		f()
	}
}

// A pausing is whether a channel is paused.
type pausing struct {
	mu   sync.Mutex
	now  *Pause
	over chan struct{} // closed at the end of now
	// passed reports that a run over the catalogue passed the channel by.
	passed bool
}

func (p *pausing) get() *Pause {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// err returns an error while the channel is paused.
func (p *pausing) err() error {
	if now := p.get(); now != nil {
		return fmt.Errorf("%w since %s, by %s", ErrPaused, clock(now.Since), text.Clean(now.Who))
	}
	return nil
}

// wait waits until the channel is not paused.
func (p *pausing) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		over := p.over
		p.mu.Unlock()
		if over == nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
		}
	}
}

// set changes what is known, and returns what was.
func (p *pausing) set(now *Pause) (was *Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, p.now = p.now, now
	switch {
	case now == nil && p.over != nil:
		close(p.over)
		p.over = nil
	case now != nil && p.over == nil:
		p.over = make(chan struct{})
	}
	return was
}

func (s *Syncer) paused(ctx context.Context, t *target, p *Pause) {
	if t.pause.set(p) != nil {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "channel paused", slog.String("channel", t.name), slog.String("who", text.Clean(p.Who)),
		slog.Time("since", p.Since))
	s.pauses.told = append(s.pauses.told, func() { s.hooks.paused(ctx, s, *p) })
}

// resumed ends a pause. who may not be known.
func (s *Syncer) resumed(ctx context.Context, t *target, who string) {
	was := t.pause.set(nil)
	if was == nil {
		return
	}
	t.pause.mu.Lock()
	passed := t.pause.passed
	t.pause.mu.Unlock()
	if passed {
		s.oweRun()
	}
	after := time.Since(was.Since)
	s.logger.LogAttrs(logs.With(ctx, "who", text.Clean(who)), slog.LevelInfo, "channel resumed", slog.String("channel", t.name), slog.Duration("after", after))
	s.pauses.told = append(s.pauses.told, func() { s.hooks.resumed(ctx, s, t.name, after) })
}

// oweRun has the schedule make a run over the catalogue.
func (s *Syncer) oweRun() {
	s.pauses.owed.Store(true)
	select {
	case s.pauses.due <- struct{}{}:
	default:
	}
}

// owesRun reports whether a run over the catalogue is to be made up for, once.
func (s *Syncer) owesRun() bool { return s.pauses.owed.Swap(false) }

// heed reads which channels are paused.
func (s *Syncer) heed(ctx context.Context) error {
	s.pauses.mu.Lock()
	defer s.pauses.tell()
	return s.heedLocked(ctx)
}

func (s *Syncer) heedLocked(ctx context.Context) error {
	found, passed := make(map[string]*Pause), make(map[string]bool)
	for rec, err := range s.on(ctx).Records(ctx, pauseSet, "") {
		if err != nil {
			return fmt.Errorf("which channels are paused: %w", err)
		}
		if name, ok := strings.CutPrefix(rec.Key, passedKey); ok {
			passed[name] = true
		} else if name, ok := strings.CutPrefix(rec.Key, pausedKey); ok {
			p := new(Pause)
			if json.Unmarshal(rec.Value, p) != nil { // what is not known to be wanted is not done
				p = &Pause{Channel: name, Who: "an unreadable record", Since: time.Now()}
			}
			found[name] = p
		}
	}
	for _, t := range s.targets {
		p := found[t.name]
		t.pause.mu.Lock()
		missed := passed[t.name] && !t.pause.passed && p == nil && t.pause.now == nil
		t.pause.passed = passed[t.name]
		t.pause.mu.Unlock()
		switch {
		case p != nil:
			s.paused(ctx, t, p)
		case missed: // it was resumed while nobody ran
			s.oweRun()
		default:
			s.resumed(ctx, t, "")
		}
	}
	return nil
}

// heedPauses looks for pauses that other processes have made, for as long as
// Run works.
func (s *Syncer) heedPauses(accept context.Context) {
	for failed := false; sleep(accept, pauseEvery) == nil; {
		err := s.safely(accept, "the queue: Records", func() error { return s.heed(accept) })
		if err != nil && accept.Err() == nil && !failed {
			s.logger.LogAttrs(accept, slog.LevelWarn, "whether a channel is paused is not known; what was known goes on", slog.Any("err", err))
		}
		failed = err != nil
	}
}
