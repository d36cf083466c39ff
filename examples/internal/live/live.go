// Package live builds clients of the real services from the environment, for
// the examples. The variables are those of ECOSIRE's Inventory Sync Guide:
//
//	ECOSIRE_API_KEY                            required
//	ECOSIRE_URL                                optional, for a proxy or a test server
//	ECOSIRE_WEBHOOK_SECRET                     optional
//	SHOPIFY_SHOP, SHOPIFY_LOCATION_ID          for a Shopify shop, with either
//	SHOPIFY_ACCESS_TOKEN                       a static token, or
//	SHOPIFY_CLIENT_ID, SHOPIFY_CLIENT_SECRET   client credentials
//	SHOPIFY_URL                                optional
//	WC_SITE_URL                                for a WooCommerce shop, with
//	WC_CONSUMER_KEY, WC_CONSUMER_SECRET        a key that may read and write
//
// A shop none of whose variables is set is left out.
package live

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/woocommerce"
)

// Configured reports whether the environment names a real ECOSIRE.
func Configured() bool { return os.Getenv("ECOSIRE_API_KEY") != "" }

// Services are the clients that the environment describes.
type Services struct {
	ECOSIRE  *ecosire.Client
	Channels []channel.Channel
}

// Load builds the clients. It does no I/O.
func Load(logger *slog.Logger) (*Services, error) {
	source, err := ecosire.New(ecosire.Config{
		APIKey: os.Getenv("ECOSIRE_API_KEY"), BaseURL: os.Getenv("ECOSIRE_URL"), Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	s := &Services{ECOSIRE: source}
	for _, load := range []func(*slog.Logger) (channel.Channel, error){loadShopify, loadWooCommerce} {
		c, err := load(logger)
		if err != nil {
			return nil, err
		}
		if c != nil {
			s.Channels = append(s.Channels, c)
		}
	}
	if len(s.Channels) == 0 {
		return nil, errors.New("no shop is configured: set SHOPIFY_SHOP or WC_SITE_URL and what belongs to it")
	}
	return s, nil
}

func loadShopify(logger *slog.Logger) (channel.Channel, error) {
	token, id, secret := os.Getenv("SHOPIFY_ACCESS_TOKEN"), os.Getenv("SHOPIFY_CLIENT_ID"), os.Getenv("SHOPIFY_CLIENT_SECRET")
	needed := []string{"SHOPIFY_SHOP", "SHOPIFY_LOCATION_ID"}
	switch {
	case id != "" || secret != "":
		needed = append(needed, "SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET")
	case token == "":
		needed = append(needed, "SHOPIFY_ACCESS_TOKEN (or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET)")
	}
	if ok, err := complete("Shopify", needed, "SHOPIFY_URL", "SHOPIFY_ACCESS_TOKEN"); !ok {
		return nil, err
	}
	source := shopify.StaticToken(token)
	if token == "" {
		source = shopify.ClientCredentials(id, secret)
	}
	client, err := shopify.New(shopify.Config{
		Shop: os.Getenv("SHOPIFY_SHOP"), Token: source, BaseURL: os.Getenv("SHOPIFY_URL"), Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return client.Channel(shopify.ChannelConfig{LocationID: os.Getenv("SHOPIFY_LOCATION_ID")})
}

func loadWooCommerce(logger *slog.Logger) (channel.Channel, error) {
	if ok, err := complete("WooCommerce", []string{"WC_SITE_URL", "WC_CONSUMER_KEY", "WC_CONSUMER_SECRET"}); !ok {
		return nil, err
	}
	client, err := woocommerce.New(woocommerce.Config{
		URL:         os.Getenv("WC_SITE_URL"),
		ConsumerKey: os.Getenv("WC_CONSUMER_KEY"), ConsumerSecret: os.Getenv("WC_CONSUMER_SECRET"),
		Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return client.Channel(woocommerce.ChannelConfig{})
}

// complete reports whether all needed variables are set. If only some of them
// or of the others are, the error names what is missing.
func complete(service string, needed []string, others ...string) (bool, error) {
	var missing, present []string
	for _, name := range append(needed, others...) {
		if os.Getenv(name) != "" {
			present = append(present, name)
		}
	}
	for _, name := range needed {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	switch {
	case len(present) == 0:
		return false, nil
	case len(missing) > 0:
		return false, fmt.Errorf("%s is configured by half: %s set, but missing: %s",
			service, strings.Join(present, ", "), strings.Join(missing, ", "))
	}
	return true, nil
}
