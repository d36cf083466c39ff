package amazontest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxPaged is how many items a search without identifiers pages through.
const maxPaged = 1000

func (s *Server) search(c call) (int, any) {
	s.work()
	var found []*listing
	total := 0
	identifiers, ok := c.query["identifiers"]
	switch {
	case ok && c.query.Get("identifiersType") != "SKU":
		if c.query.Get("identifiersType") == "" {
			return 400, fail("InvalidInput", "'identifiersType' is required with 'identifiers'.", "")
		}
		return unsupported("identifiers of type " + c.query.Get("identifiersType"))
	case ok:
		// A comma separates, escaped or not.
		for sku := range strings.SplitSeq(identifiers[0], ",") {
			for _, l := range s.find(sku) {
				if !slices.Contains(found, l) {
					found = append(found, l)
				}
			}
		}
		slices.Reverse(found) // the order is not the request's
		total = len(found)
	default:
		for _, sku := range s.order[:min(len(s.order), maxPaged)] {
			found = append(found, s.listings[sku])
		}
		total = len(s.order)
	}
	for name := range c.query {
		switch name {
		case "marketplaceIds", "identifiers", "identifiersType", "includedData", "pageSize", "pageToken", "issueLocale":
		default:
			return unsupported("the parameter " + name)
		}
	}
	size := 10
	if text := c.query.Get("pageSize"); text != "" {
		size, _ = strconv.Atoi(text)
		if size < 1 {
			return 400, fail("InvalidInput", "Invalid 'pageSize' provided.", "")
		}
	}
	from := 0
	if token := c.query.Get("pageToken"); token != "" {
		if _, err := fmt.Sscanf(token, "page-%d", &from); err != nil || from < 0 || from > len(found) {
			return 400, fail("InvalidInput", "Invalid 'pageToken' provided.", "")
		}
	}
	items := []any{}
	for _, l := range found[from:min(len(found), from+size)] {
		items = append(items, s.item(l, c.query.Get("includedData")))
	}
	answer := map[string]any{"numberOfResults": total, "items": items}
	pagination := map[string]any{}
	if from+size < len(found) {
		pagination["nextToken"] = fmt.Sprintf("page-%d", from+size)
	}
	if from > 0 {
		pagination["previousToken"] = fmt.Sprintf("page-%d", max(0, from-size))
	}
	if len(pagination) > 0 {
		answer["pagination"] = pagination
	}
	return 200, answer
}

func (s *Server) get(c call) (int, any) {
	s.work()
	found := s.find(c.params["sku"])
	if len(found) == 0 {
		return 404, fail("NOT_FOUND", fmt.Sprintf("SKU '%s' not found in marketplace %s", c.params["sku"], s.cfg.MarketplaceID), "")
	}
	return 200, s.item(found[0], c.query.Get("includedData"))
}
