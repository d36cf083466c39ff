package syncer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// An Entry is one thing that happened, as the journal keeps it: a quantity that
// was written, or held; a product that was given up; a channel that failed; a
// run that ended. See Config.Journal.
type Entry struct {
	At   time.Time `json:"at"`
	Kind EntryKind `json:"kind"`
	// Run is the run in which it happened. Log lines have it, and so have
	// channels that keep a history, such as Shopify.
	Run     string `json:"run,omitempty"`
	Channel string `json:"channel,omitempty"`
	// ProductID and SKU are "" for what is about a channel or a run as a whole.
	ProductID string `json:"productID,omitempty"`
	SKU       string `json:"sku,omitempty"`
	Name      string `json:"name,omitempty"`
	// Why is what made the run look at the product: a [Cause] of marks, the name
	// of the call ("reconcile", "sync", "apply"), or "approved by" a name.
	Why string `json:"why,omitempty"`
	// Shown is what the channel showed, or nil if that is not known or it
	// showed no quantity, and Wanted what it was to show.
	Shown  *int `json:"shown,omitempty"`
	Wanted int  `json:"wanted"`
	// Available is the source's, and AsOf when it was asked.
	Available int       `json:"available"`
	AsOf      time.Time `json:"asOf,omitzero"`
	// Culprit is why the channel did not show it already, as far as that can be
	// told; see [Culprit].
	Culprit Culprit `json:"culprit,omitempty"`
	// Err is why, of what went wrong.
	Err error `json:"-"`
	// Report is that of a run that ended, without its lists.
	Report *Report `json:"report,omitempty"`
}

// An EntryKind is what an [Entry] records.
type EntryKind string

// The kinds of entries.
const (
	EntryWrote     EntryKind = "wrote"      // a quantity was written, and shows
	EntrySent      EntryKind = "sent"       // it was accepted, and does not show yet
	EntryLanded    EntryKind = "landed"     // what was sent shows now
	EntryUnclear   EntryKind = "unclear"    // it was sent, and whether it was applied is not known
	EntryObserved  EntryKind = "observed"   // it would have been written, but the target observes
	EntryHeld      EntryKind = "held"       // a guard held it
	EntryApproved  EntryKind = "approved"   // somebody approved what a guard held
	EntryGaveUp    EntryKind = "gave up"    // it will not be tried again before it changes
	EntryPinned    EntryKind = "pinned"     // somebody has pinned the product
	EntryUnpinned  EntryKind = "unpinned"   // somebody has ended that, or its time is over
	EntryDown      EntryKind = "failing"    // the channel as a whole has failed
	EntryUp        EntryKind = "working"    // the channel works again
	EntryPaused    EntryKind = "paused"     // somebody paused the channel
	EntryResumed   EntryKind = "resumed"    // somebody resumed it
	EntryAlarm     EntryKind = "alarm"      // an alarm was raised
	EntryAlarmOver EntryKind = "alarm over" // and is over
	EntryRun       EntryKind = "ended"      // a run ended
)

