package docsnippets_test

import (
	"net/http"
	"os"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

func hearing(source channel.Source, site *woocommerce.Channel, mux *http.ServeMux) (*syncer.Syncer, error) {
	hooks, err := site.Webhooks(os.Getenv("WC_WEBHOOK_SECRET"))
	if err != nil {
		return nil, err
	}
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{
		{Channel: site, Webhooks: hooks, Watch: syncer.Watch{Every: 15 * time.Second}},
	}})
	if err != nil {
		return nil, err
	}
	shop, err := s.ChannelHandler(site.Name())
	if err != nil {
		return nil, err
	}
	mux.Handle("POST /webhooks/shop", shop)
	return s, nil
}

var _ = hearing
