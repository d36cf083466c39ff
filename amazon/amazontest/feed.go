package amazontest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ListingsFeed is the only type of feed that does anything.
const ListingsFeed = "JSON_LISTINGS_FEED"

// The types that createFeed still takes, and that end FATAL.
var retired = []string{
	"POST_INVENTORY_AVAILABILITY_DATA", "POST_FLAT_FILE_PRICEANDQUANTITYONLY_UPDATE_DATA", "POST_PRODUCT_DATA",
	"POST_FLAT_FILE_INVLOADER_DATA", "POST_FLAT_FILE_LISTINGS_DATA", "POST_PRODUCT_PRICING_DATA",
}

// A FeedPlan says how a feed goes. The zero value is a feed that is done.
type FeedPlan struct {
	// Time is how long it takes from when it is its turn; 0 means
	// Config.FeedTime.
	Time time.Duration
	// Status is how it ends: "DONE" (the default), "FATAL" or "CANCELLED".
	Status string
	// Messages is how many of its messages are processed: 0 means all of one
	// that is DONE and none of another one.
	Messages int
	// Stuck never ends, and keeps all later feeds from beginning.
	Stuck bool
	// NoReport leaves a feed that is DONE without a report.
	NoReport bool
}

// PlanFeed says how the next feeds go that are created, one plan for each.
// Feeds without one are done.
func (s *Server) PlanFeed(plans ...FeedPlan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans = append(s.plans, plans...)
}

// Unstick ends the feeds that are stuck, which Amazon's support can do.
func (s *Server) Unstick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.feeds {
		if f.plan.Stuck {
			f.plan.Stuck, f.plan.Time = false, time.Since(f.starts)
		}
	}
	s.work()
}

// A Feed is one that was created.
type Feed struct {
	ID      string
	Status  string
	Created time.Time
	Done    time.Time // when Amazon was done with it; zero until then
	Content []byte
}

// Feeds returns the feeds as they are now, in the order in which they were
// created.
func (s *Server) Feeds() []Feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work()
	out := make([]Feed, len(s.feeds))
	for i, f := range s.feeds {
		out[i] = Feed{ID: f.id, Status: f.status, Created: f.created, Content: f.document.content}
		if f.over() {
			out[i].Done = f.done
		}
	}
	return out
}

type feed struct {
	id, kind      string
	marketplaces  []string
	created       time.Time
	document      *document
	plan          FeedPlan
	status        string
	starts        time.Time
	ends          time.Time // of the work
	done          time.Time // when it is told
	issues        []map[string]any
	processed     int
	invalid       int
	skus          []string // for the report
	wantsReadBack bool
	result        *document
}

func (f *feed) over() bool {
	return f.status == "DONE" || f.status == "FATAL" || f.status == "CANCELLED"
}

// queueTime is how long a feed waits at least.
const queueTime = 30 * time.Second

