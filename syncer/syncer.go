package syncer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
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
	// Logger gets a line for each run and channel; nil means none.
	Logger *slog.Logger
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
}

// A Syncer keeps what channels show equal to what the source of truth has. It
// is safe for concurrent use; runs may overlap.
type Syncer struct {
	source  channel.Source
	targets []*target
	logger  *slog.Logger
}

// New returns a Syncer. It does no I/O and starts no goroutine.
func New(cfg Config) (*Syncer, error) {
	if cfg.Source == nil {
		return nil, errors.New("syncer: Config.Source is nil: pass the ECOSIRE client")
	}
	if len(cfg.Targets) == 0 {
		return nil, errors.New("syncer: Config.Targets is empty: pass at least one channel")
	}
	s := &Syncer{source: cfg.Source, logger: cfg.Logger}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
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
	ids := slices.Compact(slices.Sorted(slices.Values(productIDs)))
	r := s.newReport("sync")
	// Room for all groups: a slow channel must not keep the others waiting.
	fan := s.fanOut(channel.WithRun(ctx, r.Run), r, (len(ids)+groupSize-1)/groupSize)
	var failed error
	for some := range slices.Chunk(ids, groupSize) {
		if failed != nil {
			r.unread(failed, some...)
			continue
		}
		g := s.begin()
		failed = s.read(ctx, r, &g, some)
		fan.send(g)
	}
	fan.wait()
	return s.finish(ctx, r, failed)
}

// read reads products by their ids into g. Those that the source does not
// answer become problems; those that it was not asked for are left out, and of
// one that comes twice the newer figure counts.
func (s *Syncer) read(ctx context.Context, r *Report, g *group, ids []string) error {
	found := make(map[string]channel.Stock, len(ids))
	var failed error
	for stock, err := range s.source.Stock(ctx, ids...) {
		if err != nil {
			failed = err
			break
		}
		if old, twice := found[stock.ProductID]; !twice || stock.AsOf.After(old.AsOf) {
			found[stock.ProductID] = stock
		}
	}
	for _, id := range ids {
		stock, ok := found[id]
		switch {
		case ok:
			r.add(g, stock)
		case failed != nil:
			r.unread(failed, id)
		default:
			r.unread(ErrNoProduct, id)
		}
	}
	return failed
}

// Reconcile reads the whole catalogue at the source and makes every channel
// show it, group by group: what is written was read moments before.
//
// A source that fails or turns out incomplete ends the run with its error;
// what was read until then is dealt with, and nothing else is touched.
func (s *Syncer) Reconcile(ctx context.Context) (*Report, error) {
	r := s.newReport("reconcile")
	ctx = channel.WithRun(ctx, r.Run)
	s.preload(ctx)
	fan := s.fanOut(ctx, r, 1)
	var failed error
	g := s.begin()
	for stock, err := range s.source.Stock(ctx) {
		if err != nil {
			failed = err
			break
		}
		r.add(&g, stock)
		if len(g.stocks) == groupSize {
			fan.send(g)
			g = s.begin()
		}
	}
	fan.send(g)
	fan.wait()
	return s.finish(ctx, r, failed)
}

func (s *Syncer) preload(ctx context.Context) {
	var wg sync.WaitGroup
	for _, t := range s.targets {
		if p, ok := channel.As[channel.Preloader](t.Channel); ok {
			wg.Go(func() {
				if err := p.Preload(ctx); err != nil {
					s.logger.Warn("preloading failed", slog.String("channel", t.name), slog.Any("err", err))
				}
			})
		}
	}
	wg.Wait()
}

// newReport begins the report of a run.
func (s *Syncer) newReport(kind string) *Report {
	now := time.Now()
	r := &Report{
		Run:      kind + "-" + now.UTC().Format("20060102T150405Z") + "-" + rand.Text()[:8],
		Started:  now,
		Channels: make([]ChannelReport, len(s.targets)),
	}
	for i, t := range s.targets {
		r.Channels[i].Channel = t.name
	}
	return r
}

// finish ends the report of a run, and logs it.
func (s *Syncer) finish(ctx context.Context, r *Report, failed error) (*Report, error) {
	r.Duration = time.Since(r.Started)
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
