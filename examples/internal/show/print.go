package show

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Channels prints how each channel compares.
func (o *Output) Channels(s Summary) {
	columns := []Column{{Title: "channel", Least: 8}, {Title: "products", Right: true, Drop: 1}, {Title: "agree", Right: true}, {Title: "too many", Right: true},
		{Title: "too few", Right: true}, {Title: "held", Right: true}, {Title: "unknown", Right: true}, {Title: "failed", Right: true}}
	var rows [][]Cell
	for _, c := range s.Channels {
		number := func(n int, colour Colour) Cell {
			if n == 0 {
				colour = Dim
			}
			return Cell{Number(n), colour}
		}
		rows = append(rows, []Cell{{Text: c.Name}, number(c.Checked, Plain), number(c.Agree, Green), number(c.Over, Red), number(c.Under, Yellow),
			number(c.Held, Red), number(c.Missing, Plain), number(c.Failed, Red)})
	}
	o.Table(columns, rows)
}

// Summary prints the sentence, and the first rows; 0 means all of them.
func (o *Output) Summary(s Summary, limit int) {
	colour, down := Green, s.Down()
	switch {
	case s.Count(Held)+s.Count(Failed)+s.Count(Unclear)+len(down) > 0:
		colour = Red
	case s.Count(Differs) > 0:
		colour = Yellow
	}
	o.Line(colour, s.Sentence())
	for _, c := range down {
		o.Table([]Column{{}}, [][]Cell{{{c.Name + ": " + c.Err, Red}}})
	}
	o.Line(Red, s.Warning())
	o.Line(Plain, s.Blame())
	if s.Extra > 0 {
		fmt.Fprintf(o, "Not in ECOSIRE: %s of the shops.\n", Count(s.Extra, "SKU", "SKUs"))
	}
	if len(s.Rows) == 0 {
		return
	}
	rows, more := s.first(limit)
	named := slices.ContainsFunc(rows, func(r Row) bool { return r.Name != "" && r.Name != r.SKU })
	columns := []Column{{}, {Title: "channel", Least: 8, Drop: 2}, {Title: "SKU", Least: 10}, {Title: "product", Least: 8, Drop: 1},
		{Title: "shows", Right: true}, {Title: "should", Right: true}, {Title: "why", Least: 10}}
	if !slices.ContainsFunc(rows, func(r Row) bool { return r.State != Written }) {
		columns[4].Title, columns[5].Title = "showed", "shows"
	}
	table := make([][]Cell, 0, len(rows))
	for _, r := range rows {
		cells := r.cells()
		if !named {
			cells = slices.Delete(cells, 3, 4)
		}
		table = append(table, cells)
	}
	if !named {
		columns = slices.Delete(columns, 3, 4)
	}
	fmt.Fprintln(o)
	o.Table(columns, table)
	if more > 0 {
		fmt.Fprintln(o, o.Paint(Dim, "… and "+Number(more)+" more"))
	}
}

func (r Row) cells() []Cell {
	colour := map[State]Colour{Held: Red, Failed: Red, Unclear: Red, Differs: Yellow, Pending: Yellow, Written: Green, Missing: Dim}[r.State]
	if r.rank() == 1 {
		colour = Red // oversold
	}
	shown, wanted := "", strconv.Itoa(r.Wanted)
	if r.Shown != nil {
		shown = strconv.Itoa(*r.Shown)
	}
	if r.State == Failed || r.State == Missing {
		wanted = ""
	}
	return []Cell{
		{string(r.State), colour}, {cmp.Or(r.Channel, "ECOSIRE"), Plain}, {cmp.Or(r.SKU, "product "+r.ProductID), Bold}, {r.Name, Plain},
		{shown, Plain}, {wanted, Plain}, {r.why(), colour},
	}
}

// why says what the row means for the shop, and why it drifted.
func (r Row) why() string {
	if r.Culprit != "" {
		return r.means() + ": " + string(r.Culprit)
	}
	return r.means()
}

func (r Row) means() string {
	switch {
	case r.Why != "": // the SKU has a column of its own
		return strings.Replace(r.Why, fmt.Sprintf(" SKU %q", r.SKU), "", 1)
	case r.State == Unclear:
		return "sent without an answer"
	case r.State == Pending:
		return "accepted, shows later"
	case r.Shown == nil && r.State != Written:
		return "no quantity yet: sold without a limit"
	case r.Shown == nil:
		return "had no quantity, or none that could be read"
	}
	was := ""
	if r.State == Written {
		was = "was "
	}
	switch {
	case *r.Shown > 0 && r.Wanted <= 0:
		return was + "sold out, and on sale"
	case *r.Shown > r.Wanted:
		return was + Number(*r.Shown-r.Wanted) + " too many"
	case *r.Shown <= 0 && r.Wanted > 0:
		return was + "in stock, and off sale"
	}
	return was + Number(r.Wanted-*r.Shown) + " too few"
}
