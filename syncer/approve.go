package syncer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// An Approval says that somebody has looked at what a guard holds on a
// channel, and wants it done. It covers the lines of Hash, as they were shown,
// or any lines of up to UpTo products; it never covers everything from now on.
type Approval struct {
	Channel string `json:"channel"`
	// Who is the name of the person. Required.
	Who string `json:"who"`
	// Hash is that of the [Holding] that was shown.
	Hash string `json:"hash,omitempty"`
	// UpTo covers up to that many products of the channel instead, in what is
	// held now, or else in the next run over the catalogue.
	UpTo int `json:"upTo,omitempty"`
	// At is when the approval was given; zero means now. One that was given more than
	// an hour from now, as after a clock was set back, is not valid.
	At time.Time `json:"at"`
	// Expires is when it stops being valid; zero means a day after At.
	Expires time.Time `json:"expires"`
}

// maxClockAhead is how far ahead of this clock another one may be that has written a time:
// whoever approved, for one. What is further ahead was written before this clock was set
// back, and an approval would last for as much longer.
const maxClockAhead = time.Hour

// valid goes by the time of day, since other processes approve, too.
func (a *Approval) valid() bool {
	now := time.Now().Round(0)
	return a.At.Before(now.Add(maxClockAhead)) && now.Before(a.Expires)
}

// decode reads a held line without an approval that is not valid any more.
func (l *heldLine) decode(value []byte) error {
	err := json.Unmarshal(value, l)
	if l.Approved != nil && !l.Approved.valid() {
		l.Approved = nil
	}
	return err
}

// approvalRecord is how the store keeps an approval. Used ones are kept for a
// month, for whoever asks who it was.
type approvalRecord struct {
	Approval
	Due  bool `json:"due,omitempty"`  // lines are marked with it, and not done yet
	Used bool `json:"used,omitempty"` // it covers nothing any more
}

// ErrOtherLines: the lines held are not those that were shown to whoever
// approves. Look again.
var ErrOtherLines = errors.New("the lines held are not those that were approved")

const (
	approvalSet   = "approvals"
	approvalEvery = 15 * time.Second // how often Run looks for approvals of other processes
)

// Approve records an approval where the queue keeps things. Whoever runs the
// engine executes it, within moments: [Syncer.Run], in this process or in
// another one with the same queue, or else the next [Syncer.Reconcile]. Each
// line is looked at again before it is written, and written only if the source
// still wants what was shown. When nothing is held any more the guard is clear.
//
// It returns an error that matches [ErrOtherLines] if the lines held are not
// those of Hash, or are about more products than UpTo.
func (s *Syncer) Approve(ctx context.Context, a Approval) error {
	i := slices.IndexFunc(s.targets, func(t *target) bool { return t.name == a.Channel })
	a.At = cmp.Or(a.At, time.Now())
	a.Expires = cmp.Or(a.Expires, a.At.Add(24*time.Hour))
	switch {
	case i < 0:
		return fmt.Errorf("syncer: Approve: there is no channel %q", a.Channel)
	case strings.TrimSpace(a.Who) == "":
		return errors.New("syncer: Approve: Who is empty: an approval has a name")
	case (a.Hash == "") == (a.UpTo <= 0):
		return errors.New("syncer: Approve: give either the Hash of what was shown, or UpTo")
	case !a.valid():
		return errors.New("syncer: Approve: the approval has expired, or At is in the future")
	}
	t := s.targets[i]
	if t.quiet() {
		return fmt.Errorf("syncer: Approve: %s: %w", t.name, ErrObserving)
	}
	h, lines, err := s.holding(ctx, t)
	if err != nil {
		return fmt.Errorf("syncer: Approve: %w", err)
	}
	switch {
	case h == nil && a.Hash != "", h != nil && a.Hash != "" && h.Hash != a.Hash:
		return fmt.Errorf("syncer: Approve: %s: %w", t.name, ErrOtherLines)
	case h != nil && a.UpTo > 0 && productsIn(lines) > a.UpTo:
		return fmt.Errorf("syncer: Approve: %s: %d products' lines are held: %w", t.name, productsIn(lines), ErrOtherLines)
	}
	records := make([]Record, len(lines))
	for i, l := range lines {
		l.Approved = &a
		if records[i].Value, err = json.Marshal(l); err != nil {
			return err
		}
		records[i].Key = l.SKU
	}
	rec := approvalRecord{Approval: a}
	if h != nil {
		rec.Hash, rec.Due, rec.Used = h.Hash, true, true
	}
	value, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		if err := s.queue.Save(ctx, heldSet+t.name, records...); err != nil {
			return fmt.Errorf("syncer: Approve: %w", err)
		}
	}
	if err := s.queue.Save(ctx, approvalSet, Record{t.name + "/" + a.At.UTC().Format(time.RFC3339Nano) + "/" + rand.Text()[:6], value}); err != nil {
		return fmt.Errorf("syncer: Approve: %w", err)
	}
	s.journal.write(ctx, Entry{Kind: EntryApproved, Channel: t.name, Why: "approved by " + a.Who, Wanted: len(lines)})
	s.logger.LogAttrs(ctx, slog.LevelInfo, "approved", slog.String("channel", t.name), slog.String("who", a.Who),
		slog.Int("lines", len(lines)), slog.String("hash", a.Hash), slog.Int("upTo", a.UpTo))
	if s.shared != nil { // else the leader finds it a moment later
		_ = s.safely(ctx, "the queue: Mark", func() error {
			return s.shared.Mark(ctx, Mark{Key: Key{askLane, approvedID}, Why: CauseCall})
		})
	}
	s.approved()
	return nil
}

