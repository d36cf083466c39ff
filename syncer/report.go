package syncer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// A Report says what a run did, and what it could not do. It is data, and goes
// through encoding/json and back; errors come back as their texts, and still
// match the errors of package channel.
type Report struct {
	// Run names the run. Channels that keep a history show it there.
	Run string `json:"run"`
	// Started and Duration say when the run was.
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"`
	// Resumed is set if this run continues an earlier one, which a restart or the
	// end of the schedule's hours had stopped: it is when that one began. The
	// counts then are of both, the lists and Requests of this one, and nothing
	// retired is looked for.
	Resumed time.Time `json:"resumed,omitzero"`
	// Rested reports that the run stopped early, as the schedule's hours or Run
	// had ended. The rest is compared when it goes on. See [Between].
	Rested bool `json:"rested,omitempty"`
	// Read is the number of products whose stock was read.
	Read int `json:"read"`
	// Requests counts what the run cost, by the name of the channel, or "" for
	// the source, where these count ([channel.Meter]). What other runs sent
	// meanwhile is included.
	Requests map[string]int64 `json:"requests,omitempty"`
	// Unread is the number of products that could not be read, or that share
	// their SKU with an earlier one of the catalogue. Problems lists them, with no
	// Channel. The run changed none of them anywhere.
	Unread   int       `json:"unread"`
	Problems []Problem `json:"problems,omitempty"`
	// Channels has one entry for each target, in the order of Config.Targets.
	Channels []ChannelReport `json:"channels"`
	// Held has the lines that a guard held, or is nil. Look at them; then
	// [Syncer.Approve] what it holds, or leave it. To write the lines at once
	// [Syncer.Apply] the plan with Approved set; a guard that has tripped stays so then;
	// see [Plan].Approved.
	Held *Plan `json:"held,omitempty"`
	// Replanned has what Apply did not write because the channel or the source
	// had changed since the plan was made, planned anew; or it is nil.
	Replanned *Plan `json:"replanned,omitempty"`
}

// A ChannelReport says what became of the products on one channel. Each
// listing that the target shows is counted once: Checked is the sum of Updated,
// Observed, Pending, Unclear, Unchanged, Superseded, Held, Replanned, Unknown and Failed.
//
// Lists are bounded, counts are not: Changes, Observations, Problems and the lines held each
// stop at 10,000, so that a report does not grow with the catalogue.
type ChannelReport struct {
	Channel    string `json:"channel"`
	Checked    int    `json:"checked"`
	Updated    int    `json:"updated"`              // showed something else, and was written
	Observed   int    `json:"observed,omitempty"`   // showed something else, and was not written, since the target observes
	Pending    int    `json:"pending,omitempty"`    // accepted, in this run or an earlier one, and not shown yet; or asked of a leader that has not answered
	Unclear    int    `json:"unclear,omitempty"`    // sent, and not known whether applied
	Unchanged  int    `json:"unchanged"`            // showed the right quantity already
	Superseded int    `json:"superseded,omitempty"` // changed again and again meanwhile, and not written
	Held       int    `json:"held,omitempty"`       // held by the guard, and not written
	Replanned  int    `json:"replanned,omitempty"`  // not what the plan expected, and not written
	Unknown    int    `json:"unknown,omitempty"`    // the channel does not have the SKU
	Failed     int    `json:"failed,omitempty"`     // could not be read or written

	// Extra is the number of SKUs on the channel that no listing of a product has,
	// and ExtraSKUs are the first 10,000 of them. Retired are those that customers
	// can buy, as found, whether they were set to 0 or not. They are looked for if
	// the target has a Retire, and a run over the whole catalogue was complete.
	// Unlisted says why not all were found.
	Extra     int      `json:"extra,omitempty"`
	ExtraSKUs []string `json:"extraSKUs,omitempty"`
	Retired   []Line   `json:"retired,omitempty"`
	Unlisted  string   `json:"unlisted,omitempty"`

	// OnSale is the number of products compared that customers can buy.
	OnSale int `json:"onSale"`
	// SellsAtZero is the number of listings compared that customers can go on
	// buying when there are none left ([channel.Level].SellsAtZero), and AtZero
	// has the SKUs of the first 10,000 of these that are to show 0: what they
	// sell is not there.
	SellsAtZero int      `json:"sellsAtZero,omitempty"`
	AtZero      []string `json:"atZero,omitempty"`
	// Sold is how many units the channel was noticed to have sold. Those that the
	// source had not booked by then are in flight; see Config.Settle.
	Sold int `json:"sold,omitempty"`
	// Pinned is how many of the Checked show, or are to show, what their product is
	// pinned to; see [Pin].
	Pinned int `json:"pinned,omitempty"`
	// WouldHold is how many of the Observed a guard would have held.
	WouldHold int `json:"wouldHold,omitempty"`
	// Over and Under are how many of those written, observed, sent or held showed
	// more, and less, than they should: the drift.
	Over  int `json:"over,omitempty"`
	Under int `json:"under,omitempty"`

	// Culprits counts why a reconciliation found drift; see [Culprit]. It is nil
	// without a journal.
	Culprits map[Culprit]int `json:"culprits,omitempty"`

	// Paused reports that the channel was paused at some time of the run. What the
	// counts do not have waits until it is resumed; see [Syncer.Pause].
	Paused bool `json:"paused,omitempty"`

	// Err is set if the channel as a whole failed: it is down, say, or refuses
	// the credentials. The products that this concerns are among the Problems.
	// In a reconciliation it means that the channel was not compared as a
	// whole.
	Err error `json:"-"`
	// Changes are what was written, in the order of writing, and what was sent
	// without an answer.
	Changes []Change `json:"changes,omitempty"`
	// Observations are what would have been written, and what the channel showed
	// instead.
	Observations []Change `json:"observations,omitempty"`
	// Problems are the products that the channel does not show as it should.
	// Those whose SKU the channel does not have take at most half of the list.
	Problems []Problem `json:"problems,omitempty"`
}

