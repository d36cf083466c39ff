package amazontest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
)

// result reads a document of Amazon's.
func (c *caller) result(path string) []byte {
	c.t.Helper()
	status, body, _ := c.do("GET", path, nil)
	require.Equal(c.t, 200, status, body)
	assert.Equal(c.t, "GZIP", body["compressionAlgorithm"])
	resp, err := c.s.Client().Get(body["url"].(string))
	require.NoError(c.t, err)
	require.Equal(c.t, 200, resp.StatusCode)
	r, err := gzip.NewReader(resp.Body)
	require.NoError(c.t, err)
	text, err := io.ReadAll(r)
	require.NoError(c.t, err)
	return text
}

func TestAFeedIsDoneLaterAndShownLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Lag: 5 * time.Minute, FeedTime: 20 * time.Minute})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 1}, amazontest.Listing{SKU: "B", Quantity: 2})
		c := newCaller(t, s)
		quantity := func(sku string) int { n, _ := s.Quantity(sku); return n }
		id := c.feed(amazontest.ListingsFeed, "2.0", message(1, "A", set("merge", 11)), message(2, "B", set("merge", 1.5)), message(2, "A", set("merge", 12)))
		_, body, _ := c.do("GET", feeds+"/"+id, nil)
		assert.Equal(t, "IN_QUEUE", body["processingStatus"])
		time.Sleep(time.Minute)
		c.patch("A", set("merge", 7)) // overtakes the feed
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 7, quantity("A"))
		body = c.status(id)
		assert.Equal(t, "DONE", body["processingStatus"])
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 11, quantity("A"), "and the feed's older quantity lands last")
		assert.Equal(t, 2, quantity("B"))

		text := c.result(documents + "/" + body["resultFeedDocumentId"].(string))
		assert.NoError(t, amazontest.ValidateReport(text))
		var report struct {
			Issues  []map[string]any
			Summary map[string]int
		}
		require.NoError(t, json.Unmarshal(text, &report))
		require.Len(t, report.Issues, 2)
		assert.EqualValues(t, 2, report.Issues[0]["messageId"])
		assert.NotContains(t, report.Issues[0], "sku")
		assert.Equal(t, map[string]int{"errors": 2, "warnings": 0, "messagesProcessed": 3, "messagesAccepted": 1, "messagesInvalid": 2}, report.Summary)
	})
}

func TestFeedsGoOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{FeedTime: 20 * time.Minute})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 1})
		c := newCaller(t, s)
		s.PlanFeed(amazontest.FeedPlan{}, amazontest.FeedPlan{Status: "FATAL", Messages: 1}, amazontest.FeedPlan{Stuck: true})
		var ids []string
		for n := range 5 {
			ids = append(ids, c.feed(amazontest.ListingsFeed, "2.0", message(1, "A", set("merge", n+10)), message(2, "A", set("merge", n+20))))
		}
		start := time.Now()
		assert.Equal(t, "DONE", c.status(ids[0])["processingStatus"])
		assert.Equal(t, "FATAL", c.status(ids[1])["processingStatus"])
		assert.GreaterOrEqual(t, time.Since(start), 40*time.Minute)
		n, _ := s.Quantity("A")
		assert.Equal(t, 11, n, "of one that is FATAL some may have been done")
		time.Sleep(24 * time.Hour)
		c.renew()
		_, body, _ := c.do("GET", feeds+"/"+ids[2], nil)
		assert.Equal(t, "IN_PROGRESS", body["processingStatus"])
		status, _, _ := c.do("DELETE", feeds+"/"+ids[2], nil)
		assert.Equal(t, 400, status)
		status, _, _ = c.do("DELETE", feeds+"/"+ids[3], nil)
		assert.Equal(t, 200, status, "which is still in the queue")
		assert.Equal(t, "CANCELLED", c.status(ids[3])["processingStatus"])
		s.Unstick()
		assert.Equal(t, "DONE", c.status(ids[4])["processingStatus"])

		for range 5 {
			id := c.feed(amazontest.ListingsFeed, "2.0", message(1, "A", set("merge", 1)))
			ids = append(ids, id)
		}
		status, _, _ = c.do("POST", feeds, map[string]any{"feedType": amazontest.ListingsFeed, "marketplaceIds": []string{marketplace}, "inputFeedDocumentId": "x"})
		assert.Equal(t, 400, status)
		_, file, _ := c.do("POST", documents, map[string]any{"contentType": "application/json"})
		status, _, _ = c.do("POST", feeds, map[string]any{"feedType": amazontest.ListingsFeed, "marketplaceIds": []string{marketplace}, "inputFeedDocumentId": file["feedDocumentId"]})
		assert.Equal(t, 429, status, "five in five minutes")

		// Amazon tells of feeds page by page.
		found := 0
		path := feeds + "?pageSize=4&feedTypes=" + amazontest.ListingsFeed
		for path != "" {
			status, body, _ := c.do("GET", path, nil)
			require.Equal(t, 200, status, body)
			found += len(body["feeds"].([]any))
			path = ""
			if next, ok := body["nextToken"].(string); ok {
				path = feeds + "?nextToken=" + strings.ReplaceAll(next, "|", "%7C")
				status, _, _ := c.do("GET", path+"&pageSize=4", nil)
				assert.Equal(t, 400, status, "it goes alone")
			}
		}
		assert.Equal(t, len(ids), found)
		status, _, _ = c.do("GET", feeds, nil)
		assert.Equal(t, 400, status)
	})
}

func TestFeedsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 1})
		c := newCaller(t, s)
		assert.Equal(t, "FATAL", c.status(c.feed("POST_INVENTORY_AVAILABILITY_DATA", "2.0"))["processingStatus"], "a retired type is taken")
		body := c.status(c.feed(amazontest.ListingsFeed, "1.0", message(1, "A", set("merge", 7))))
		assert.Equal(t, "DONE", body["processingStatus"])
		assert.Contains(t, string(c.result(documents+"/"+body["resultFeedDocumentId"].(string))), "Merchant")
		n, _ := s.Quantity("A")
		assert.Equal(t, 1, n)

		withAttributes := message(1, "A", set("merge", 7))
		withAttributes["attributes"] = map[string]any{"x": 1}
		body = c.status(c.feed(amazontest.ListingsFeed, "2.0", withAttributes))
		assert.Contains(t, string(c.result(documents+"/"+body["resultFeedDocumentId"].(string))), "alternatives")
		c.status(c.feed(amazontest.ListingsFeed, "2.0", map[string]any{
			"messageId": 1, "sku": "A", "operationType": "UPDATE", "productType": "PRODUCT", "attributes": map[string]any{"x": 1},
		}))
		assert.Len(t, s.Harm(), 1)
		assert.Len(t, s.Feeds(), 4)
	})
}

func TestTheStorageIsStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		c := newCaller(t, s)
		const contentType = "application/json; charset=UTF-8"
		_, file, _ := c.do("POST", documents, map[string]any{"contentType": contentType})
		address := file["url"].(string)
		assert.Equal(t, 403, c.put(address, "application/json", nil), "the type is signed")
		assert.Equal(t, 403, c.put(strings.ReplaceAll(address, "%2F", "/"), contentType, nil), "so is the path")
		assert.Equal(t, 403, c.put(address[:strings.Index(address, "?")], contentType, nil))
		assert.Empty(t, s.Harm())
		assert.Equal(t, 400, c.put(address, contentType, nil, "x-amz-access-token", c.token))
		assert.Equal(t, 400, c.put(address, contentType, nil, "Authorization", "Bearer "+c.token))
		assert.Len(t, s.Harm(), 2)
		assert.Equal(t, 200, c.put(address, contentType, []byte("{}")))
		time.Sleep(5 * time.Minute)
		assert.Equal(t, 403, c.put(address, contentType, nil), "it lives five minutes")
	})
}

