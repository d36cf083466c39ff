package docsnippets

import (
	"context"
	"os"
	"testing"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/syncer"
)

// amazonStores is a seller's channel, whose feeds the queue remembers.
func amazonStores(credentials *amazon.Credentials, queue syncer.Queue) (*amazon.Channel, error) {
	client, err := amazon.New(amazon.Config{
		SellerID:    os.Getenv("AMAZON_SELLER_ID"),
		Region:      os.Getenv("AMAZON_REGION"), // na, eu or fe
		Credentials: credentials,
	})
	if err != nil {
		return nil, err
	}
	return client.Channel(amazon.ChannelConfig{
		MarketplaceID: os.Getenv("AMAZON_MARKETPLACE_ID"),
		FeedFrom:      1500,
		Store:         amazonStore{queue},
	})
}

// amazonStore keeps what is known of feeds where the marks wait.
type amazonStore struct{ syncer.Store }

func (s amazonStore) Load(ctx context.Context, name string) ([]byte, error) {
	return s.Store.Load(ctx, "amazon", name)
}

func (s amazonStore) Save(ctx context.Context, name string, value []byte) error {
	return s.Store.Save(ctx, "amazon", syncer.Record{Key: name, Value: value})
}

func TestAmazonStores(t *testing.T) {
	t.Setenv("AMAZON_SELLER_ID", "A1TESTSELLER")
	t.Setenv("AMAZON_REGION", "eu")
	t.Setenv("AMAZON_MARKETPLACE_ID", "A1PA6795UKMFR9")
	stores, err := amazonStores(amazon.NewCredentials("id", "secret", "Atzr|x"), syncer.NewMemoryQueue())
	if err != nil || stores.Name() != "amazon:A1TESTSELLER" {
		t.Fatal(stores, err)
	}
	store := amazonStore{syncer.NewMemoryQueue()}
	if err := store.Save(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if v, err := store.Load(t.Context(), "a"); err != nil || string(v) != "1" {
		t.Fatal(v, err)
	}
	if err := store.Save(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	if v, err := store.Load(t.Context(), "a"); err != nil || v != nil {
		t.Fatal(v, err)
	}
}
