package syncer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Report says what a run did, and what it could not do.
type Report struct {
	// Run names the run. Channels that keep a history show it there.
	Run string
	// Started and Duration say when the run was.
	Started  time.Time
	Duration time.Duration
	// Read is the number of products whose stock was read.
	Read int
	// Requests counts what the run cost, by the name of the channel, or "" for
	// the source, where these count ([channel.Meter]). What other runs sent
	// meanwhile is included.
	Requests map[string]int64
	// Unread is the number of products that could not be read, or that share
	// their SKU with an earlier one of the catalogue, and Problems are those, with
	// no Channel; the run changed none of them anywhere.
	Unread   int
	Problems []Problem
	// Channels has one entry for each target, in the order of Config.Targets.
	Channels []ChannelReport
	// Held has the lines that a guard held, or is nil: look at it, Approve it
	// and Apply it, or let it be.
	Held *Plan
	// Replanned has what Apply did not write because the channel or the source
	// had changed since the plan was made, planned anew; or it is nil.
	Replanned *Plan

	complete bool // a reconciliation of everything that the source has
}

// A ChannelReport says what became of the products on one channel. Each one
// that the target's filter let through is counted once: Checked is the sum of
// Updated, Unchanged, Superseded, Held, Replanned, Unknown and Failed.
//
// Lists are bounded, counts are not: Changes, Problems and the lines held each
// stop at 10,000, so that a report does not grow with the catalogue.
type ChannelReport struct {
	Channel    string
	Checked    int
	Updated    int // showed something else, and was written
	Unchanged  int // showed the right figure already
	Superseded int // another run has dealt with a newer figure meanwhile
	Held       int // past the guard's limits, and not written
	Replanned  int // not what the plan expected, and not written
	Unknown    int // the channel does not have the SKU
	Failed     int // could not be written, or not be read

	// Over and Under are how many of those updated or held showed more, and
	// less, than they should: the drift.
	Over, Under int

	// Err is set if the channel as a whole failed: it is down, say, or refuses
	// the credentials. The products that this concerns are among the Problems.
	Err error
	// Changes are what was written, in the order of writing.
	Changes []Change
	// Problems are the products that the channel does not show as it should.
	Problems []Problem

	held, replanned []Line
	superseded      []string             // products
	compared, shown int                  // what a guard\'s shares are of
	observe         func(string, Change) // may be nil
}

// mostListed bounds the lists of a report.
const mostListed = 10_000

// A Change is one figure that was written.
type Change struct {
	ProductID, SKU string
	// Shown is what the channel showed before, or nil if that is not known.
	Shown *int
	// Wanted is what it was told to show.
	Wanted int
	// AsOf is when the source was asked for the figure.
	AsOf time.Time
}

// A Problem is a product that a channel does not show as it should.
type Problem struct {
	Channel        string // "" if the product could not be read at the source
	ProductID, SKU string // as far as they are known
	Err            error

	wanted int
	many   int // for so many products alike
}

func (p Problem) String() string {
	where := p.Channel
	if where == "" {
		where = "source"
	}
	name := fmt.Sprintf("%q", p.SKU)
	switch {
	case p.many > 0:
		name = fmt.Sprintf("%d products", p.many)
	case p.SKU == "":
		name = "product " + p.ProductID
	}
	return fmt.Sprintf("%s: %s: %v", where, name, p.Err)
}

// unread records a product that was not read.
func (r *Report) unread(p Problem) {
	r.Unread++
	if len(r.Problems) < mostListed {
		r.Problems = append(r.Problems, p)
	}
}

// down reports whether a channel as a whole failed.
func (r *Report) down() bool {
	return slices.ContainsFunc(r.Channels, func(c ChannelReport) bool { return c.Err != nil })
}

// planOf makes a plan of lines that were left, or nil.
func (r *Report) planOf(lines func(ChannelReport) []Line) *Plan {
	p := &Plan{Run: r.Run, Made: r.Started, Read: r.Read}
	for _, c := range r.Channels {
		p.Channels = append(p.Channels, PlanChannel{Channel: c.Channel, Checked: c.compared, Agreed: c.Unchanged + c.Updated, Shown: c.shown})
		p.Lines = append(p.Lines, lines(c)...)
	}
	if len(p.Lines) == 0 {
		return nil
	}
	return p
}

// firstFailure is the first error that is not just an unknown SKU.
func firstFailure(problems []Problem) error {
	for _, p := range problems {
		if !unknown(p.Err) {
			return p.Err
		}
	}
	return nil
}

