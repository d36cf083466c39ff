package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Coverage says which of the source's listings the channels have, and which not,
// before anything is written. It is about names, not quantities; for these see
// [Syncer.Plan]. It is data: [Coverage.String] is for a terminal, [Coverage.WriteCSV]
// for whoever mends the shop, and JSON for programs.
type Coverage struct {
	// Run is the name of the survey, Made when it began, and Duration how long it
	// took.
	Run      string        `json:"run"`
	Made     time.Time     `json:"made"`
	Duration time.Duration `json:"duration"`
	// Read is the number of products that were read at the source, and Unread of
	// those that could not be; these are among the Gaps, with no Channel.
	Read   int `json:"read"`
	Unread int `json:"unread"`
	// Requests are as in [Report].
	Requests map[string]int64 `json:"requests,omitempty"`
	// Channels has one entry for each target, in the order of Config.Targets.
	Channels []ChannelCoverage `json:"channels"`
	// Gaps are what does not fit, by channel, kind and SKU: at most 10,000 of a
	// channel, where kinds that are few are listed as a whole.
	Gaps []Gap `json:"gaps"`
}

// A ChannelCoverage counts how the source's listings fit a channel. Listings is
// the sum of Matched, Near, SourceOnly, Ambiguous, NotTracked, NotStocked, Shared,
// Invalid and Unknown.
type ChannelCoverage struct {
	Channel  string `json:"channel"`
	Listings int    `json:"listings"` // SKUs that the target wants there: products, packs and kits
	Kits     int    `json:"kits"`     // of them, those that take several products
	Matched  int    `json:"matched"`  // the channel has exactly this SKU, once, and can show a quantity of it
	// Fresh are the matched ones that show no quantity yet, and get one by the
	// first write.
	Fresh      int `json:"fresh"`
	Near       int `json:"near"`       // the channel has no such SKU, and one that is nearly it
	SourceOnly int `json:"sourceOnly"` // the channel has nothing like it
	Ambiguous  int `json:"ambiguous"`  // several items of the channel, or products of the source, have the SKU
	NotTracked int `json:"notTracked"` // the channel keeps no count of the item
	NotStocked int `json:"notStocked"` // the item is not stocked at this location
	Shared     int `json:"shared"`     // the item shows another one's stock: a bundle, or a variation its parent's
	Invalid    int `json:"invalid"`    // the SKU or the quantity makes no sense, or a kit lacks a part
	Unknown    int `json:"unknown"`    // it could not be found out
	// LeftOut is the number of products that the target does not list at all: by
	// its Filter, or since Listings returns nothing for them.
	LeftOut int `json:"leftOut"`
	// ShopOnly is the number of SKUs that the channel has and no listing: neither
	// exactly nor nearly. It is 0 where Listed is false: the channel cannot be
	// listed ([channel.Lister]), or that failed.
	ShopOnly int  `json:"shopOnly"`
	Listed   bool `json:"listed"`
	// Unexamined is the number of SKUs that were too many to look for near misses
	// among them: beyond 100,000 on either side.
	Unexamined int `json:"unexamined,omitempty"`
	// Error says why the channel could not be read, or not be listed, as a whole.
	Error string `json:"error,omitempty"`
}

// A Gap is a listing of the source that does not fit a channel, or an SKU of a
// channel that no listing has.
type Gap struct {
	Channel   string  `json:"channel,omitempty"` // "" for what the source says that concerns all
	Kind      GapKind `json:"kind"`
	SKU       string  `json:"sku,omitempty"` // of the listing; of the channel's item if it is in the shop only
	ProductID string  `json:"productID,omitempty"`
	// ProductSKU and Name are as in [Line].
	ProductSKU string `json:"productSKU,omitempty"`
	Name       string `json:"name,omitempty"`
	// Nearly is the SKU of the channel that a near miss nearly is, and Differs what
	// it differs in: "case", "blanks", "dashes", "leading zeros", "look-alikes",
	// or nothing if only the channel knows.
	Nearly  string   `json:"nearly,omitempty"`
	Differs []string `json:"differs,omitempty"`
	// Error is what the source or the channel says.
	Error string `json:"error,omitempty"`
}

// A GapKind is how something does not fit.
type GapKind string

// The kinds of gaps.
const (
	GapNear       GapKind = "near miss"
	GapAmbiguous  GapKind = "ambiguous"
	GapNotTracked GapKind = "not tracked"
	GapNotStocked GapKind = "not stocked here"
	GapShared     GapKind = "another item's stock"
	GapInvalid    GapKind = "invalid"
	GapSource     GapKind = "in the source only"
	GapShop       GapKind = "in the shop only"
	GapUnknown    GapKind = "not found out"
)

