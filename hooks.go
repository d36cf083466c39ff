package stocksync

import (
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

// secrets reads a secret, and the one that is to follow it.
func (e *env) secrets(name string) (secrets []string) {
	for _, n := range []string{name, name + "_NEXT"} {
		if s := e.get(n); s != "" {
			secrets = append(secrets, s)
		}
	}
	return secrets
}

// hooked gives a target the receiver of its channel's webhooks, if the
// environment has what authenticates these, and a watch.
func (e *env) hooked(kind shop, t *syncer.Target) {
	if every, ok := e.duration(kind.prefix + "_WATCH"); ok && every > 0 {
		t.Watch = syncer.Watch{Every: max(every, time.Second)}
	}
	if kind.webhooks == nil {
		return
	}
	if receiver, err := kind.webhooks(e, t.Channel); err != nil {
		e.wrong("%s: its webhooks: %w", kind.service, err)
	} else if receiver != nil {
		t.Webhooks = receiver
	}
}

func shopifyHooks(e *env, c channel.Channel) (channel.Receiver, error) {
	secrets := e.secrets("SHOPIFY_WEBHOOK_SECRET")
	if own := e.get("SHOPIFY_CLIENT_SECRET"); own != "" { // which signs what the app subscribes to
		secrets = append(secrets, own)
	}
	if len(secrets) == 0 {
		return nil, nil
	}
	return c.(*shopify.Channel).Webhooks(secrets...)
}

func wooCommerceHooks(e *env, c channel.Channel) (channel.Receiver, error) {
	secrets := e.secrets("WC_WEBHOOK_SECRET")
	if len(secrets) == 0 {
		return nil, nil
	}
	return c.(*woocommerce.Channel).Webhooks(secrets...)
}

func squareHooks(e *env, c channel.Channel) (channel.Receiver, error) {
	keys, address := e.secrets("SQUARE_WEBHOOK_KEY"), e.get("SQUARE_WEBHOOK_URL")
	if len(keys) == 0 && address == "" {
		return nil, nil
	}
	return c.(*square.Channel).Webhooks(address, keys...)
}
