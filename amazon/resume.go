package amazon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// How often a feed is asked for. It takes minutes at best.
const (
	firstPoll = time.Minute
	maxPoll   = 5 * time.Minute
	stuckPoll = 30 * time.Minute
	retryWait = 2 * time.Minute
	// lostFor is how long a feed whose creation got no answer is looked for
	// before it is created again.
	lostFor = 3 * time.Minute
	// forgetAfter is how long a feed is asked for that is stuck.
	forgetAfter = 7 * 24 * time.Hour
)

// Resume submits feeds that were gathered, asks how far Amazon is with others,
// and reads what became of them. It implements [channel.Resumer]: the caller
// calls it again after the wait, and compares the listings that it returns.
// These are, as soon as Amazon is done with a feed, the ones that it refused or
// that were written one by one meanwhile; all of the feed when what Amazon
// accepted must show; and all of a feed that takes too long.
//
// Nothing is gathered before the first call, so that nothing waits for a feed
// that nobody submits. Without [ChannelConfig].FeedFrom nothing is gathered at
// all, and Resume only finishes what the store has from an earlier
// configuration.
func (ch *Channel) Resume(ctx context.Context) (skus []string, again time.Duration, err error) {
	f := ch.feeds
	if f.idle {
		return nil, 0, nil
	}
	select {
	case f.resuming <- struct{}{}:
		defer func() { <-f.resuming }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	leave, err := f.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	f.resumed = true
	ids := make([]string, len(f.list))
	for i, o := range f.list {
		ids[i] = o.ID
	}
	leave()
	var errs []error
	for _, id := range ids {
		some, wait, err := f.step(ctx, id)
		skus = append(skus, some...)
		if err != nil {
			errs = append(errs, err)
			wait = retryWait
		}
		if wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
	}
	return skus, again, errors.Join(errs...)
}

// edit changes a feed, and writes that down. It returns false if the feed is
// gone.
func (f *feeds) edit(ctx context.Context, id string, change func(*feed)) (bool, error) {
	leave, err := f.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	o := f.byID(id)
	if o == nil {
		return false, nil
	}
	change(o)
	return true, f.save(ctx)
}

// step does what is due of one feed. It returns the listings to compare, and
// how long nothing more is due; 0 means that the feed is gone.
func (f *feeds) step(ctx context.Context, id string) (skus []string, again time.Duration, err error) {
	leave, err := f.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	o := f.byID(id)
	if o == nil {
		leave()
		return nil, 0, nil
	}
	now := time.Now()
	s := o.state
	rest := s.Added.Add(gatherFor).Sub(now)
	switch {
	case s.Phase == gathering && rest > 0:
		leave()
		return nil, rest, nil
	case s.Phase == gathering && (f.from == 0 || len(o.live()) < f.from), s.Phase == landing && !now.Before(s.Next):
		o.Phase = released
		err := f.save(ctx)
		leave()
		if err != nil {
			return nil, 0, err
		}
		return f.step(ctx, id)
	case s.Phase == gathering:
		o.Phase = creating // nothing is added any more
		err := f.save(ctx)
		leave()
		if err != nil {
			return nil, 0, err
		}
		return f.step(ctx, id)
	case s.Phase == released && o.told:
		// Whoever was told has had time to write it down.
		defer leave()
		return nil, 0, f.forget(ctx, o)
	case s.Phase == released:
		defer leave()
		o.told = true
		return o.skus(), time.Second, nil
	}
	leave()
	if wait := s.Next.Sub(now); wait > 0 {
		return nil, wait, nil
	}
	switch s.Phase {
	case creating:
		if s.Tried.IsZero() {
			return f.create(ctx, id)
		}
		return f.lookFor(ctx, s)
	case sent, stuck:
		return f.poll(ctx, s)
	}
	return nil, retryWait, nil // landing
}

// release makes a feed's listings be compared now.
func (f *feeds) release(ctx context.Context, id string) ([]string, time.Duration, error) {
	ok, err := f.edit(ctx, id, func(o *feed) { o.Phase = released })
	if err != nil || !ok {
		return nil, 0, err
	}
	return f.step(ctx, id)
}

func (f *feeds) log(ctx context.Context, level slog.Level, text string, attrs ...slog.Attr) {
	f.ch.client.logger.LogAttrs(ctx, level, text, append([]slog.Attr{slog.String("channel", f.ch.name)}, attrs...)...)
}

// poll asks how far a feed is.
func (f *feeds) poll(ctx context.Context, s state) ([]string, time.Duration, error) {
	c := f.ch.client
	var answers []feedAnswer
	for _, id := range s.Feeds {
		a := feedAnswer{}
		err := c.call(ctx, request{op: getFeed, method: http.MethodGet, path: feedsPath + "/" + escape(id), repeat: true}, http.StatusOK, nil, &a)
		if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound && e.Code != "" {
			a, err = feedAnswer{ID: id, Status: "FATAL"}, nil // Amazon has forgotten it
		}
		if err != nil {
			_, failed := f.edit(ctx, s.ID, func(o *feed) { o.Next = time.Now().Add(retryWait) })
			return nil, 0, errors.Join(err, failed)
		}
		answers = append(answers, a)
	}
	age := time.Since(s.Taken)
	late := age >= f.limit
	for i, a := range answers {
		if late && a.Status == "IN_QUEUE" && len(answers) == 1 {
			// It never began, and must not begin any more.
			err := c.call(ctx, request{op: cancelFeed, method: http.MethodDelete, path: feedsPath + "/" + escape(a.ID), write: true}, http.StatusOK, nil, nil)
			if err == nil {
				answers[i].Status = "CANCELLED"
			}
		}
	}
	if !slices.ContainsFunc(answers, func(a feedAnswer) bool { return !a.over() }) {
		return f.finish(ctx, s, answers)
	}
	switch {
	case s.Phase == sent && late:
		f.log(ctx, slog.LevelError, "a feed takes too long, and its listings are written one by one; if it is stuck, only Amazon's support can end it",
			slog.Any("feeds", s.Feeds), slog.Duration("age", age.Round(time.Second)))
		var skus []string
		_, err := f.edit(ctx, s.ID, func(o *feed) {
			skus = o.skus()
			o.Phase, o.Next = stuck, time.Now().Add(stuckPoll)
		})
		return skus, stuckPoll, err
	case s.Phase == stuck && age > forgetAfter:
		return f.release(ctx, s.ID)
	}
	wait := min(max(age/8, firstPoll), maxPoll)
	if s.Phase == stuck {
		wait = stuckPoll
	} else if left := f.limit - age; left > 0 {
		wait = min(wait, left)
	}
	_, err := f.edit(ctx, s.ID, func(o *feed) { o.Next = time.Now().Add(wait) })
	return nil, wait, err
}

// finish reads what became of a feed that Amazon is done with.
func (f *feeds) finish(ctx context.Context, s state, answers []feedAnswer) ([]string, time.Duration, error) {
	leave, err := f.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	o := f.byID(s.ID)
	if o == nil {
		leave()
		return nil, 0, nil
	}
	entries := o.live()
	leave()
	a := answers[0]
	alone := len(answers) == 1
	var bad []string // what Amazon did not take
	switch {
	case alone && a.Status == "CANCELLED":
		f.log(ctx, slog.LevelWarn, "a feed was cancelled: its listings are written one by one", slog.String("feed", a.ID))
		return f.release(ctx, s.ID)
	case alone && a.Status == "DONE" && a.Result != "":
		r, err := f.report(ctx, a.Result, entries)
		if err != nil {
			if s.Tries < 3 {
				_, failed := f.edit(ctx, s.ID, func(o *feed) { o.Tries++; o.Next = time.Now().Add(retryWait) })
				return nil, 0, errors.Join(err, failed)
			}
			f.log(ctx, slog.LevelWarn, "the report of a feed cannot be read", slog.String("feed", a.ID), slog.Any("err", err))
		}
		f.tell(ctx, a.ID, r, len(entries))
		if r.none {
			return f.release(ctx, s.ID)
		}
		bad = r.bad
	default:
		f.log(ctx, slog.LevelError, "a feed failed: some, none or all of it may have been done",
			slog.Any("feeds", s.Feeds), slog.String("status", a.Status))
	}
	again := f.ch.lag
	_, err = f.edit(ctx, s.ID, func(o *feed) {
		for sku := range o.changed {
			bad = append(bad, sku)
		}
		o.Phase, o.Next, o.Tries = landing, time.Now().Add(again), 0
	})
	slices.Sort(bad)
	return slices.Compact(bad), again, err
}
