package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/hashset"
)

// A Plan says what would be written, and why. It is data: it can be kept as
// JSON, read by people as text or Markdown, and applied later. Nothing in it is
// forced: see [Syncer.Apply].
type Plan struct {
	// Run is the name of the run that made the plan, and Made the time.
	Run  string    `json:"run"`
	Made time.Time `json:"made"`
	// Read is the number of products that were read at the source.
	Read int `json:"read"`
	// Channels has one entry for each channel compared.
	Channels []PlanChannel `json:"channels"`
	// Lines are the differences, by channel and in the order in which they
	// would be written, and what cannot be written.
	Lines []Line `json:"lines"`
	// Approved lets the lines pass that a guard held; see [Plan.Approve].
	Approved bool `json:"approved,omitempty"`
	// Undo tells that the lines put back what was shown before; see
	// [Report.Undo]. What the source wants does not matter for them.
	Undo bool `json:"undo,omitempty"`
}

// A PlanChannel says how a channel compares as a whole.
type PlanChannel struct {
	Channel string `json:"channel"`
	Checked int    `json:"checked"` // products compared
	Agreed  int    `json:"agreed"`  // of them, those that show the right figure
	Shown   int    `json:"shown"`   // units shown before
	// Extra is the number of SKUs on the channel that no product of the source
	// has, where the channel can list them and the plan is for the whole
	// catalogue, and ExtraSKUs are the first 10,000 of these.
	Extra     int      `json:"extra,omitempty"`
	ExtraSKUs []string `json:"extraSKUs,omitempty"`
	// Error says why the channel could not be read.
	Error string `json:"error,omitempty"`
}

// A Line is one difference between what a channel shows and what it should.
type Line struct {
	Channel   string `json:"channel,omitempty"` // "" if the source could not be read
	ProductID string `json:"productID"`
	SKU       string `json:"sku,omitempty"`
	Shown     *int   `json:"shown"` // null if the channel shows no figure, or it is not known
	Wanted    int    `json:"wanted"`
	Reason    Reason `json:"reason"`
	Error     string `json:"error,omitempty"` // why it cannot be written
}

// A Reason says why a line is in a plan.
type Reason string

// The reasons. The first three are written by Apply; a held line is if the
// plan is approved; the others are for people.
const (
	Over       Reason = "over"       // the channel shows more than it should
	Under      Reason = "under"      // the channel shows less than it should
	NoFigure   Reason = "no figure"  // the channel shows no figure yet, or cannot be read
	Held       Reason = "held"       // past a guard's limits
	Unknown    Reason = "unknown"    // the channel does not have the SKU
	Ambiguous  Reason = "ambiguous"  // the SKU stands for several items
	Unwritable Reason = "unwritable" // the channel cannot show a figure of it
	Unread     Reason = "unread"     // the source could not be read
)

// Writable reports whether lines of this reason are written, if the plan is
// approved.
func (r Reason) Writable() bool {
	return r == Over || r == Under || r == NoFigure || r == Held
}

// Delta is by how much the line changes what is shown.
func (l Line) Delta() int {
	if l.Shown == nil {
		return l.Wanted
	}
	return l.Wanted - *l.Shown
}

// same reports whether two lines would change the same thing in the same way.
func (l Line) same(o Line) bool {
	return l.Channel == o.Channel && l.SKU == o.SKU && l.Wanted == o.Wanted &&
		(l.Shown == nil) == (o.Shown == nil) && (l.Shown == nil || *l.Shown == *o.Shown)
}

// shown is what the channel showed before, or nil.
func (c change) shown() *int {
	if c.seen == nil || c.seen.Unset {
		return nil
	}
	return new(c.seen.Quantity) // a copy: the level is one of many in an array
}

func (t *target) line(c change) Line {
	l := Line{Channel: t.name, ProductID: c.ProductID, SKU: c.SKU, Shown: c.shown(), Wanted: c.quantity}
	switch {
	case l.Shown == nil:
		l.Reason = NoFigure
	case l.Delta() < 0:
		l.Reason = Over
	default:
		l.Reason = Under
	}
	return l
}

func problemLine(p Problem) Line {
	l := Line{Channel: p.Channel, ProductID: p.ProductID, SKU: p.SKU, Wanted: p.wanted, Error: p.Err.Error()}
	switch {
	case p.Channel == "":
		l.Reason = Unread
	case unknown(p.Err):
		l.Reason = Unknown
	case errors.Is(p.Err, channel.ErrAmbiguousSKU):
		l.Reason = Ambiguous
	default:
		l.Reason = Unwritable
	}
	return l
}

