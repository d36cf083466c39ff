package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Plan says what would be written, and why. It is data: it can be kept as
// JSON, read by people as text, and applied later. Nothing in it is forced: see
// [Syncer.Apply].
type Plan struct {
	// Run is the name of the run that made the plan, and Made the time.
	Run  string    `json:"run"`
	Made time.Time `json:"made"`
	// Read is the number of products that were read at the source.
	Read int `json:"read"`
	// Channels has one entry for each channel compared.
	Channels []ChannelPlan `json:"channels"`
	// Lines are the differences, by channel and in the order in which they
	// would be written, and what cannot be written.
	Lines []Line `json:"lines"`
	// Approved says that somebody has looked: lines that a guard held are written, too,
	// and no guard looks at the plan. Set it before [Syncer.Apply]. That says nothing of
	// what comes later: a guard that has tripped stays so, though it holds nothing any
	// more, until [Syncer.Approve], which takes the Hash of no lines, too, or a complete
	// run clears it.
	Approved bool `json:"approved,omitempty"`
	// Undo tells that the lines put back what was shown before; see
	// [Report.Undo]. What the source wants does not matter for them.
	Undo bool `json:"undo,omitempty"`
}

// A ChannelPlan says how a channel compares as a whole.
type ChannelPlan struct {
	Channel string `json:"channel"`
	Checked int    `json:"checked"` // listings compared
	Agreed  int    `json:"agreed"`  // of them, those that show the right quantity
	// OnSale is the number of products that customers can buy. A plan of some
	// products has what the last run over the catalogue has counted.
	OnSale int `json:"onSale"`
	// Extra is the number of SKUs on the channel that no listing of a product of
	// the source has, where the channel can list them and the plan is for the whole
	// catalogue, and ExtraSKUs are the first 10,000 of these.
	Extra     int      `json:"extra,omitempty"`
	ExtraSKUs []string `json:"extraSKUs,omitempty"`
	// Retired are those of them that customers can buy. Where the target's Retire
	// wants them to show 0 they are among the Lines, too.
	Retired []Line `json:"retired,omitempty"`
	// SellsAtZero and AtZero are as in [ChannelReport].
	SellsAtZero int      `json:"sellsAtZero,omitempty"`
	AtZero      []string `json:"atZero,omitempty"`
	// Error says why the channel could not be read.
	Error string `json:"error,omitempty"`
}

// A Line is one difference between what a channel shows and what it should.
type Line struct {
	Channel   string `json:"channel,omitempty"` // "" if the source could not be read
	ProductID string `json:"productID"`         // "" of what is retired
	SKU       string `json:"sku,omitempty"`
	// ProductSKU is what the source calls the product, if that is not the SKU, and
	// Name is its name. A kit has those of the part that limits it.
	ProductSKU string `json:"productSKU,omitempty"`
	Name       string `json:"name,omitempty"`
	Shown      *int   `json:"shown"` // null if the channel shows no quantity, or it is not known
	Wanted     int    `json:"wanted"`
	Reason     Reason `json:"reason"`
	// Inexact reports that the channel shows a fraction of a unit on top of Shown,
	// and SellsAtZero that customers can go on buying it at 0.
	Inexact     bool `json:"inexact,omitempty"`
	SellsAtZero bool `json:"sellsAtZero,omitempty"`
	// OffSale reports that customers cannot buy it, whatever Shown is: a guard counts
	// what would be shown instead as a gain. In an undo it is what the run saw, which
	// wrote it all the same, and the guard does not count it.
	OffSale bool `json:"offSale,omitempty"`
	// Pinned reports that the product is pinned to what is wanted; see [Pin].
	Pinned bool `json:"pinned,omitempty"`
	// SoldOut reports that the source calls the product sold out.
	SoldOut bool `json:"soldOut,omitempty"`
	// Explained reports that orders explain the loss; see Guard.
	Explained bool   `json:"explained,omitempty"`
	Error     string `json:"error,omitempty"` // why it cannot be written
}

// A Reason says why a line is in a plan.
type Reason string

// The reasons. The first four are written by Apply; a held line is if the
// plan is approved; the others are for people.
const (
	ReasonOver       Reason = "over"        // the channel shows more than it should
	ReasonUnder      Reason = "under"       // the channel shows less than it should
	ReasonNoQuantity Reason = "no quantity" // the channel shows no quantity yet, or cannot be read
	ReasonPutBack    Reason = "put back"    // the channel is to show no quantity again: an undo's
	ReasonHeld       Reason = "held"        // the guard holds it
	ReasonPending    Reason = "pending"     // written already, and accepted; it does not show yet
	ReasonUnknown    Reason = "unknown"     // the channel does not have the SKU
	ReasonAmbiguous  Reason = "ambiguous"   // the SKU stands for several items
	ReasonUnwritable Reason = "unwritable"  // the channel cannot show a quantity of it
	ReasonUnread     Reason = "unread"      // the source could not be read
	ReasonRetired    Reason = "retired"     // the channel sells it, and the source does not have it
)

