package amazon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// A patch sets a listing's quantity, and leaves its handling time and restock
// date as they are. That is what "merge" is for: any other operation replaces
// the record as a whole.
type patch struct {
	Op    string         `json:"op"`
	Path  string         `json:"path"`
	Value []availability `json:"value"`
}

type availability struct {
	Code     string `json:"fulfillment_channel_code"`
	Quantity int    `json:"quantity"` // 0 is sent, too
}

// productType stands for any: a patch of the offer alone needs no other.
const productType = "PRODUCT"

func merge(quantity int) []patch {
	return []patch{{Op: "merge", Path: "/attributes/fulfillment_availability", Value: []availability{{merchant, quantity}}}}
}

// internalError is the code of an issue that is no refusal.
const internalError = "4000000"

// patch writes one listing. nil means that Amazon accepted it.
func (ch *Channel) patch(ctx context.Context, sku string, quantity int) error {
	c := ch.client
	body, err := json.Marshal(struct {
		ProductType string  `json:"productType"`
		Patches     []patch `json:"patches"`
	}{productType, merge(quantity)})
	if err != nil {
		return err
	}
	ctx = logs.With(ctx, logs.SKU, text.Clean(sku))
	resp, err := c.send(ctx, request{
		op: patchListing, bucket: c.buckets[patchListing], method: http.MethodPatch, path: c.listingPath(sku),
		query: url.Values{"marketplaceIds": {ch.marketplace}}, body: body,
		repeat: true, // the quantity is absolute
		write:  true,
	})
	if err != nil {
		return err
	}
	if resp.Status != http.StatusOK {
		e := c.refusal(patchListing, resp, true)
		switch {
		case blame(e) == nil:
		case resp.Status == http.StatusNotFound:
			e.kind = channel.ErrUnknownSKU
		default:
			e.kind = channel.ErrInvalid
		}
		return e
	}
	return c.accepted(sku, resp)
}

// accepted reads the answer to a patch, which has status 200 in any case.
func (c *Client) accepted(sku string, resp *httpx.Response) error {
	unclear := func(message string) error {
		e := nonsense(patchListing, resp, c.message(message))
		e.unclear = true
		return e
	}
	v, err := strictjson.Parse(resp.Body)
	if err != nil {
		return unclear("got " + httpx.Describe(resp))
	}
	var r strictjson.Row
	r.Read(v)
	status, of := r.Text("status"), r.Text("sku")
	var issues []strictjson.Value
	if r.Has("issues") {
		issues = r.Elements("issues")
	}
	switch err := r.Err(); {
	case err != nil:
		return unclear(err.Error())
	case of != sku:
		return unclear(fmt.Sprintf("the answer is about %q", of))
	case status == "ACCEPTED":
		return nil
	case status != "INVALID":
		return unclear(fmt.Sprintf("the status is %q", status))
	}
	e := &Error{Op: patchListing, Status: resp.Status, RequestID: requestID(resp), kind: channel.ErrInvalid}
	var texts []string
	for _, v := range issues {
		r.Read(v)
		severity, code, message := r.Text("severity"), r.Value("code").Name(), r.Value("message").Name()
		if severity != "ERROR" && r.Err() == nil {
			continue
		}
		if code == internalError {
			e.kind, e.own = channel.ErrUnavailable, true // it asks to try again
		}
		if e.Code == "" {
			e.Code = c.message(code)
		}
		texts = append(texts, message)
	}
	e.Message = c.message(strings.Join(texts, "; "))
	if e.Message == "" {
		e.Message = "INVALID"
	}
	return e
}
