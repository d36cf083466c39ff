package ecosire

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// What one event may name. More is not an event of a shop's.
const (
	mostIDs   = 1000
	longestID = 128
)

// Webhooks authenticates and reads the deliveries of ECOSIRE's webhooks, for
// the Webhooks field of a syncer's Config. It is safe for concurrent use. Its
// zero value refuses everything. It shows its secrets to nobody who prints it.
type Webhooks struct {
	check rotate.Check
}

// NewWebhooks accepts what is signed with any of the secrets: with the current
// one, and during a rotation with the next or the previous one too. Without a
// secret it returns an error.
func NewWebhooks(secrets ...string) (*Webhooks, error) {
	check, err := rotate.Fixed("secret", secrets...)
	if err != nil {
		return nil, fmt.Errorf("ecosire: NewWebhooks: %w", err)
	}
	return &Webhooks{check}, nil
}

// Sign returns the signature of a body, as the header X-Ecosire-Signature
// carries it: for tests, and for whoever forwards events.
//
// ECOSIRE does not document its scheme. This is the most common one, assumed:
// the HMAC-SHA256 of the exact body in lower-case hexadecimal, optionally
// behind "sha256=". Another scheme is a matter of another receiver in the
// syncer's Config.
func Sign(secret string, body []byte) string {
	return hex.EncodeToString(rotate.Sum(secret, body))
}

// Receive checks a delivery's signature and says what it is about. Its error
// matches [channel.ErrUnauthorized] if the signature is missing or wrong, and
// [channel.ErrInvalid] if the body is not an event.
//
// Of an event it takes what names products: data.productId, data.productIds
// and data.lineItems[].productId, and, where there are none, data.orderId. An
// id that is not text is left out, and the event's Odd says so; the order is then
// to be read, too, if the event names it. An event of which nothing is left is
// refused. Events about licenses and subscriptions concern no stock.
func (w *Webhooks) Receive(ctx context.Context, header http.Header, body []byte) (channel.Event, error) {
	given, err := hex.DecodeString(strings.TrimPrefix(header.Get("X-Ecosire-Signature"), "sha256="))
	genuine := false
	if err == nil {
		if genuine, err = w.check.Signed(ctx, given, body); err != nil {
			return channel.Event{}, err
		}
	}
	if !genuine {
		return channel.Event{}, fmt.Errorf("ecosire: webhook: wrong signature: %w", channel.ErrUnauthorized)
	}
	return parseEvent(body)
}

func parseEvent(body []byte) (channel.Event, error) {
	refuse := func(what string) (channel.Event, error) {
		return channel.Event{}, fmt.Errorf("ecosire: webhook: not an event: %w: %s", channel.ErrInvalid, text.Clean(what))
	}
	v, err := strictjson.Parse(body)
	if err != nil {
		return refuse(err.Error())
	}
	var envelope, data strictjson.Row
	envelope.Read(v)
	e := channel.Event{Type: text.Clean(envelope.Text("event")), ID: text.Clean(envelope.Value("id").Name())}
	switch {
	case envelope.Err() != nil:
		return refuse(envelope.Err().Error())
	case e.Type == "":
		return refuse("no \"event\"")
	case strings.HasPrefix(e.Type, "license."), strings.HasPrefix(e.Type, "subscription."), !envelope.Has("data"):
		return e, nil
	}
	data.Read(envelope.Value("data"))
	ids := newNamed(mostIDs + 1)
	ids.add(data.Value("productId"), nil)
	if data.Has("productIds") {
		for _, v := range data.Elements("productIds") {
			ids.add(v, nil)
		}
	}
	if data.Has("lineItems") {
		var item strictjson.Row
		for _, v := range data.Elements("lineItems") {
			item.Read(v)
			ids.add(item.Value("productId"), item.Err())
		}
	}
	order := newNamed(1)
	order.add(data.Value("orderId"), nil)
	e.Order = data.Has("lineItems") || len(order.ids) > 0
	odd := cmp.Or(envelope.Err(), data.Err(), ids.err(), order.err())
	e.ProductIDs = slices.Sorted(slices.Values(ids.ids))
	if len(e.ProductIDs) > mostIDs {
		return refuse(fmt.Sprintf("more than %d products", mostIDs))
	}
	if len(e.ProductIDs) == 0 || odd != nil {
		e.OrderIDs = order.ids
	}
	if odd != nil {
		e.Odd = odd.Error()
		if len(e.ProductIDs)+len(e.OrderIDs) == 0 {
			return refuse(e.Odd)
		}
	}
	return e, nil
}
