package stocksync

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/text"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

// A shop is a kind of channel that the environment can name.
type shop struct {
	service string // for people
	prefix  string // of the variables that all kinds have
	// variables are those that this kind needs, and those that it may have.
	variables func(e *env) (needed, others []string)
	// build returns the channel and where it is. Both are nil if something
	// is wrong, which is recorded.
	build func(e *env) (channel.Channel, *url.URL)
	// webhooks returns what receives the channel's deliveries, or nil if nothing
	// is set for that. It is nil for a kind that has none.
	webhooks func(e *env, c channel.Channel) (channel.Receiver, error)
}

// shop adds a channel, if the environment names one. It reports whether any
// variable of the kind is set.
func (e *env) shop(s *Services, source *url.URL, kind shop) (named bool) {
	needed, others := kind.variables(e)
	for _, suffix := range []string{"_WAREHOUSES", "_SHARE", "_BUFFER", "_CAP", "_WATCH"} {
		others = append(others, kind.prefix+suffix)
	}
	named, whole := e.complete(kind.service, needed, others...)
	if !whole {
		return named
	}
	policy, says := e.policy(kind.prefix)
	c, at := kind.build(e)
	if c == nil || at == nil {
		return named
	}
	if source != nil && httpx.Loopback(source) && !httpx.Loopback(at) {
		e.wrong("ECOSIRE_URL is on this machine (%s) and %s is not (%s): the stock of a test server must not get into a real shop. "+
			"If it is a proxy, build the clients yourself", source.Host, kind.service, at.Host)
		return named
	}
	t := syncer.Target{Channel: c, Policy: policy}
	e.hooked(kind, &t)
	s.Targets = append(s.Targets, t)
	s.about = append(s.about, c.Name()+" at "+at.Host+says)
	return named
}

// policy reads how much of the stock a channel shows; nil is the default.
func (e *env) policy(prefix string) (policy syncer.Policy, says string) {
	var steps []string
	policy = syncer.Available()
	if warehouses := e.warehouses(prefix + "_WAREHOUSES"); warehouses != nil {
		policy = syncer.In(warehouses...)
		steps = append(steps, "in "+strings.Join(warehouses, " and "))
	}
	if n, ok := e.number(prefix+"_SHARE", 1, 100); ok {
		policy = policy.Share(n)
		steps = append(steps, fmt.Sprintf("%d %%", n))
	}
	if n, ok := e.number(prefix+"_BUFFER", 0, maxUnits); ok {
		policy = policy.Buffer(n)
		steps = append(steps, fmt.Sprintf("less %d", n))
	}
	if n, ok := e.number(prefix+"_CAP", 1, maxUnits); ok {
		policy = policy.Cap(n)
		steps = append(steps, fmt.Sprintf("at most %d", n))
	}
	if steps != nil {
		says = " (" + strings.Join(steps, ", ") + ")"
	}
	return policy, says
}

