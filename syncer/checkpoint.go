package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A run over the catalogue that Run makes writes down how far it has come, where
// the source can go on from there. Its place is behind the last group of which
// every channel has done its part; what a channel is to compare again stands
// beside it. So a run that a restart has cut off, another leader's included,
// goes on where it was, if that was minutes ago.

const (
	checkpointName = "checkpoint" // in stateSet
	// checkpointFor is how old a place may be, and restedFor one of a run that
	// rests between its hours.
	checkpointFor = 15 * time.Minute
	restedFor     = 36 * time.Hour
	// maxAgain bounds the products that a checkpoint has beside its place. With
	// more, the run starts anew after a restart.
	maxAgain = 20_000
)

// A checkpoint is how far a run has come.
type checkpoint struct {
	Run   string    `json:"run"`
	Began time.Time `json:"began"`
	At    time.Time `json:"at"`
	// After is the last product, and Read and Unread how many there were.
	After  string `json:"after"`
	Read   int    `json:"read"`
	Unread int    `json:"unread"`
	// All says that the whole catalogue was read, and Rested that the run rests.
	All      bool             `json:"all,omitempty"`
	Rested   bool             `json:"rested,omitempty"`
	Channels []channelsRemain `json:"channels"`
}

// channelsRemain is what a channel has done, and what it has to do again.
type channelsRemain struct {
	Report ChannelReport `json:"report"`
	Again  []string      `json:"again,omitempty"`
	// Is what the channel was then: its policy, and whether it is only observed.
	Is string `json:"is"`
}

// means is what must be as it was for a run to go on.
func (t *target) means() string {
	return fmt.Sprintf("%s\n%t %t", t.identity(), t.Observe, t.Pilot != nil)
}

// A place is where a group ends in the catalogue.
type place struct {
	after        string
	read, unread int
}

// A tracker keeps the checkpoint of a run. The zero tracker keeps none.
type tracker struct {
	s   *Syncer
	ctx context.Context

	mu     channelLock // held while the queue is asked
	cp     checkpoint
	places []place    // of the groups that not every channel has done
	first  int        // how many groups there were before these
	steps  [][]stride // by channel, of the same groups
	again  int
	off    bool
	failed bool
}

// A stride is what a channel did with a group.
type stride struct {
	done   bool
	again  []string
	report *ChannelReport // nil if it was left behind
}

// goOn returns the checkpoint that a run of Run's schedule goes on from, or nil.
func (s *Syncer) goOn(ctx context.Context) (*checkpoint, error) {
	if _, ok := channel.As[channel.Continuer](s.source); !ok {
		return nil, nil
	}
	value, err := s.on(ctx).Load(ctx, stateSet, checkpointName)
	if err != nil || value == nil {
		return nil, err
	}
	cp := new(checkpoint)
	if json.Unmarshal(value, cp) != nil || len(cp.Channels) != len(s.targets) || cp.After == "" {
		return nil, nil // another version's, or of other channels
	}
	for i, t := range s.targets {
		if cp.Channels[i].Report.Channel != t.name || cp.Channels[i].Is != t.means() {
			return nil, nil
		}
	}
	limit := checkpointFor
	if cp.Rested {
		limit = restedFor
	}
	if age := time.Since(cp.At); age < 0 || age > limit {
		return nil, nil
	}
	return cp, nil
}

// track begins to keep a checkpoint for a run that goes on from cp, or begins.
func (e *entrance) track(cp *checkpoint) *tracker {
	t := &tracker{s: e.s, ctx: e.ctx, mu: make(channelLock, 1), steps: make([][]stride, len(e.s.targets))}
	if _, ok := channel.As[channel.Continuer](e.s.source); !ok {
		t.off = true
		return t
	}
	if cp != nil {
		t.cp = *cp
		t.cp.Rested = false
		t.cp.Channels = slices.Clone(cp.Channels)
	} else {
		t.cp = checkpoint{Run: e.report.Run, Began: e.report.Started}
		for _, target := range e.s.targets {
			t.cp.Channels = append(t.cp.Channels, channelsRemain{Report: ChannelReport{Channel: target.name}, Is: target.means()})
		}
	}
	for _, c := range t.cp.Channels {
		t.again += len(c.Again)
	}
	return t
}

// sent notes that a group is on its way, and returns its number, or 0.
func (t *tracker) sent(p place) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.off {
		return 0
	}
	t.places = append(t.places, p)
	for i := range t.steps {
		t.steps[i] = append(t.steps[i], stride{})
	}
	return t.first + len(t.places)
}

