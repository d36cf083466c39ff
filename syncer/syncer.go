package syncer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Config configures a [Syncer].
type Config struct {
	// Source is the single source of truth, such as an *ecosire.Client.
	// Required.
	Source channel.Source
	// Targets are the channels to keep right. At least one is required; no two
	// may have the same name.
	Targets []Target
	// Logger gets a line for each run and channel, and for each thing that goes
	// wrong; nil means none.
	Logger *slog.Logger

	// Webhooks authenticates and reads the deliveries that the handler of
	// [Syncer.WebhookHandler] gets, such as an *ecosire.Webhooks; nil means that
	// all are refused.
	Webhooks channel.Receiver
	// Queue keeps what is marked until [Syncer.Run] has done it; nil means a
	// [MemoryQueue], which a crash empties.
	Queue Queue
	// Gather is how long Run waits after a mark for more of them, so that a
	// burst costs one request; 0 means 100 ms, and a negative time none.
	Gather time.Duration
	// Grace is how long the work in flight may go on after Run's context is
	// done; 0 means 10 seconds, and a negative time none.
	Grace time.Duration
	// WatchEvery is how often Run asks a source that is a [channel.Watcher] for what
	// changed without an event; 0 means 30 seconds, and a negative time never.
	// Less than 24 seconds counts as 24: that is a sixth of ECOSIRE's quota at
	// the most.
	WatchEvery time.Duration
	// Schedule says when Run reconciles the whole catalogue; nil means
	// [Daily] at 02:00 UTC. See [Never].
	Schedule Schedule
	// ReconcileAtStart makes Run reconcile as soon as it starts.
	ReconcileAtStart bool
	// Reserve is the share of the source's quota that reconciling and planning
	// leave to other work until it is too late for that to use it, where the
	// source knows of such a share; 0 means a sixth, and a negative share none.
	// At ECOSIRE more than a third keeps a steady pace rather than room for a
	// burst, and more than five sixths is no more than that.
	Reserve float64
	// Hooks are called as things happen.
	Hooks Hooks
}

// A Target is a channel, and what of the stock it is to show.
type Target struct {
	// Channel is required.
	Channel channel.Channel
	// Policy decides how many units are shown; nil means [Available].
	Policy Policy
	// Filter chooses the products that the channel is to show at all; nil
	// means all. What it leaves out is neither read nor written there.
	Filter func(channel.Stock) bool
	// Guard limits what a reconciliation may do before anybody has looked.
	Guard Guard
}

// A Syncer keeps what channels show equal to what the source of truth has. It
// is safe for concurrent use; runs may overlap.
type Syncer struct {
	source  channel.Source
	orders  channel.OrderSource // the source too, or nil
	watcher channel.Watcher     // the source too, or nil
	targets []*target
	logger  *slog.Logger

	webhooks   channel.Receiver
	queue      Queue
	gather     time.Duration
	grace      time.Duration
	watchEvery time.Duration
	hooks      Hooks
	schedule   Schedule
	atStart    bool
	reserve    float64

	running     atomic.Bool
	reconciling atomic.Bool
}