// warehouses reads ECOSIRE's ids of warehouses, separated by commas.
func (e *env) warehouses(name string) (ids []string) {
	value := e.get(name)
	if value == "" {
		return nil
	}
	for id := range strings.SplitSeq(value, ",") {
		id = strings.TrimSpace(id)
		switch {
		case id == "":
			e.wrong("%s is %q, and must be ids of warehouses with a comma between each two", name, text.Cut(value, 40))
			return nil
		case slices.Contains(ids, id):
			e.wrong("%s names the warehouse %q twice", name, text.Cut(id, 40))
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// maxUnits bounds the units of a policy. More is a slip of the pen.
const maxUnits = 1_000_000_000

func (e *env) number(name string, least, most int) (n int, ok bool) {
	value := e.get(name)
	if value == "" {
		return 0, false
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		e.wrong("%s is %q, and must be a whole number from %d to %d", name, text.Cut(value, 40), least, most)
		return 0, false
	}
	return n, true
}

var shopifyShop = shop{
	service: "Shopify", prefix: "SHOPIFY",
	variables: func(e *env) (needed, others []string) {
		needed = []string{"SHOPIFY_SHOP", "SHOPIFY_LOCATION_ID"}
		switch {
		case e.get("SHOPIFY_CLIENT_ID") != "" || e.get("SHOPIFY_CLIENT_SECRET") != "":
			needed = append(needed, "SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET")
			if e.get("SHOPIFY_ACCESS_TOKEN") != "" {
				e.wrong("Shopify has two kinds of credentials: unset SHOPIFY_ACCESS_TOKEN, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET")
			}
		case e.get("SHOPIFY_ACCESS_TOKEN") == "":
			needed = append(needed, "SHOPIFY_CLIENT_ID (with SHOPIFY_CLIENT_SECRET; or SHOPIFY_ACCESS_TOKEN)")
		}
		return needed, []string{"SHOPIFY_ACCESS_TOKEN", "SHOPIFY_URL", "SHOPIFY_WEBHOOK_SECRET", "SHOPIFY_WEBHOOK_SECRET_NEXT"}
	},
	webhooks: shopifyHooks,
	build: func(e *env) (channel.Channel, *url.URL) {
		token := shopify.ClientCredentials(e.get("SHOPIFY_CLIENT_ID"), e.get("SHOPIFY_CLIENT_SECRET"))
		if static := e.get("SHOPIFY_ACCESS_TOKEN"); static != "" {
			token = shopify.StaticToken(static)
		}
		name, base := e.get("SHOPIFY_SHOP"), e.get("SHOPIFY_URL")
		client, err := shopify.New(shopify.Config{Shop: name, Token: token, BaseURL: base, HTTPClient: e.HTTPClient, Logger: e.Logger})
		if err != nil {
			e.wrong("SHOPIFY_SHOP, SHOPIFY_URL and the credentials: %w", err)
			return nil, nil
		}
		location, err := client.Channel(shopify.ChannelConfig{LocationID: e.get("SHOPIFY_LOCATION_ID")})
		if err != nil {
			e.wrong("SHOPIFY_LOCATION_ID: %w", err)
			return nil, nil
		}
		return location, e.address("SHOPIFY_URL", cmp.Or(base, "https://"+strings.TrimSuffix(name, ".myshopify.com")+".myshopify.com"))
	},
}

var wooCommerceShop = shop{
	service: "WooCommerce", prefix: "WC",
	variables: func(*env) (needed, others []string) {
		return []string{"WC_SITE_URL", "WC_CONSUMER_KEY", "WC_CONSUMER_SECRET"}, []string{"WC_WEBHOOK_SECRET", "WC_WEBHOOK_SECRET_NEXT"}
	},
	webhooks: wooCommerceHooks,
	build: func(e *env) (channel.Channel, *url.URL) {
		site := e.get("WC_SITE_URL")
		client, err := woocommerce.New(woocommerce.Config{
			URL: site, ConsumerKey: e.get("WC_CONSUMER_KEY"), ConsumerSecret: e.get("WC_CONSUMER_SECRET"),
			HTTPClient: e.HTTPClient, Logger: e.Logger,
		})
		if err != nil {
			e.wrong("WC_SITE_URL, WC_CONSUMER_KEY and WC_CONSUMER_SECRET: %w", err)
			return nil, nil
		}
		store, err := client.Channel(woocommerce.ChannelConfig{})
		if err != nil {
			e.wrong("WooCommerce: %w", err)
			return nil, nil
		}
		return store, e.address("WC_SITE_URL", site)
	},
}

var amazonShop = shop{
	service: "Amazon", prefix: "AMAZON",
	variables: func(*env) (needed, others []string) {
		return []string{"AMAZON_SELLER_ID", "AMAZON_MARKETPLACE_ID", "AMAZON_REGION", "AMAZON_CLIENT_ID", "AMAZON_CLIENT_SECRET", "AMAZON_REFRESH_TOKEN"},
			[]string{"AMAZON_URL", "AMAZON_AUTH_URL"}
	},
	build: func(e *env) (channel.Channel, *url.URL) {
		region, base, auth := e.get("AMAZON_REGION"), e.get("AMAZON_URL"), e.get("AMAZON_AUTH_URL")
		client, err := amazon.New(amazon.Config{
			SellerID: e.get("AMAZON_SELLER_ID"), Region: region, BaseURL: base, AuthURL: auth, HTTPClient: e.HTTPClient, Logger: e.Logger,
			Credentials: amazon.NewCredentials(e.get("AMAZON_CLIENT_ID"), e.get("AMAZON_CLIENT_SECRET"), e.get("AMAZON_REFRESH_TOKEN")),
		})
		if err != nil {
			e.wrong("AMAZON_SELLER_ID, AMAZON_REGION, the credentials, AMAZON_URL and AMAZON_AUTH_URL: %w", err)
			return nil, nil
		}
		stores, err := client.Channel(amazon.ChannelConfig{MarketplaceID: e.get("AMAZON_MARKETPLACE_ID")})
		if err != nil {
			e.wrong("AMAZON_MARKETPLACE_ID: %w", err)
			return nil, nil
		}
		at := e.address("AMAZON_URL", cmp.Or(base, "https://sellingpartnerapi-"+region+".amazon.com"))
		tokens := e.address("AMAZON_AUTH_URL", cmp.Or(auth, amazon.DefaultAuthURL))
		if at != nil && tokens != nil && httpx.Loopback(at) != httpx.Loopback(tokens) {
			e.wrong("AMAZON_URL (%s) and AMAZON_AUTH_URL (%s): one is on this machine and the other is not; a test server needs both", at.Host, tokens.Host)
			return nil, nil
		}
		return stores, at
	},
}

var squareShop = shop{
	service: "Square", prefix: "SQUARE",
	variables: func(*env) (needed, others []string) {
		return []string{"SQUARE_ACCESS_TOKEN", "SQUARE_LOCATION_ID"}, []string{"SQUARE_BOOKING_LAG", "SQUARE_URL", "SQUARE_WEBHOOK_KEY", "SQUARE_WEBHOOK_KEY_NEXT", "SQUARE_WEBHOOK_URL"}
	},
	webhooks: squareHooks,
	build: func(e *env) (channel.Channel, *url.URL) {
		base := e.get("SQUARE_URL")
		client, err := square.New(square.Config{
			Token: square.StaticToken(e.get("SQUARE_ACCESS_TOKEN")), BaseURL: base, HTTPClient: e.HTTPClient, Logger: e.Logger,
		})
		if err != nil {
			e.wrong("SQUARE_ACCESS_TOKEN and SQUARE_URL: %w", err)
			return nil, nil
		}
		lag, ok := e.duration("SQUARE_BOOKING_LAG")
		if !ok {
			return nil, nil
		}
		till, err := client.Channel(square.ChannelConfig{LocationID: e.get("SQUARE_LOCATION_ID"), BookingLag: lag})
		if err != nil {
			e.wrong("SQUARE_LOCATION_ID and SQUARE_BOOKING_LAG: %w", err)
			return nil, nil
		}
		return till, e.address("SQUARE_URL", cmp.Or(base, "https://connect.squareup.com"))
	},
}
