package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ecosire/stocksync/internal/text"
)

// A Value is a part of a JSON text. The zero Value is one that is missing.
type Value struct {
	in       *document
	from, to int32
	opened   int32 // the objects and arrays that begin before it
}

// A document is a JSON text that is valid.
type document struct {
	text []byte
	// ends are where its objects and arrays end, in the order in which they begin, so
	// that one is skipped without being read again.
	ends []end
}

type end struct {
	at     int32 // after the bracket
	opened int32 // the objects and arrays that begin before that
}

// text is the value as it is written.
func (v Value) text() []byte {
	if v.in == nil {
		return nil
	}
	return v.in.text[v.from:v.to:v.to]
}

// Parse returns body as a value, if it is exactly one valid JSON value. The
// value keeps body, which must not change as long as it is used.
func Parse(body []byte) (Value, error) {
	d := &document{text: body}
	from, to, ok := d.check()
	if !ok {
		var v json.RawMessage
		if err := json.Unmarshal(body, &v); err != nil {
			return Value{}, err
		}
		return Value{}, errors.New("not JSON")
	}
	return Value{in: d, from: int32(from), to: int32(to)}, nil
}

// Missing reports whether there is no value.
func (v Value) Missing() bool { return v.in == nil }

// Null reports whether the value is null.
func (v Value) Null() bool { return v.first() == 'n' }

// JSON returns the value as it is written, or nil if it is missing. It is a part
// of what was given to [Parse], and must not be changed.
func (v Value) JSON() []byte { return v.text() }

// first is the first byte, which tells what kind of value it is.
func (v Value) first() byte {
	if v.Missing() {
		return 0
	}
	return v.in.text[v.from]
}

// Text returns the text of a string.
func (v Value) Text() (string, error) {
	if v.first() != '"' {
		return "", v.not("text")
	}
	quoted := v.in.text[v.from+1 : v.to-1]
	switch {
	case v.plain():
	case bytes.IndexByte(quoted, '\\') >= 0:
		return v.unquote()
	case !utf8.Valid(quoted):
		return "", v.not("UTF-8")
	}
	return string(quoted), nil
}

// plain reports whether a string is what stands between its quotes.
func (v Value) plain() bool { return plain(v.in.text, int(v.from)+1) == int(v.to)-1 }

// AppendText appends the text of a string.
func (v Value) AppendText(b []byte) ([]byte, error) {
	if v.first() == '"' && v.plain() {
		return append(b, v.in.text[v.from+1:v.to-1]...), nil
	}
	s, err := v.Text()
	return append(b, s...), err
}

// Is reports whether the value is a string with this text.
func (v Value) Is(text string) bool {
	written := v.text()
	if len(written) == len(text)+2 && written[0] == '"' && string(written[1:len(written)-1]) == text {
		return utf8.ValidString(text) && strings.IndexByte(text, '\\') < 0
	}
	if bytes.IndexByte(written, '\\') < 0 {
		return false
	}
	s, err := v.Text()
	return err == nil && s == text
}

// Among is [Value.Text]. What known has is returned from there, and not copied.
func (v Value) Among(known map[string]string) (string, error) {
	if v.first() == '"' {
		if s, ok := known[string(v.in.text[v.from+1:v.to-1])]; ok && v.Is(s) {
			return s, nil
		}
	}
	return v.Text()
}

// unquote is Text for strings with escapes.
func (v Value) unquote() (string, error) {
	var s string
	if err := json.Unmarshal(v.text(), &s); err != nil {
		return "", err
	}
	// json replaces what is no character. To let U+FFFD through where it was
	// meant is not worth telling the two apart.
	if bytes.ContainsRune([]byte(s), utf8.RuneError) {
		return "", v.not("UTF-8")
	}
	return s, nil
}

// Int returns a whole number within ±2⁵³ and within int.
func (v Value) Int() (int, error) {
	if c := v.first(); c != '-' && (c < '0' || c > '9') {
		return 0, v.not("a whole number")
	}
	if n, ok := few(v.text()); ok {
		return n, nil
	}
	n, fraction, ok := floor(v.text())
	if !ok || fraction || int64(int(n)) != n {
		return 0, v.not("a whole number that can be a quantity")
	}
	return int(n), nil
}

// Floor is Int for any number: it is rounded down, and fraction reports whether
// that changed it.
func (v Value) Floor() (n int, fraction bool, err error) {
	if c := v.first(); c != '-' && (c < '0' || c > '9') {
		return 0, false, v.not("a number")
	}
	whole, fraction, ok := floor(v.text())
	if !ok || int64(int(whole)) != whole {
		return 0, false, v.not("a number that can be a quantity")
	}
	return int(whole), fraction, nil
}

// maxInt is the largest number that Int returns, and its negative the smallest.
const maxInt int64 = 1 << 53