// approved tells Run that something was approved.
func (s *Syncer) approved() {
	select {
	case s.approvals <- struct{}{}:
	default:
	}
}

// productsIn counts the products that lines are about.
func productsIn(lines []heldLine) int {
	ids := make(map[string]bool, len(lines))
	for _, l := range lines {
		ids[cmp.Or(l.ProductID, "\x00"+l.SKU)] = true
	}
	return len(ids)
}

// execute does what was approved.
func (s *Syncer) execute(ctx context.Context) error {
	due := make(map[string][]Record) // by channel
	var stale []Record
	for rec, err := range s.on(ctx).Records(ctx, approvalSet, "") {
		if err != nil {
			return err
		}
		var a approvalRecord
		if json.Unmarshal(rec.Value, &a) != nil || time.Since(a.Expires) > 30*24*time.Hour {
			stale = append(stale, Record{Key: rec.Key})
			continue
		}
		if !a.Due {
			continue
		}
		a.Due = false
		value, err := json.Marshal(a)
		if err != nil {
			return err
		}
		due[a.Channel] = append(due[a.Channel], Record{rec.Key, value})
	}
	if len(stale) > 0 {
		if err := s.on(ctx).Save(ctx, approvalSet, stale...); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, len(s.targets)) // a channel's trouble is nobody else's
	for i, t := range s.targets {
		if len(due[t.name]) == 0 || t.pause.get() != nil || t.quiet() {
			continue
		}
		wg.Go(func() {
			if errs[i] = s.executeOn(ctx, t); errs[i] == nil {
				errs[i] = s.on(ctx).Save(ctx, approvalSet, due[t.name]...)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// executeOn writes the lines of one channel that are approved.
func (s *Syncer) executeOn(ctx context.Context, t *target) error {
	h, lines, err := s.holding(ctx, t)
	if err != nil || h == nil {
		return err
	}
	plan := &Plan{Run: h.Run, Made: h.Since, Approved: true, Channels: []ChannelPlan{{Channel: t.name, OnSale: h.OnSale}}}
	open := 0
	var who []string
	for _, l := range lines {
		if l.Approved == nil {
			open++
			continue
		}
		plan.Lines = append(plan.Lines, l.Line)
		if !slices.Contains(who, l.Approved.Who) {
			who = append(who, l.Approved.Who)
		}
	}
	if len(plan.Lines) == 0 && open == 0 { // the lines were dealt with otherwise
		return t.clear(ctx, s)
	}
	if len(plan.Lines) == 0 {
		return nil
	}
	r, err := s.Apply(withReasons(ctx, reasons{all: "approved by " + strings.Join(who, ", ")}), plan)
	if r == nil || ctx.Err() != nil {
		return err
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "what was approved is done", slog.String("run", r.Run), slog.String("channel", t.name),
		slog.Int("lines", len(plan.Lines)), slog.Any("err", err))
	c := &r.Channels[slices.Index(s.targets, t)]
	if c.Paused || c.Superseded > 0 || err != nil && c.Checked == 0 && len(r.Problems) == 0 {
		return cmp.Or(err, ErrPaused) // some of it was not even tried, and the approval stays due
	}
	// What has changed since is not covered. What failed is tried again, and so is
	// what could not be read.
	failed, unread := make(map[string]bool), make(map[string]bool)
	for _, p := range c.Problems {
		failed[p.SKU] = failed[p.SKU] || !channel.Permanent(p.Err) && !errors.Is(p.Err, ErrObserving)
	}
	for _, p := range r.Problems {
		unread[p.ProductID] = !channel.Permanent(p.Err) && !errors.Is(p.Err, ErrNoProduct)
	}
	again := false
	var gone []Record
	for _, l := range plan.Lines {
		if failed[l.SKU] || unread[l.ProductID] {
			again = true
			continue
		}
		gone = append(gone, Record{Key: l.SKU})
	}
	if err := s.on(ctx).Save(ctx, heldSet+t.name, gone...); err != nil {
		return err
	}
	if again {
		return err // the approval stays due
	}
	if open == 0 {
		return t.clear(ctx, s)
	}
	return nil
}

// covered reports whether an approval covers that many products of a channel,
// and uses it up.
func (s *Syncer) covered(ctx context.Context, t *target, products int) bool {
	for rec, err := range s.on(ctx).Records(ctx, approvalSet, t.name+"/") {
		if err != nil || !strings.HasPrefix(rec.Key, t.name+"/") {
			return false
		}
		var a approvalRecord
		if json.Unmarshal(rec.Value, &a) != nil || a.Channel != t.name || a.Used || a.UpTo < products || !a.valid() {
			continue
		}
		a.Used = true
		value, err := json.Marshal(a)
		if err != nil || s.on(ctx).Save(ctx, approvalSet, Record{rec.Key, value}) != nil {
			return false
		}
		s.logger.LogAttrs(ctx, slog.LevelInfo, "an approval covers what the guard would hold", slog.String("channel", t.name), slog.String("who", a.Who), slog.Int("products", products), slog.Int("upTo", a.UpTo))
		return true
	}
	return false
}
