package shopify

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// Webhooks authenticates the deliveries of a shop's webhooks and says which
// SKUs they are about. It is a [channel.Receiver], and safe for concurrent use.
// Its zero value refuses everything. Printing it shows no secret.
type Webhooks struct {
	channel *Channel
	check   rotate.Check
}

var _ channel.Receiver = (*Webhooks)(nil)

// Webhooks returns the receiver for the channel's location. The secrets are
// those that Shopify signs with: the client secret of the app that made the
// subscription, and during a rotation the next or the previous one too. Without
// any, the secret of [ClientCredentials] is used; if the client has none, that
// is an error.
//
// Subscribe to the topic inventory_levels/update, which Shopify sends for each
// change of a quantity, our own included; inventory_levels/connect and
// /disconnect, and inventory_items/create and /update, are understood too. From
// the latter two the client learns the SKUs of new items, which the shop's
// search does not find at once.
func (ch *Channel) Webhooks(secrets ...string) (*Webhooks, error) {
	if len(secrets) == 0 {
		switch g, _ := ch.client.tokens.(*grant); {
		case g == nil:
		case g.rotating != nil:
			return ch.receiver(g.rotating.check), nil
		default:
			_, secret := g.credentials()
			secrets = []string{secret}
		}
	}
	check, err := rotate.Fixed("secret", secrets...)
	if err != nil {
		return nil, fmt.Errorf("shopify: Webhooks: %w", err)
	}
	return ch.receiver(check), nil
}

func (ch *Channel) receiver(check rotate.Check) *Webhooks {
	ch.client.names.used.Store(true)
	ch.subscription.expect()
	return &Webhooks{channel: ch, check: check}
}

// SignWebhook returns the signature of a body, as Shopify puts it into the
// header X-Shopify-Hmac-Sha256: for tests, and for whoever forwards deliveries.
func SignWebhook(secret string, body []byte) string {
	return base64.StdEncoding.EncodeToString(rotate.Sum(secret, body))
}

// Receive implements [channel.Receiver]. Its error matches
// [channel.ErrUnauthorized] if the signature is missing or wrong or the
// delivery is another shop's, and [channel.ErrInvalid] if the body is not what
// its topic says.
//
// The event names the SKU of the item. It names none if the delivery is about
// another location, an item without an SKU or one that does not exist, or has
// another topic. The SKUs of items that were not asked for within the hour are
// read, those of all deliveries of a moment in one request; if that fails the
// error is the request's, and Shopify is to send the delivery again.
func (w *Webhooks) Receive(ctx context.Context, header http.Header, body []byte) (channel.Event, error) {
	given, err := base64.StdEncoding.Strict().DecodeString(header.Get("X-Shopify-Hmac-Sha256"))
	genuine := false
	if err == nil {
		if genuine, err = w.check.Signed(ctx, given, body); err != nil {
			return channel.Event{}, err
		}
	}
	if !genuine {
		return channel.Event{}, fmt.Errorf("shopify: webhook: wrong signature: %w", channel.ErrUnauthorized)
	}
	c := w.channel.client
	if domain := header.Get("X-Shopify-Shop-Domain"); !strings.EqualFold(domain, c.shop+".myshopify.com") {
		return channel.Event{}, fmt.Errorf("shopify: webhook: of another shop: %w", channel.ErrUnauthorized)
	}
	topic := header.Get("X-Shopify-Topic")
	w.channel.subscription.heard(topic)
	e := channel.Event{ID: text.Cut(header.Get("X-Shopify-Webhook-Id"), maxCode), Type: text.Cut(topic, maxCode)}
	kind, _, _ := strings.Cut(topic, "/")
	if kind != "inventory_levels" && topic != "inventory_items/create" && topic != "inventory_items/update" {
		return e, nil
	}
	v, err := strictjson.Parse(body)
	if err != nil {
		return channel.Event{}, fmt.Errorf("shopify: webhook: not JSON: %w", channel.ErrInvalid)
	}
	var row strictjson.Row
	row.Read(v)
	invalid := func(why error) (channel.Event, error) {
		return channel.Event{}, fmt.Errorf("shopify: webhook: %s: %w: %s", e.Type, channel.ErrInvalid, c.said(why.Error(), ""))
	}
	if kind == "inventory_items" {
		id, err := number(&row, "id")
		sku := ""
		if row.Has("sku") {
			sku = row.Text("sku")
		}
		if err = errors.Join(err, row.Err()); err != nil {
			return invalid(err)
		}
		if id > 0 && sku != "" && len(sku) <= 4*maxSKU {
			c.items.add(sku, id)
			c.names.known.put(id, sku)
			e.SKUs = []string{sku}
		}
		return e, nil
	}
	location, err := number(&row, "location_id")
	item, wrong := number(&row, "inventory_item_id")
	if err = errors.Join(err, wrong, row.Err()); err != nil {
		return invalid(err)
	}
	if locationPrefix+strconv.FormatUint(location, 10) != w.channel.location {
		return e, nil
	}
	sku, err := c.name(ctx, w.channel.location, item)
	if err != nil {
		return channel.Event{}, fmt.Errorf("shopify: webhook: the SKU of %s: %w", itemID(item), err)
	}
	if sku != "" {
		e.SKUs = []string{sku}
		if n, err := row.Value("available").Int(); kind == "inventory_levels" && err == nil {
			e.Shows = map[string]int{sku: n}
		}
	}
	return e, nil
}

// number reads the number of a thing. It may be larger than an int.
func number(row *strictjson.Row, key string) (uint64, error) {
	n, err := strconv.ParseUint(string(row.Value(key).JSON()), 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not the number of anything", key)
	}
	return n, nil
}