func (r *ChannelReport) done(c change) {
	r.Checked++
	r.Updated++
	r.drift(c)
	change := Change{ProductID: c.ProductID, SKU: c.SKU, Shown: c.shown(), Wanted: c.quantity, AsOf: c.AsOf}
	if len(r.Changes) < mostListed {
		r.Changes = append(r.Changes, change)
	}
	if r.observe != nil {
		r.observe(r.Channel, change)
	}
}

func (r *ChannelReport) supersede(w want) {
	r.Checked++
	r.Superseded++
	if len(r.superseded) < mostListed {
		r.superseded = append(r.superseded, w.ProductID)
	}
}

func (r *ChannelReport) drift(c change) {
	if was := c.shown(); was != nil && *was > c.quantity {
		r.Over++
	} else if was != nil {
		r.Under++
	}
}

func (r *ChannelReport) fail(problems ...Problem) {
	for _, p := range problems {
		if unknown(p.Err) {
			r.Unknown++
		} else {
			r.Failed++
		}
	}
	r.Checked += len(problems)
	r.Problems = append(r.Problems, problems[:min(len(problems), mostListed-len(r.Problems))]...)
}

func (r *ChannelReport) failAll(t *target, pending []want, err error) {
	for _, w := range pending {
		r.fail(t.problem(w, err))
	}
}

// hold records changes that a guard held.
func (r *ChannelReport) hold(t *target, held []change) {
	r.Checked += len(held)
	r.Held += len(held)
	for _, c := range held {
		r.drift(c)
		if len(r.held) < mostListed {
			line := t.line(c)
			line.Reason = Held
			r.held = append(r.held, line)
		}
	}
}

// expected keeps the changes that a plan expects, and records the others.
func (r *ChannelReport) expected(t *target, changes []change, expect map[string]Line) (kept []change) {
	for _, c := range changes {
		line := t.line(c)
		if line.same(expect[c.SKU]) {
			kept = append(kept, c)
			continue
		}
		r.Checked++
		r.Replanned++
		if len(r.replanned) < mostListed {
			r.replanned = append(r.replanned, line)
		}
	}
	return kept
}

// Err returns nil if every channel shows what it should of the products that
// it has, and else an error that counts what is amiss and matches the errors
// of the problems. That a channel does not have a product is no error here: not
// every channel sells everything.
func (r *Report) Err() error {
	failed, held := r.Unread, 0
	var errs []error
	for _, p := range r.Problems {
		errs = append(errs, p.Err)
	}
	for _, c := range r.Channels {
		failed += c.Failed + c.Replanned
		held += c.Held
		if c.Err != nil {
			// It explains most of the others, so it comes before them.
			errs = slices.Insert(errs, 0, fmt.Errorf("%s: %w", c.Channel, c.Err))
			failed = max(failed, 1)
		}
		for _, p := range c.Problems {
			if !unknown(p.Err) {
				errs = append(errs, p.Err)
			}
		}
		if c.Replanned > 0 {
			errs = append(errs, fmt.Errorf("%s: %d lines of the plan: %w", c.Channel, c.Replanned, channel.ErrConflict))
		}
	}
	if held > 0 {
		errs = append(errs, ErrHeld)
	}
	if len(errs) == 0 {
		return nil
	}
	return &reportError{failed + held, errs}
}

type reportError struct {
	failed int
	errs   []error
}

func (e *reportError) Unwrap() []error { return e.errs }
func (e *reportError) Error() string {
	return fmt.Sprintf("syncer: %d figures are not shown as they should be, the first because: %v", e.failed, e.errs[0])
}

// String is the report as text: a table of the channels, then the problems by
// name. Of many alike only the first few are listed.
func (r *Report) String() string {
	var b strings.Builder
	r.write(&b)
	return b.String()
}

func (r *Report) write(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "channel\tchecked\tupdated\tunchanged\theld\tunknown SKU\tfailed")
	problems := slices.Clone(r.Problems)
	for _, c := range r.Channels {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n",
			c.Channel, c.Checked, c.Updated, c.Unchanged+c.Superseded, c.Held+c.Replanned, c.Unknown, c.Failed)
		if c.Err == nil {
			problems = append(problems, c.Problems...)
			continue
		}
		// One line says it for all that failed of the same cause.
		failed := 0
		for _, p := range c.Problems {
			if errors.Is(p.Err, c.Err) {
				failed++
			} else {
				problems = append(problems, p)
			}
		}
		problems = append(problems, Problem{Channel: c.Channel, many: failed, Err: c.Err})
	}
	table.Flush()
	const most = 20
	for i, p := range problems {
		if i == most {
			fmt.Fprintf(w, "… and %d more\n", len(problems)-most)
			break
		}
		fmt.Fprintln(w, p)
	}
}
