package docsnippets_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

func fetch(ctx context.Context, source *ecosire.Client, productIDs ...string) error {
	for stock, err := range source.Stock(ctx, productIDs...) { // no ids: the whole catalogue
		switch {
		case err != nil:
			return err // always the last pair; what came before it holds
		case stock.Err != nil:
			fmt.Println(stock.SKU, "cannot be published:", stock.Err)
		default:
			fmt.Println(stock.SKU, stock.Available)
		}
	}
	return nil
}

func newSource() (*ecosire.Client, error) {
	return ecosire.New(ecosire.Config{APIKey: os.Getenv("ECOSIRE_API_KEY")})
}

func newShopify() (channel.Channel, error) {
	shop, err := shopify.New(shopify.Config{
		Shop:  "your-store",
		Token: shopify.StaticToken(os.Getenv("SHOPIFY_ACCESS_TOKEN")),
	})
	if err != nil {
		return nil, err
	}
	return shop.Channel(shopify.ChannelConfig{LocationID: os.Getenv("SHOPIFY_LOCATION_ID")})
}

func newWooCommerce() (channel.Channel, error) {
	site, err := woocommerce.New(woocommerce.Config{
		URL:            os.Getenv("WC_SITE_URL"),
		ConsumerKey:    os.Getenv("WC_CONSUMER_KEY"),
		ConsumerSecret: os.Getenv("WC_CONSUMER_SECRET"),
	})
	if err != nil {
		return nil, err
	}
	return site.Channel(woocommerce.ChannelConfig{})
}

func newSyncer(source channel.Source, queue syncer.Queue, webhooks channel.Receiver, channels ...channel.Channel) (*syncer.Syncer, error) {
	cfg := syncer.Config{Source: source, Queue: queue, Webhooks: webhooks}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	return syncer.New(cfg)
}

func pushNow(ctx context.Context, s *syncer.Syncer, productIDs []string) error {
	report, err := s.SyncProducts(ctx, productIDs...)
	if err != nil {
		return err
	}
	fmt.Println(report)
	return report.Err() // nil: every channel shows what it should
}

func realTime(ctx context.Context, mux *http.ServeMux, s *syncer.Syncer) error {
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	return s.Run(ctx)
}

func stockWasAdjusted(ctx context.Context, s *syncer.Syncer, adjustedProductIDs []string) error {
	return s.Notify(ctx, adjustedProductIDs...) // Run does the work
}

func adjusting(s func() *syncer.Syncer) (*ecosire.Client, error) {
	return ecosire.New(ecosire.Config{
		APIKey: os.Getenv("ECOSIRE_API_KEY"),
		OnStockChange: func(ctx context.Context, productIDs ...string) error {
			return s().Notify(ctx, productIDs...)
		},
	})
}

func at(source channel.Source, targets []syncer.Target, in *time.Location) (*syncer.Syncer, error) {
	return syncer.New(syncer.Config{
		Source: source, Targets: targets,
		Schedule: syncer.Daily(3, 30, in), // nil means 02:00 UTC
	})
}

func reconcileNow(ctx context.Context, s *syncer.Syncer) error {
	report, err := s.Reconcile(ctx)
	if report != nil {
		fmt.Println(report)
	}
	switch {
	case errors.Is(err, syncer.ErrHeld):
		fmt.Println(report.Held) // somebody has to look
		return err
	case err != nil:
		return err
	}
	return report.Err()
}
