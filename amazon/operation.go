package amazon

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/internal/httpx"
)

// The operations that this package uses, by their names in Amazon's models.
const (
	searchListings    = "searchListingsItems"
	getListing        = "getListingsItem"
	patchListing      = "patchListingsItem"
	createFeedFile    = "createFeedDocument"
	createFeed        = "createFeed"
	getFeed           = "getFeed"
	getFeeds          = "getFeeds"
	cancelFeed        = "cancelFeed"
	getFeedFile       = "getFeedDocument"
	createReport      = "createReport"
	getReport         = "getReport"
	getReportDocument = "getReportDocument"
)

// The paths of the API's versions.
const (
	listingsPath = "/listings/2021-08-01/items/"
	feedsPath    = "/feeds/2021-06-30/feeds"
	feedFilePath = "/feeds/2021-06-30/documents"
	reportsPath  = "/reports/2021-06-30/reports"
	reportFile   = "/reports/2021-06-30/documents"
)

// newBuckets has the quotas of Amazon's models: requests a second, and how many
// may be made at once.
func newBuckets() map[string]*bucket {
	return map[string]*bucket{
		searchListings:    newBucket(5, 5),
		getListing:        newBucket(5, 10),
		patchListing:      newBucket(5, 5),
		createFeedFile:    newBucket(0.5, 15),
		createFeed:        newBucket(0.0083, 15),
		getFeed:           newBucket(2, 15),
		getFeeds:          newBucket(0.0222, 10),
		cancelFeed:        newBucket(2, 15),
		getFeedFile:       newBucket(0.0222, 10),
		createReport:      newBucket(0.0167, 15),
		getReport:         newBucket(2, 15),
		getReportDocument: newBucket(0.0167, 15),
	}
}

// operationOf returns the operation that a request of the host's own is for,
// so that it is paced with the rest, or "".
func operationOf(method, path string) string {
	is := func(verb, prefix string, segments int) bool {
		rest, ok := strings.CutPrefix(path, prefix)
		rest = strings.Trim(rest, "/")
		n := 0
		if rest != "" {
			n = strings.Count(rest, "/") + 1
		}
		return ok && method == verb && n == segments
	}
	switch {
	case is(http.MethodGet, listingsPath, 1):
		return searchListings
	case is(http.MethodGet, listingsPath, 2):
		return getListing
	case is(http.MethodPatch, listingsPath, 2):
		return patchListing
	case is(http.MethodPost, feedFilePath, 0):
		return createFeedFile
	case is(http.MethodPost, feedsPath, 0):
		return createFeed
	case is(http.MethodGet, feedsPath, 1):
		return getFeed
	case is(http.MethodGet, feedsPath, 0):
		return getFeeds
	case is(http.MethodDelete, feedsPath, 1):
		return cancelFeed
	case is(http.MethodGet, feedFilePath, 1):
		return getFeedFile
	case is(http.MethodPost, reportsPath, 0):
		return createReport
	case is(http.MethodGet, reportsPath, 1):
		return getReport
	case is(http.MethodGet, reportFile, 1):
		return getReportDocument
	}
	return ""
}

// listingPath is the escaped path of a listing.
func (c *Client) listingPath(sku string) string {
	return listingsPath + escape(c.seller) + "/" + escape(sku)
}

// escape makes a value one segment of a path: everything is escaped that is
// not unreserved, "+" too, which some servers take for a blank, and the dots
// of a segment that is nothing else.
func escape(s string) string {
	if strings.Trim(s, ".") == "" {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// hear adjusts the pace to an answer.
func (b *bucket) hear(resp *httpx.Response) {
	if b == nil {
		return
	}
	switch {
	case resp.Status == http.StatusTooManyRequests:
		b.refused(resp.Sent)
		return
	case resp.Status < 300:
		b.granted()
	}
	if rate, err := strconv.ParseFloat(strings.TrimSpace(resp.Header.Get("x-amzn-RateLimit-Limit")), 64); err == nil {
		b.follow(rate)
	}
}
