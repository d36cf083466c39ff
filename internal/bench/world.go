package bench

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// What the services take. ECOSIRE's quota and Shopify's points are what they
// document; the times of WooCommerce were measured on a shop with two cores.
// How long ECOSIRE, Shopify and Shopify's bulk operations take is not
// documented, and assumed.
const (
	ecosireTime = 100 * time.Millisecond // of a request
	shopifyTime = 200 * time.Millisecond // of a request
	bulkTime    = time.Millisecond       // of a bulk operation, for each item
	wooTime     = 45 * time.Millisecond  // of a request, and on top of it
	wooRead     = 2 * time.Millisecond   // for each product read
	wooWrite    = 20 * time.Millisecond  // for each product written

	ecosireLimit  = 60 // requests in a minute
	ecosirePage   = 100
	shopifyBucket = 2000 // points
	shopifyRate   = 100  // points in a second
	shopifyPage   = 250
	shopifyRead   = 3  // points of reading a page of items, about
	shopifyWrite  = 10 // points of writing a page
	shopifyList   = 13 // points of a page of the list of items
	shopifySearch = 9  // points of searching for some SKUs, with room for twice as many items
	shopifyTerms  = 25 // SKUs of a search
	wooPage       = 100
	wooParallel   = 2 // requests that a shop gets at a time, and its cores
)

// How the services of a world are called, and what they believe.
const (
	APIKey = "eco_live_test" // ECOSIRE's
	Shop   = "test-shop"
	Token  = "shpat_test" // Shopify's
	Site   = "https://shop.example"
	Key    = "ck_test" // WooCommerce's
	Secret = "cs_test"
)

// Channels says which shops there are.
type Channels int

// The shops.
const (
	Shopify Channels = 1 << iota
	WooCommerce
	Both = Shopify | WooCommerce
)

func (c Channels) String() string {
	return map[Channels]string{Shopify: "Shopify", WooCommerce: "WooCommerce", Both: "both"}[c]
}

// A World is ECOSIRE, one or two shops that sell the same products, and a
// Syncer between them.
type World struct {
	Channels Channels
	IDs      []string // products at ECOSIRE
	WooIDs   []int    // the same products at WooCommerce

	Ecosire     *ecosiretest.Server
	Shopify     *shopifytest.Server
	WooCommerce *woocommercetest.Server
	Syncer      *syncer.Syncer

	requests [3]atomic.Int64 // at ECOSIRE, Shopify and WooCommerce
}

// SKU is that of the product number i.
func SKU(i int) string { return fmt.Sprintf("SKU-%06d", i) }

// Start is what ECOSIRE has of the product number i at first.
func Start(i int) int { return 10 + i%40 }

// Fill says what the shops show at first.
type Fill int

// The ways to begin.
const (
	Agreed  Fill = iota // what ECOSIRE has
	Percent             // the same but for one product in a hundred, which is one off
	Off                 // of every product one more or one less than there is
	Fresh               // nothing: 0 on Shopify, stock not managed on WooCommerce
)

// guard is the default one, but for a first sync, which somebody has approved.
func (f Fill) guard() syncer.Guard {
	if f == Fresh {
		return syncer.Guard{Gains: -1}
	}
	return syncer.Guard{}
}

func (f Fill) String() string {
	return [...]string{"0 % drift", "1 % drift", "100 % drift", "first sync"}[f]
}

// Differing is how many of n products are shown wrongly.
func (f Fill) Differing(n int) int { return []int{0, (n + 99) / 100, n, n}[f] }

func (f Fill) shows(i int) int {
	n := Start(i)
	switch {
	case f == Fresh:
		return 0
	case f == Off && i%2 == 0, f == Percent && i%200 == 0:
		return n - 1
	case f == Off, f == Percent && i%100 == 0:
		return n + 1
	}
	return n
}

// NewWorld makes a world of n products. edit, which may be nil, changes the
// Syncer's configuration.
func NewWorld(n int, channels Channels, fill Fill, stock func(i int) int, edit func(*syncer.Config)) (*World, error) {
	return newWorld(n, channels, fill, stock, edit, wooWrite)
}