// work does of the feeds and reports what is due by now. Feeds are worked on
// one after the other.
func (s *Server) work() {
	now := time.Now()
	free := time.Time{}
	for _, f := range s.feeds {
		if f.over() {
			if f.done.After(free) {
				free = f.done
			}
			continue
		}
		if f.starts.IsZero() {
			f.starts = later(f.created.Add(queueTime), free)
		}
		if now.Before(f.starts) {
			return
		}
		f.status = "IN_PROGRESS"
		if f.plan.Stuck {
			return
		}
		if f.ends.IsZero() {
			f.ends = f.starts.Add(cmp.Or(f.plan.Time, s.cfg.FeedTime))
		}
		if now.Before(f.ends) {
			return
		}
		if f.done.IsZero() {
			f.done = f.ends
			s.process(f)
			if f.wantsReadBack { // the report waits until all is shown
				f.done = f.done.Add(s.cfg.MaxLag)
			}
		}
		if now.Before(f.done) {
			return
		}
		f.status = cmp.Or(f.plan.Status, "DONE")
		if f.status == "DONE" && !f.plan.NoReport {
			f.result = s.store("result", marshal(s.processingReport(f)))
		}
		free = f.done
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (f *feed) complain(id int, sku, code, format string, args ...any) {
	i := map[string]any{"severity": "ERROR", "message": fmt.Sprintf(format, args...)}
	if id > 0 {
		i["messageId"] = id
		f.invalid++
	}
	if sku != "" {
		i["sku"] = sku
	}
	if code != "" {
		i["code"] = code
	}
	f.issues = append(f.issues, i)
}

// process does what a feed asks for.
func (s *Server) process(f *feed) {
	if slices.Contains(retired, f.kind) || !f.document.uploaded {
		f.plan = FeedPlan{Status: "FATAL"}
		return
	}
	n := f.plan.Messages
	if n == 0 && cmp.Or(f.plan.Status, "DONE") == "DONE" {
		n = maxMessages
	}
	var content struct {
		Header struct {
			SellerID string `json:"sellerId"`
			Version  string
			Report   *struct {
				IncludedData []string `json:"includedData"`
			}
		}
		Messages []json.RawMessage
	}
	if err := json.Unmarshal(f.document.content, &content); err != nil || len(content.Messages) == 0 {
		f.complain(0, "", "", "The feed is not a valid JSON document with messages.")
		return
	}
	if content.Header.SellerID != s.cfg.SellerID || content.Header.Version != "2.0" {
		f.complain(0, "", "", "Attribute 'Merchant' is required but missing.")
		return
	}
	if len(content.Messages) > maxMessages || len(f.document.content) > maxFeed {
		f.complain(0, "", "", "The feed is too large.")
		return
	}
	f.wantsReadBack = content.Header.Report != nil && slices.Contains(content.Header.Report.IncludedData, "fulfillmentAvailability")
	seen := make(map[int]bool)
	for _, text := range content.Messages[:min(n, len(content.Messages))] {
		f.processed++
		var m struct {
			MessageID     int `json:"messageId"`
			SKU           string
			OperationType string `json:"operationType"`
		}
		json.Unmarshal(text, &m)
		c := new(checker)
		v, err := decode(text)
		if err == nil {
			c.check("the message", v, feedSchema().Properties["messages"].Items)
			err = c.err()
		}
		switch {
		case err != nil:
			f.complain(max(1, m.MessageID), m.SKU, "", "%v", err)
			continue
		case seen[m.MessageID]:
			f.complain(m.MessageID, m.SKU, "", "The messageId is not unique.")
			continue
		case m.OperationType != "PATCH":
			s.hurt("a feed's %s rewrote %q", m.OperationType, m.SKU)
			continue
		}
		seen[m.MessageID] = true
		patches, malformed := decodePatches(text)
		if malformed != "" {
			f.complain(m.MessageID, m.SKU, "", "%s", malformed)
			continue
		}
		if wrong := s.write(m.SKU, patches, "feed", f.ends, false); wrong != nil {
			f.complain(m.MessageID, "", wrong.Code, "%s", wrong.Message) // the sku may lack
			continue
		}
		f.skus = append(f.skus, m.SKU)
	}
}

const (
	maxMessages = 25_000
	maxFeed     = 10 << 20
)

// processingReport is what comes of a feed that is done.
func (s *Server) processingReport(f *feed) any {
	issues := f.issues
	if issues == nil {
		issues = []map[string]any{}
	}
	report := map[string]any{
		"header": map[string]any{"sellerId": s.cfg.SellerID, "version": "2.0", "feedId": f.id},
		"issues": issues,
		"summary": map[string]any{
			"errors": len(issues), "warnings": 0, "messagesProcessed": f.processed,
			"messagesAccepted": f.processed - f.invalid, "messagesInvalid": f.invalid,
		},
	}
	if f.wantsReadBack {
		items := []any{}
		for _, sku := range f.skus {
			if l := s.listings[sku]; l != nil {
				items = append(items, s.item(l, "fulfillmentAvailability"))
			}
		}
		report["items"] = items
	}
	return report
}

func (s *Server) createFeed(c call) (int, any) {
	s.work()
	var in struct {
		FeedType            string   `json:"feedType"`
		MarketplaceIDs      []string `json:"marketplaceIds"`
		InputFeedDocumentID string   `json:"inputFeedDocumentId"`
	}
	json.Unmarshal(c.body, &in)
	d := s.documents[in.InputFeedDocumentID]
	switch {
	case in.FeedType != ListingsFeed && !slices.Contains(retired, in.FeedType):
		return 400, fail("InvalidInput", "Invalid 'feedType' provided.", "")
	case !slices.Equal(in.MarketplaceIDs, []string{s.cfg.MarketplaceID}):
		return 400, fail("InvalidInput", "Invalid 'marketplaceIds' provided.", "")
	case d == nil || d.gzip:
		return 400, fail("InvalidInput", "Invalid 'inputFeedDocumentId' provided.", "")
	case in.FeedType == ListingsFeed && !s.feedQuota.take():
		s.throttled["createFeed"]++
		return 429, fail("QuotaExceeded", "You exceeded your quota for the requested resource.", "")
	}
	f := &feed{
		id: strconv.Itoa(50_000 + s.serial()), kind: in.FeedType, marketplaces: in.MarketplaceIDs,
		created: time.Now(), document: d, status: "IN_QUEUE",
	}
	if len(s.plans) > 0 {
		f.plan, s.plans = s.plans[0], s.plans[1:]
	}
	s.feeds = append(s.feeds, f)
	return 202, map[string]any{"feedId": f.id}
}

func (f *feed) render() map[string]any {
	out := map[string]any{
		"feedId": f.id, "feedType": f.kind, "marketplaceIds": f.marketplaces,
		"createdTime": f.created.UTC().Format(time.RFC3339), "processingStatus": f.status,
	}
	if f.status != "IN_QUEUE" && !f.starts.IsZero() {
		out["processingStartTime"] = f.starts.UTC().Format(time.RFC3339)
	}
	if f.over() && !f.done.IsZero() {
		out["processingEndTime"] = f.done.UTC().Format(time.RFC3339)
	}
	if f.result != nil {
		out["resultFeedDocumentId"] = f.result.id
	}
	return out
}

func (s *Server) feed(id string) *feed {
	s.work()
	for _, f := range s.feeds {
		if f.id == id {
			return f
		}
	}
	return nil
}

func (s *Server) getFeed(c call) (int, any) {
	f := s.feed(c.params["feedId"])
	if f == nil {
		return 404, fail("NotFound", "The feed does not exist.", "")
	}
	return 200, f.render()
}

func (s *Server) cancelFeed(c call) (int, any) {
	f := s.feed(c.params["feedId"])
	switch {
	case f == nil:
		return 404, fail("NotFound", "The feed does not exist.", "")
	case f.status != "IN_QUEUE":
		return 400, fail("InvalidInput", "Only a feed that is IN_QUEUE can be cancelled.", "")
	}
	f.status, f.done = "CANCELLED", time.Now()
	return 200, nil
}

func (s *Server) getFeeds(c call) (int, any) {
	s.work()
	query := c.query
	from := 0
	if token := query.Get("nextToken"); token != "" {
		if len(query) > 1 {
			return 400, fail("InvalidInput", "'nextToken' goes alone.", "")
		}
		var types, since string
		if _, err := fmt.Sscanf(token, "feeds|%d|%s", &from, &types); err != nil {
			return 400, fail("InvalidInput", "Invalid 'nextToken' provided.", "")
		}
		types, since, _ = strings.Cut(types, "|")
		query = map[string][]string{"feedTypes": {types}, "createdSince": {since}, "pageSize": {"10"}}
	} else if query.Get("feedTypes") == "" {
		return 400, fail("InvalidInput", "Either 'feedTypes' or 'nextToken' is required.", "")
	}
	since, _ := time.Parse(time.RFC3339, query.Get("createdSince"))
	size, err := strconv.Atoi(query.Get("pageSize"))
	if err != nil {
		size = 10
	}
	if size < 1 || size > 100 {
		return 400, fail("InvalidInput", "Invalid 'pageSize' provided.", "")
	}
	var found []any
	for _, f := range slices.Backward(s.feeds) {
		if slices.Contains(strings.Split(query.Get("feedTypes"), ","), f.kind) && !f.created.Before(since) {
			found = append(found, f.render())
		}
	}
	page := found[min(from, len(found)):min(from+size, len(found))]
	answer := map[string]any{"feeds": append([]any{}, page...)}
	if from+size < len(found) {
		answer["nextToken"] = fmt.Sprintf("feeds|%d|%s|%s", from+size, query.Get("feedTypes"), query.Get("createdSince"))
	}
	return 200, answer
}
