package shopifytest

import (
	"net/http"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// A Subscription is one to the webhook topic inventory_levels/update. Its fields
// must not be changed once the shop has it.
type Subscription struct {
	// Handler gets the deliveries.
	Handler http.Handler
	// Delay is how long after a change its delivery is made, asked for each;
	// nil means a second. Where it differs deliveries change their order, as
	// Shopify's do.
	Delay func() time.Duration
	// Copies is how often a delivery is made, asked for each; nil means once.
	// Shopify loses some (0) and makes some twice (2).
	Copies func() int

	number int64
	made   time.Time
}

const (
	// answerWithin is how long Shopify waits for an answer.
	answerWithin = 5 * time.Second
	// maxRepeats is how often it makes a delivery again that is not answered
	// with 2xx. Then it deletes the subscription.
	maxRepeats = 8
)

// repeatAfter is how long Shopify waits before it makes a delivery again: eight
// times within about four hours.
func repeatAfter(failures int) time.Duration { return time.Minute << (failures - 1) * 15 / 16 }

// Subscribe makes the shop deliver each change of a quantity to a handler, as
// [Config].Deliver gets it and as Shopify does: later, and again up to eight
// times in about four hours if the answer is not 2xx or does not come within
// five seconds. After the last of these the subscription is deleted. unsubscribe
// deletes it, too; what is under way is then dropped. The query
// webhookSubscriptions shows what there is.
//
// Deliveries are made by timers: in a testing/synctest bubble they come in
// virtual time.
func (s *Server) Subscribe(sub Subscription) (unsubscribe func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &sub
	s.subscribed++
	one.number, one.made = s.subscribed, time.Now()
	s.subscriptions = append(s.subscriptions, one)
	return func() { s.unsubscribe(one) }
}

// Subscribed returns how many subscriptions there are that were not deleted.
func (s *Server) Subscribed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subscriptions)
}

func (s *Server) unsubscribe(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(other *Subscription) bool { return other == sub })
}

// announce makes a delivery for each subscription, in time.
func (s *Server) announce(d delivery) {
	s.mu.Lock()
	subs := slices.Clone(s.subscriptions)
	s.mu.Unlock()
	for _, sub := range subs {
		copies := 1
		if sub.Copies != nil {
			copies = sub.Copies()
		}
		for range copies {
			delay := time.Second
			if sub.Delay != nil {
				delay = sub.Delay()
			}
			time.AfterFunc(delay, func() { s.send(sub, d, 0) })
		}
	}
}

func (s *Server) send(sub *Subscription, d delivery, failures int) {
	s.mu.Lock()
	subscribed := slices.Contains(s.subscriptions, sub)
	s.mu.Unlock()
	if !subscribed {
		return
	}
	if status := channeltest.Deliver(sub.Handler, d.header, d.body, answerWithin); status/100 == 2 {
		return
	}
	if failures++; failures > maxRepeats {
		s.unsubscribe(sub)
		return
	}
	time.AfterFunc(repeatAfter(failures), func() { s.send(sub, d, failures) })
}

// Sell takes n from what every item with the SKU shows at the shop's main
// location, as an order does: no sale is lost to another. Items without a level
// there stay as they are.
func (s *Server) Sell(sku string, n int) {
	s.mu.Lock()
	for _, it := range s.bySKU[sku] {
		if available, _, ok := s.stock(it, s.location); ok && n != 0 {
			*available, it.updated = *available-n, time.Now()
			s.tell(it, s.location, *available)
		}
	}
	s.mu.Unlock()
	s.deliver()
}
