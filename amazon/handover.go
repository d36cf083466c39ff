package amazon

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// create hands a feed over to Amazon.
func (f *feeds) create(ctx context.Context, id string) ([]string, time.Duration, error) {
	leave, err := f.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	o := f.byID(id)
	if o == nil {
		leave()
		return nil, 0, nil
	}
	entries, gathered := o.live(), o.Added
	leave()
	if len(entries) == 0 {
		return f.release(ctx, id)
	}
	document, err := f.send(ctx, f.render(entries))
	if err == nil {
		// From here on Amazon may have it, whatever happens to us.
		if ok, failed := f.edit(ctx, id, func(o *feed) { o.Tried = time.Now() }); failed != nil || !ok {
			return nil, 0, failed
		}
		var name string
		if name, err = f.start(ctx, document); err == nil {
			_, err := f.edit(ctx, id, func(o *feed) {
				now := time.Now()
				o.Phase, o.Feeds, o.Taken, o.Next, o.Tries = sent, []string{name}, now, now.Add(firstPoll), 0
			})
			f.log(ctx, slog.LevelInfo, "a feed was created", slog.String("feed", name), slog.Int("listings", len(entries)))
			return nil, firstPoll, err
		}
		if ctx.Err() != nil || errors.Is(err, channel.ErrUnclear) {
			_, failed := f.edit(context.WithoutCancel(ctx), id, func(o *feed) { o.Next = time.Now().Add(firstPoll) })
			f.log(ctx, slog.LevelWarn, "it is not known whether a feed was created: it will be looked for", slog.Any("err", err))
			return nil, firstPoll, failed
		}
	}
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	// Amazon does not have it.
	e, refusal := errors.AsType[*Error](err)
	if refusal && blame(e) != nil || time.Since(gathered) > f.limit {
		f.log(ctx, slog.LevelError, "a feed was given up: its listings are written one by one", slog.Any("err", err))
		return f.release(ctx, id)
	}
	_, failed := f.edit(ctx, id, func(o *feed) {
		o.Tried = time.Time{}
		o.Tries++
		o.Next = time.Now().Add(retryWait)
	})
	return nil, retryWait, errors.Join(err, failed)
}

const feedContent = "application/json; charset=UTF-8"

