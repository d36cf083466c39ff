package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
)

// How a reconciliation can end otherwise than well.
var (
	// ErrHeld: a guard held some lines. They are in the report's Held.
	ErrHeld = errors.New("held by the guard")
	// ErrReconciling: a reconciliation is under way already.
	ErrReconciling = errors.New("syncer: a reconciliation is under way already")
	// ErrEmpty: the source has no products at all. Nothing was changed.
	ErrEmpty = errors.New("the source has no products")
	// ErrShrunk: the source has less than half of the products that it had the
	// last time. Nothing was changed for those that were not read.
	ErrShrunk = errors.New("the source has lost more than half of its products")
	// ErrForeign: a channel knows none of the source's SKUs.
	ErrForeign = errors.New("the channel knows none of the SKUs: is it the right shop, and does it answer well?")
)

// Reconcile reads the whole catalogue at the source and makes every channel
// show it, in bounded memory: while one group of products is compared and
// mended on the channels, the next is read. What is written was read moments
// before, and an event that comes meanwhile wins over an older figure. To find
// an SKU that comes twice, a catalogue of over 100,000 products makes use of a
// temporary file, eight bytes a product; see [os.TempDir]. Where there can be
// none it is memory.
//
// The [Guard] of each channel holds what is past its limits; the run then ends
// with an error that matches [ErrHeld]. Only what was read is written: missing
// is never zero. A source that fails or is incomplete, or a catalogue that is
// empty or has shrunk to less than half, ends the run with an error that says
// so, after what was read has been dealt with.
//
// A channel that cannot keep pace with the source does not delay the others:
// it gets its products afterwards, read anew. The run leaves Config.Reserve of
// the source's quota to other work. Two runs never overlap: the second call
// returns [ErrReconciling].
func (s *Syncer) Reconcile(ctx context.Context) (*Report, error) {
	if !s.reconciling.CompareAndSwap(false, true) {
		return nil, ErrReconciling
	}
	defer s.reconciling.Store(false)
	r := s.newReport("reconcile")
	ctx = channel.WithRun(channel.WithReserve(ctx, s.reserve), r.Run)
	ready := s.preload(ctx)
	progress := s.newProgress(ctx, r)

	budgets := make([]*budget, len(s.targets))
	for i, t := range s.targets {
		budgets[i] = &budget{Guard: t.Guard.orDefault()}
	}
	show := func(ctx context.Context, i int, g group) {
		s.targets[i].show(ctx, g.stocks, budgets[i], &r.Channels[i])
		progress.did(i, &r.Channels[i])
	}
	fan := s.fanOut(ctx, windowGroups, show, ready...)
	fan.spill = true
	known := hashset.New()
	defer known.Close()
	failed := s.catalogue(ctx, r, fan, known, progress)
	fan.wait()
	s.catchUp(ctx, r, fan.spilled, show)

	if failed == nil && ctx.Err() == nil {
		failed = s.suspicious(ctx, r)
		if err := s.remember(ctx, reconciled{At: r.Started, Products: r.Read + r.Unread}); err != nil {
			failed = errors.Join(failed, err)
		} else {
			r.complete = true
		}
	}
	for _, c := range r.Channels {
		if c.Held > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: %d lines: %w", c.Channel, c.Held, ErrHeld))
		}
	}
	return s.finish(ctx, r, failed)
}

// catalogue reads every product and sends them in groups. A group does not
// wait for more products when these are long in coming, as they are when the
// source's quota is spent.
func (s *Syncer) catalogue(ctx context.Context, r *Report, f *fan, known *hashset.Set, p *progress) error {
	type read struct {
		channel.Stock
		err error
	}
	feed := make(chan read, batchSize)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(feed)
		for stock, err := range s.source.Stock(reading) {
			feed <- read{stock, err}
		}
	}()
	var failed error
	// What is still to come was asked for after the page before the last few:
	// a source may have some requests under way at a time.
	pages := []time.Time{time.Now()}
	g := s.begin(pages[0])
	flush := time.NewTimer(0)
	defer flush.Stop()
	send := func() {
		next := s.begin(slices.MinFunc(pages, time.Time.Compare))
		f.send(g)
		g = next
		p.read(ctx, r.Read)
	}
	for {
		select {
		case <-flush.C:
			if len(g.stocks) > 0 {
				send()
			}
		case stock, more := <-feed:
			switch {
			case !more:
				f.send(g)
				p.read(ctx, r.Read)
				return failed
			case failed != nil: // what still comes may be anything
			case stock.err != nil:
				failed = stock.err
			case stock.Err != nil:
				r.unread(Problem{ProductID: stock.ProductID, SKU: stock.SKU, Err: stock.Err})
			default:
				switch isNew, err := known.Add(stock.SKU); {
				case err != nil:
					failed = err
					stop()
					continue
				case !isNew && stock.SKU != "":
					r.unread(Problem{ProductID: stock.ProductID, SKU: stock.SKU,
						Err: fmt.Errorf("%w %q: another product of the source has it", channel.ErrAmbiguousSKU, stock.SKU)})
					continue
				}
				if len(g.stocks) == 0 {
					flush.Reset(company)
				}
				r.Read++
				g.add(stock.Stock)
				if asOf := g.stocks[len(g.stocks)-1].AsOf; !asOf.Equal(pages[len(pages)-1]) {
					pages = append(pages, asOf)
					pages = pages[max(0, len(pages)-5):]
				}
				if len(g.stocks) == groupSize {
					send()
				}
			}
		}
	}
}

