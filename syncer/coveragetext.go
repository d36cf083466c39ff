package syncer

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/ecosire/stocksync/internal/text"
)

// String is the coverage as text: a table of the channels, then the first of the
// gaps of each kind.
func (c *Coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d products of the source, %d of them not read\n", c.Read+c.Unread, c.Unread)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "channel\tlistings\tmatched\tnear miss\tambiguous\tnot tracked\tnot stocked\tother\tsource only\tshop only\tleft out")
	for i := range c.Channels {
		ch := &c.Channels[i]
		shop := fmt.Sprint(ch.ShopOnly)
		if !ch.Listed {
			shop = "?"
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\n", text.Clean(ch.Channel), ch.Listings, ch.Matched, ch.Near, ch.Ambiguous,
			ch.NotTracked, ch.NotStocked, ch.Shared+ch.Invalid+ch.Unknown, ch.SourceOnly, shop, ch.LeftOut)
	}
	table.Flush()
	for _, ch := range c.Channels {
		if ch.Fresh > 0 {
			fmt.Fprintf(&b, "%s: %d of the matched show no quantity yet, and get one by the first write\n", text.Clean(ch.Channel), ch.Fresh)
		}
		if ch.Unexamined > 0 {
			fmt.Fprintf(&b, "%s: %d more SKUs were too many to look for near misses among them\n", text.Clean(ch.Channel), ch.Unexamined)
		}
		if ch.Error != "" {
			fmt.Fprintf(&b, "%s: %s\n", text.Clean(ch.Channel), text.Clean(ch.Error))
		}
	}
	const most = 5
	for i := 0; i < len(c.Gaps); {
		n := i
		for n < len(c.Gaps) && c.Gaps[n].Channel == c.Gaps[i].Channel && c.Gaps[n].Kind == c.Gaps[i].Kind {
			n++
		}
		fmt.Fprintf(&b, "\n%s: %s\n", cmp.Or(text.Clean(c.Gaps[i].Channel), "source"), c.Gaps[i].Kind)
		for _, g := range c.Gaps[i:min(n, i+most)] {
			fmt.Fprintf(&b, "  %s\n", g)
		}
		if n-i > most {
			fmt.Fprintf(&b, "  … and %d more\n", n-i-most)
		}
		i = n
	}
	return b.String()
}

// String says which SKU and why, in one line, without the channel.
func (g Gap) String() string {
	var b strings.Builder
	b.WriteString(cmp.Or(visible(g.SKU), "product "+text.Clean(g.ProductID)))
	b.WriteString(aka(g.SKU, g.ProductSKU, g.Name))
	switch {
	case g.Nearly != "":
		fmt.Fprintf(&b, ": the channel has %s", visible(g.Nearly))
		if len(g.Differs) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(g.Differs, ", "))
		}
	case g.Error != "":
		fmt.Fprintf(&b, ": %s", text.Clean(g.Error))
	}
	return b.String()
}

// advice is what somebody may do about a gap.
var advice = map[GapKind]string{
	GapNear:       "give both the same SKU, letter by letter",
	GapAmbiguous:  "give each item, and each product, an SKU of its own",
	GapNotTracked: "have the channel track the item's quantity",
	GapNotStocked: "stock the item at this location",
	GapShared:     "a bundle: list it as a kit, or leave it out; a variation: give it a stock of its own",
	GapInvalid:    "mend the SKU, or the kit's parts, in the source",
	GapSource:     "give the channel's item this SKU, or leave the product out",
	GapShop:       "nothing, if the source is not to manage it; otherwise make a product with this SKU",
	GapUnknown:    "look again later",
}

// WriteCSV writes the gaps as a table for spreadsheets, with a line of headings:
// UTF-8, commas, one line for each gap. A cell that a spreadsheet would take for a
// formula, since it, or a part of it, begins with =, +, - or @, gets a ' there; blanks
// that nobody would see are shown as ␣, and what is no text as �. So the cells are
// for people; programs read the JSON.
func (c *Coverage) WriteCSV(w io.Writer) error {
	table := csv.NewWriter(w)
	_ = table.Write([]string{"channel", "what", "SKU", "nearly", "differs in", "product", "product SKU", "name", "why", "what to do"})
	for _, g := range c.Gaps {
		row := []string{
			cmp.Or(g.Channel, "source"), string(g.Kind), visible(g.SKU), visible(g.Nearly), strings.Join(g.Differs, ", "),
			g.ProductID, visible(g.ProductSKU), g.Name, g.Error, advice[g.Kind],
		}
		for i := range row {
			row[i] = cell(row[i])
		}
		_ = table.Write(row)
	}
	table.Flush()
	return table.Error()
}

// cell makes a text harmless for a spreadsheet, also for one that splits cells at
// semicolons.
func cell(s string) string {
	var b strings.Builder
	begins := true
	for _, r := range text.Clean(s) {
		if begins && strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", r) {
			b.WriteByte('\'')
		}
		begins = r == ';' || r == ',' || begins && (isBlank(r) || strings.ContainsRune("\"'␣\ufffd", r))
		b.WriteRune(r)
	}
	return b.String()
}

// visible shows an SKU so that two that differ in blanks look different.
func visible(sku string) string {
	runes := []rune(sku)
	for i, r := range runes {
		if unicode.IsSpace(r) && (r != ' ' || i == 0 || i == len(runes)-1 || unicode.IsSpace(runes[i+1]) || runes[i-1] == '␣') {
			runes[i] = '␣'
		}
	}
	return text.Clean(string(runes))
}
