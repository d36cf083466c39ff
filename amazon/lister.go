package amazon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
)

const (
	reportType = "GET_MERCHANT_LISTINGS_ALL_DATA"
	skuColumn  = "seller-sku"
	// reportLimit is how long a report is waited for.
	reportLimit = time.Hour
	// maxLine bounds a row of a report, in bytes.
	maxLine = 1 << 20
	// maxDoubtful bounds the SKUs of a report that are looked up.
	maxDoubtful = 10_000
)

// SKUs implements [channel.Lister] by a report of all listings, which takes
// Amazon minutes, and may be some hours old. It is good for nothing but SKUs.
//
// The list is incomplete, and ends in [channel.ErrIncomplete], if Amazon makes
// no report, which also means that there are no listings; if a row has no SKU
// that can be read, since the charset of some reports does not have all
// characters; and if it has less than half of the SKUs of the last one, unless
// one of at least a day later says the same.
func (ch *Channel) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		l := &listed{ch: ch, yield: yield}
		if err := l.run(ctx); err != nil && !l.left {
			yield("", err)
		}
	}
}

// listed is a list on its way.
type listed struct {
	ch       *Channel
	yield    func(string, error) bool
	left     bool // the caller left the loop
	count    int
	bad      int      // rows without an SKU that can be read
	doubtful []string // SKUs that may be others, mangled by the charset
}

func (l *listed) run(ctx context.Context) error {
	file, charset, err := l.ch.listings(ctx)
	if err != nil {
		return err
	}
	if err := l.rows(file, charset); err != nil || l.left {
		return err
	}
	if len(l.doubtful) > 0 {
		if err := l.check(ctx); err != nil || l.left {
			return err
		}
	}
	short := l.ch.shrunk(ctx, l.count)
	if l.bad > 0 {
		return fmt.Errorf("%w: amazon: %d rows of the report have no SKU that can be read", channel.ErrIncomplete, l.bad)
	}
	return short
}

// listings returns the latest report.
func (ch *Channel) listings(ctx context.Context) (file io.Reader, charset string, err error) {
	c := ch.client
	var made struct {
		ID string `json:"reportId"`
	}
	// A report too many does no harm.
	err = c.call(ctx, request{op: createReport, method: http.MethodPost, path: reportsPath, repeat: true}, http.StatusAccepted,
		map[string]any{"reportType": reportType, "marketplaceIds": []string{ch.marketplace}}, &made)
	if err == nil && made.ID == "" {
		err = &Error{Op: createReport, Status: http.StatusAccepted, kind: channel.ErrUnavailable, Message: "the answer has no report"}
	}
	if err != nil {
		return nil, "", err
	}
	document, err := ch.awaitReport(ctx, made.ID)
	if err != nil {
		return nil, "", err
	}
	var where struct {
		URL string `json:"url"`
	}
	if err := c.call(ctx, request{op: getReportDocument, method: http.MethodGet, path: reportFile + "/" + escape(document), repeat: true},
		http.StatusOK, nil, &where); err != nil {
		return nil, "", err
	}
	resp, err := c.transfer(ctx, download, where.URL, "", nil)
	if err != nil {
		return nil, "", err
	}
	if file, err = content(resp.Body); err != nil {
		return nil, "", &Error{Op: download, kind: channel.ErrUnavailable, Message: "the report cannot be unpacked"}
	}
	_, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return file, strings.ToLower(params["charset"]), nil
}

// awaitReport asks until a report is done, less and less often.
func (ch *Channel) awaitReport(ctx context.Context, id string) (document string, err error) {
	start := time.Now()
	for wait := time.Second; time.Since(start) < reportLimit; wait = min(wait*3/2, time.Minute) {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		}
		var r struct {
			Status   string `json:"processingStatus"`
			Document string `json:"reportDocumentId"`
		}
		if err := ch.client.call(ctx, request{op: getReport, method: http.MethodGet, path: reportsPath + "/" + escape(id), repeat: true},
			http.StatusOK, nil, &r); err != nil {
			return "", err
		}
		switch {
		case r.Status == "DONE" && r.Document != "":
			return r.Document, nil
		case r.Status == "IN_QUEUE", r.Status == "IN_PROGRESS":
		default:
			return "", fmt.Errorf("%w: amazon: the report of all listings ended as %s", channel.ErrIncomplete, ch.client.message(r.Status))
		}
	}
	return "", fmt.Errorf("%w: amazon: the report of all listings was not done within %v", channel.ErrIncomplete, reportLimit)
}

