package woocommercetest

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns what two SKUs have in common that a shop's database takes for
// equal: the default collation of WordPress (utf8mb4_unicode_520_ci) ignores
// case, accents and trailing blanks. It is an approximation: it knows the
// accented letters of Latin scripts, combining marks, and full-width forms.
func fold(sku string) string {
	sku = strings.TrimRight(sku, " ")
	plain := true
	for i := range len(sku) {
		if c := sku[i]; c >= 0x80 || c >= 'A' && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return sku
	}
	var b strings.Builder
	for _, r := range sku {
		if r >= 0xFF01 && r <= 0xFF5E { // full-width forms of ASCII
			r -= 0xFF01 - '!'
		}
		r = unicode.ToLower(unicode.ToUpper(r))
		if base, ok := bases[r]; ok {
			b.WriteString(base)
		} else if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// bases maps lower-case letters to what the collation compares them as.
var bases = func() map[rune]string {
	m := map[rune]string{}
	for base, letters := range map[string]string{
		"a": "àáâãäåāăąǎǟǡǻȁȃȧạảấầẩẫậắằẳẵặ", "c": "çćĉċčḉ", "d": "ďḋḍḏḑḓđ", "e": "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ",
		"g": "ĝğġģǧǵḡ", "h": "ĥȟḣḥḧḩḫħ", "i": "ìíîïĩīĭįǐȉȋḭḯỉị", "j": "ĵǰ", "k": "ķǩḱḳḵ", "l": "ĺļľḷḹḻḽł",
		"m": "ḿṁṃ", "n": "ñńņňǹṅṇṉṋ", "o": "òóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợøǿ", "p": "ṕṗ", "r": "ŕŗřȑȓṙṛṝṟ",
		"s": "śŝşšșṡṣṥṧṩ", "t": "ţťțṫṭṯṱẗ", "u": "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự", "v": "ṽṿ", "w": "ŵẁẃẅẇẉ",
		"x": "ẋẍ", "y": "ýÿŷȳẏỳỵỷỹ", "z": "źżžẑẓẕ", "ss": "ßẞ", "ae": "æǣǽ", "oe": "œ",
	} {
		for _, r := range letters {
			m[r] = base
		}
	}
	return m
}()

var (
	tag       = regexp.MustCompile(`<[^>]*>`)
	blanks    = regexp.MustCompile(`[ \t\r\n]+`)
	octet     = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	spaces    = regexp.MustCompile(` +`)
	trimmable = " \t\n\r\x00\v"
)

// sanitize is what WordPress does to a text field, and so to the SKUs that
// are asked for or written: markup and %HH go, and blanks are made few. What
// it changes cannot be found. Of a text that is not UTF-8 nothing is left.
func sanitize(text string) string {
	if !utf8.ValidString(text) {
		return ""
	}
	if strings.Contains(text, "<") {
		text = strings.ReplaceAll(tag.ReplaceAllString(text, ""), "<", "&lt;")
	}
	text = strings.Trim(blanks.ReplaceAllString(text, " "), trimmable)
	if octet.MatchString(text) {
		for octet.MatchString(text) {
			text = octet.ReplaceAllString(text, "")
		}
		text = strings.Trim(spaces.ReplaceAllString(text, " "), trimmable)
	}
	return text
}

// withSKUs finds the products that a list of SKUs means, divided by commas.
// The whole string counts as one SKU too; a part of it does not.
func (s *Server) withSKUs(list string) []*product {
	asked := strings.Split(list, ",")
	if len(asked) > 1 {
		asked = append(asked, list)
	}
	var found []*product
	seen := map[string]bool{"": true} // no product has an empty SKU stored
	for _, sku := range asked {
		if key := fold(sku); !seen[key] {
			seen[key] = true
			found = append(found, s.bySKU[key]...)
		}
	}
	return found
}