// New returns a Syncer. It does no I/O and starts no goroutine.
func New(cfg Config) (*Syncer, error) {
	if cfg.Source == nil {
		return nil, errors.New("syncer: Config.Source is nil: pass the ECOSIRE client")
	}
	if len(cfg.Targets) == 0 {
		return nil, errors.New("syncer: Config.Targets is empty: pass at least one channel")
	}
	s := &Syncer{
		source: cfg.Source, logger: cfg.Logger, webhooks: cfg.Webhooks, queue: cfg.Queue, hooks: cfg.Hooks,
		gather:     cmp.Or(cfg.Gather, 100*time.Millisecond),
		grace:      cmp.Or(cfg.Grace, 10*time.Second),
		watchEvery: cmp.Or(cfg.WatchEvery, 30*time.Second),
		schedule:   cfg.Schedule,
		atStart:    cfg.ReconcileAtStart,
		reserve:    max(0, cmp.Or(cfg.Reserve, 1.0/6)),
	}
	if s.schedule == nil {
		s.schedule = Daily(2, 0, time.UTC)
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.queue == nil {
		s.queue = NewMemoryQueue()
	}
	s.orders, _ = channel.As[channel.OrderSource](cfg.Source)
	if s.watchEvery > 0 {
		s.watchEvery = max(s.watchEvery, leastWatchWait)
		s.watcher, _ = channel.As[channel.Watcher](cfg.Source)
	}
	for i, t := range cfg.Targets {
		if t.Channel == nil {
			return nil, fmt.Errorf("syncer: Config.Targets[%d].Channel is nil", i)
		}
		full := newTarget(t)
		if full.name == "" {
			return nil, fmt.Errorf("syncer: Config.Targets[%d]: the channel has no name: reports and logs could not tell it apart", i)
		}
		if slices.ContainsFunc(s.targets, func(o *target) bool { return o.name == full.name }) {
			return nil, fmt.Errorf("syncer: Config.Targets: two channels are named %q: give each its own name", full.name)
		}
		s.targets = append(s.targets, full)
	}
	return s, nil
}

// ErrNoProduct: the source did not answer a product that it was asked for. Its
// stock is unknown, and is changed nowhere.
var ErrNoProduct = errors.New("the source did not answer this product")

// SyncProducts reads the named products at the source and makes every channel
// show them, now. With no ids it does nothing; see [Syncer.Reconcile] for the
// whole catalogue.
//
// Each channel is read first and only its differences are written, what could
// be sold twice first. Channels do not wait for one another: one that is slow
// or down does not delay or fail the rest, though SyncProducts returns only
// when all are done or ctx is.
//
// What could not be done for a product is in the report. The error is not nil
// if the source could not be read to the end or ctx is done; the report then
// tells how far it came.
func (s *Syncer) SyncProducts(ctx context.Context, productIDs ...string) (*Report, error) {
	r := s.newReport("sync")
	ctx = channel.WithRun(ctx, r.Run)
	// Room for all groups: a slow channel must not keep the others waiting.
	fan := s.fanOut(ctx, groups(len(productIDs)), func(ctx context.Context, i int, g group) {
		s.targets[i].show(ctx, g.stocks, nil, &r.Channels[i])
	})
	failed := s.named(ctx, r, fan, productIDs)
	fan.wait()
	return s.finish(ctx, r, failed)
}

// newReport begins the report of a run.
func (s *Syncer) newReport(kind string) *Report {
	r := &Report{
		Run:      newRunName(kind),
		Started:  time.Now(),
		Channels: make([]ChannelReport, len(s.targets)),
	}
	for i, t := range s.targets {
		r.Channels[i].Channel = t.name
		r.Channels[i].observe = s.hooks.Changed
	}
	s.meter(r, -1)
	return r
}

// meter adds what the source and the channels have sent so far to the run's
// requests, or takes it off.
func (s *Syncer) meter(r *Report, sign int64) {
	if r.Requests == nil {
		r.Requests = make(map[string]int64)
	}
	if m, ok := channel.As[channel.Meter](s.source); ok {
		r.Requests[""] += sign * m.Requests()
	}
	for _, t := range s.targets {
		if m, ok := channel.As[channel.Meter](t.Channel); ok {
			r.Requests[t.name] += sign * m.Requests()
		}
	}
}

// newRunName names a run so that it can be found in a shop's history.
func newRunName(kind string) string {
	return kind + "-" + time.Now().UTC().Format("20060102T150405Z") + "-" + rand.Text()[:8]
}

// finish ends the report of a run, and logs it.
func (s *Syncer) finish(ctx context.Context, r *Report, failed error) (*Report, error) {
	r.Duration = time.Since(r.Started)
	s.meter(r, +1)
	r.Held = r.planOf(func(c ChannelReport) []Line { return c.held })
	r.Replanned = r.planOf(func(c ChannelReport) []Line { return c.replanned })
	for _, c := range r.Channels {
		level := slog.LevelInfo
		attrs := []slog.Attr{
			slog.String("run", r.Run), slog.String("channel", c.Channel),
			slog.Int("checked", c.Checked), slog.Int("updated", c.Updated), slog.Int("unchanged", c.Unchanged),
			slog.Int("unknown", c.Unknown), slog.Int("failed", c.Failed), slog.Duration("took", r.Duration),
		}
		if c.Failed > 0 {
			level = slog.LevelWarn
			attrs = append(attrs, slog.Any("err", cmp.Or(c.Err, firstFailure(c.Problems))))
		}
		s.logger.LogAttrs(ctx, level, "channel synced", attrs...)
	}
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "run not completed", slog.String("run", r.Run), slog.Any("err", failed))
		return r, fmt.Errorf("syncer: %s: %w", r.Run, failed)
	}
	return r, nil
}