// render is what a feed holds.
func (f *feeds) render(entries []entry) []byte {
	type message struct {
		MessageID     int     `json:"messageId"`
		SKU           string  `json:"sku"`
		OperationType string  `json:"operationType"`
		ProductType   string  `json:"productType"`
		Patches       []patch `json:"patches"`
	}
	var content struct {
		Header struct {
			SellerID    string `json:"sellerId"`
			Version     string `json:"version"`
			IssueLocale string `json:"issueLocale"`
			Report      struct {
				IncludedData []string `json:"includedData"`
				APIVersion   string   `json:"apiVersion"`
			} `json:"report"`
		} `json:"header"`
		Messages []message `json:"messages"`
	}
	content.Header.SellerID, content.Header.Version, content.Header.IssueLocale = f.ch.client.seller, "2.0", "en_US"
	// With the availability in it the report waits until all is processed.
	content.Header.Report.IncludedData = []string{"issues", "fulfillmentAvailability"}
	content.Header.Report.APIVersion = "2021-08-01"
	content.Messages = make([]message, len(entries))
	for i, e := range entries {
		content.Messages[i] = message{i + 1, e.SKU, "PATCH", productType, merge(e.Quantity)}
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return text
}

// send uploads the content of a feed. The address for that is used at once, and
// kept nowhere: it is good for five minutes, and for whoever has it.
func (f *feeds) send(ctx context.Context, content []byte) (document string, err error) {
	c := f.ch.client
	var file struct {
		ID  string `json:"feedDocumentId"`
		URL string `json:"url"`
	}
	if err := c.call(ctx, request{op: createFeedFile, method: http.MethodPost, path: feedFilePath, repeat: true},
		http.StatusCreated, map[string]string{"contentType": feedContent}, &file); err != nil {
		return "", err
	}
	if file.ID == "" {
		return "", &Error{Op: createFeedFile, Status: http.StatusCreated, kind: channel.ErrUnavailable, Message: "the answer has no document"}
	}
	_, err = c.transfer(ctx, upload, file.URL, feedContent, content)
	return file.ID, err
}

// start creates a feed of an uploaded document.
func (f *feeds) start(ctx context.Context, document string) (id string, err error) {
	var made struct {
		ID string `json:"feedId"`
	}
	err = f.ch.client.call(ctx, request{op: createFeed, method: http.MethodPost, path: feedsPath, write: true}, http.StatusAccepted,
		map[string]any{"feedType": feedType, "marketplaceIds": []string{f.ch.marketplace}, "inputFeedDocumentId": document}, &made)
	if err == nil && made.ID == "" {
		err = &Error{Op: createFeed, Status: http.StatusAccepted, kind: channel.ErrUnavailable, unclear: true, Message: "the answer has no feed"}
	}
	return made.ID, err
}

// call sends a request and decodes the answer, which must have that status.
func (c *Client) call(ctx context.Context, r request, status int, body, into any) error {
	r.bucket = c.buckets[r.op]
	if body != nil {
		var err error
		if r.body, err = json.Marshal(body); err != nil {
			return err
		}
	}
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	if resp.Status >= 300 || resp.Status < 200 {
		return c.refusal(r.op, resp, r.write)
	}
	if into == nil {
		return nil
	}
	if resp.Status != status || json.Unmarshal(resp.Body, into) != nil {
		e := nonsense(r.op, resp, "got an answer that is not what was expected")
		e.unclear = r.write
		return e
	}
	return nil
}

// An answer about a feed.
type feedAnswer struct {
	ID      string    `json:"feedId"`
	Type    string    `json:"feedType"`
	Created time.Time `json:"createdTime"`
	Status  string    `json:"processingStatus"`
	Result  string    `json:"resultFeedDocumentId"`
}

func (a feedAnswer) over() bool {
	return a.Status == "DONE" || a.Status == "FATAL" || a.Status == "CANCELLED"
}

// lookFor finds out whether a feed was created whose creation got no answer.
// Amazon does not tell which document a feed is of. So all feeds that were made
// about then count as it: to wait for another's does no harm.
func (f *feeds) lookFor(ctx context.Context, s state) ([]string, time.Duration, error) {
	const slack = time.Minute // between Amazon's clock and ours
	leave, err := f.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	known := make(map[string]bool)
	for _, o := range f.list {
		for _, id := range o.Feeds {
			known[id] = true
		}
	}
	leave()
	var found []string
	query := url.Values{
		"feedTypes": {feedType}, "pageSize": {"100"},
		"createdSince": {s.Tried.Add(-slack).UTC().Format(time.RFC3339)},
	}
	for range maxPages {
		var page struct {
			Feeds []feedAnswer `json:"feeds"`
			Next  string       `json:"nextToken"`
		}
		if err := f.ch.client.call(ctx, request{op: getFeeds, method: http.MethodGet, path: feedsPath, query: query, repeat: true},
			http.StatusOK, nil, &page); err != nil {
			return nil, 0, err
		}
		for _, a := range page.Feeds {
			if a.Type == feedType && a.ID != "" && !known[a.ID] {
				found = append(found, a.ID)
			}
		}
		if page.Next == "" {
			break
		}
		query = url.Values{"nextToken": {page.Next}} // it goes alone
	}
	now := time.Now()
	switch {
	case len(found) > 0:
		_, err := f.edit(ctx, s.ID, func(o *feed) {
			o.Phase, o.Feeds, o.Taken, o.Next, o.Tries = sent, found, o.Tried, now.Add(firstPoll), 0
		})
		f.log(ctx, slog.LevelInfo, "a feed whose creation got no answer was found", slog.Any("feeds", found))
		return nil, firstPoll, err
	case now.Sub(s.Tried) < lostFor:
		_, err := f.edit(ctx, s.ID, func(o *feed) { o.Next = now.Add(firstPoll) })
		return nil, firstPoll, err
	}
	f.log(ctx, slog.LevelInfo, "a feed whose creation got no answer was not created: it is created again")
	if _, err := f.edit(ctx, s.ID, func(o *feed) { o.Tried = time.Time{} }); err != nil {
		return nil, 0, err
	}
	return f.create(ctx, s.ID)
}
