package show

import (
	"cmp"
	"errors"
	"slices"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// A State is what became of a product on a channel.
type State string

// The states, those to look at first before the others.
const (
	Held    State = "held"    // the guard waits for a person
	Failed  State = "failed"  // it cannot be shown, or was not
	Unclear State = "unclear" // it was sent, and may or may not be shown
	Differs State = "differs" // it would be written
	Pending State = "pending" // the channel has accepted it, and shows it later
	Written State = "written"
	Missing State = "missing" // the channel does not have the SKU
)

var states = []State{Held, Failed, Unclear, Differs, Pending, Written, Missing}

// A Row is a product on a channel that does not agree, or did not.
type Row struct {
	State              State
	Channel, SKU, Name string
	ProductID          string
	Shown              *int // nil if it shows no quantity, or it is not known
	Wanted             int
	SoldOut            bool           // the source says so
	Why                string         // for what failed
	Culprit            syncer.Culprit // why it drifted, where that is known
}

// A Summary is what a plan or a report comes to.
type Summary struct {
	Channels []Channel
	Rows     []Row // in the order of their danger
	// More is how many rows a report counts and does not list, by state.
	More map[State]int
	// Culprits counts why there was drift, where that is known.
	Culprits map[syncer.Culprit]int
	// Extra is how many SKUs the channels have and the source has not, where
	// that was asked.
	Extra int
}

// A Channel is what a plan or a report comes to on one channel.
type Channel struct {
	Name           string
	Checked, Agree int
	Over, Under    int // showed too much, or too little, written or not
	Held           int
	Missing        int
	Failed         int
	Err            string // why it could not be read or written as a whole
}

// OfPlan sums a plan up.
func OfPlan(plan *syncer.Plan) Summary {
	var s Summary
	for _, c := range plan.Channels {
		sum := Channel{Name: c.Channel, Checked: c.Checked, Agree: c.Agreed, Err: c.Error}
		for _, l := range plan.Lines {
			if l.Channel != c.Channel {
				continue
			}
			row := ofLine(l)
			sum.count(row)
			s.Rows = append(s.Rows, row)
		}
		s.Channels = append(s.Channels, sum)
		s.Extra += c.Extra
	}
	for _, l := range plan.Lines {
		if l.Channel == "" {
			s.Rows = append(s.Rows, ofLine(l))
		}
	}
	return s.ordered()
}

func (c *Channel) count(r Row) {
	switch r.State {
	case Held:
		c.Held++
	case Missing:
		c.Missing++
	case Failed, Unclear:
		c.Failed++
	}
	switch {
	case r.State != Held && r.State != Differs:
	case r.over():
		c.Over++
	default:
		c.Under++
	}
}

func ofLine(l syncer.Line) Row {
	row := Row{Channel: l.Channel, SKU: l.SKU, Name: l.Name, ProductID: l.ProductID, Shown: l.Shown, Wanted: l.Wanted, SoldOut: l.SoldOut, Why: l.Error}
	switch {
	case l.Reason == syncer.ReasonHeld:
		row.State = Held
	case l.Reason == syncer.ReasonPending:
		row.State = Pending
	case l.Reason == syncer.ReasonUnknown:
		row.State = Missing
	case l.Reason.Writable():
		row.State = Differs
	default:
		row.State = Failed
		row.Why = cmp.Or(row.Why, string(l.Reason))
	}
	return row
}

// OfReport sums a report up, as [OfPlan] does a plan.
func OfReport(r *syncer.Report) Summary {
	s := Summary{More: make(map[State]int), Culprits: make(map[syncer.Culprit]int)}
	add := func(row Row) {
		s.Rows = append(s.Rows, row)
		s.More[row.State]--
	}
	s.More[Failed] += r.Unread
	for _, p := range r.Problems {
		add(ofProblem(p))
	}
	for _, c := range r.Channels {
		sum := Channel{Name: c.Channel, Checked: c.Checked, Agree: c.Unchanged, Over: c.Over, Under: c.Under,
			Held: c.Held, Missing: c.Unknown, Failed: c.Failed + c.Unclear + c.Superseded + c.Replanned}
		if c.Err != nil {
			sum.Err = c.Err.Error()
		}
		s.Channels = append(s.Channels, sum)
		for culprit, n := range c.Culprits {
			s.Culprits[culprit] += n
		}
		s.More[Written] += c.Updated
		s.More[Pending] += c.Pending
		s.More[Unclear] += c.Unclear
		s.More[Failed] += c.Failed + c.Superseded + c.Replanned
		s.More[Missing] += c.Unknown
		s.More[Held] += c.Held
		unclear := make(map[string]bool)
		for _, ch := range c.Changes {
			row := Row{State: Written, Channel: c.Channel, SKU: ch.SKU, Name: ch.Name, ProductID: ch.ProductID, Shown: ch.Shown, Wanted: ch.Wanted, Culprit: ch.Culprit}
			if ch.State != "" {
				row.State = State(ch.State)
			}
			unclear[ch.SKU] = row.State == Unclear
			add(row)
		}
		for _, p := range c.Problems {
			if !unclear[p.SKU] { // of which the change is a row
				add(ofProblem(p))
			}
		}
	}
	for _, plan := range []*syncer.Plan{r.Held, r.Replanned} {
		if plan == nil {
			continue
		}
		for _, l := range plan.Lines {
			row := ofLine(l)
			if plan == r.Replanned {
				row.State, row.Why = Failed, "it changed since the plan was made"
			}
			add(row)
		}
	}
	return s.ordered()
}

func ofProblem(p syncer.Problem) Row {
	row := Row{State: Failed, Channel: p.Channel, SKU: p.SKU, Name: p.Name, ProductID: p.ProductID, Why: p.Err.Error()}
	if errors.Is(p.Err, channel.ErrUnknownSKU) {
		row.State = Missing
	}
	return row
}

// ordered brings the rows into the order of their danger: what nobody has
// mended first, and of that what can be sold twice, by units.
func (s Summary) ordered() Summary {
	slices.SortStableFunc(s.Rows, func(a, b Row) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()),
			-cmp.Compare(a.danger(), b.danger()),
			cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Channel, b.Channel),
		)
	})
	return s
}