// catchUp gives each target what it could not take in time, read anew: the
// next group is read while one is shown.
func (s *Syncer) catchUp(ctx context.Context, r *Report, spilled [][]string, show func(context.Context, int, group)) {
	var wg sync.WaitGroup
	for i, ids := range spilled {
		t, c := s.targets[i], &r.Channels[i]
		type chunk struct {
			group
			unread []Problem
		}
		feed := make(chan chunk)
		wg.Go(func() {
			defer close(feed)
			for some := range slices.Chunk(ids, groupSize) {
				next := chunk{group: s.begin(time.Now())}
				s.read(ctx, &next.group, some, func(p Problem) {
					p.Channel = t.name
					next.unread = append(next.unread, p)
				})
				feed <- next
			}
		})
		wg.Go(func() {
			for next := range feed {
				c.fail(next.unread...)
				show(ctx, i, next.group)
				for _, t := range s.targets {
					t.lane.end(next.began)
				}
			}
		})
	}
	wg.Wait()
}

// preload lets the channels prepare, side by side. Each target's channel in
// the answer is closed when its channel is ready.
func (s *Syncer) preload(ctx context.Context) (ready []chan struct{}) {
	for _, t := range s.targets {
		done := make(chan struct{})
		ready = append(ready, done)
		p, ok := channel.As[channel.Preloader](t.Channel)
		if !ok {
			close(done)
			continue
		}
		go func() { // whoever called waits for it
			defer close(done)
			if err := p.Preload(ctx); err != nil && ctx.Err() == nil {
				s.logger.LogAttrs(ctx, slog.LevelWarn, "preloading failed; the run is slower for it",
					slog.String("channel", t.name), slog.Any("err", err))
			}
		}()
	}
	return ready
}

// suspicious returns what in a complete run looks like trouble all the same.
func (s *Syncer) suspicious(ctx context.Context, r *Report) error {
	var errs []error
	before, err := s.recall(ctx)
	errs = append(errs, err)
	switch {
	case r.Read+r.Unread == 0:
		errs = append(errs, ErrEmpty)
	case 2*(r.Read+r.Unread) < before.Products:
		errs = append(errs, fmt.Errorf("%w: %d, and %d on %s", ErrShrunk, r.Read+r.Unread, before.Products, before.At.Format(time.RFC3339)))
	}
	for _, c := range r.Channels {
		if c.Checked >= 20 && c.Unknown == c.Checked {
			errs = append(errs, fmt.Errorf("%s: %w", c.Channel, ErrForeign))
		}
	}
	return errors.Join(errs...)
}

// reconciled is what is remembered of the last complete run.
type reconciled struct {
	At       time.Time `json:"at"`
	Products int       `json:"products"`
}

const (
	// stateSet has the records of what a run leaves to the next.
	stateSet       = "state"
	reconciledName = "reconciled"
)

func (s *Syncer) remember(ctx context.Context, run reconciled) error {
	value, err := json.Marshal(run)
	if err != nil {
		return err
	}
	return s.queue.Save(ctx, stateSet, Record{Key: reconciledName, Value: value})
}

func (s *Syncer) recall(ctx context.Context) (run reconciled, err error) {
	value, err := s.queue.Load(ctx, stateSet, reconciledName)
	if err != nil || value == nil {
		return run, err
	}
	err = json.Unmarshal(value, &run)
	return run, err
}
