package peers

import (
	"context"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/internal/bench"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

// Syncer makes both shops of a world right, as a host of this module does.
func Syncer(ctx context.Context, w *bench.World) error {
	erp, shop, site := w.Clients()
	source, err := ecosire.New(ecosire.Config{APIKey: bench.APIKey, HTTPClient: erp})
	if err != nil {
		return err
	}
	store, err := shopify.New(shopify.Config{Shop: bench.Shop, Token: shopify.StaticToken(bench.Token), HTTPClient: shop})
	if err != nil {
		return err
	}
	location, err := store.Channel(shopify.ChannelConfig{LocationID: w.Shopify.Location()})
	if err != nil {
		return err
	}
	client, err := woocommerce.New(woocommerce.Config{URL: bench.Site, ConsumerKey: bench.Key, ConsumerSecret: bench.Secret, HTTPClient: site})
	if err != nil {
		return err
	}
	products, err := client.Channel(woocommerce.ChannelConfig{Track: true})
	if err != nil {
		return err
	}
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{{Channel: location}, {Channel: products}}})
	if err != nil {
		return err
	}
	report, err := s.Reconcile(ctx)
	if err != nil {
		return err
	}
	return report.Err()
}