// did notes what a channel did with a group.
func (t *tracker) did(target, group int, st stride) {
	if t == nil || group == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.off {
		return
	}
	st.done = true
	t.steps[target][group-t.first-1] = st
	folded := false
	for len(t.places) > 0 && !slices.ContainsFunc(t.steps, func(of []stride) bool { return !of[0].done }) {
		folded = true
		p := t.places[0]
		t.cp.After, t.cp.Read, t.cp.Unread = p.after, p.read, p.unread
		for i := range t.steps {
			c := &t.cp.Channels[i]
			c.Again = append(c.Again, t.steps[i][0].again...)
			t.again += len(t.steps[i][0].again)
			if r := t.steps[i][0].report; r != nil {
				c.Report = *r
			}
			t.steps[i] = t.steps[i][1:]
		}
		t.places, t.first = t.places[1:], t.first+1
	}
	if folded {
		t.save()
	}
}

// save saves the checkpoint. The caller has the lock.
func (t *tracker) save() {
	if t.off || t.cp.After == "" {
		return
	}
	if t.again > maxAgain {
		t.off = true
		_ = t.drop()
		return
	}
	t.cp.At = time.Now()
	value, err := json.Marshal(t.cp)
	if err == nil {
		ctx := context.WithoutCancel(t.ctx) // the last one is made when Run ends
		err = t.s.safely(t.ctx, "the queue: Save", func() error {
			return t.s.on(ctx).Save(ctx, stateSet, Record{checkpointName, value})
		})
	}
	if err != nil && !t.failed && t.ctx.Err() == nil {
		t.failed = true
		t.s.logger.LogAttrs(t.ctx, slog.LevelWarn, "how far the run has come cannot be kept; after a restart it starts anew", slog.Any("err", err))
	}
}

// ended notes how the reading ended: whether all was read, or the run rests.
func (t *tracker) ended(all, rested bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.places) == 0 && (all || rested) { // else the checkpoint is that of the last group
		t.cp.All, t.cp.Rested = all, rested
		t.save()
	}
}

// drop forgets the checkpoint.
func (t *tracker) drop() error {
	ctx := t.ctx
	return t.s.safely(ctx, "the queue: Save", func() error {
		return t.s.on(ctx).Save(ctx, stateSet, Record{Key: checkpointName})
	})
}

// short is a report of a channel without its lists.
func (c ChannelReport) short() *ChannelReport {
	c.Changes, c.Observations, c.Problems, c.ExtraSKUs, c.Retired, c.AtZero = nil, nil, nil, nil, nil, nil
	c.Culprits = maps.Clone(c.Culprits)
	return &c
}

// stride adds what a group's way through the channel came to, and says what it
// left to do.
func (n *night) stride(ctx context.Context, g *group, did []deed) stride {
	put := len(n.put)
	var missing []string
	n.missing = &missing
	n.took(ctx, g, did)
	n.missing = nil
	st := stride{again: slices.Concat(missing, n.put[put:]), report: n.account.report.short()}
	st.report.Err = nil
	st.report.OnSale -= len(n.aside[loss].products) // they are counted when they are compared again
	return st
}

// reads is how a catalogue is read: from its beginning, or from behind a place.
func (s *Syncer) reads(ctx context.Context, ids []string) iter.Seq2[channel.Stock, error] {
	cp, _ := ctx.Value(placeKey{}).(*checkpoint)
	if cp == nil || len(ids) > 0 {
		return s.source.Stock(ctx, ids...)
	}
	c, _ := channel.As[channel.Continuer](s.source)
	return c.StockAfter(ctx, cp.After, cp.Read+cp.Unread)
}

type placeKey struct{}

// resume makes a run go on from a checkpoint.
func (e *entrance) resume(cp *checkpoint, nights []*night) {
	r := e.report
	r.Resumed, r.Read, r.Unread = cp.Began, cp.Read, cp.Unread
	for i, n := range nights {
		c := cp.Channels[i]
		e.accounts[i].report = *c.Report.short()
		n.missed.add(c.Again...)
		if n.t.Retire != nil {
			e.accounts[i].report.Unlisted = "the run resumed one that was interrupted, so it read only a part of the catalogue"
		}
	}
	e.s.logger.LogAttrs(e.ctx, slog.LevelInfo, "the run goes on where another one was cut off", slog.String("from", cp.Run),
		slog.Int("products", cp.Read+cp.Unread), slog.Time("began", cp.Began))
}
