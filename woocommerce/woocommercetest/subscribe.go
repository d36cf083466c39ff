package woocommercetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// A Subscription is a webhook of the topic product.updated. Its fields must not
// be changed once the shop has it.
type Subscription struct {
	// Handler gets the deliveries.
	Handler http.Handler
	// Secret signs them.
	Secret string
	// Source is what deliveries say that they come from; "" means
	// "https://shop.test/". It is the shop's address as WP-Cron sees it, so it may
	// differ from the API's.
	Source string
	// Cron is how long it takes until the queue of deliveries runs, asked when
	// the first one is put into it; nil means ten seconds. It is in the hands of
	// WP-Cron and of visitors: seconds, minutes, or a day.
	Cron func() time.Duration
}

// A Webhook is a subscription that the shop has.
type Webhook struct {
	Subscription
	s    *Server
	id   int
	made time.Time
	// These are the server's to lock.
	pinged   bool
	failures int // in a row
	disabled bool
	pending  []int // products, by id
	running  bool
}

const (
	// answerWithin is how long the shop waits for an answer.
	answerWithin = 5 * time.Second
	// maxFailures is how many deliveries in a row may fail. The next one that
	// does disables the webhook.
	maxFailures = 6
)

// Subscribe creates a webhook, as POST /webhooks does: it sends the ping, which
// is not signed, before it returns, and creates the webhook whatever the answer
// is.
//
// From then on each change of a product or a variation is delivered: the API's
// writes, also those that change nothing, and [Server.Set], [Server.Sell] and
// the like. A delivery has the product as it is when the queue runs, so that
// several changes are one delivery. One that fails is never made again, and
// the seventh in a row that fails disables the webhook. GET /webhooks shows that.
//
// Deliveries are made by timers: in a testing/synctest bubble they come in
// virtual time.
func (s *Server) Subscribe(sub Subscription) *Webhook {
	if sub.Source == "" {
		sub.Source = "https://shop.test/"
	}
	s.mu.Lock()
	h := &Webhook{Subscription: sub, s: s, id: len(s.webhooks) + 1, made: time.Now()}
	s.webhooks = append(s.webhooks, h)
	s.mu.Unlock()
	h.ping()
	return h
}

// Disabled reports whether the webhook is disabled: by failures, or by Disable.
func (h *Webhook) Disabled() bool {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.disabled
}

// Disable disables the webhook, as somebody in the shop's admin does. What waits
// is not delivered.
func (h *Webhook) Disable() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.disabled = true
}

func (h *Webhook) ping() {
	header := http.Header{
		"User-Agent":   {"WooCommerce/10.0.2 Hookshot (WordPress/6.8.8)"},
		"Content-Type": {"application/x-www-form-urlencoded"},
	}
	status := channeltest.Deliver(h.Handler, header, fmt.Appendf(nil, "webhook_id=%d", h.id), answerWithin)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.pinged = h.pinged || status == http.StatusOK
}

// announce puts a product into the queues of deliveries. The server is locked.
func (s *Server) announce(p *product) {
	for _, h := range s.webhooks {
		if h.disabled || slices.Contains(h.pending, p.id) {
			continue
		}
		h.pending = append(h.pending, p.id)
		if h.running {
			continue
		}
		h.running = true
		delay := 10 * time.Second
		if h.Cron != nil {
			delay = h.Cron()
		}
		time.AfterFunc(delay, h.run)
	}
}

// run makes the deliveries that wait.
func (h *Webhook) run() {
	h.s.mu.Lock()
	ids := h.pending
	h.pending, h.running = nil, false
	h.s.mu.Unlock()
	for _, id := range ids {
		h.deliver(id)
	}
}

func (h *Webhook) deliver(id int) {
	h.s.mu.Lock()
	p := h.s.products[id]
	if p == nil || h.disabled {
		h.s.mu.Unlock()
		return
	}
	header, body := h.s.delivery(p, &h.Subscription, h.id)
	h.s.mu.Unlock()
	status := channeltest.Deliver(h.Handler, header, body, answerWithin)
	h.s.mu.Lock()
	if status >= 200 && status <= 302 {
		h.failures = 0
	} else if h.failures++; h.failures > maxFailures {
		h.disabled = true
	}
	again := h.failures > 0 && !h.pinged
	h.s.mu.Unlock()
	if again {
		h.ping()
	}
}

// Delivery returns the header and the body of a delivery of product.updated
// about the product or the variation with this SKU, as it is now. It panics if
// there is not exactly one.
func (s *Server) Delivery(secret, sku string) (http.Header, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.one(sku)
	if err != nil {
		panic(err.Error())
	}
	return s.delivery(p, &Subscription{Secret: secret, Source: "https://shop.test/"}, 1)
}

func (s *Server) delivery(p *product, sub *Subscription, id int) (http.Header, []byte) {
	c := &call{Request: httptest.NewRequest(http.MethodGet, sub.Source, nil), root: sub.Source + "wp-json"}
	body, err := json.Marshal(s.render(c, p, false, nil))
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, []byte(sub.Secret))
	mac.Write(body)
	// Two deliveries of one webhook in the same second have the same id.
	delivery := sha256.Sum256(fmt.Appendf(nil, "%d %d", id, time.Now().Unix()))
	h := http.Header{}
	for name, value := range map[string]string{
		"User-Agent": "WooCommerce/10.0.2 Hookshot (WordPress/6.8.8)", "Content-Type": "application/json",
		"X-WC-Webhook-Source": sub.Source, "X-WC-Webhook-Topic": "product.updated", "X-WC-Webhook-Resource": "product",
		"X-WC-Webhook-Event": "updated", "X-WC-Webhook-Signature": base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		"X-WC-Webhook-ID": fmt.Sprint(id), "X-WC-Webhook-Delivery-ID": fmt.Sprintf("%x", delivery[:16]),
	} {
		h.Set(name, value)
	}
	return h, body
}