func TestReports(t *testing.T) {
	for _, charset := range []string{"UTF-8", "ISO-8859-1"} {
		t.Run(charset, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := amazontest.New(amazontest.Config{Charset: charset})
				c := newCaller(t, s)
				report := func() map[string]any {
					_, made, _ := c.do("POST", "/reports/2021-06-30/reports", map[string]any{
						"reportType": amazontest.ListingsReport, "marketplaceIds": []string{marketplace}})
					for {
						_, body, _ := c.do("GET", "/reports/2021-06-30/reports/"+made["reportId"].(string), nil)
						if s := body["processingStatus"]; s != "IN_QUEUE" && s != "IN_PROGRESS" {
							return body
						}
						time.Sleep(10 * time.Second)
					}
				}
				assert.Equal(t, "CANCELLED", report()["processingStatus"], "there are no rows")
				s.Add(amazontest.Listing{SKU: "é 1", Quantity: 4}, amazontest.Listing{SKU: "日本-1"}, amazontest.Listing{SKU: "FBA", FBA: true})
				text := c.result("/reports/2021-06-30/documents/" + report()["reportDocumentId"].(string))
				rows := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
				require.Len(t, rows, 4)
				var skus []string
				for _, row := range rows[1:] {
					cells := bytes.Split(row, []byte("\t"))
					skus = append(skus, fmt.Sprintf("%s %s", cells[3], cells[5]))
				}
				if charset == "UTF-8" {
					assert.Equal(t, []string{"é 1 4", "日本-1 0", "FBA "}, skus)
				} else {
					assert.Equal(t, []string{"\xe9 1 4", "??-1 0", "FBA "}, skus)
				}
				_, body, _ := c.do("POST", "/reports/2021-06-30/reports", map[string]any{"reportType": "GET_OTHER", "marketplaceIds": []string{marketplace}})
				assert.NotEmpty(t, body["errors"])
			})
		})
	}
}

// The checks can fail.
func TestValidate(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"header":{"sellerId":"A","version":"2.0"},"messages":[{"messageId":1,"sku":"A","operationType":"DELETE"}]}`:                                                             true,
		`{"header":{"sellerId":"A","version":"2.0"},"messages":[{"messageId":1,"sku":"A","operationType":"PATCH","productType":"PRODUCT","patches":[{"op":"merge","path":""}]}]}`: true,
		`{"header":{"sellerId":"A","version":"1.0"},"messages":[{"messageId":1,"sku":"A","operationType":"DELETE"}]}`:                                                             false,
		`{"header":{"sellerId":"A","version":"2.0"},"messages":[]}`:                                                                                                               false,
		`{"header":{"sellerId":"A","version":"2.0"},"messages":[{"messageId":0,"sku":"A","operationType":"DELETE"}]}`:                                                             false,
		`{"header":{"sellerId":"A","version":"2.0"},"messages":[{"messageId":1,"sku":"A","operationType":"PATCH","productType":"PRODUCT"}]}`:                                      false,
		`{"header":{"sellerId":"A","version":"2.0"},"messages":[{"messageId":1,"sku":"A","operationType":"DELETE","patches":[]}]}`:                                                false,
		`{`: false,
	} {
		assert.Equal(t, ok, amazontest.ValidateFeed([]byte(text)) == nil, text)
	}
	assert.NoError(t, amazontest.ValidateAnswer("createFeed", 202, []byte(`{"feedId":"1"}`)))
	assert.Error(t, amazontest.ValidateAnswer("createFeed", 200, []byte(`{"feedId":"1"}`)))
	assert.Error(t, amazontest.ValidateAnswer("createFeed", 202, []byte(`{"feedId":1}`)))
	assert.Error(t, amazontest.ValidateAnswer("deleteEverything", 200, nil))
	assert.Contains(t, amazontest.Operations(), "patchListingsItem")
}
