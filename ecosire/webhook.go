package ecosire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
)

// What one event may name. More is not an event of a shop's.
const (
	mostIDs   = 1000
	longestID = 128
)

// Webhooks authenticates and reads the deliveries of ECOSIRE's webhooks, for
// the Webhooks field of a syncer's Config. It is safe for concurrent use. Its
// zero value refuses everything.
type Webhooks struct {
	secrets [][]byte
}

// NewWebhooks accepts what is signed with any of the secrets: with the current
// one, and during a rotation with the next or the previous one too. Without a
// secret it returns an error.
func NewWebhooks(secrets ...string) (*Webhooks, error) {
	if len(secrets) == 0 {
		return nil, errors.New("ecosire: NewWebhooks: no secret: without one anybody could send events")
	}
	w := &Webhooks{}
	for _, s := range secrets {
		if strings.TrimSpace(s) == "" {
			return nil, errors.New("ecosire: NewWebhooks: a secret is empty")
		}
		w.secrets = append(w.secrets, []byte(s))
	}
	return w, nil
}

// Sign returns the signature of a body, as the header X-Ecosire-Signature
// carries it: for tests, and for whoever forwards events.
//
// ECOSIRE does not document its scheme. This is the most common one, assumed:
// the HMAC-SHA256 of the exact body in lower-case hexadecimal, optionally
// behind "sha256=". Another scheme is a matter of another receiver in the
// syncer's Config.
func Sign(secret string, body []byte) string {
	return hex.EncodeToString(sign([]byte(secret), body))
}

func sign(secret, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return mac.Sum(nil)
}

// Receive checks a delivery's signature and says what it is about. Its error
// matches [channel.ErrUnauthorized] if the signature is missing or wrong, and
// [channel.ErrInvalid] if the body is not an event.
//
// Of an event it takes what names products: data.productId, data.productIds
// and data.lineItems[].productId, and, where there are none, data.orderId.
// Events about licenses and subscriptions concern no stock.
func (w *Webhooks) Receive(_ context.Context, header http.Header, body []byte) (channel.Event, error) {
	given, err := hex.DecodeString(strings.TrimPrefix(header.Get("X-Ecosire-Signature"), "sha256="))
	genuine := false
	for _, secret := range w.secrets {
		// Every secret is tried, so that the time tells nothing.
		if hmac.Equal(sign(secret, body), given) {
			genuine = true
		}
	}
	if err != nil || !genuine {
		return channel.Event{}, fmt.Errorf("ecosire: webhook: wrong signature: %w", channel.ErrUnauthorized)
	}
	return parseEvent(body)
}

func parseEvent(body []byte) (channel.Event, error) {
	var envelope struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		Data  struct {
			ProductID  string   `json:"productId"`
			ProductIDs []string `json:"productIds"`
			LineItems  []struct {
				ProductID string `json:"productId"`
			} `json:"lineItems"`
			OrderID string `json:"orderId"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return channel.Event{}, fmt.Errorf("ecosire: webhook: not an event: %w: %w", channel.ErrInvalid, err)
	}
	if envelope.Event == "" {
		return channel.Event{}, fmt.Errorf("ecosire: webhook: not an event: %w: no %q", channel.ErrInvalid, "event")
	}
	e := channel.Event{ID: envelope.ID, Type: envelope.Event}
	if strings.HasPrefix(e.Type, "license.") || strings.HasPrefix(e.Type, "subscription.") {
		return e, nil
	}
	data := envelope.Data
	ids := append(data.ProductIDs, data.ProductID)
	for _, item := range data.LineItems {
		ids = append(ids, item.ProductID)
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
	if len(ids) > mostIDs {
		return channel.Event{}, fmt.Errorf("ecosire: webhook: %d products in one event: %w", len(ids), channel.ErrInvalid)
	}
	for _, id := range append(ids, data.OrderID) {
		if len(id) > longestID {
			return channel.Event{}, fmt.Errorf("ecosire: webhook: an id of %d bytes: %w", len(id), channel.ErrInvalid)
		}
	}
	switch {
	case len(ids) > 0:
		e.ProductIDs = ids
	case data.OrderID != "":
		e.OrderIDs = []string{data.OrderID}
	}
	return e, nil
}
