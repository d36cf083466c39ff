package httpx

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// What PHP prints into an answer when its display_errors is on. What harmless
// finds says that PHP went on with its work.
var (
	php      = regexp.MustCompile(`(?s)` + complaint(`[A-Za-z]+(?: [A-Za-z]+){0,2}`))
	harmless = regexp.MustCompile(complaint(`Warning|Notice|Deprecated|Strict Standards`))
	comment  = regexp.MustCompile(`^<!--(?s:.*?)-->`)
	element  = regexp.MustCompile(`(?is)^<(?:script\b[^>]*>.*?</script|style\b[^>]*>.*?</style|noscript\b[^>]*>.*?</noscript)\s*>`)
	bom      = []byte("\xef\xbb\xbf")
)

func complaint(levels string) string {
	return `^(?:<br ?/?>\s*)?(?:<b>)?(?:PHP )?(?:` + levels + `)(?:</b>)?: .{1,900}? in (?:<b>)?.{1,900}? on line (?:<b>)?\d+(?:</b>)?(?:\s*<br ?/?>)?`
}

// skipNoise returns a body without what other software of the service put
// around its JSON, and the first of that. Byte order marks, HTML comments,
// scripts and styles that plugins put into every page, and warnings of PHP are
// harmless: they say nothing about the JSON. Whatever else
// there is, such as a second value or an error that ended PHP's work, is not:
// then the body is returned as it came. White space is no noise.
func skipNoise(body []byte) (value []byte, noise string) {
	rest := bytes.TrimSpace(body)
	if len(rest) == 0 || opens(rest) && (rest[len(rest)-1] == '}' || rest[len(rest)-1] == ']') {
		return body, ""
	}
	before := noiseLen(rest)
	value = rest[before:]
	if !opens(value) {
		return body, ""
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	var raw json.RawMessage
	if dec.Decode(&raw) != nil {
		return body, ""
	}
	end := dec.InputOffset()
	after := bytes.TrimSpace(value[end:])
	if noiseLen(after) != len(after) {
		return body, ""
	}
	if before == 0 {
		return value[:end], name(after)
	}
	return value[:end], name(rest[:before])
}

func opens(b []byte) bool { return len(b) > 0 && (b[0] == '{' || b[0] == '[') }

// noiseLen is the length of the harmless noise that b begins with, blanks
// after it included.
func noiseLen(b []byte) int {
	n := 0
	for {
		rest, found := b[n:], 0
		switch {
		case bytes.HasPrefix(rest, bom):
			found = len(bom)
		case bytes.HasPrefix(rest, []byte("<!--")):
			found = len(comment.Find(rest))
		case bytes.HasPrefix(rest, []byte("<")) && element.Match(rest):
			found = len(element.Find(rest))
		default:
			found = len(harmless.Find(rest[:min(len(rest), 4096)]))
		}
		if found == 0 {
			return n
		}
		n += found
		n = len(b) - len(bytes.TrimLeft(b[n:], " \t\r\n"))
	}
}

// name says what noise is.
func name(noise []byte) string {
	if bytes.HasPrefix(noise, bom) {
		return "a byte order mark"
	}
	if inner, ok := bytes.CutPrefix(noise, []byte("<!--")); ok {
		inner, _, _ = bytes.Cut(inner, []byte("-->"))
		return "an HTML comment: " + string(bytes.TrimSpace(inner))
	}
	if element.Match(noise) {
		return "a script or style of HTML"
	}
	return string(harmless.Find(noise[:min(len(noise), 4096)]))
}
