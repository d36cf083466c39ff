package syncer

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/ecosire/stocksync/internal/text"
)

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
	for _, c := range p.Channels {
		writeAtZero(&b, c.Channel, c.SellsAtZero, c.AtZero)
		writeRetired(&b, c.Channel, c.Retired)
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
	cells := []string{text.Clean(cmp.Or(l.SKU, "product "+l.ProductID)), "", "", "", string(l.Reason)}
	cells[0] += aka(l.SKU, l.ProductSKU, l.Name)
	if l.SellsAtZero {
		cells[4] += ", sells at zero"
	}
	if l.Error != "" {
		cells[4] += ": " + text.Clean(l.Error)
	}
	if l.Shown != nil {
		cells[1] = strconv.Itoa(*l.Shown)
		if l.Inexact {
			cells[1] += "+" // and a fraction
		}
	}
	if l.Reason != Unread {
		cells[2] = strconv.Itoa(l.Wanted)
	}
	if l.Shown == nil && l.Reason.Writable() {
		cells[1] = "none"
	}
	if l.Reason.Writable() && l.Shown != nil {
		cells[3] = fmt.Sprintf("%+d", l.Delta())
	}
	return cells
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

// escape keeps a text within its cell.
func escape(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}
