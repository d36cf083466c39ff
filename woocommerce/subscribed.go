package woocommerce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

var _ channel.Subscriber = (*Channel)(nil)

// hookTopic is the topic of the webhook that Webhooks is for.
const hookTopic = "product.updated"

// A hook is what a channel knows of the webhook that is to reach it.
type hook struct {
	expected atomic.Bool  // there is a receiver
	id       atomic.Int64 // of the last genuine delivery, or 0
}

// heard notes whose delivery came.
func (h *hook) heard(topic, id string) {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && n > 0 && topic == hookTopic {
		h.id.Store(n)
	}
}

// Subscribed implements [channel.Subscriber]: it asks for the shop's webhooks with
// the topic product.updated, which is one request, and needs a key of somebody who
// may manage the shop. WooCommerce disables a webhook after seven deliveries in a
// row that failed.
//
// The events are sent if one of them is active. Other software may have some, too:
// once a delivery has come, those that are older than the one which made it do not
// count. If none is active, or there is none, that is [channel.ErrUnsubscribed].
//
// The error matches [errors.ErrUnsupported] before anybody has called
// [Channel.Webhooks] or [Channel.RotatingWebhooks], if the key may not see webhooks,
// and if there are too many to tell. Any other is the request's.
func (ch *Channel) Subscribed(ctx context.Context) error {
	if !ch.hook.expected.Load() {
		return fmt.Errorf("woocommerce: nobody receives webhooks of this channel: %w", errors.ErrUnsupported)
	}
	r := request{method: http.MethodGet, path: "webhooks", query: url.Values{
		"per_page": {strconv.Itoa(pageSize)}, "orderby": {"id"}, "order": {"desc"}, "_fields": {"id,status,topic"}}}
	resp, err := ch.client.send(ctx, r)
	if errors.Is(err, channel.ErrUnauthorized) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return err
	}
	return ch.judgeHooks(r, resp)
}

// judgeHooks says whether events are sent, by the list of webhooks.
func (ch *Channel) judgeHooks(r request, resp *httpx.Response) error {
	body, err := strictjson.Parse(resp.Body)
	if err != nil {
		return ch.client.nonsense(r, resp, httpx.Describe(resp)+" is not a list")
	}
	values, err := body.Elements()
	if err != nil {
		return ch.client.nonsense(r, resp, "the list is "+err.Error())
	}
	ours, state := ch.hook.id.Load(), ""
	var row strictjson.Row
	for _, v := range values {
		row.Read(v)
		id, status, topic := int64(row.Int("id")), row.Text("status"), row.Text("topic")
		switch err := row.Err(); {
		case err != nil:
			return ch.client.nonsense(r, resp, "a webhook of the list: "+err.Error())
		case topic != hookTopic || id < ours:
		case status == "active":
			return nil
		case state == "" || id == ours:
			state = fmt.Sprintf("webhook %d is %s", id, text.Cut(ch.client.plain(status), 50))
		}
	}
	switch {
	case len(values) >= pageSize && state == "":
		return fmt.Errorf("woocommerce: the shop has more than %d webhooks: %w", pageSize-1, errors.ErrUnsupported)
	case state == "":
		return fmt.Errorf("%w: the shop has no webhook with the topic %s any more; make one", channel.ErrUnsubscribed, hookTopic)
	}
	return fmt.Errorf("%w: %s: WooCommerce disables one after seven deliveries in a row that failed; set it to Active", channel.ErrUnsubscribed, state)
}
