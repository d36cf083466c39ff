package square

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// CountUpdated is the type of event that [Webhooks] reads.
const CountUpdated = "inventory.count.updated"

const (
	signatureHeader = "X-Square-Hmacsha256-Signature"
	maxCounts       = 1000 // of one event
	// maxAsking is how long an event waits for Square to tell an SKU. Square
	// itself waits ten seconds for an answer.
	maxAsking = 5 * time.Second
)

// Webhooks authenticates and reads the deliveries of Square's event
// inventory.count.updated for one channel. It is a [channel.Receiver], and safe
// for concurrent use. Its zero value refuses everything.
type Webhooks struct {
	ch      *Channel
	address string
	check   rotate.Check
}

var _ channel.Receiver = (*Webhooks)(nil)

// Webhooks returns the receiver of a subscription. address is the notification
// URL exactly as it stands in the subscription, which is part of what Square
// signs; behind a proxy it is not the one that arrives. keys are signature keys,
// each of which is accepted: during a rotation the current and the next one.
func (ch *Channel) Webhooks(address string, keys ...string) (*Webhooks, error) {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("square: Webhooks: the address is not the URL of the subscription")
	}
	check, err := rotate.Fixed("key", keys...)
	if err != nil {
		return nil, fmt.Errorf("square: Webhooks: %w", err)
	}
	return &Webhooks{ch, address, check}, nil
}

// Sign returns the signature of a delivery, as the header
// X-Square-Hmacsha256-Signature carries it: for tests, and for whoever forwards
// events.
func Sign(key, address string, body []byte) string {
	return base64.StdEncoding.EncodeToString(rotate.Sum(key, []byte(address), body))
}

// Receive checks a delivery's signature and returns the SKUs whose stock at the
// channel's location has changed. Events of other types and about other
// locations have none. Square sends an event for changes of this library's own,
// too.
//
// An event names variations by id. The SKUs of those that the client has not
// met are asked for, in one request.
//
// The error matches [channel.ErrUnauthorized] if the signature is missing or
// wrong, [channel.ErrInvalid] if the body is not an event, and otherwise means
// that Square did not tell the SKUs: it delivers the event again.
func (w *Webhooks) Receive(ctx context.Context, header http.Header, body []byte) (channel.Event, error) {
	given, err := base64.StdEncoding.Strict().DecodeString(header.Get(signatureHeader))
	genuine := false
	if err == nil && w != nil {
		if genuine, err = w.check.Signed(ctx, given, []byte(w.address), body); err != nil {
			return channel.Event{}, err
		}
	}
	if !genuine {
		return channel.Event{}, fmt.Errorf("square: webhook: wrong signature: %w", channel.ErrUnauthorized)
	}
	event, ids, err := parseEvent(body, w.ch.location)
	if err != nil || len(ids) == 0 {
		return event, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxAsking)
	defer cancel()
	event.SKUs, err = w.ch.client.skus(ctx, ids)
	if err != nil {
		return channel.Event{}, fmt.Errorf("square: webhook: asking for the SKUs of an event: %w", err)
	}
	return event, nil
}

// parseEvent reads a delivery and the ids of the variations that have another
// count at the location. What does not name one is nothing.
func parseEvent(body []byte, location string) (e channel.Event, ids []string, err error) {
	invalid := func(why error) (channel.Event, []string, error) {
		return channel.Event{}, nil, fmt.Errorf("square: webhook: not an event: %w: %w", channel.ErrInvalid, why)
	}
	value, err := strictjson.Parse(body)
	if err != nil {
		return invalid(errors.New(text.Clean(err.Error())))
	}
	var r, data, object strictjson.Row
	r.Read(value)
	e.Type = r.Text("type")
	if r.Has("event_id") {
		e.ID = r.Text("event_id")
	}
	if err := r.Err(); err != nil {
		return invalid(err)
	}
	e.Type, e.ID = text.Cut(e.Type, 100), text.Cut(e.ID, 100)
	if e.Type != CountUpdated {
		return e, nil, nil
	}
	data.Read(r.Value("data"))
	if data.Err() != nil || !data.Has("object") { // the variation was deleted
		return e, nil, nil
	}
	object.Read(data.Value("object"))
	if !object.Has("inventory_counts") && object.Err() == nil {
		return e, nil, nil
	}
	counts := object.Elements("inventory_counts")
	switch {
	case object.Err() != nil:
		return invalid(object.Err())
	case len(counts) > maxCounts:
		return invalid(fmt.Errorf("it has %d counts", len(counts)))
	}
	for _, v := range counts {
		var row strictjson.Row
		row.Read(v)
		id := row.Text("catalog_object_id")
		if row.Text("location_id") != location || row.Err() != nil || !plausible(id) {
			continue
		}
		if row.Has("state") && row.Text("state") != inStock {
			continue
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return e, slices.Compact(ids), nil
}

// skus returns the SKUs of variations, sorted. What was deleted and what has no
// SKU is not among them.
func (c *Client) skus(ctx context.Context, ids []string) (skus []string, err error) {
	var unknown []string
	for _, id := range ids {
		if sku, ok := c.catalog.sku(id); !ok {
			unknown = append(unknown, id)
		} else if sku != "" {
			skus = append(skus, sku)
		}
	}
	if len(unknown) > 0 {
		r, err := post(objectPath, objectsBody{unknown})
		if err != nil {
			return nil, err
		}
		_, a, err := c.send(ctx, r)
		if err != nil {
			return nil, whole(err)
		}
		p, err := c.catalog.decodePage(a, time.Now())
		if err != nil {
			return nil, whole(err)
		}
		c.catalog.learn(p.variations)
		for _, v := range p.variations {
			if slices.Contains(unknown, v.id) && v.sku != "" && !v.deleted {
				skus = append(skus, v.sku)
			}
		}
	}
	slices.Sort(skus)
	return slices.Compact(skus), nil
}

type objectsBody struct {
	IDs []string `json:"object_ids"`
}
