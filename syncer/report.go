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
	// Problems are the products that could not be read, with no Channel; none
	// of them was changed anywhere.
	Problems []Problem
	// Channels has one entry for each target, in the order of Config.Targets.
	Channels []ChannelReport
}

// A ChannelReport says what became of the products on one channel. Each one
// that the target's filter let through is counted once: Checked is the sum of
// Updated, Unchanged, Superseded, Unknown and Failed.
type ChannelReport struct {
	Channel    string
	Checked    int
	Updated    int // showed something else, and was written
	Unchanged  int // showed the right figure already
	Superseded int // another run has dealt with a newer figure meanwhile
	Unknown    int // the channel does not have the SKU
	Failed     int // could not be written, or not be read

	// Err is set if the channel as a whole failed: it is down, say, or refuses
	// the credentials. The products that this concerns are among the Problems.
	Err error
	// Changes are what was written, in the order of writing.
	Changes []Change
	// Problems are the products that the channel does not show as it should.
	Problems []Problem
}

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
}

func (p Problem) String() string {
	where := p.Channel
	if where == "" {
		where = "source"
	}
	name := fmt.Sprintf("%q", p.SKU)
	if p.SKU == "" {
		name = "product " + p.ProductID
	}
	return fmt.Sprintf("%s: %s: %v", where, name, p.Err)
}

// add puts a product that was read into g, unless it was read badly.
func (r *Report) add(g *group, s channel.Stock) {
	if s.Err != nil {
		r.Problems = append(r.Problems, Problem{ProductID: s.ProductID, SKU: s.SKU, Err: s.Err})
		return
	}
	r.Read++
	if s.AsOf.IsZero() {
		s.AsOf = g.began
	}
	g.stocks = append(g.stocks, s)
}

// unread records products that were not read.
func (r *Report) unread(err error, productIDs ...string) {
	for _, id := range productIDs {
		r.Problems = append(r.Problems, Problem{ProductID: id, Err: err})
	}
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
	change := Change{ProductID: c.ProductID, SKU: c.SKU, Wanted: c.quantity, AsOf: c.AsOf}
	if c.seen != nil && !c.seen.Unset {
		change.Shown = &c.seen.Quantity
	}
	r.Changes = append(r.Changes, change)
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
	r.Problems = append(r.Problems, problems...)
}

// Err returns nil if every channel shows what it should of the products that
// it has, and else an error that counts what is amiss and matches the errors
// of the problems. That a channel does not have a product is no error here: not
// every channel sells everything.
func (r *Report) Err() error {
	var errs []error
	failed := 0
	add := func(problems []Problem) {
		for _, p := range problems {
			if p.Channel == "" || !unknown(p.Err) {
				failed++
				errs = append(errs, p.Err)
			}
		}
	}
	add(r.Problems)
	for _, c := range r.Channels {
		add(c.Problems)
	}
	if failed == 0 {
		return nil
	}
	return &reportError{failed, errs}
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
	fmt.Fprintln(table, "channel\tchecked\tupdated\tunchanged\tunknown SKU\tfailed")
	problems := slices.Clone(r.Problems)
	for _, c := range r.Channels {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\n", c.Channel, c.Checked, c.Updated, c.Unchanged+c.Superseded, c.Unknown, c.Failed)
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
		problems = append(problems, Problem{Channel: c.Channel, SKU: fmt.Sprintf("%d products", failed), Err: c.Err})
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