// rank is a row's place by its state: first what a person has to decide, then
// what is, or may be, oversold, then the rest.
func (r Row) rank() int {
	if (r.State == Differs || r.State == Unclear) && r.over() {
		return 1
	}
	if n := slices.Index(states, r.State); n > 0 {
		return n + 1
	}
	return 0
}

// over reports whether more is on sale than there is.
func (r Row) over() bool { return r.Shown == nil || *r.Shown > r.Wanted }

// danger is how many units can be sold that are not there, and, below 1, how
// few sales are lost.
func (r Row) danger() float64 {
	switch {
	case r.Shown == nil && (r.State == Failed || r.State == Missing):
		return 0
	case r.Shown == nil: // sold without a limit
		return 1e18 - float64(r.Wanted)
	case *r.Shown > r.Wanted:
		return 1 + float64(*r.Shown-r.Wanted)
	}
	return 1 - 1/float64(1+r.Wanted-*r.Shown)
}

// Count returns how many rows are in a state, listed or not.
func (s Summary) Count(state State) int {
	n := s.More[state]
	for _, r := range s.Rows {
		if r.State == state {
			n++
		}
	}
	return n
}

// Down returns the channels that could not be read or written as a whole.
func (s Summary) Down() []Channel {
	return slices.DeleteFunc(slices.Clone(s.Channels), func(c Channel) bool { return c.Err == "" })
}

// first returns the first rows, and how many more there are, listed or not; a
// limit of 0 means all that are listed.
func (s Summary) first(limit int) (rows []Row, more int) {
	rows = s.Rows
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	more = len(s.Rows) - len(rows)
	for _, n := range s.More {
		more += n
	}
	return rows, more
}