// maxListed bounds the lists of a report.
const maxListed = 10_000

// A Change is a quantity that was written, or would have been; its State tells.
type Change struct {
	ProductID string `json:"productID"`
	SKU       string `json:"sku"`
	// ProductSKU and Name are as in [Line].
	ProductSKU string `json:"productSKU,omitempty"`
	Name       string `json:"name,omitempty"`
	// Shown is what the channel showed before, or nil if it showed no quantity
	// or cannot be read.
	Shown *int `json:"shown"`
	// Wanted is what it was told to show.
	Wanted int `json:"wanted"`
	// OffSale reports that customers could not buy it before, whatever Shown is.
	OffSale bool `json:"offSale,omitempty"`
	// AsOf is when the source was asked for the quantity.
	AsOf time.Time `json:"asOf"`
	// State is what became of it; [ChangeWritten] is the zero value.
	State ChangeState `json:"state,omitempty"`
	// Pinned reports that a [Pin] says so.
	Pinned bool `json:"pinned,omitempty"`
	// Culprit is why the channel did not show it already; "" if nobody asked.
	Culprit Culprit `json:"culprit,omitempty"`
}

// A ChangeState is what became of a [Change].
type ChangeState string

// The states of changes.
const (
	ChangeWritten  ChangeState = ""         // written, and the channel shows it
	ChangePending  ChangeState = "pending"  // accepted, and does not show yet
	ChangeUnclear  ChangeState = "unclear"  // sent, and whether it was applied is not known
	ChangeObserved ChangeState = "observed" // not written, as the target observes
)

// A Problem is a product that a channel did not show as it should when the run ended,
// or that the source could not tell. What lasts beyond a run is a [Trouble].
type Problem struct {
	Channel   string `json:"channel,omitempty"` // "" if the product could not be read at the source
	ProductID string `json:"productID,omitempty"`
	SKU       string `json:"sku,omitempty"`
	// ProductSKU and Name are as in [Line].
	ProductSKU string `json:"productSKU,omitempty"`
	Name       string `json:"name,omitempty"`
	Err        error  `json:"-"`

	many int // how many products have it
}