// gapKinds are in the order in which somebody would mend them.
var gapKinds = []GapKind{GapNear, GapAmbiguous, GapNotTracked, GapNotStocked, GapShared, GapInvalid, GapSource, GapShop, GapUnknown}

// maxNear bounds the SKUs of either side among which near misses are looked for.
const maxNear = 100_000

// Coverage reads the whole catalogue at the source, looks for its listings on
// every channel, lists the channels that can be listed ([channel.Lister]), and
// writes nothing to a channel; to the queue's store only what a Journal keeps of a
// channel that goes down or comes up. It is the first thing to do with a new shop.
//
// It costs what [Syncer.Plan] does, and listing; the answer counts it. Memory is
// bounded: about 20 MB for each channel at the most. The error is as for Plan:
// not nil if the source or a channel could not be read to the end, or a channel
// not be listed; what was found until then is there. It may be called at any
// time, also while Run runs.
func (s *Syncer) Coverage(ctx context.Context) (*Coverage, error) {
	e := s.begin(channel.WithUrgency(ctx, channel.Background), WorkCoverage)
	if !s.knows() {
		s.doubled.forget() // who leads has looked since
	}
	covers := make([]*cover, len(s.targets))
	for i, t := range s.targets {
		covers[i] = &cover{s: s, t: t, counts: ChannelCoverage{Channel: t.name}}
	}
	failed := s.doubled.load(e.ctx, s.queue)
	if failed == nil {
		failed = e.surveyAll(func(target int) surveyor { return covers[target] })
	}
	c := &Coverage{Run: e.report.Run, Made: e.report.Started, Read: e.report.Read, Unread: e.report.Unread}
	for _, p := range e.report.Problems {
		c.Gaps = append(c.Gaps, Gap{Kind: cmp.Or(gapKindOf(p.Err), GapUnknown), SKU: p.SKU, ProductID: p.ProductID, Error: p.Err.Error()})
	}
	order := make(map[string]int)
	for i, cv := range covers {
		order[cv.t.name] = i + 1
		counts, gaps, err := cv.end()
		c.Channels = append(c.Channels, counts)
		c.Gaps = append(c.Gaps, gaps...)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", cv.t.name, err))
		}
	}
	slices.SortStableFunc(c.Gaps, byChannel(order))
	c.Duration = time.Since(c.Made)
	c.Requests = e.cost()
	failed = cmp.Or(failed, e.ctx.Err())
	if failed != nil {
		failed = fmt.Errorf("syncer: %s: %w", e.report.Run, failed)
	}
	e.done(WorkDone{Err: failed})
	return c, failed
}

// A cover finds out how the listings fit one channel.
type cover struct {
	s       *Syncer
	t       *target
	counts  ChannelCoverage
	gaps    []Gap // but those of the next two
	listed  map[GapKind]int
	absent  []Gap // SKUs that the channel does not have: maxNear at most
	beyond  int   // more of these
	theirs  []string
	failed  error // reading
	listing error // listing
}

func (cv *cover) fail(err error) {
	if cv.failed == nil {
		cv.failed, cv.counts.Error = err, err.Error()
	}
}

// add surveys a group.
func (cv *cover) add(ctx context.Context, g *group, kits kitting) {
	if cv.failed != nil {
		return
	}
	p := &pass{s: cv.s, t: cv.t, purpose: surveying, kitting: kits, chosen: g.chosen, reread: cv.s.readNow(cv.t)}
	changes, out := p.survey(ctx, g.stocks)
	if out.err != nil {
		cv.fail(out.err)
	}
	has := make(map[string]bool, len(g.stocks))
	for i := range changes {
		c := &changes[i]
		has[c.stock.ProductID] = true
		cv.count(&c.want)
		switch {
		case cv.t.reader == nil: // it cannot be asked
			cv.counts.Unknown++
		case c.seen != nil && c.seen.Unset:
			cv.counts.Fresh++
			fallthrough
		default:
			cv.counts.Matched++
		}
	}
	for i := range out.results {
		r := &out.results[i]
		has[r.stock.ProductID] = true
		cv.count(&r.want)
		cv.result(r)
	}
	if kits == withoutKits {
		for i := range g.stocks {
			if !has[g.stocks[i].ProductID] {
				cv.counts.LeftOut++
			}
		}
	}
}

func (cv *cover) count(w *want) {
	cv.counts.Listings++
	if w.isKit() {
		cv.counts.Kits++
	}
}

