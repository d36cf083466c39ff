package strictjson

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested: as deep as encoding/json takes them.
const maxDepth = 10_000

// check reports whether a document is exactly one JSON value, as
// [encoding/json.Valid] does in three times the time, and where that is. It notes
// where objects and arrays end.
func (d *document) check() (from, to int, ok bool) {
	b := d.text
	if len(b) > math.MaxInt32 {
		return 0, 0, false
	}
	d.ends = make([]end, 0, len(b)/bytesEach)
	from = blank(b, 0)
	to = d.checkValue(from, 0)
	return from, to, to >= 0 && blank(b, to) == len(b)
}

// bytesEach is about how many bytes there are to an object or array in what
// services answer.
const bytesEach = 64

// blank returns where white space that begins at i ends, which may be the end.
func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// checkValue returns where the value that begins at i ends, or -1.
func (d *document) checkValue(i, depth int) int {
	b := d.text
	if i >= len(b) || depth > maxDepth {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return checkString(b, i)
	case '{', '[':
		return d.checkMembers(i, depth+1)
	case 't':
		return checkWord(b, i, "true")
	case 'f':
		return checkWord(b, i, "false")
	case 'n':
		return checkWord(b, i, "null")
	default:
		return checkNumber(b, i)
	}
}

func checkWord(b []byte, i int, word string) int {
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return -1
}

// checkMembers is checkValue for an object or an array.
func (d *document) checkMembers(i, depth int) int {
	b, me := d.text, len(d.ends)
	d.ends = append(d.ends, end{})
	object, bracket := b[i] == '{', b[i]+2 // '}' or ']'
	if i = blank(b, i+1); i < len(b) && b[i] == bracket && depth <= maxDepth {
		return d.close(me, i)
	}
	for {
		if object {
			if i >= len(b) || b[i] != '"' {
				return -1
			}
			if i = checkString(b, i); i < 0 {
				return -1
			}
			if i = blank(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i = blank(b, i+1)
		}
		if i = d.checkValue(i, depth); i < 0 {
			return -1
		}
		if i = blank(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case bracket:
			return d.close(me, i)
		case ',':
			i = blank(b, i+1)
		default:
			return -1
		}
	}
}

// close notes that an object or array ends with the bracket at i.
func (d *document) close(opened, i int) int {
	d.ends[opened] = end{at: int32(i + 1), opened: int32(len(d.ends))}
	return i + 1
}

func checkString(b []byte, i int) int {
	for i = plain(b, i+1); i < len(b); i = plain(b, i+1) {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c != '\\':
			continue
		}
		if i++; i >= len(b) {
			return -1
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			for range 4 {
				if i++; i >= len(b) || !hex(b[i]) {
					return -1
				}
			}
		default:
			return -1
		}
	}
	return -1
}

// plain returns where the first byte from i on is that is not plain: a quote, a
// backslash, a control character, or no ASCII. It may be the end. It looks at
// eight bytes at a time: most texts are short, and all of them are plain.
func plain(b []byte, i int) int {
	const each = 0x0101010101010101 // the top bit of a byte tells: of the first one that it is set in, it does so rightly
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, escape := w^each*'"', w^each*'\\'
		odd := ((quote-each)&^quote | (escape-each)&^escape | (w-each*' ')&^w | w) & (each << 7)
		if odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func checkNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		if i = digits(b, i); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits returns where digits that begin at i end, or -1 if there is none.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