// Writable reports whether lines of this reason are written, if the plan is
// approved.
func (r Reason) Writable() bool {
	return r == ReasonOver || r == ReasonUnder || r == ReasonNoQuantity || r == ReasonHeld || r == ReasonPutBack
}

// delta is by how much the line changes what is shown. It is 0 if nothing is
// known of that.
func (l Line) delta() int {
	if l.Shown == nil {
		return 0
	}
	return l.Wanted - *l.Shown
}

// same reports whether two lines would change the same thing in the same way.
func (l Line) same(o Line) bool {
	return l.Channel == o.Channel && l.SKU == o.SKU && l.Wanted == o.Wanted &&
		(l.Shown == nil) == (o.Shown == nil) && (l.Shown == nil || *l.Shown == *o.Shown)
}

// lineOf is the line of a difference.
func lineOf(t *target, c *change) Line {
	l := Line{
		Channel: t.name, ProductID: c.stock.ProductID, SKU: c.sku, ProductSKU: c.productSKU(), Name: c.stock.Name,
		Shown: shownBefore(c.seen), Wanted: c.quantity, SoldOut: t.Policy.basis(c.stock).Available <= 0, Pinned: c.pin != nil,
	}
	if c.seen != nil {
		l.Inexact, l.SellsAtZero, l.OffSale = c.seen.Inexact && l.Shown != nil, c.seen.SellsAtZero, c.seen.OffSale
	}
	switch {
	case l.Shown == nil:
		l.Reason = ReasonNoQuantity
	case l.delta() < 0, l.delta() == 0 && l.Inexact:
		l.Reason = ReasonOver
	default:
		l.Reason = ReasonUnder
	}
	return l
}

// line is the line of a difference, and what a guard counts it as.
func (p *pass) line(c *change) (Line, danger) {
	l, d := lineOf(p.t, c), p.t.Guard.danger(c)
	if d == loss && p.explained(c) {
		l.Explained, d = true, harmless
	}
	return l, d
}

// lineOfResult is the line of what is not simply a difference.
func lineOfResult(t *target, r *result) Line {
	l := lineOf(t, &change{r.want, r.seen})
	if r.state == pending {
		l.Reason = ReasonPending
		return l
	}
	l.Shown, l.Reason, l.Error = nil, ReasonUnwritable, r.err.Error()
	switch {
	case unknown(r.err):
		l.Reason = ReasonUnknown
	case errors.Is(r.err, channel.ErrAmbiguousSKU):
		l.Reason = ReasonAmbiguous
	}
	return l
}

// Drift is the number of lines that can be written.
func (p *Plan) Drift() int {
	n := 0
	for _, l := range p.Lines {
		if l.Reason.Writable() {
			n++
		}
	}
	return n
}

// Plan reads the whole catalogue at the source, compares every channel with
// it, and writes nothing. What the guards would hold is marked as held.
//
// The whole plan is in memory: it grows with what differs, not with the
// catalogue. It is ready when the slowest channel is compared, whose pace the reading
// keeps: nothing is written that could be late. One that does not work delays it no
// further. The error is not nil if the source or a channel as a whole could
// not be read to the end; the plan then says what was found until then. What is
// wrong with single products, and what a guard would hold, are lines.
func (s *Syncer) Plan(ctx context.Context) (*Plan, error) {
	return s.plan(ctx, true, func(e *entrance, surveys []*survey) error {
		return e.surveyAll(func(target int) surveyor { return surveys[target] })
	})
}

// PlanProducts is [Syncer.Plan] for the named products. With no ids it does
// nothing.
func (s *Syncer) PlanProducts(ctx context.Context, productIDs ...string) (*Plan, error) {
	return s.plan(ctx, false, func(e *entrance, surveys []*survey) error {
		f := s.fanOut(e.ctx, 2, func(ctx context.Context, i int, g *group) { surveys[i].add(ctx, g, withKits) })
		err := e.named(e.ctx, f, productIDs)
		f.wait()
		return err
	})
}

