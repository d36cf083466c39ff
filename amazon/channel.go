package amazon

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// DefaultLag is how long an accepted quantity usually takes to show at most.
const DefaultLag = 15 * time.Minute

// DefaultFeedLimit is how long a feed is waited for.
const DefaultFeedLimit = 8 * time.Hour

// ChannelConfig configures a [Channel]. MarketplaceID is required.
type ChannelConfig struct {
	// MarketplaceID is the store that requests name, such as "ATVPDKIKX0DER".
	// In Europe all stores of the account share a listing's quantity, so one
	// channel is enough for all of them.
	MarketplaceID string
	// Name is the channel's name; empty means "amazon:" and the seller. Two
	// regions of one seller need a name each.
	Name string
	// Lag is how long an accepted quantity usually takes to show at most; 0
	// means [DefaultLag]. See [Channel.Lag].
	Lag time.Duration

	// FeedFrom is the number of updates from which a run's writes go by a feed
	// rather than one by one; 0 means never. Below about 1,500 a feed does not
	// pay: it takes Amazon a quarter of an hour at best, and hours on bad days,
	// and until then its listings show what they did before. It is meant for
	// first syncs. Nothing goes by a feed until somebody has called
	// [Channel.Resume], as a syncer's Run does.
	FeedFrom int
	// FeedLimit is how long a feed is waited for before its listings are
	// written one by one; 0 means [DefaultFeedLimit].
	FeedLimit time.Duration
	// Store keeps unfinished feeds, so that they outlive the process and
	// another replica can go on with them; nil means in memory. The names of
	// its records begin with the channel's.
	Store Store
}

// A Channel shows stock in the stores of one seller in one region. It is a
// [channel.Channel], a [channel.Reader], a [channel.Lagger], a
// [channel.Resumer], a [channel.Lister], a [channel.Meter], a
// [channel.Limited] and a [channel.Clocked]. It takes any number of updates and
// SKUs, and is safe for concurrent use.
type Channel struct {
	client      *Client
	name        string
	marketplace string
	lag         time.Duration
	feeds       *feeds
	worked      atomic.Bool // Amazon answered a question about listings
}

var (
	_ channel.Channel = (*Channel)(nil)
	_ channel.Reader  = (*Channel)(nil)
	_ channel.Lagger  = (*Channel)(nil)
	_ channel.Resumer = (*Channel)(nil)
	_ channel.Lister  = (*Channel)(nil)
	_ channel.Meter   = (*Channel)(nil)
)

var marketplaceName = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// Channel returns the seller's stores as a channel. It does no I/O.
func (c *Client) Channel(cfg ChannelConfig) (*Channel, error) {
	if !marketplaceName.MatchString(cfg.MarketplaceID) {
		return nil, errors.New(`amazon: ChannelConfig.MarketplaceID: not an id such as "ATVPDKIKX0DER"`)
	}
	if cfg.Lag < 0 || cfg.FeedFrom < 0 || cfg.FeedLimit < 0 {
		return nil, errors.New("amazon: ChannelConfig: Lag, FeedFrom and FeedLimit must not be negative")
	}
	ch := &Channel{
		client: c, marketplace: cfg.MarketplaceID,
		name: cmp.Or(cfg.Name, "amazon:"+c.seller),
		lag:  cmp.Or(cfg.Lag, DefaultLag),
	}
	ch.feeds = newFeeds(ch, cfg)
	return ch, nil
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.name }

// Lag implements [channel.Lagger]: Amazon accepts a quantity at once, and shows
// it some minutes later.
func (ch *Channel) Lag() time.Duration { return ch.lag }

// Requests implements [channel.Meter]. It counts for the whole [Client].
func (ch *Channel) Requests() int64 { return ch.client.Requests() }

// Levels reads what customers are offered, 20 SKUs a request. An SKU with a
// comma costs a request of its own, since Amazon takes a comma for the end of
// an SKU, and so does one of a batch that Amazon refuses.
//
// What cannot be written has an error: a listing that Amazon fulfils, and one
// whose stock is kept by locations ([channel.ErrShared]), and an SKU that
// Amazon cannot have ([channel.ErrInvalid]). A listing that never had a
// quantity is Unset. One that is incomplete looks like any other: Amazon's
// answer does not tell.
func (ch *Channel) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	return ch.read(ctx, skus)
}