// few reads a number of a few digits and nothing else, as most are.
func few(number []byte) (n int, ok bool) {
	if len(number) > 9 {
		return 0, false
	}
	for _, c := range number {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// floor calculates a JSON number exactly, and rounds it down if it is not whole.
func floor(number []byte) (n int64, fraction, ok bool) {
	digits := number
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	exponent := 0
	if e := bytes.IndexAny(digits, "eE"); e >= 0 {
		sign := 1
		for _, c := range digits[e+1:] {
			switch {
			case c == '-':
				sign = -1
			case c != '+':
				exponent = min(10*exponent+int(c-'0'), 1<<20)
			}
		}
		exponent *= sign
		digits = digits[:e]
	}
	point := bytes.IndexByte(digits, '.')
	if point < 0 {
		point = len(digits)
	}
	left := point + exponent // how many digits are left of the point
	for _, c := range digits {
		switch {
		case c == '.':
			continue
		case left > 0:
			n = 10*n + int64(c-'0')
		case c != '0':
			fraction = true
		}
		if n > maxInt {
			return 0, false, false
		}
		left--
	}
	for ; left > 0 && n > 0; left-- {
		if n *= 10; n > maxInt {
			return 0, false, false
		}
	}
	if negative {
		n = -n
		if fraction {
			n--
		}
	}
	return n, fraction, true
}

// Bool returns true or false.
func (v Value) Bool() (bool, error) {
	switch v.first() {
	case 't':
		return true, nil
	case 'f':
		return false, nil
	}
	return false, v.not("true or false")
}

// Time returns the time that a string names, as RFC 3339 has it.
func (v Value) Time() (time.Time, error) {
	s, err := v.Text()
	if err != nil {
		return time.Time{}, v.not("a time")
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, v.not("a time")
	}
	return t, nil
}

// Elements returns the elements of an array.
func (v Value) Elements() ([]Value, error) { return v.AppendElements(nil) }

// fewBytes are an element after whose length it is not guessed how many follow: of
// numbers and short texts there might be room for far too many.
const fewBytes = 40

// AppendElements appends the elements of an array to a slice.
func (v Value) AppendElements(all []Value) ([]Value, error) {
	if v.first() != '[' {
		return nil, v.not("a list")
	}
	b := v.in.text
	for i, opened := space(b, int(v.from)+1), v.opened+1; b[i] != ']'; {
		element := v.in.value(i, opened)
		length := int(element.to) - i
		if len(all) == cap(all) && length > fewBytes { // the others are about as long
			all = slices.Grow(all, 1+(int(v.to)-i)/length)
		}
		all = append(all, element)
		i, opened = v.in.next(element)
	}
	return all, nil
}

// Name returns what names a thing, though it may have the wrong type: the text
// of a string, or a number as it is written. It is "" for anything else. It is
// for saying what an error is about.
func (v Value) Name() string {
	switch c := v.first(); {
	case c == '"':
		s, _ := v.Text()
		return s
	case c == '-' || c >= '0' && c <= '9':
		return string(v.text())
	}
	return ""
}

// not is the error of a value that is not what it should be.
func (v Value) not(what string) error { return fmt.Errorf("%s, not %s", v.describe(), what) }

// describe says what a value is, in a few words.
func (v Value) describe() string {
	const maxQuoted = 40
	switch v.first() {
	case 0:
		return "missing"
	case '{':
		return "an object"
	case '[':
		return "a list"
	}
	written := v.text()
	return text.Cut(string(written[:min(len(written), 4*maxQuoted)]), maxQuoted)
}

// The rest walks through JSON that is known to be valid.

// space returns where white space that begins at i ends.
func space(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// value returns the value that begins at i, before which a number of objects and
// arrays begin.
func (d *document) value(i int, opened int32) Value {
	v := Value{in: d, from: int32(i), opened: opened}
	switch d.text[i] {
	case '"':
		v.to = int32(stringEnd(d.text, i))
	case '{', '[':
		v.to = d.ends[opened].at
	default:
		v.to = int32(wordEnd(d.text, i))
	}
	return v
}

// next returns where the next member or element after one begins, or its object
// or array ends, and how many objects and arrays begin before that.
func (d *document) next(after Value) (i int, opened int32) {
	opened = after.opened
	if c := d.text[after.from]; c == '{' || c == '[' {
		opened = d.ends[opened].opened
	}
	if i = space(d.text, int(after.to)); d.text[i] == ',' {
		i = space(d.text, i+1)
	}
	return i, opened
}

// wordEnd returns where a number, true, false or null ends.
func wordEnd(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// stringEnd returns where a string ends.
func stringEnd(b []byte, i int) int {
	for i++; ; i++ {
		i = plain(b, i)
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++ // what follows ends nothing
		}
	}
}