// failure is an error in JSON.
type failure struct {
	Class string `json:"class,omitempty"` // see channel.Class
	Text  string `json:"error,omitempty"`
}

func failureOf(err error) failure {
	if err == nil {
		return failure{}
	}
	return failure{channel.Class(err), err.Error()}
}

func (f failure) err() error { return channel.OfClass(f.Class, f.Text) }

// MarshalJSON writes Err as its text and a class that can be a metric's label.
func (p Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	return json.Marshal(struct {
		plain
		failure
	}{plain(p), failureOf(p.Err)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Problem) UnmarshalJSON(data []byte) error {
	type plain Problem
	var v struct {
		plain
		failure
	}
	err := json.Unmarshal(data, &v)
	*p = Problem(v.plain)
	p.Err = v.failure.err()
	return err
}

// MarshalJSON writes Err as its text and a class that can be a metric's label.
func (r ChannelReport) MarshalJSON() ([]byte, error) {
	type plain ChannelReport
	return json.Marshal(struct {
		plain
		failure
	}{plain(r), failureOf(r.Err)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *ChannelReport) UnmarshalJSON(data []byte) error {
	type plain ChannelReport
	var v struct {
		plain
		failure
	}
	err := json.Unmarshal(data, &v)
	*r = ChannelReport(v.plain)
	r.Err = v.failure.err()
	return err
}

// String says where, what and why, in one line.
func (p Problem) String() string {
	where := p.Channel
	if where == "" {
		where = "source"
	}
	name := fmt.Sprintf("%q", text.Clean(p.SKU))
	switch {
	case p.many > 0:
		name = fmt.Sprintf("%d products", p.many)
	case p.SKU == "":
		name = "product " + text.Clean(p.ProductID)
	case p.Err != nil && strings.Contains(p.Err.Error(), name): // it says so itself
		return fmt.Sprintf("%s: %v%s", where, p.Err, aka(p.SKU, p.ProductSKU, p.Name))
	}
	if p.many == 0 {
		name += aka(p.SKU, p.ProductSKU, p.Name)
	}
	return fmt.Sprintf("%s: %s: %v", where, name, p.Err)
}

// aka is what a product is called beside its SKU on a channel, for people.
func aka(sku, productSKU, name string) string {
	switch {
	case productSKU != "" && name != "" && name != productSKU:
		return fmt.Sprintf(" (%s, %s)", text.Cut(productSKU, 40), text.Cut(name, 40))
	case productSKU != "":
		return fmt.Sprintf(" (%s)", text.Cut(productSKU, 40))
	case name != "" && name != sku:
		return fmt.Sprintf(" (%s)", text.Cut(name, 40))
	}
	return ""
}

// Err returns nil if every channel shows what it should of the products that
// it has, and else an error that counts what is amiss and matches the errors
// of the problems.
//
// The rule is the same for the error of [Syncer.SyncProducts],
// [Syncer.Reconcile] and [Syncer.Apply]: it is not nil if something that was
// asked for was not done and nobody decided so. That a channel does not have a
// product, that a filter leaves it out, and a pause, are decisions. That a guard
// holds it, that the source did not answer it, that it kept changing, and that it
// is not known whether it was applied, are not. What another run has done meanwhile
// is found right, and counts as Unchanged.
func (r *Report) Err() error {
	amiss := r.Unread
	var errs []error
	for _, p := range r.Problems {
		errs = append(errs, p.Err)
	}
	for _, c := range r.Channels {
		amiss += c.Failed + c.Unclear + c.Superseded + c.Replanned + c.Held
		if c.Err != nil {
			// It explains most of the others, so it comes before them.
			errs = slices.Insert(errs, 0, fmt.Errorf("%s: %w", c.Channel, c.Err))
			amiss = max(amiss, 1)
		}
		listed := 0
		for _, p := range c.Problems {
			if !unknown(p.Err) {
				errs = append(errs, p.Err)
				listed++
			}
		}
		if listed == 0 && c.Failed+c.Unclear > 0 {
			errs = append(errs, fmt.Errorf("%s: %d products failed", c.Channel, c.Failed+c.Unclear))
		}
		if c.Superseded > 0 {
			errs = append(errs, fmt.Errorf("%s: %d products kept changing: %w", c.Channel, c.Superseded, channel.ErrConflict))
		}
		if c.Replanned > 0 {
			errs = append(errs, fmt.Errorf("%s: %d lines of the plan: %w", c.Channel, c.Replanned, channel.ErrConflict))
		}
		if c.Held > 0 {
			errs = append(errs, fmt.Errorf("%s: %d lines: %w", c.Channel, c.Held, ErrHeld))
		}
	}
	if r.Unread > 0 && len(r.Problems) == 0 {
		errs = append(errs, fmt.Errorf("%d products were not read", r.Unread))
	}
	if len(errs) == 0 {
		return nil
	}
	return &reportError{amiss, errs}
}

type reportError struct {
	amiss int
	errs  []error
}

func (e *reportError) Unwrap() []error { return e.errs }
func (e *reportError) Error() string {
	return fmt.Sprintf("%d quantities are not shown as they should be, the first because: %v", e.amiss, e.errs[0])
}

// unknown reports whether a problem is just that the channel does not have the
// product.
func unknown(err error) bool { return errors.Is(err, channel.ErrUnknownSKU) }

// String is the report as text: a table of the channels, then the problems by
// name. Of many alike only the first few are listed.
func (r *Report) String() string {
	var b strings.Builder
	r.write(&b)
	return b.String()
}

func (r *Report) write(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "channel\tchecked\tupdated\tunchanged\theld\tunknown SKU\tunclear\tfailed")
	problems := slices.Clone(r.Problems)
	for _, c := range r.Channels {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n",
			c.Channel, c.Checked, c.Updated+c.Pending, c.Unchanged, c.Held+c.Replanned, c.Unknown, c.Unclear, c.Failed+c.Superseded)
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
	for i := range r.Channels {
		r.Channels[i].notes(w)
	}
	const most = 20
	for i, p := range problems {
		if i == most {
			fmt.Fprintf(w, "… and %d more\n", len(problems)-most)
			break
		}
		fmt.Fprintln(w, p)
	}
}

// notes writes what is no problem, and yet somebody should know.
func (c *ChannelReport) notes(w io.Writer) {
	if c.Paused {
		fmt.Fprintf(w, "%s: the channel was paused; what was not compared waits until it is resumed\n", c.Channel)
	}
	c.writeObserved(w)
	if c.Pinned > 0 {
		fmt.Fprintf(w, "%s: %d listings show what somebody has pinned them to\n", c.Channel, c.Pinned)
	}
	writeAtZero(w, c.Channel, c.SellsAtZero, c.AtZero)
	writeRetired(w, c.Channel, c.Retired)
	if c.Unlisted != "" {
		fmt.Fprintf(w, "%s: what the source does not have was not found out as a whole: %s\n", c.Channel, text.Clean(c.Unlisted))
	}
}

// writeRetired writes what the source does not have and customers can buy.
func writeRetired(w io.Writer, channel string, lines []Line) {
	const most = 5
	for i, l := range lines {
		if i == most {
			fmt.Fprintf(w, "%s: … and %d more\n", channel, len(lines)-most)
			break
		}
		fmt.Fprintf(w, "%s: the source does not have %q, and customers can buy it\n", channel, text.Clean(l.SKU))
	}
}

// writeAtZero writes what sells at zero.
func writeAtZero(w io.Writer, channel string, n int, atZero []string) {
	if n == 0 {
		return
	}
	fmt.Fprintf(w, "%s: customers can go on buying %d listings at zero", channel, n)
	const most = 5
	for i, sku := range atZero[:min(most, len(atZero))] {
		fmt.Fprint(w, map[bool]string{true: "; without stock are ", false: ", "}[i == 0], strconv.Quote(text.Clean(sku)))
	}
	if more := len(atZero) - most; more > 0 {
		fmt.Fprintf(w, " and %d more", more)
	}
	fmt.Fprintln(w)
}
