package amazon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
)

// However the answers of a feed's requests are lost, it is done, and its
// listings are compared in the end.
func TestFeedsWithLostAnswers(t *testing.T) {
	paths := map[string]func(channeltest.Request) bool{
		"document": channeltest.On("POST", "/documents"),
		"upload":   channeltest.On("PUT", ""),
		"create":   func(r channeltest.Request) bool { return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/feeds") },
		"poll":     channeltest.On("GET", "/feeds/2021-06-30/feeds/"),
		"find":     func(r channeltest.Request) bool { return strings.HasSuffix(r.URL.Path, "/feeds") && r.Method == "GET" },
		"result":   channeltest.On("GET", "/feeds/2021-06-30/documents/"),
		"download": channeltest.On("GET", "/seller"),
	}
	for name, match := range paths {
		for _, fault := range channeltest.Hostile() {
			for _, crash := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, fault.Name, crash), func(t *testing.T) {
					if testing.Short() && !crash || racetest.Short() && name != "create" && name != "poll" {
						t.Skip("the same without a crash, or of another request")
					}
					bubble(t, func(t *testing.T) {
						f := newFed(t, amazontest.Config{Lag: time.Minute}, 120)
						f.run(hundred, 120)
						if name == "find" { // which happens only then
							f.seller.Inject(channeltest.Fault{Match: paths["create"], Apply: true, Cut: true})
						}
						fault.Match, fault.Times = match, 2
						f.seller.Inject(fault)
						var all []string
						for range 40 {
							all = f.resume()
							if len(all) == 120 {
								break
							}
							if crash {
								f.restart()
							}
						}
						assert.Len(t, all, 120)
						for i, sku := range f.skus {
							if name == "upload" && fault.Name == "empty 200" {
								break // which is what the storage says of a file that it has
							}
							require.Equal(t, 100+i, quantity(t, f.seller, sku))
						}
						f.over()
						assert.LessOrEqual(t, len(f.seller.Feeds()), 2)
						if name != "create" && name != "find" {
							assert.Len(t, f.seller.Feeds(), 1)
						}
						assert.Empty(t, f.seller.Harm())
						assert.Zero(t, f.calls("patchListingsItem"))
					})
				})
			}
		}
	}
}

// A feed whose creation got no answer is found again, and not made twice.
func TestALostFeedIsFound(t *testing.T) {
	for _, restart := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			f := newFed(t, amazontest.Config{}, 120)
			f.run(hundred, 120)
			created := func(r channeltest.Request) bool { return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/feeds") }
			f.seller.Inject(channeltest.Fault{Match: created, Apply: true, Cut: true})
			for f.calls("createFeed") == 0 {
				time.Sleep(f.again)
				_, f.again, _ = f.Resume(t.Context())
			}
			if restart {
				f.restart()
			}
			assert.Len(t, f.resume(), 120)
			assert.Len(t, f.seller.Feeds(), 1)
			assert.Equal(t, 1, f.calls("getFeeds"))
		})
	}
}

func TestFeedsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		plan   amazontest.FeedPlan
		refuse bool
		first  int // listings returned at first
		log    string
	}{
		"FATAL":            {amazontest.FeedPlan{Status: "FATAL", Messages: 60}, false, 120, "some, none or all"},
		"CANCELLED":        {amazontest.FeedPlan{Status: "CANCELLED"}, false, 120, "cancelled"},
		"fewer":            {amazontest.FeedPlan{Messages: 100}, false, 120, "fewer listings"},
		"no report":        {amazontest.FeedPlan{NoReport: true}, false, 120, "some, none or all"},
		"refused messages": {amazontest.FeedPlan{}, true, 2, "with errors"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFed(t, amazontest.Config{Lag: time.Minute}, 120)
				f.seller.PlanFeed(tt.plan)
				if tt.refuse {
					f.seller.Refuse(f.skus[3], -1, "90000900", "No\nsuch\x1b[31m thing.")
					f.seller.Refuse(f.skus[5], 1, "4000000", "An internal error has occurred.")
				}
				f.run(hundred, 120)
				skus := f.resume()
				assert.Len(t, skus, tt.first)
				assert.Contains(t, f.logs.String(), tt.log)
				if tt.refuse {
					assert.Equal(t, []string{f.skus[3], f.skus[5]}, skus)
					assert.Contains(t, f.logs.String(), "90000900")
					assert.NotContains(t, f.logs.String(), "\x1b")
					assert.Len(t, f.resume(), 120)
				}
				// What is still wrong is written one by one.
				f.over()
				before := f.calls("patchListingsItem")
				var updates []channel.Update
				for sku, l := range levels(t, f.Channel, f.skus...) {
					var i int
					fmt.Sscanf(sku, "SKU-%d", &i)
					if l.Quantity != 100+i {
						u := to(sku, 100+i)
						u.Seen = &l
						updates = append(updates, u)
					}
				}
				errs := push(t, f.Channel, updates...)
				assert.Equal(t, before+len(updates), f.calls("patchListingsItem"))
				if tt.refuse {
					assert.Len(t, updates, 2)
					assert.ErrorIs(t, errs[f.skus[3]], channel.ErrInvalid)
				}
			})
		})
	}
}

func TestAFeedThatIsRefusedAsAWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{}, 120)
		f.run(hundred, 120)
		f.seller.Inject(channeltest.Fault{Match: channeltest.On("GET", "/seller"), Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"header":{},"issues":[{"severity":"ERROR","message":"Attribute 'Merchant' is required but missing."}],"summary":{"messagesProcessed":0}}`)
		}})
		start := time.Now()
		assert.Len(t, f.resume(), 120)
		assert.Less(t, time.Since(start), 25*time.Minute, "at once")
		assert.Contains(t, f.logs.String(), "refused as a whole")
		f.over()
	})
	bubble(t, func(t *testing.T) { // createFeed itself says no
		f := newFed(t, amazontest.Config{}, 120)
		f.run(hundred, 120)
		f.seller.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool { return r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/feeds") },
			Status: 400, Body: `{"errors":[{"code":"InvalidInput","message":"Invalid 'feedType' provided.","details":""}]}`})
		assert.Len(t, f.resume(), 120)
		assert.Contains(t, f.logs.String(), "feedType")
		f.over()
	})
}

func TestAStuckFeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{Lag: time.Minute}, 120)
		f.seller.PlanFeed(amazontest.FeedPlan{Stuck: true})
		f.run(hundred, 120)
		start := time.Now()
		assert.Len(t, f.resume(), 120)
		assert.InDelta(t, 8, time.Since(start).Hours(), 0.2)
		assert.Contains(t, f.logs.String(), "level=ERROR")
		// From now on everything is written one by one, the feed's own too.
		var updates []channel.Update
		for i, sku := range f.skus {
			updates = append(updates, to(sku, 200+i))
		}
		assert.Empty(t, outcome(t, f.Push(f.patient(), updates)))
		assert.Equal(t, 120, f.calls("patchListingsItem"))
		time.Sleep(26 * time.Hour)
		f.restart()
		f.seller.Unstick()
		time.Sleep(time.Minute)
		assert.Equal(t, 100, quantity(t, f.seller, f.skus[0]), "it lands after all")
		assert.Len(t, f.resume(), 120, "and is found out")
		f.over()
	})
	bubble(t, func(t *testing.T) { // one that never began is cancelled
		f := newFed(t, amazontest.Config{}, 120)
		// Another program's feed, which is stuck, comes first.
		other := newFed(t, amazontest.Config{}, 120)
		other.seller = f.seller
		other.restart()
		f.seller.PlanFeed(amazontest.FeedPlan{Stuck: true})
		other.run(hundred, 120)
		for len(f.seller.Feeds()) == 0 {
			time.Sleep(other.again)
			_, other.again, _ = other.Resume(t.Context())
		}
		f.run(hundred, 120)
		assert.Len(t, f.resume(), 120)
		assert.Equal(t, "CANCELLED", f.seller.Feeds()[1].Status)
		f.over()
	})
}

func TestAFailingStoreKeepsNothingFromBeingWritten(t *testing.T) {
	for _, op := range []string{"load", "save", "load panics", "save panics"} {
		bubble(t, func(t *testing.T) {
			f := newFed(t, amazontest.Config{}, 120)
			_, _, err := f.Resume(t.Context())
			require.NoError(t, err)
			f.store.fails = func(did, _ string) bool {
				if did+" panics" == op {
					panic("the disk")
				}
				return did == op
			}
			var updates []channel.Update
			for i, sku := range f.skus {
				updates = append(updates, to(sku, 100+i))
			}
			assert.Empty(t, outcome(t, f.Push(f.patient(), updates)))
			assert.Equal(t, 120, f.calls("patchListingsItem"), "one by one")
			_, _, err = f.Resume(t.Context())
			assert.Equal(t, strings.HasPrefix(op, "load"), err != nil)
			f.store.fails = nil
			f.over()
			assert.Empty(t, f.seller.Feeds())
		})
	}
	bubble(t, func(t *testing.T) { // at any moment of a feed
		for n := 0; n < 20; n++ {
			if racetest.Short() && n%4 > 0 {
				continue
			}
			f := newFed(t, amazontest.Config{}, 120)
			f.run(hundred, 120)
			count := 0
			f.store.fails = func(string, string) bool { count++; return count == n }
			var all []string
			for range 10 {
				if all = f.resume(); len(all) == 120 {
					break
				}
			}
			assert.Len(t, all, 120)
			assert.LessOrEqual(t, len(f.seller.Feeds()), 2)
		}
	})
}
