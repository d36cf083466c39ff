package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What [Guide] and [Script] share: reading ECOSIRE, and requests.

type guideStock struct {
	SKU       string
	Available int
}

// available is the guide's getAvailableStock, for all pages.
func (g *Guide) available(ctx context.Context, productIDs []string) (records []guideStock, err error) {
	query := url.Values{"limit": {"100"}}
	if len(productIDs) > 0 {
		query.Set("productIds", strings.Join(productIDs, ","))
	}
	for page := 1; ; page++ {
		query.Set("page", strconv.Itoa(page))
		var answer struct {
			Data []guideStock
			Meta struct{ TotalPages int }
		}
		for {
			resp, err := g.call(ctx, 0, http.MethodGet, "https://api.ecosire.com/api/inventory/products?"+query.Encode(),
				http.Header{"Authorization": {"Bearer eco_live_test"}}, nil, &answer)
			if err != nil {
				return nil, err
			}
			if resp.StatusCode != http.StatusTooManyRequests {
				break
			}
			reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
			if err != nil {
				return nil, err
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(max(time.Second, time.Until(time.Unix(reset, 0)))):
			}
		}
		records = append(records, answer.Data...)
		if page >= answer.Meta.TotalPages {
			return records, nil
		}
	}
}

// graphQL waits and asks again when the shop refuses for its rate.
func (g *Guide) graphQL(ctx context.Context, query string, variables, into any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	for {
		var answer struct {
			Data   json.RawMessage
			Errors []struct {
				Message    string
				Extensions struct{ Code string }
			}
		}
		_, err := g.call(ctx, 1, http.MethodPost, "https://test-shop.myshopify.com/admin/api/2026-10/graphql.json",
			http.Header{"X-Shopify-Access-Token": {"shpat_test"}}, body, &answer)
		if err != nil {
			return err
		}
		if len(answer.Errors) == 0 {
			if into == nil {
				return nil
			}
			return json.Unmarshal(answer.Data, into)
		}
		if answer.Errors[0].Extensions.Code != "THROTTLED" {
			return fmt.Errorf("guide: %s", answer.Errors[0].Message)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (g *Guide) call(ctx context.Context, service int, method, address string, header http.Header, body []byte, into any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.World.client(service).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && into != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(answer, into)
	}
	return resp, err
}
