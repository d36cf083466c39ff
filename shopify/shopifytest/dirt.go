package shopifytest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// Mentioning matches the requests whose body has a text in it, such as an
// item's id or the name of an operation. With it a [channeltest.Fault] makes the
// shop stumble over one item:
//
//	shop.Inject(channeltest.Fault{Match: shopifytest.Mentioning(id), Times: -1, Status: 500})
func Mentioning(text string) func(channeltest.Request) bool {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	inner := quoted[1 : len(quoted)-1]
	return func(r channeltest.Request) bool {
		for rest := r.Body; ; {
			i := bytes.Index(rest, inner)
			if i < 0 {
				return false
			}
			// The id of another item may begin with this one.
			if end := i + len(inner); end == len(rest) || rest[end] < '0' || rest[end] > '9' {
				return true
			}
			rest = rest[i+len(inner):]
		}
	}
}

// OddRow changes what the shop says of one item wherever it says it: in the
// answer to nodes, in pages of items, in the result of a bulk operation. change
// gets the object as it is written, and returns any JSON, or none.
func OddRow(itemID string, change func(row []byte) []byte) channeltest.Fault {
	name := []byte(`"id":"` + itemID + `"`)
	return channeltest.Fault{Name: "odd row", Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		var out []byte
		for {
			i := bytes.Index(body, name)
			if i < 0 {
				return status, append(out, body...)
			}
			start := bytes.LastIndexByte(body[:i], '{')
			end := start + objectLen(body[start:])
			out = append(append(out, body[:start]...), change(bytes.Clone(body[start:end]))...)
			body = body[end:]
		}
	}}
}

// objectLen is the length of the JSON object that b begins with.
func objectLen(b []byte) int {
	dec := json.NewDecoder(bytes.NewReader(b))
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		panic(err)
	}
	return int(dec.InputOffset())
}

var throttleStatus = regexp.MustCompile(`"throttleStatus":\{[^{}]*\}`)

// OddPoints changes what the shop says of its points, such as
//
//	{"maximumAvailable":2000,"currentlyAvailable":-1e15,"restoreRate":100}
func OddPoints(status string) channeltest.Fault {
	return channeltest.Fault{Name: "odd points", Times: -1, Rewrite: func(code int, _ http.Header, body []byte) (int, []byte) {
		return code, throttleStatus.ReplaceAllLiteral(body, []byte(`"throttleStatus":`+status))
	}}
}

// Echo answers every request with errors that repeat the access token, are far
// too long, and try to look like further lines of a log.
func (s *Server) Echo() channeltest.Fault {
	long := s.cfg.Token + "\r\n\x1b[31mlevel=ERROR msg=\"all is lost\"\u202e " + strings.Repeat(s.cfg.Token+" x", 20_000)
	body, err := json.Marshal(map[string]any{"errors": []any{map[string]any{
		"message": long, "path": []any{long},
		"extensions": map[string]any{"code": long, "requestId": long},
	}, map[string]any{"message": s.cfg.Token, "extensions": map[string]any{"code": s.cfg.Token}}}})
	if err != nil {
		panic(err)
	}
	return channeltest.Fault{
		Name: "echoed token", Times: -1, Status: http.StatusOK, Body: string(body),
		Header: http.Header{"X-Request-Id": {s.cfg.Token + " " + strings.Repeat("r", 10_000)}, "X-Shopify-Api-Version": {s.cfg.Token}},
	}
}

// HalfFile cuts the next n downloads of bulk results in half.
func HalfFile(times int) channeltest.Fault {
	return channeltest.Fault{Name: "half a file", Times: times, Match: channeltest.On(http.MethodGet, bulkPath),
		Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) { return status, body[:len(body)/2] }}
}
