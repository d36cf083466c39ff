package amazon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// A result is what a report says.
type result struct {
	bad       []string // SKUs of messages with an error
	processed int
	texts     []string // of errors, for people
	errors    int
	none      bool // the feed as a whole was refused
}

// maxReport bounds a feed's report, unpacked, in bytes.
const maxReport = 128 << 20

// report reads a feed's report.
func (f *feeds) report(ctx context.Context, document string, entries []entry) (result, error) {
	c := f.ch.client
	var r result
	var file struct {
		URL string `json:"url"`
	}
	if err := c.call(ctx, request{op: getFeedFile, method: http.MethodGet, path: feedFilePath + "/" + escape(document), repeat: true},
		http.StatusOK, nil, &file); err != nil {
		return r, err
	}
	resp, err := c.transfer(ctx, download, file.URL, "", nil)
	if err != nil {
		return r, err
	}
	text, err := readAll(resp.Body, maxReport)
	if err != nil {
		return r, &Error{Op: download, kind: channel.ErrUnavailable, Message: "a feed's report cannot be unpacked"}
	}
	return readReport(c, text, entries)
}

// readReport says what a report has about the messages of a feed.
func readReport(c *Client, text []byte, entries []entry) (r result, err error) {
	odd := func(err error) error {
		return &Error{Op: download, kind: channel.ErrUnavailable, Message: c.message("a feed's report makes no sense: " + err.Error())}
	}
	v, err := strictjson.Parse(text)
	if err != nil {
		return r, odd(err)
	}
	var row strictjson.Row
	row.Read(v)
	issues, summary := row.Elements("issues"), row.Value("summary")
	if err := row.Err(); err != nil {
		return r, odd(err)
	}
	row.Read(summary)
	r.processed = row.Int("messagesProcessed")
	if err := row.Err(); err != nil {
		return r, odd(err)
	}
	const maxTexts = 5
	for _, v := range issues {
		row.Read(v)
		if row.Text("severity") != "ERROR" && row.Err() == nil {
			continue
		}
		r.errors++
		sku := ""
		if !row.Has("messageId") {
			r.none = r.processed == 0
		} else if n := row.Int("messageId"); row.Err() == nil && n >= 1 && n <= len(entries) {
			sku = entries[n-1].SKU
			r.bad = append(r.bad, sku)
		}
		if len(r.texts) < maxTexts {
			r.texts = append(r.texts, c.message(fmt.Sprintf("%q: %s: %s", sku, row.Value("code").Name(), row.Value("message").Name())))
		}
	}
	return r, nil
}

// tell logs what became of a feed.
func (f *feeds) tell(ctx context.Context, id string, r result, sent int) {
	level, text := slog.LevelInfo, "a feed is done"
	switch {
	case r.none:
		level, text = slog.LevelError, "a feed was refused as a whole: its listings are written one by one"
	case r.errors > 0:
		level, text = slog.LevelWarn, "a feed is done, with errors"
	case r.processed < sent:
		level, text = slog.LevelWarn, "a feed is done, and has fewer listings than were sent"
	}
	f.log(ctx, level, text, slog.String("feed", id), slog.Int("listings", sent), slog.Int("processed", r.processed),
		slog.Int("errors", r.errors), slog.Any("first", r.texts))
}
