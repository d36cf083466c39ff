package woocommerce

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

var _ channel.ChangeLister = (*Channel)(nil)

const (
	// maxChangePages bounds the pages of products that have changed, and
	// maxChangedParents the products with variations among them whose variations
	// are read.
	maxChangePages    = 5
	maxChangedParents = 20

	// overlap is how late a date may be written.
	overlap = 5 * time.Second
	// settledMark ends a cursor after whose date nothing of that date can come.
	settledMark = "+"

	gmt = "2006-01-02T15:04:05"
	// never is before everything.
	never = "1970-01-01T00:00:00"
)

// Changes implements [channel.ChangeLister], by the dates at which products were
// modified: orders date them, too. It takes one request if nothing has changed,
// and one more for 100 products that have and for each product with variations
// among these. Beyond 500 products, such as after an import, and 20 with
// variations, the rest is left out.
//
// The shop's dates have seconds, and a date may be written a little after it was
// read from the clock. So what changed in the last seconds comes again until they
// have passed.
func (ch *Channel) Changes(ctx context.Context, cursor string) (levels []channel.Level, next string, err error) {
	date, settled := strings.CutSuffix(cursor, settledMark)
	since, err := time.Parse(gmt, date)
	if err != nil {
		return ch.begin(ctx)
	}
	if !settled {
		since = since.Add(-overlap)
	}
	l := &changeList{client: ch.client, after: since.Format(gmt), newest: date}
	rows, err := l.read(ctx, "products", l.after)
	if err != nil {
		return nil, "", err
	}
	parents := 0
	for _, r := range rows {
		if usable(r.sku) {
			levels = append(levels, ch.level(r.sku, &r))
		}
		if r.err != nil || !strings.HasPrefix(r.kind, "variable") {
			continue
		}
		if parents++; parents > maxChangedParents {
			continue
		}
		after := l.after
		if r.stock == managed { // the variations show the parent's, and have dates of their own
			after = ""
		}
		variations, err := l.read(ctx, fmt.Sprintf("products/%d/variations", r.id), after)
		if err != nil {
			return nil, "", err
		}
		for _, v := range variations {
			if usable(v.sku) && v.sku != r.sku { // one without an SKU of its own shows its parent's
				levels = append(levels, ch.level(v.sku, &v))
			}
		}
	}
	return levels, l.cursor(), nil
}

// begin begins with the date of what was modified last.
func (ch *Channel) begin(ctx context.Context) ([]channel.Level, string, error) {
	l := &changeList{client: ch.client, newest: never}
	_, err := l.page(ctx, "products", url.Values{"per_page": {"1"}, "orderby": {"modified"}, "order": {"desc"}})
	return nil, l.newest, err
}

// cursor is the newest date, and whether its last seconds have passed.
func (l *changeList) cursor() string {
	newest, err := time.Parse(gmt, l.newest)
	if err == nil && l.asked.Sub(newest) > overlap {
		return l.newest + settledMark
	}
	return l.newest
}

// A changeList reads what was modified after a date, and finds the newest date.
type changeList struct {
	client *Client
	after  string
	newest string
	asked  time.Time // by the shop's clock, when the first page was answered; zero if it does not say
}

// read reads the rows at a path that were modified after a date, or all.
func (l *changeList) read(ctx context.Context, path, after string) (rows []row, err error) {
	for page := 1; page <= maxChangePages; page++ {
		query := url.Values{"per_page": {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(page)}, "orderby": {"id"}, "order": {"asc"}}
		if after != "" {
			query.Set("modified_after", after)
			query.Set("dates_are_gmt", "true")
		}
		some, err := l.page(ctx, path, query)
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
		if len(some) < pageSize {
			break
		}
	}
	return rows, nil
}

func (l *changeList) page(ctx context.Context, path string, query url.Values) (rows []row, err error) {
	query.Set("_fields", rowFields+",date_modified_gmt")
	r := request{method: http.MethodGet, path: path, query: query, retries: 1}
	resp, err := l.client.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && l.asked.IsZero() {
		l.asked = date
	}
	answer, err := strictjson.Parse(resp.Body)
	if err != nil {
		return nil, l.client.nonsense(r, resp, httpx.Describe(resp)+" is not a list")
	}
	values, err := answer.Elements()
	if err != nil {
		return nil, l.client.nonsense(r, resp, "the list is "+err.Error())
	}
	latest := time.Now().Add(time.Hour).UTC().Format(gmt) // a date in the future would hide all that follows
	var row strictjson.Row
	for _, v := range values {
		row.Read(v)
		rows = append(rows, decodeRow(&row, nil))
		date, err := row.Value("date_modified_gmt").Text()
		if _, odd := time.Parse(gmt, date); err == nil && odd == nil && date < latest {
			l.newest = max(l.newest, date)
		}
	}
	return rows, nil
}