// rows yields the SKUs of a report: rows of columns between tabs, the first of
// which names the columns. Quotes mean nothing.
func (l *listed) rows(file io.Reader, charset string) error {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	column := -1
	for lines.Scan() {
		cells := strings.Split(strings.TrimSuffix(lines.Text(), "\r"), "\t")
		if column < 0 {
			cells[0] = strings.TrimPrefix(cells[0], "\ufeff")
			if column = slices.Index(cells, skuColumn); column < 0 {
				return &Error{Op: download, kind: channel.ErrUnavailable, Message: "the report has no column " + skuColumn}
			}
			continue
		}
		if len(cells) == 1 && cells[0] == "" {
			continue
		}
		sku := ""
		if column < len(cells) {
			sku = characters(cells[column], charset)
		}
		switch {
		case sku == "":
			l.bad++
			continue
		case strings.ContainsAny(sku, "?\ufffd") && len(l.doubtful) < maxDoubtful:
			l.doubtful = append(l.doubtful, sku)
			continue
		}
		if !l.next(sku) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return &Error{Op: download, kind: channel.ErrUnavailable, Message: "the report is cut off"}
	}
	return nil
}

func (l *listed) next(sku string) bool {
	l.count++
	l.left = !l.yield(sku, nil)
	return !l.left
}

// characters decodes a text, or returns "" if it cannot.
func characters(s, charset string) string {
	ascii := !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
	switch {
	case ascii:
		return s
	case charset == "iso-8859-1" || charset == "windows-1252" || charset == "latin1":
		var b strings.Builder
		for i := range len(s) {
			if s[i] >= 0x80 && s[i] < 0xa0 { // which of the two charsets it is matters here
				return ""
			}
			b.WriteRune(rune(s[i]))
		}
		return b.String()
	case (charset == "utf-8" || charset == "") && utf8.ValidString(s):
		return s
	}
	return ""
}

// check yields those of the doubtful SKUs that exist: a report writes "?" for
// a character that its charset does not have.
func (l *listed) check(ctx context.Context) error {
	for some := range slices.Chunk(l.doubtful, 10*pageSize) {
		levels, err := l.ch.read(ctx, some)
		if err != nil {
			return err
		}
		exists := make(map[string]bool, len(levels))
		for _, v := range levels {
			exists[v.SKU] = v.Err == nil || channel.Permanent(v.Err) && !errors.Is(v.Err, channel.ErrUnknownSKU)
		}
		for _, sku := range some {
			if !exists[sku] {
				l.bad++
			} else if !l.next(sku) {
				return nil
			}
		}
	}
	return nil
}

// lengths are how long the lists were.
type lengths struct {
	Last  int       `json:"last"`
	Short int       `json:"short,omitempty"` // of one that was not believed
	At    time.Time `json:"at,omitzero"`     // when that was
}

// shrunk returns an error if a list is much shorter than the last one, and
// remembers its length if not.
func (ch *Channel) shrunk(ctx context.Context, count int) error {
	name := ch.name + "/listed"
	raw, err := ch.feeds.store.Load(ctx, name)
	if err != nil {
		return fmt.Errorf("amazon: reading how long the last list was: %w", err)
	}
	var was lengths
	if raw != nil {
		_ = json.Unmarshal(raw, &was) // or there was none
	}
	next := lengths{Last: count}
	again := was.Short > 0 && count*10 >= was.Short*9 && count*9 <= was.Short*10
	var short error
	if count*2 < was.Last && !(again && time.Since(was.At) >= 24*time.Hour) {
		short = fmt.Errorf("%w: amazon: the report has %d listings, and the last one had %d", channel.ErrIncomplete, count, was.Last)
		next = was
		if !again {
			next.Short, next.At = count, time.Now()
		}
	}
	text, err := json.Marshal(next)
	if err == nil {
		err = ch.feeds.store.Save(ctx, name, text)
	}
	if err != nil && short == nil {
		return fmt.Errorf("amazon: writing down how long the list is: %w", err)
	}
	return short
}