func (s *Syncer) plan(ctx context.Context, whole bool, read func(*entrance, []*survey) error) (*Plan, error) {
	e := s.begin(channel.WithUrgency(ctx, channel.Background), WorkPlan)
	plan := &Plan{Run: e.report.Run, Made: e.report.Started}
	surveys := make([]*survey, len(s.targets))
	for i, t := range s.targets {
		surveys[i] = &survey{s: s, target: t, ChannelPlan: ChannelPlan{Channel: t.name}}
	}
	failed := s.takeOver(e.ctx)
	if failed == nil {
		failed = read(e, surveys)
	}
	for _, sv := range surveys {
		sv.guard(e.ctx, whole)
		plan.Channels = append(plan.Channels, sv.ChannelPlan)
		plan.Lines = append(plan.Lines, sv.lines...)
		if sv.err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", sv.target.name, sv.err))
		}
	}
	for _, p := range e.report.Problems {
		plan.Lines = append(plan.Lines, Line{ProductID: p.ProductID, SKU: p.SKU, ProductSKU: p.ProductSKU, Name: p.Name, Reason: ReasonUnread, Error: p.Err.Error()})
	}
	plan.Read = e.report.Read
	if failed == nil {
		failed = e.ctx.Err()
	}
	if failed != nil {
		failed = fmt.Errorf("syncer: %s: %w", e.report.Run, failed)
	}
	e.done(WorkDone{Err: failed})
	return plan, failed
}

// A surveyor finds out something about all listings of a channel, and writes
// nothing to it.
type surveyor interface {
	add(ctx context.Context, g *group, kits kitting)
	fail(err error) // the channel was not surveyed as a whole
	// list looks for what no listing has, when all of them were added.
	list(ctx context.Context, known *names, at int)
}

// surveyAll takes the catalogue past the surveyors of all targets. Kits come last.
func (e *entrance) surveyAll(of func(target int) surveyor) error {
	s := e.s
	e.ctx = s.expecting(e.ctx)
	for _, ready := range s.preload(e.ctx) {
		<-ready
	}
	known := s.newNames(e.ctx)
	defer known.close()
	f := s.fanOut(e.ctx, 2, func(ctx context.Context, i int, g *group) { of(i).add(ctx, g, withoutKits) })
	err := e.catalogue(e.ctx, f, known, nil)
	f.wait()
	if err != nil || e.ctx.Err() != nil {
		return err
	}
	for i, t := range s.targets {
		for g, err := range s.kitGroups(e.ctx, t) {
			if err != nil {
				of(i).fail(err)
				break
			}
			of(i).add(e.ctx, g, kitsAlone)
			g.endAll()
		}
		of(i).list(e.ctx, known, i)
	}
	return nil
}

// A survey finds out how one channel differs.
type survey struct {
	ChannelPlan
	s      *Syncer
	target *target
	lines  []Line
	danger []danger // by line
	err    error
}

func (sv *survey) fail(err error) { sv.err, sv.Error = err, err.Error() }

func (sv *survey) add(ctx context.Context, g *group, kits kitting) {
	if sv.err != nil {
		sv.Checked += len(g.stocks)
		return
	}
	p := &pass{s: sv.s, t: sv.target, purpose: surveying, kitting: kits, chosen: g.chosen, reread: sv.s.readNow(sv.target)}
	changes, out := p.survey(ctx, g.stocks)
	if kits == kitsAlone { // their products are counted by themselves
		out = out.uncounted()
	}
	sv.OnSale += out.compared.onSale()
	sv.SellsAtZero += len(out.zeros)
	sv.AtZero = appendSome(sv.AtZero, out.atZero())
	sv.Checked += len(changes) + len(out.results)
	if out.err != nil {
		sv.fail(out.err)
		return
	}
	for i := range changes {
		c := &changes[i]
		line, d := p.line(c)
		sv.lines = append(sv.lines, line)
		sv.danger = append(sv.danger, d)
	}
	for i := range out.results {
		switch r := &out.results[i]; r.state {
		case agreed:
			sv.Agreed++
		default:
			sv.lines = append(sv.lines, lineOfResult(sv.target, r))
			sv.danger = append(sv.danger, harmless)
		}
	}
}

// guard marks as held what the target's guard would hold.
func (sv *survey) guard(ctx context.Context, whole bool) {
	trip, onSale, err := sv.target.tripped(ctx, sv.s)
	if !whole { // a part says little of how many are on sale
		if onSale < 0 {
			onSale = assumedOnSale
		}
		sv.OnSale = max(sv.OnSale, onSale)
	}
	for d := loss; d <= gain; d++ {
		products := make(map[string]bool)
		for i, l := range sv.lines {
			if sv.danger[i] == d {
				products[l.key()] = true
			}
		}
		limit := sv.target.Guard.limit(d, sv.OnSale)
		if limit < 0 || len(products) <= limit && trip == nil && err == nil {
			continue
		}
		for i := range sv.lines {
			if sv.danger[i] == d {
				sv.lines[i].Reason = ReasonHeld
			}
		}
	}
}