// result notes what came of a listing that is no difference.
func (cv *cover) result(r *result) {
	var kind GapKind
	if r.state == failed {
		kind = gapKindOf(r.err)
	}
	switch {
	case kind == "": // it agrees, or something is under way there
		cv.counts.Matched++
		return
	case kind == GapUnknown && cv.failed != nil: // which the Error says
		cv.counts.Unknown++
		return
	}
	gap := Gap{Channel: cv.t.name, Kind: kind, SKU: r.sku, ProductID: r.stock.ProductID, ProductSKU: r.productSKU(), Name: r.stock.Name, Error: r.err.Error()}
	if kind != GapSource {
		*cv.counts.of(kind)++
		cv.note(gap)
		return
	}
	gap.Nearly, gap.Error = channel.NearMiss(r.err), ""
	if len(cv.absent) >= maxNear {
		cv.beyond++
		return
	}
	cv.absent = append(cv.absent, gap)
}

// note lists a gap. Enough of each kind are kept, so that there is room for all.
func (cv *cover) note(g Gap) {
	if cv.listed == nil {
		cv.listed = make(map[GapKind]int)
	}
	if cv.listed[g.Kind]++; cv.listed[g.Kind] <= maxListed {
		cv.gaps = append(cv.gaps, g)
	}
}

// of is the count of a kind.
func (c *ChannelCoverage) of(kind GapKind) *int {
	return map[GapKind]*int{
		GapNear: &c.Near, GapAmbiguous: &c.Ambiguous, GapNotTracked: &c.NotTracked, GapNotStocked: &c.NotStocked, GapShared: &c.Shared,
		GapInvalid: &c.Invalid, GapSource: &c.SourceOnly, GapShop: &c.ShopOnly, GapUnknown: &c.Unknown,
	}[kind]
}

// gapKindOf is the kind of a problem, or "" for one that has nothing to do with
// names.
func gapKindOf(err error) GapKind {
	for _, k := range []struct {
		err  error
		kind GapKind
	}{
		{channel.ErrAmbiguousSKU, GapAmbiguous}, {channel.ErrUnknownSKU, GapSource}, {channel.ErrNotTracked, GapNotTracked},
		{channel.ErrNotStocked, GapNotStocked}, {channel.ErrShared, GapShared}, {channel.ErrInvalid, GapInvalid},
		{channel.ErrIncomplete, GapInvalid}, {channel.ErrNotApplied, ""},
	} {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	return GapUnknown
}

// list lists the channel.
func (cv *cover) list(ctx context.Context, known *names, at int) {
	if cv.failed != nil {
		return
	}
	left, err := cv.t.leftoversUpTo(ctx, cv.s, known, at, maxNear)
	cv.theirs, cv.counts.ShopOnly = left.skus, left.count
	switch {
	case err == nil:
		cv.counts.Listed = true
	case !errors.Is(err, errors.ErrUnsupported):
		cv.listing, cv.counts.Error = err, "listing: "+err.Error()
	}
}

// end says how the channel is covered.
func (cv *cover) end() (ChannelCoverage, []Gap, error) {
	c := &cv.counts
	c.Unexamined = cv.beyond + max(0, c.ShopOnly-len(cv.theirs))
	ours := make([]string, len(cv.absent))
	for i := range cv.absent {
		ours[i] = cv.absent[i].SKU
	}
	near := nearMisses(ours, cv.theirs)
	taken := make(map[string]bool)
	for _, g := range cv.absent {
		if n, ok := near[g.SKU]; ok {
			g.Nearly, g.Differs = n.sku, n.differs
			taken[n.sku] = true
		} else if g.Nearly != "" { // the channel says so
			for _, round := range rounds {
				if g.Differs = differences(g.SKU, g.Nearly, round); dropped(g.SKU, round) == dropped(g.Nearly, round) {
					break
				}
				g.Differs = nil
			}
		}
		if g.Nearly != "" {
			g.Kind = GapNear
		}
		*c.of(g.Kind)++
		cv.note(g)
	}
	c.SourceOnly += cv.beyond
	c.ShopOnly -= len(taken)
	if !c.Listed {
		c.ShopOnly = 0
	}
	for _, sku := range cv.theirs {
		if !taken[sku] && c.Listed {
			cv.note(Gap{Channel: cv.t.name, Kind: GapShop, SKU: sku})
		}
	}
	return *c, cv.some(), errors.Join(cv.failed, cv.listing)
}

// some are at most maxListed of the gaps, shared out so that kinds with few
// are there as a whole.
func (cv *cover) some() []Gap {
	slices.SortFunc(cv.gaps, byChannel(nil))
	var counts []int
	for _, n := range cv.listed {
		counts = append(counts, min(n, maxListed))
	}
	slices.Sort(counts)
	room, most := maxListed, maxListed
	for i, n := range counts {
		if share := room / (len(counts) - i); n > share {
			most = share
			break
		}
		room -= n
	}
	listed := make(map[GapKind]int)
	return slices.DeleteFunc(cv.gaps, func(g Gap) bool {
		listed[g.Kind]++
		return listed[g.Kind] > most
	})
}
