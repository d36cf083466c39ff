package amazontest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ListingsReport is the only type of report.
const ListingsReport = "GET_MERCHANT_LISTINGS_ALL_DATA"

type report struct {
	created time.Time
	result  *document
}

func (s *Server) createReport(c call) (int, any) {
	var in struct {
		ReportType     string   `json:"reportType"`
		MarketplaceIDs []string `json:"marketplaceIds"`
	}
	json.Unmarshal(c.body, &in)
	if in.ReportType != ListingsReport {
		return unsupported("reports of type " + in.ReportType)
	}
	if len(in.MarketplaceIDs) != 1 || in.MarketplaceIDs[0] != s.cfg.MarketplaceID {
		return 400, fail("InvalidInput", "Invalid 'marketplaceIds' provided.", "")
	}
	id := strconv.Itoa(70_000 + s.serial())
	s.reports[id] = &report{created: time.Now()}
	return 202, map[string]any{"reportId": id}
}

func (s *Server) getReport(c call) (int, any) {
	s.work()
	id := c.params["reportId"]
	r := s.reports[id]
	if r == nil {
		return 404, fail("NotFound", "The report does not exist.", "")
	}
	out := map[string]any{
		"reportId": id, "reportType": ListingsReport, "createdTime": r.created.UTC().Format(time.RFC3339),
		"marketplaceIds": []string{s.cfg.MarketplaceID}, "processingStatus": "IN_PROGRESS",
	}
	switch age := time.Since(r.created); {
	case age < min(queueTime, s.cfg.ReportTime/2):
		out["processingStatus"] = "IN_QUEUE"
	case age < s.cfg.ReportTime:
	case len(s.order) == 0:
		out["processingStatus"] = "CANCELLED" // there are no rows
	default:
		if r.result == nil {
			r.result = s.store("report", s.rows())
		}
		out["processingStatus"], out["reportDocumentId"] = "DONE", r.result.id
	}
	return 200, out
}

// rows is the report's content: rows for complete listings, without a quantity
// for those that are fulfilled by Amazon.
func (s *Server) rows() []byte {
	var b strings.Builder
	b.WriteString("item-name\titem-description\tlisting-id\tseller-sku\tprice\tquantity\topen-date\tfulfillment-channel\tstatus\n")
	for i, sku := range s.order {
		l := s.listings[sku]
		if l.ghost {
			continue
		}
		channel, quantity := merchant, ""
		if a := l.attribute(merchant); a == nil {
			channel = "AMAZON_NA"
		} else if n, ok := a["quantity"].(int); ok {
			quantity = strconv.Itoa(n)
		}
		fmt.Fprintf(&b, "An article\t19\" wide\tL%d\t%s\t9.99\t%s\t2026-01-01 00:00:00 PST\t%s\tActive\n", i, sku, quantity, channel)
	}
	return s.encode(b.String())
}

// encode writes a text in the account's charset, as far as that goes.
func (s *Server) encode(text string) []byte {
	if s.cfg.Charset != "ISO-8859-1" {
		return []byte(text)
	}
	var out []byte
	for _, r := range text {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
