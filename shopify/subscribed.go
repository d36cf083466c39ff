package shopify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

var _ channel.Subscriber = (*Channel)(nil)

// findSubscription finds one of the app's subscriptions to what Webhooks needs.
var findSubscription = operation{name: "webhookSubscriptions", guess: 3, repeat: true, query: `
query FindSubscription {
  webhookSubscriptions(first: 1, topics: [INVENTORY_LEVELS_UPDATE]) {
    nodes { id }
  }
}`}

const (
	levelsTopic = "inventory_levels/update"
	// unseenFor is how long a subscription that was never seen is waited for. One
	// that was made in the shop's admin, or is in the app's configuration, is not
	// shown to the app; a delivery tells that there is one.
	unseenFor = time.Hour
	// lateFor is how long deliveries of a subscription may come that is gone.
	lateFor = time.Minute
)

// A subscription is what a channel knows of the one to its webhooks.
type subscription struct {
	mu        sync.Mutex
	expected  bool      // there is a receiver
	seen      bool      // the shop has shown one
	gone      time.Time // since when the shop shows none, or zero
	delivered time.Time // when the last delivery of its topic came
}

func (s *subscription) expect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = true
}

// heard notes a genuine delivery.
func (s *subscription) heard(topic string) {
	if topic != levelsTopic {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivered = time.Now()
}

// Subscribed implements [channel.Subscriber]: it asks for the app's subscriptions
// to inventory_levels/update, at whatever address, which is one request of about 3
// points and needs no further scope. Shopify deletes one after eight deliveries
// that failed, within about four hours.
//
// A subscription that was seen and is gone is [channel.ErrUnsubscribed] at once. The
// app is not shown those that a person has made in the shop's admin, nor those in
// its own configuration file. So one that was never seen counts as lost only after an hour without a single delivery, and as
// alive as soon as one comes.
//
// The error matches [errors.ErrUnsupported] before anybody has called
// [Channel.Webhooks] or [Channel.RotatingWebhooks], in that first hour, and if the
// shop does not let the app ask. Any other is the request's.
func (ch *Channel) Subscribed(ctx context.Context) error {
	s := &ch.subscription
	s.mu.Lock()
	expected := s.expected
	s.mu.Unlock()
	if !expected {
		return fmt.Errorf("shopify: nobody receives webhooks of this channel: %w", errors.ErrUnsupported)
	}
	a, err := ch.client.do(ctx, findSubscription, nil)
	if u, ok := errors.AsType[*unsure](err); ok {
		err = u.error
	}
	if errors.Is(err, channel.ErrUnauthorized) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return err
	}
	found, ok := a.object("webhookSubscriptions")
	nodes := found.Elements("nodes")
	if !ok || found.Err() != nil {
		return unusable(findSubscription.name, "the answer does not say which subscriptions there are")
	}
	return s.judge(len(nodes) > 0)
}

// judge says whether events are sent, by what the shop shows now.
func (s *subscription) judge(shown bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if shown {
		s.seen, s.gone = true, time.Time{}
		return nil
	}
	now := time.Now()
	if s.gone.IsZero() {
		s.gone = now
	}
	switch {
	case s.delivered.After(s.gone.Add(lateFor)):
		s.seen = false
		return nil
	case s.seen:
		return fmt.Errorf("%w: the app's subscription to %s is gone: Shopify deletes one after eight deliveries that failed; make it again", channel.ErrUnsubscribed, levelsTopic)
	case !s.delivered.IsZero():
		return nil
	case now.Sub(s.gone) >= unseenFor:
		return fmt.Errorf("%w: the app has no subscription to %s, and no delivery has come since %s", channel.ErrUnsubscribed, levelsTopic, s.gone.UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("shopify: the app has no subscription to %s that the shop shows; whether there is another one is not known yet: %w", levelsTopic, errors.ErrUnsupported)
}
