// Package text makes what a service, a file or a user wrote fit to be printed:
// in an error, a log line, a plan.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Max is the length at which [Clean] cuts, in bytes.
const Max = 300

// Clean returns s on one line and without anything that a terminal or a log
// could take for more than text: runs of white space become one blank; control
// characters, invalid UTF-8 and characters that reorder or hide text become
// "\ufffd"; and what is longer than [Max] ends in "…".
func Clean(s string) string { return Cut(s, Max) }

// Cut is [Clean] for another length.
func Cut(s string, most int) string {
	if plain(s) && len(s) <= most {
		return s
	}
	var b strings.Builder
	blank := false
	for i, r := range s {
		if b.Len() >= most && i < len(s) {
			b.WriteString("…")
			break
		}
		if unicode.IsSpace(r) {
			blank = b.Len() > 0
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain reports whether s is ASCII, and as it should be.
func plain(s string) bool {
	before := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && before == ' ' {
			return false
		}
		before = c
	}
	return before != ' ' || s == ""
}