// newWorld is NewWorld with a WooCommerce shop that takes so long to write a
// product.
func newWorld(n int, channels Channels, fill Fill, stock func(i int) int, edit func(*syncer.Config), wooWrite time.Duration) (*World, error) {
	w := &World{
		Channels: channels,
		Ecosire:  ecosiretest.New(ecosiretest.Config{Latency: ecosireTime}),
		Shopify: shopifytest.New(shopifytest.Config{
			Latency: shopifyTime, BulkTime: bulkTime * time.Duration(n), Bucket: shopifyBucket, RestoreRate: shopifyRate,
		}),
		WooCommerce: woocommercetest.New(woocommercetest.Config{
			RequestTime: wooTime, ItemReadTime: wooRead, ItemWriteTime: wooWrite, Cores: wooParallel,
		}),
	}
	products := make([]ecosiretest.Product, n)
	items := make([]shopifytest.Item, n)
	listed := make([]woocommercetest.Product, n)
	for i := range n {
		has, shows := Start(i), fill.shows(i)
		if stock != nil {
			has, shows = stock(i), stock(i)
		}
		products[i] = ecosiretest.Product{SKU: SKU(i), OnHand: has}
		items[i] = shopifytest.Item{SKU: SKU(i), Available: shows}
		listed[i] = woocommercetest.Product{SKU: SKU(i), Quantity: shows}
		if fill == Fresh {
			listed[i].Stock = woocommercetest.Unmanaged
		}
	}
	w.IDs = w.Ecosire.Add(products...)
	w.Shopify.Add(items...)
	w.WooIDs = w.WooCommerce.Add(listed...)
	return w, w.connect(fill.guard(), edit)
}

func (w *World) connect(guard syncer.Guard, edit func(*syncer.Config)) error {
	source, err := ecosire.New(ecosire.Config{APIKey: APIKey, HTTPClient: w.client(0)})
	if err != nil {
		return err
	}
	cfg := syncer.Config{Source: source}
	if w.Channels&Shopify != 0 {
		shop, err := shopify.New(shopify.Config{Shop: Shop, Token: shopify.StaticToken(Token), HTTPClient: w.client(1)})
		if err != nil {
			return err
		}
		location, err := shop.Channel(shopify.ChannelConfig{LocationID: w.Shopify.Location()})
		if err != nil {
			return err
		}
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: location, Guard: guard})
	}
	if w.Channels&WooCommerce != 0 {
		shop, err := woocommerce.New(woocommerce.Config{
			URL: Site, ConsumerKey: Key, ConsumerSecret: Secret, HTTPClient: w.client(2),
		})
		if err != nil {
			return err
		}
		store, err := shop.Channel(woocommerce.ChannelConfig{Track: true})
		if err != nil {
			return err
		}
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: store, Guard: guard})
	}
	if edit != nil {
		edit(&cfg)
	}
	w.Syncer, err = syncer.New(cfg)
	return err
}

// Requests returns how many requests ECOSIRE, Shopify and WooCommerce got
// since the last call, those included that they refused.
func (w *World) Requests() (ecosire, shopify, woocommerce int) {
	return int(w.requests[0].Swap(0)), int(w.requests[1].Swap(0)), int(w.requests[2].Swap(0))
}

// Wrong returns how many quantities the shops show that are not ECOSIRE's, and
// one of them.
func (w *World) Wrong() (n int, example string) {
	for _, p := range w.Ecosire.Products() {
		want := max(0, p.OnHand-p.Reserved)
		shows := map[Channels]func(string) (int, bool){Shopify: w.Shopify.Available, WooCommerce: w.WooCommerce.Quantity}
		for c, show := range shows {
			if got, ok := show(p.SKU); w.Channels&c != 0 && (!ok || got != want) {
				n++
				example = fmt.Sprintf("%v shows %d of %s, want %d", c, got, p.SKU, want)
			}
		}
	}
	return n, example
}

// Clients returns what ECOSIRE, Shopify and WooCommerce are asked with, for those
// who do without the world's Syncer. They count in [World.Requests].
func (w *World) Clients() (ecosire, shopify, woocommerce *http.Client) {
	return w.client(0), w.client(1), w.client(2)
}