// MarshalJSON writes Err as its text and a class.
func (e Entry) MarshalJSON() ([]byte, error) {
	type plain Entry
	return json.Marshal(struct {
		plain
		failure
	}{plain(e), failureOf(e.Err)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Entry) UnmarshalJSON(data []byte) error {
	type plain Entry
	var v struct {
		plain
		failure
	}
	err := json.Unmarshal(data, &v)
	*e = Entry(v.plain)
	e.Err = v.failure.err()
	return err
}

const (
	// journalSet has the entries, those of a product together, newest first.
	journalSet = "journal"
	// maxEntries bounds the journal, and maxEntriesInMemory that of a
	// MemoryQueue, each by a quarter more at times. An entry takes about 350
	// bytes: 70 MB, and 7 MB.
	maxEntries         = 200_000
	maxEntriesInMemory = 20_000
)

// A journal writes what happens to the queue's store. It is a service to
// people: what it cannot write is lost, said once in the log, and stops nothing.
type journal struct {
	s    *Syncer
	keep time.Duration // 0: there is no journal
	max  int

	mu      sync.Mutex
	written int       // since it was pruned
	last    time.Time // of the entries so far: none is as old as one before it
}

func (j *journal) on() bool { return j.keep > 0 }

// current reports whether an entry is of the time that is kept. What lies in the
// future was written before the clock was set back, and would hide what is newer.
func current(at, limit, now time.Time) bool {
	return !at.Before(limit) && at.Before(now.Add(maxClockAhead))
}

// newestFirst is a key of a product's entry.
func newestFirst(productID string, at time.Time) string {
	return fmt.Sprintf("%s\x00%016x%s", productID, uint64(math.MaxInt64-at.UnixNano()), rand.Text()[:4])
}

// write writes entries of this moment.
func (j *journal) write(ctx context.Context, entries ...Entry) {
	if !j.on() || len(entries) == 0 {
		return
	}
	records := make([]Record, len(entries))
	j.mu.Lock()
	at := time.Now()
	if !at.After(j.last) {
		at = j.last.Add(1)
	}
	j.last = at
	j.mu.Unlock()
	for i, e := range entries {
		e.At = at
		value, err := json.Marshal(e)
		if err != nil {
			return
		}
		records[i] = Record{newestFirst(e.ProductID, at), value}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalWithin)
	defer cancel()
	err := j.s.safely(ctx, "the queue: Save", func() error { return j.s.queue.Save(ctx, journalSet, records...) })
	if err != nil {
		j.s.once.warn(ctx, j.s, "the journal cannot be written; what happens meanwhile will be missing from it", slog.Any("err", err))
		return
	}
	j.mu.Lock()
	j.written += len(entries)
	prune := j.written >= j.max/4
	if prune {
		j.written = 0
	}
	j.mu.Unlock()
	if prune {
		j.prune(ctx)
	}
}

// journalWithin is how long the journal may keep anybody waiting.
const journalWithin = 5 * time.Second

// prune removes what is too old, and the oldest of what is too much.
func (j *journal) prune(ctx context.Context) {
	if !j.on() {
		return
	}
	now := time.Now()
	limit := now.Add(-j.keep)
	var times []int64
	err := j.s.safely(ctx, "the queue: Records", func() error {
		for rec, err := range j.s.queue.Records(ctx, journalSet, "") {
			if err != nil {
				return err
			}
			if at, ok := timeOf(rec.Key); ok && current(at, limit, now) {
				times = append(times, at.UnixNano())
			}
		}
		if over := len(times) - j.max; over > 0 {
			slices.Sort(times)
			if cut := time.Unix(0, times[over]); cut.After(limit) {
				limit = cut
			}
		}
		var gone []Record
		flush := func() error {
			err := j.s.queue.Save(ctx, journalSet, gone...)
			gone = gone[:0]
			return err
		}
		for rec, err := range j.s.queue.Records(ctx, journalSet, "") {
			if err != nil {
				return err
			}
			if at, ok := timeOf(rec.Key); !ok || !current(at, limit, now) {
				gone = append(gone, Record{Key: rec.Key})
			}
			if len(gone) == groupSize {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return flush()
	})
	if err != nil && ctx.Err() == nil {
		j.s.once.warn(ctx, j.s, "what is old in the journal cannot be removed", slog.Any("err", err))
	}
}

// timeOf takes the time out of an entry's key.
func timeOf(key string) (time.Time, bool) {
	i := strings.LastIndexByte(key, 0)
	if i < 0 || len(key) < i+17 {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(key[i+1:i+17], 16, 64)
	return time.Unix(0, math.MaxInt64-n), err == nil
}

// Journal yields what happened to a product, or, for "", to channels and runs
// as a whole, the newest first. It needs Config.Journal. The error is the
// queue's, and comes last.
func (s *Syncer) Journal(ctx context.Context, productID string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		prefix := productID + "\x00"
		for rec, err := range s.queue.Records(ctx, journalSet, prefix) {
			if err != nil {
				yield(Entry{}, fmt.Errorf("syncer: the journal: %w", err))
				return
			}
			if !strings.HasPrefix(rec.Key, prefix) {
				return
			}
			var e Entry
			now := time.Now()
			if at, ok := timeOf(rec.Key); !ok || !current(at, now.Add(-s.journal.keep), now) || json.Unmarshal(rec.Value, &e) != nil {
				continue
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// noted notes what came of passes on a channel.
func (a *account) noted(ctx context.Context, o *outcome) {
	j := &a.s.journal
	if !j.on() {
		return
	}
	var entries []Entry
	for i := range o.results {
		r := &o.results[i]
		e := Entry{
			Run: channel.Run(ctx), Channel: a.t.name, ProductID: r.stock.ProductID, SKU: r.sku, Name: r.stock.Name,
			Why: whyOf(ctx, r.stock.ProductID), Shown: shownBefore(r.seen), Wanted: r.quantity, Available: r.stock.Available,
			AsOf: r.asOf, Culprit: r.culprit, Err: r.err,
		}
		switch r.state {
		case updated:
			e.Kind = EntryWrote
		case pending:
			if r.err == nil { // it was sent before
				continue
			}
			e.Kind, e.Err = EntrySent, nil
		case unclear:
			e.Kind = EntryUnclear
		case held:
			e.Kind = EntryHeld
		case observed:
			e.Kind = EntryObserved
		case agreed:
			if !r.landed {
				continue
			}
			e.Kind = EntryLanded
		default:
			continue
		}
		for _, id := range r.products() { // of a kit each part has it
			e.ProductID, e.Why = id, whyOf(ctx, id)
			entries = append(entries, e)
		}
	}
	j.write(ctx, entries...)
}

// noteRun notes that a run has ended.
func (j *journal) noteRun(ctx context.Context, r *Report, err error) {
	if !j.on() {
		return
	}
	short := *r
	short.Problems, short.Held, short.Replanned = nil, nil, nil
	short.Channels = slices.Clone(r.Channels)
	for i := range short.Channels {
		short.Channels[i] = *short.Channels[i].short()
	}
	j.write(ctx, Entry{Kind: EntryRun, Run: r.Run, Err: err, Report: &short})
}

// reasons are why products are looked at, in a context: one for all, or each
// its own.
type reasons struct {
	all string
	by  map[string]Cause
}

type reasonsKey struct{}

func withReasons(ctx context.Context, r reasons) context.Context {
	return context.WithValue(ctx, reasonsKey{}, r)
}

func whyOf(ctx context.Context, productID string) string {
	r, ok := ctx.Value(reasonsKey{}).(reasons)
	if why, own := r.by[productID]; own {
		return string(why)
	}
	if ok && r.all != "" {
		return r.all
	}
	kind, _, _ := strings.Cut(channel.Run(ctx), "-")
	return kind
}