// Approve returns a copy of the plan whose held lines are written, too, and
// which no guard looks at. It says: somebody has looked.
func (p *Plan) Approve() *Plan {
	approved := *p
	approved.Approved = true
	return &approved
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

// Plan reads the named products at the source, or the whole catalogue when
// none is named, compares every channel with them, and writes nothing. The
// guards of the channels mark as held what they would hold.
//
// The whole plan is in memory: it grows with what differs, not with the
// catalogue. The error is as for [Syncer.Reconcile]; the plan then says what
// was found until then.
func (s *Syncer) Plan(ctx context.Context, productIDs ...string) (*Plan, error) {
	r := s.newReport("plan")
	ctx = channel.WithRun(channel.WithReserve(ctx, s.reserve), r.Run)
	plan := &Plan{Run: r.Run, Made: r.Started}
	whole := len(productIDs) == 0
	known := hashset.New()
	defer known.Close()
	if whole {
		for _, ready := range s.preload(ctx) {
			<-ready
		}
	}
	surveys := make([]survey, len(s.targets))
	for i, t := range s.targets {
		surveys[i] = survey{target: t, guard: &budget{Guard: t.Guard.orDefault()}}
	}
	fan := s.fanOut(ctx, max(1, groups(len(productIDs))), func(ctx context.Context, i int, g group) { surveys[i].add(ctx, g.stocks) })
	var failed error
	if whole {
		failed = s.catalogue(ctx, r, fan, known, nil)
	} else {
		failed = s.named(ctx, r, fan, productIDs)
	}
	fan.wait()
	for i, sv := range surveys {
		if whole && failed == nil && sv.Error == "" {
			sv.extras(ctx, known)
		}
		plan.Channels = append(plan.Channels, sv.PlanChannel)
		plan.Channels[i].Channel = sv.target.name
		plan.Lines = append(plan.Lines, sv.lines...)
	}
	for _, p := range r.Problems {
		plan.Lines = append(plan.Lines, problemLine(p))
	}
	plan.Read = r.Read
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		failed = fmt.Errorf("syncer: %s: %w", r.Run, failed)
	}
	return plan, failed
}

// A survey finds out how one channel differs.
type survey struct {
	PlanChannel
	target *target
	guard  *budget
	lines  []Line
}

func (sv *survey) add(ctx context.Context, stocks []channel.Stock) {
	wants, problems := sv.target.wants(stocks)
	sv.Checked += len(wants) + len(problems)
	if sv.Error != "" {
		return
	}
	d, err := sv.target.plan(ctx, wants)
	if err != nil {
		sv.Error = err.Error()
		return
	}
	sv.Agreed += len(d.agreed)
	sv.Shown += d.shown
	inOrder(d.changes)
	passed, held := d.changes, []change(nil)
	if sv.target.reader != nil {
		passed, held = sv.guard.pass(d.changes, len(wants), d.shown)
	}
	for _, c := range passed {
		sv.lines = append(sv.lines, sv.target.line(c))
	}
	for _, c := range held {
		line := sv.target.line(c)
		line.Reason = Held
		sv.lines = append(sv.lines, line)
	}
	for _, p := range slices.Concat(problems, d.problems) {
		sv.lines = append(sv.lines, problemLine(p))
	}
}

// extras finds what is on the channel and not in the source.
func (sv *survey) extras(ctx context.Context, known *hashset.Set) {
	lister, ok := channel.As[channel.Lister](sv.target.Channel)
	if !ok {
		return
	}
	for sku, err := range lister.SKUs(ctx) {
		if err != nil {
			sv.Error = "listing: " + err.Error()
			return
		}
		if sku == "" {
			continue
		}
		switch has, err := known.Has(sku); {
		case err != nil:
			sv.Error = "listing: " + err.Error()
			return
		case has:
			continue
		}
		sv.Extra++
		if len(sv.ExtraSKUs) < mostListed {
			sv.ExtraSKUs = append(sv.ExtraSKUs, sku)
		}
	}
}

// String is the plan as text: the channels, then the lines.
func (p *Plan) String() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "channel\tchecked\tagreed\tdiffering\tnot in the source")
	for _, c := range p.Channels {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", c.Channel, c.Checked, c.Agreed, p.differing(c.Channel), c.Extra, c.Error)
	}
	if len(p.Lines) > 0 {
		fmt.Fprintln(table, "\nchannel\tSKU\tshown\twanted\tdelta\twhy")
	}
	for _, l := range p.Lines {
		fmt.Fprintf(table, "%s\t%s\n", cmp.Or(l.Channel, "source"), strings.Join(l.cells(), "\t"))
	}
	table.Flush()
	return b.String()
}

// Markdown is the plan as two Markdown tables.
func (p *Plan) Markdown() string {
	var b strings.Builder
	b.WriteString("| channel | checked | agreed | differing | not in the source |\n|---|--:|--:|--:|--:|\n")
	for _, c := range p.Channels {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", escape(c.Channel), c.Checked, c.Agreed, p.differing(c.Channel), c.Extra)
	}
	if len(p.Lines) > 0 {
		b.WriteString("\n| channel | SKU | shown | wanted | delta | why |\n|---|---|--:|--:|--:|---|\n")
	}
	for _, l := range p.Lines {
		cells := l.cells()
		for i := range cells {
			cells[i] = escape(cells[i])
		}
		fmt.Fprintf(&b, "| %s | %s |\n", escape(cmp.Or(l.Channel, "source")), strings.Join(cells, " | "))
	}
	return b.String()
}

func (p *Plan) differing(name string) int {
	n := 0
	for _, l := range p.Lines {
		if l.Channel == name && l.Reason.Writable() {
			n++
		}
	}
	return n
}

// cells are SKU, shown, wanted, delta and why.
func (l Line) cells() []string {
	cells := []string{cmp.Or(l.SKU, "product "+l.ProductID), "", "", "", string(l.Reason)}
	if l.Error != "" {
		cells[4] += ": " + l.Error
	}
	if l.Shown != nil {
		cells[1] = strconv.Itoa(*l.Shown)
	}
	if l.Reason != Unread {
		cells[2] = strconv.Itoa(l.Wanted)
	}
	if l.Reason.Writable() {
		cells[3] = fmt.Sprintf("%+d", l.Delta())
	}
	return cells
}

// escape keeps a text within its cell.
func escape(text string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "\n", " ", "<", "&lt;").Replace(text)
}
