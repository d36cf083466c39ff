package shopify

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// An answer is what a response says: the data, or a fault. Data may come beside
// a fault, which then is about parts of it.
type answer struct {
	data  strictjson.Value
	cost  *cost // nil if it was not told
	fault *Error
	parts []part // what the fault is made of
	token string // that the request was sent with, to be kept out of texts
}

// A part is one error of GraphQL.
type part struct {
	path    []string // where in the data, from the outside in
	code    string
	message string
}

// read understands a response of the GraphQL endpoint. token is kept out of
// texts.
func (c *Client) read(op string, resp *httpx.Response, token string) *answer {
	var body, extensions strictjson.Row
	v, err := strictjson.Parse(resp.Body)
	malformed := err != nil
	if !malformed {
		body.Read(v)
	}
	a := &answer{data: body.Value("data"), token: token}
	if ext := body.Value("extensions"); !ext.Missing() && !ext.Null() {
		extensions.Read(ext)
		a.cost = readCost(extensions.Value("cost"))
	}
	errs := body.Value("errors")
	malformed = malformed || body.Err() != nil
	fault := &Error{
		Op: op, Status: resp.Status, RequestID: text.Cut(c.said(resp.Header.Get("X-Request-Id"), token), maxCode),
		retryAfter: httpx.RetryAfter(resp.Header),
	}
	found := c.readErrors(errs, a, fault)
	switch {
	case resp.Status == http.StatusOK && malformed, resp.Status < 400 && resp.Status != http.StatusOK:
		fault.Message, fault.nonsense = "got "+httpx.Describe(resp), true
	case resp.Status != http.StatusOK:
		if why := advice[resp.Status]; why != "" {
			fault.Message = text.Clean(strings.TrimPrefix(fault.Message+"; "+why, "; "))
		}
		if fault.Message == "" {
			fault.Message = http.StatusText(resp.Status)
		}
	case found:
		if fault.has("THROTTLED") {
			fault.retryAfter = max(a.cost.wait(), time.Second)
		}
	case a.data.Missing() || a.data.Null():
		fault.Message, fault.nonsense = "the answer has no data", true
	default:
		return a
	}
	a.fault = fault
	return a
}

// readErrors reads the member "errors": a list of GraphQL errors, a string, or
// an object. It reports whether there is anything in it.
func (c *Client) readErrors(v strictjson.Value, a *answer, into *Error) (found bool) {
	if v.Missing() || v.Null() {
		return false
	}
	list, err := v.Elements()
	if err != nil {
		said, err := v.Text()
		if err != nil {
			said = "errors of an unknown form"
		}
		into.Message = c.said(said, a.token)
		return true
	}
	var messages []string
	for _, e := range list {
		p, requestID := readPart(e)
		a.parts = append(a.parts, p)
		messages = append(messages, p.message)
		c.addCode(into, p.code, a.token)
		if into.RequestID == "" {
			into.RequestID = text.Cut(c.said(requestID, a.token), maxCode)
		}
	}
	into.Message = c.sayAll(messages, a.token)
	return len(list) > 0
}

// readPart is lenient: an error with odd members is an error all the same.
func readPart(v strictjson.Value) (p part, requestID string) {
	var row, extensions strictjson.Row
	row.Read(v)
	p.message = row.Value("message").Name()
	if p.message == "" {
		p.message = "an error without a message"
	}
	if ext := row.Value("extensions"); !ext.Missing() && !ext.Null() {
		extensions.Read(ext)
		p.code, _ = extensions.Value("code").Text()
		requestID, _ = extensions.Value("requestId").Text()
	}
	steps, _ := row.Value("path").Elements()
	for _, s := range steps {
		p.path = append(p.path, s.Name())
	}
	return p, requestID
}

var lexeme = regexp.MustCompile(`#[^\n]*|"""(?s:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"|@?[_A-Za-z]\w*|[{}()\[\]]`)

// describe finds out what must be known of a document that somebody else
// wrote: a name for it, and whether it may be sent twice.
func describe(query string) operation {
	op := operation{name: "query", query: query, guess: 100, repeat: true}
	var depth int
	var idempotent bool
	before := "}" // a definition begins after the one before it
	for _, token := range lexeme.FindAllString(query, -1) {
		switch {
		case token[0] == '#' || token[0] == '"':
			continue
		case strings.Contains("{([", token):
			depth++
		case strings.Contains("})]", token):
			depth--
		case token == "@idempotent":
			idempotent = true
		case depth == 0 && before == "}" && (token == "mutation" || token == "subscription"):
			op.name, op.repeat = token, false
		case depth == 0 && before == op.name:
			op.name = token
		}
		before = token
	}
	op.repeat = op.repeat || idempotent
	return op
}
