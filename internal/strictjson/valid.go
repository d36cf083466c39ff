package strictjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested: as deep as encoding/json takes them.
const maxDepth = 10_000

// valid reports whether b is exactly one JSON value, as [encoding/json.Valid]
// does in three times the time.
func valid(b []byte) bool {
	end := check(b, blank(b, 0), 0)
	return end >= 0 && blank(b, end) == len(b)
}

// blank returns where white space that begins at i ends, which may be the end.
func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// check returns where the value that begins at i ends, or -1.
func check(b []byte, i, depth int) int {
	if i >= len(b) || depth > maxDepth {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return checkString(b, i)
	case '{', '[':
		return checkMembers(b, i, depth+1)
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

// checkMembers checks an object or an array.
func checkMembers(b []byte, i, depth int) int {
	object, end := b[i] == '{', b[i]+2 // '}' or ']'
	if i = blank(b, i+1); i < len(b) && b[i] == end {
		if depth > maxDepth {
			return -1
		}
		return i + 1
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
		if i = check(b, i, depth); i < 0 {
			return -1
		}
		if i = blank(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case end:
			return i + 1
		case ',':
			i = blank(b, i+1)
		default:
			return -1
		}
	}
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
