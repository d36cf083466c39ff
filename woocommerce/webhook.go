package woocommerce

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// Ping is the type of the events of deliveries that say nothing: WooCommerce
// sends one, unsigned, when a webhook is created, and wants a 2xx for it.
const Ping = "ping"

const (
	// maxNaming bounds the time for the SKUs of variations: WooCommerce does not
	// make a delivery again, and waits five seconds for the answer.
	maxNaming = 4 * time.Second
	// maxFamily bounds the variations that one delivery names.
	maxFamily = 500
)

// Webhooks authenticates and reads the deliveries of a shop's webhooks. It is a
// [channel.Receiver], and safe for concurrent use. Its zero value refuses
// everything but the ping. Printing it shows no secret.
type Webhooks struct {
	channel *Channel
	check   rotate.Check
	asking  chan struct{} // holds a token while nobody asks for variations
	known   *memory[int64, brood]
}

// brood has the SKUs of a parent's variations, by what the parent's row said
// that these are.
type brood struct {
	variations string
	skus       []string
}

var _ channel.Receiver = (*Webhooks)(nil)

// Webhooks returns the receiver of a webhook with the topic product.updated.
// The secrets are the webhook's, and during a rotation the next or the previous
// one too; each may be any text that is not blank.
func (ch *Channel) Webhooks(secrets ...string) (*Webhooks, error) {
	check, err := rotate.Fixed("secret", secrets...)
	if err != nil {
		return nil, fmt.Errorf("woocommerce: Webhooks: %w", err)
	}
	return ch.receiver(check), nil
}

func (ch *Channel) receiver(check rotate.Check) *Webhooks {
	w := &Webhooks{channel: ch, check: check, asking: make(chan struct{}, 1), known: new(memory[int64, brood])}
	w.asking <- struct{}{}
	ch.hook.expected.Store(true)
	return w
}

// SignWebhook returns the signature of a body, as WooCommerce puts it into the
// header X-WC-Webhook-Signature: for tests, and for whoever forwards deliveries.
func SignWebhook(secret string, body []byte) string {
	return base64.StdEncoding.EncodeToString(rotate.Sum(secret, body))
}

// Receive implements [channel.Receiver]. Its error matches
// [channel.ErrUnauthorized] if the signature is missing or wrong, and
// [channel.ErrInvalid] if the body is not what its topic says.
//
// The event names the SKU of the product or the variation. Of a product with
// variations that counts the stock of these it names their SKUs, which are read
// unless they are known; if that fails the error is the request's, and what was
// delivered is found by a reconciliation: WooCommerce does not make a delivery
// again. A delivery of another topic, and of what has no SKU, names none, and
// neither does the unsigned ping, whose type is [Ping].
func (w *Webhooks) Receive(ctx context.Context, header http.Header, body []byte) (channel.Event, error) {
	if id, ok := ping(header, body); ok {
		return channel.Event{Type: Ping, ID: id}, nil
	}
	given, err := base64.StdEncoding.Strict().DecodeString(header.Get("X-WC-Webhook-Signature"))
	genuine := false
	if err == nil {
		if genuine, err = w.check.Signed(ctx, given, body); err != nil {
			return channel.Event{}, err
		}
	}
	if !genuine {
		return channel.Event{}, fmt.Errorf("woocommerce: webhook: wrong signature: %w", channel.ErrUnauthorized)
	}
	topic := header.Get("X-WC-Webhook-Topic")
	w.channel.hook.heard(topic, header.Get("X-WC-Webhook-ID"))
	e := channel.Event{ID: text.Cut(header.Get("X-WC-Webhook-Delivery-ID"), 100), Type: text.Cut(topic, 100)}
	if topic != "product.updated" && topic != "product.created" && topic != "product.restored" {
		return e, nil
	}
	value, err := strictjson.Parse(body)
	if err != nil {
		return channel.Event{}, fmt.Errorf("woocommerce: webhook: not JSON: %w", channel.ErrInvalid)
	}
	var r strictjson.Row
	r.Read(value)
	p := decodeRow(&r, nil)
	if p.id <= 0 || p.kind == "" {
		return channel.Event{}, fmt.Errorf("woocommerce: webhook: %s: not a product: %w", e.Type, channel.ErrInvalid)
	}
	if p.err != nil {
		e.Odd = text.Clean(p.err.Error())
	}
	if usable(p.sku) {
		e.SKUs = []string{p.sku}
		if p.err == nil && p.stock == managed && !p.quantity.none && !p.quantity.fraction {
			e.Shows = map[string]int{p.sku: p.quantity.n}
		}
	}
	if p.err == nil && p.stock == managed && strings.HasPrefix(p.kind, "variable") {
		skus, err := w.variations(ctx, p.id, string(r.Value("variations").JSON()))
		if err != nil {
			return channel.Event{}, fmt.Errorf("woocommerce: webhook: the variations of product %d: %w", p.id, err)
		}
		for _, sku := range skus {
			if sku != p.sku {
				e.SKUs = append(e.SKUs, sku)
			}
		}
	}
	return e, nil
}

// usable reports whether an SKU may be one that a channel is asked for.
func usable(sku string) bool { return unaskable(sku) == "" && len(sku) <= maxURL }

// ping reports whether a delivery is a ping, and of which webhook.
func ping(header http.Header, body []byte) (id string, ok bool) {
	number, ok := bytes.CutPrefix(body, []byte("webhook_id="))
	if !ok || len(number) == 0 || len(number) > 20 || header.Get("X-WC-Webhook-Signature") != "" {
		return "", false
	}
	return string(number), len(bytes.Trim(number, "0123456789")) == 0
}

// variations returns the SKUs of a product's variations. given is what the
// delivery says that these are: it changes when they do.
func (w *Webhooks) variations(ctx context.Context, parent int64, given string) ([]string, error) {
	known := func() ([]string, bool) {
		f, ok := w.known.get(parent)
		return f.skus, ok && f.variations == given && len(given) <= maxGiven
	}
	if skus, ok := known(); ok {
		return skus, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxNaming)
	defer cancel()
	select { // one asks at a time: another delivery is often about the same product
	case <-w.asking:
		defer func() { w.asking <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", channel.ErrUnavailable, ctx.Err())
	}
	if skus, ok := known(); ok {
		return skus, nil
	}
	l := &list{client: w.channel.client, path: fmt.Sprintf("products/%d/variations", parent), fields: "id,sku"}
	skus := []string{}
	for !l.ended && len(skus) < maxFamily {
		page, err := l.next(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page {
			if usable(v.sku) {
				skus = append(skus, v.sku)
			}
		}
	}
	slices.Sort(skus)
	skus = slices.Compact(skus)
	if len(given) <= maxGiven {
		w.known.put(parent, brood{given, skus})
	}
	return skus, nil
}

// maxGiven bounds the list of variations' ids that is remembered.
const maxGiven = 4096