// client counts requests to a service, and keeps its record of them short.
func (w *World) client(service int) *http.Client {
	wire := []*channeltest.Wire{w.Ecosire.Wire, w.Shopify.Wire, w.WooCommerce.Wire}[service]
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if w.requests[service].Add(1)%100 == 0 {
			wire.Forget()
		}
		return wire.RoundTrip(r)
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Bound is the least time in which the quotas allow to read n products, of
// which so many differ on each channel, and to make the channels right.
//
// ECOSIRE gives a hundred products for a request and 60 requests a minute,
// which may all be made at its start: 6,000 products. So the last products of n
// are asked for when ⌈n/6000⌉−1 minutes have passed, and are answered 100 ms
// later.
//
// Whatever minute k begins with can only be shown from then on. For the
// products that are left at that time
//
//   - Shopify takes 3 points to read 250 and 10 to write 250. It gives 2000
//     points at once and 100 a second. The last of them take a request to be
//     read and, if anything differs, one to be written, of 200 ms each.
//   - WooCommerce takes 45 ms for each request of 100, 2 ms for each product
//     read and 20 ms for each written, two requests at a time.
//
// The bound is the latest end over all minutes and channels.
func Bound(n, differing int, channels Channels) time.Duration {
	const perMinute = ecosireLimit * ecosirePage
	var bound time.Duration
	for minute := 0; minute == 0 || minute*perMinute < n; minute++ {
		left := n - minute*perMinute
		wrong := differing * left / n
		begin := time.Duration(minute)*time.Minute + ecosireTime
		if channels&Shopify != 0 {
			points := shopifyRead*pages(left, shopifyPage) + shopifyWrite*pages(wrong, shopifyPage) - shopifyBucket
			quota := time.Duration(math.Ceil(float64(max(0, points)) / shopifyRate * float64(time.Second)))
			latency := shopifyTime
			if wrong > 0 {
				latency *= 2
			}
			// The bucket has not been touched before the first minute only, but
			// in a minute it gets more points than 6,000 products cost.
			bound = max(bound, begin+max(quota, latency))
		}
		if channels&WooCommerce != 0 {
			work := time.Duration(pages(left, wooPage)+pages(wrong, wooPage))*wooTime +
				time.Duration(left)*wooRead + time.Duration(wrong)*wooWrite
			bound = max(bound, begin+work/wooParallel)
		}
	}
	return bound
}

// Warm is [Bound] for who does not know yet how many products there are: the first
// page tells, and only then the others can be asked for, if there are any.
func Warm(n, differing int, channels Channels) time.Duration {
	bound := Bound(n, differing, channels)
	if n > ecosirePage {
		bound += ecosireTime
	}
	return bound
}

// Cold is [Warm] for who does not know either which items the shop has.
//
// For both shops, and for more than 6,000 products, that is the time of a search,
// of which any number may be under way. For fewer at Shopify alone it would be
// wrong in two ways. It is too much where the list of items, which can be read from
// the start on, tells of all of them before the products are known. And it is too
// little where there are no points for all searches.
//
// So there it is the least time in which the items can be found. A page of the
// list says where the next one begins, so that two are read at a time, from both
// ends. What the next pages have nobody knows: whoever searches meanwhile may
// search for just that, so searching comes after. A run leaves a sixth of the
// points to events, and a point to rounding, and what is restored while an answer
// is on its way it does not know.
func Cold(n, differing int, channels Channels) time.Duration {
	if channels == Shopify && n <= ecosireLimit*ecosirePage {
		return lookup(n) + Bound(n, differing, channels) - ecosireTime
	}
	bound := Bound(n, differing, channels) + ecosireTime
	if channels&Shopify != 0 {
		bound += shopifyTime
	}
	return bound
}

// lookup is the least time until the shop has told of n items.
func lookup(n int) time.Duration {
	told := ecosireTime // when all products are known
	if n > ecosirePage {
		told *= 2
	}
	best := time.Duration(math.MaxInt64)
	for rounds := 0; ; rounds++ {
		listed := time.Duration(rounds) * shopifyTime
		rest := n - rounds*2*shopifyPage
		if rest <= 0 {
			return min(best, max(listed, told))
		}
		begin := max(listed, told)
		spent := max(0, float64(rounds*2*shopifyList)-(begin-shopifyTime).Seconds()*shopifyRate)
		points := float64(shopifySearch*pages(rest, shopifyTerms)) + spent + 1
		wait := time.Duration(max(0, points-shopifyBucket*5/6.) / shopifyRate * float64(time.Second))
		best = min(best, begin+wait+shopifyTime)
	}
}

func pages(n, size int) int { return (n + size - 1) / size }
