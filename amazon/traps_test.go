package amazon_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// push pushes updates and returns the errors that are not ErrPending.
func push(t testing.TB, ch *amazon.Channel, updates ...channel.Update) map[string]error {
	t.Helper()
	return outcome(t, ch.Push(t.Context(), updates))
}

func outcome(t testing.TB, err error) map[string]error {
	t.Helper()
	if err == nil {
		return nil
	}
	errs, ok := err.(channel.Errors)
	require.True(t, ok, "%v", err)
	out := make(map[string]error)
	for sku, err := range errs {
		if !isPending(err) {
			out[sku] = err
		}
	}
	return out
}

func isPending(err error) bool { return channel.Class(err) == "pending" }

func to(sku string, quantity int) channel.Update {
	return channel.Update{SKU: sku, Quantity: quantity, AsOf: time.Now()}
}

func levels(t testing.TB, ch *amazon.Channel, skus ...string) map[string]channel.Level {
	t.Helper()
	ls, err := ch.Levels(t.Context(), skus)
	require.NoError(t, err)
	bySKU := make(map[string]channel.Level)
	for _, l := range ls {
		_, twice := bySKU[l.SKU]
		require.False(t, twice, l.SKU)
		bySKU[l.SKU] = l
	}
	return bySKU
}

func quantity(t testing.TB, s *amazontest.Server, sku string) int {
	t.Helper()
	n, ok := s.Quantity(sku)
	require.True(t, ok, sku)
	return n
}

func stock(s *amazontest.Server, n int) []string {
	skus := make([]string, n)
	all := make([]amazontest.Listing, n)
	for i := range n {
		skus[i] = fmt.Sprintf("SKU-%05d", i)
		all[i] = amazontest.Listing{SKU: skus[i], Quantity: i % 50}
	}
	s.Add(all...)
	return skus
}

func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestTrapGhostListings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 1})
		ch := open(t, s)
		errs := push(t, ch, to("A", 2), to("a", 3), to("GONE", 4))
		assert.ErrorIs(t, errs["GONE"], channel.ErrUnknownSKU)
		assert.ErrorIs(t, errs["a"], channel.ErrUnknownSKU)
		assert.Len(t, errs, 2)
		assert.Empty(t, s.Ghosts())
		assert.Empty(t, s.Harm())

		// A level that is not this channel's proves nothing.
		foreign := to("NEW", 5)
		foreign.Seen = &channel.Level{SKU: "NEW", Quantity: 4, Ref: "product 11"}
		errs = push(t, ch, foreign)
		assert.ErrorIs(t, errs["NEW"], channel.ErrUnknownSKU)
		assert.Empty(t, s.Ghosts())
	})
}

func TestTrapFulfilledByAmazon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(
			amazontest.Listing{SKU: "FBA", FBA: true},
			amazontest.Listing{SKU: "BOTH", FBA: true, Merchant: true, Quantity: 3},
			amazontest.Listing{SKU: "PLACES", Locations: []string{"0b6c0f5d-supply-source"}, Quantity: 3},
		)
		ch := open(t, s)
		got := levels(t, ch, "FBA", "BOTH", "PLACES")
		assert.ErrorIs(t, got["FBA"].Err, channel.ErrShared)
		assert.ErrorContains(t, got["FBA"].Err, "AMAZON_NA")
		assert.ErrorIs(t, got["PLACES"].Err, channel.ErrShared)
		assert.ErrorContains(t, got["PLACES"].Err, "0b6c0f5d-supply-source")
		assert.NoError(t, got["BOTH"].Err)
		assert.Equal(t, 3, got["BOTH"].Quantity)

		s.Forget()
		var updates []channel.Update
		for sku := range got {
			u := to(sku, 9)
			l := got[sku]
			u.Seen = &l
			updates = append(updates, u, to(sku+" unseen", 9))
		}
		errs := push(t, ch, updates...)
		for _, sku := range []string{"FBA", "PLACES"} {
			assert.ErrorIs(t, errs[sku], channel.ErrShared)
			errs := push(t, ch, to(sku, 9)) // not seen
			assert.ErrorIs(t, errs[sku], channel.ErrShared)
		}
		assert.Equal(t, 1, s.Count(channeltest.On("PATCH", "")), "of BOTH alone")
		assert.Equal(t, 9, quantity(t, s, "BOTH"))
		assert.Equal(t, []string{"AMAZON_NA"}, s.Records("FBA"))
		assert.Empty(t, s.Harm())
	})
}

func TestTrapReplaceWipesHandlingTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{FeedTime: time.Minute})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 1, HandlingDays: 5})
		ch := open(t, s)
		for _, n := range []int{3, 0} {
			assert.Empty(t, push(t, ch, to("A", n)))
			assert.Equal(t, n, quantity(t, s, "A"))
		}
		assert.Equal(t, 5, s.HandlingDays("A"))
		for _, r := range s.Requests() {
			if r.Method == http.MethodPatch {
				assert.Regexp(t, `^{"productType":"PRODUCT","patches":\[{"op":"merge","path":"/attributes/fulfillment_availability",`+
					`"value":\[{"fulfillment_channel_code":"DEFAULT","quantity":[30]}\]}\]}$`, string(r.Body))
			}
		}
		assert.Empty(t, s.Harm())
	})
}

func TestTrapTenOfTwentyResults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 20)
		assert.Len(t, levels(t, open(t, s), skus...), 20)
		assert.Equal(t, 1, s.Count(channeltest.On("GET", "")))

		// An answer that ignores the size is read to its end.
		s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
			return 200, []byte(`{"numberOfResults":20,"items":[{"sku":"SKU-00001","fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":1}]}]}`)
		}})
		_, err := open(t, s).Levels(t.Context(), skus)
		assert.ErrorIs(t, err, channel.ErrUnavailable, "missing is not unknown")
	})
}

func TestTrapCommas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A,B", Quantity: 3}, amazontest.Listing{SKU: "A", Quantity: 1}, amazontest.Listing{SKU: "B", Quantity: 2})
		ch := open(t, s)
		got := levels(t, ch, "A,B", "A", "B", "B,A")
		assert.Equal(t, []int{3, 1, 2}, []int{got["A,B"].Quantity, got["A"].Quantity, got["B"].Quantity})
		assert.Len(t, got, 3)
		assert.Empty(t, push(t, ch, to("A,B", 9)))
		assert.Equal(t, []int{9, 1, 2}, []int{quantity(t, s, "A,B"), quantity(t, s, "A"), quantity(t, s, "B")})
	})
}

func TestTrapPaths(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := []string{"A B", "A/B", "A#B", "A%20B", "A+B", "A&B?c=d", "Grüße", "日本-1", ".", "..", "A,/#"}
		for i, sku := range skus {
			s.Add(amazontest.Listing{SKU: sku, Quantity: i})
		}
		ch := open(t, s)
		got := levels(t, ch, skus...)
		for i, sku := range skus {
			assert.NoError(t, got[sku].Err, sku)
			assert.Equal(t, i, got[sku].Quantity, sku)
			assert.Empty(t, push(t, ch, to(sku, i+100)), sku)
			assert.Equal(t, i+100, quantity(t, s, sku))
		}
		assert.Empty(t, s.Ghosts())
	})
}

func TestTrapTwoQuantities(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Lag: 10 * time.Minute})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 7})
		ch := open(t, s)
		s.Sell("A", 2)
		submitted, _ := s.Submitted("A")
		assert.Equal(t, []int{7, 5}, []int{submitted, levels(t, ch, "A")["A"].Quantity}, "what is offered counts")
		assert.Empty(t, push(t, ch, to("A", 4)))
		submitted, _ = s.Submitted("A")
		assert.Equal(t, []int{4, 5}, []int{submitted, levels(t, ch, "A")["A"].Quantity})
	})
}

func TestTrapAcceptedIsNotShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Lag: 10 * time.Minute})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 7})
		ch := open(t, s)
		assert.Equal(t, 15*time.Minute, ch.Lag())
		err := ch.Push(t.Context(), []channel.Update{to("A", 4)})
		assert.ErrorIs(t, err, channel.ErrPending)
		assert.False(t, channel.Permanent(err))
		_, longer := channel.LagOf(err)
		assert.False(t, longer)
		assert.Equal(t, 7, levels(t, ch, "A")["A"].Quantity, "no cache hides it")
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 4, levels(t, ch, "A")["A"].Quantity)

		// What shows may change yet: an update is written though it shows.
		assert.Empty(t, push(t, ch, to("A", 9)))
		assert.Empty(t, push(t, ch, to("A", 4)))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 4, quantity(t, s, "A"))

		short := open(t, s, func(_ *amazon.Config, c *amazon.ChannelConfig) { c.Lag = time.Minute })
		assert.Equal(t, time.Minute, short.Lag())
	})
}

func TestTrapNoQuantity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "UNSET", Unset: true}, amazontest.Listing{SKU: "NONE", NoRecord: true}, amazontest.Listing{SKU: "ZERO"})
		ch := open(t, s)
		got := levels(t, ch, "UNSET", "NONE", "ZERO")
		for sku, unset := range map[string]bool{"UNSET": true, "NONE": true, "ZERO": false} {
			assert.NoError(t, got[sku].Err)
			assert.Equal(t, unset, got[sku].Unset, sku)
			u := to(sku, 6)
			u.Seen = new(got[sku])
			assert.Empty(t, push(t, ch, u))
			assert.Equal(t, 6, quantity(t, s, sku))
		}
	})
}

func TestTrapLongSKUs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		fits, long := strings.Repeat("é", 40), strings.Repeat("L", 41)
		s.Add(amazontest.Listing{SKU: fits, Quantity: 1})
		ch := open(t, s)
		got := levels(t, ch, fits, long, "\xff")
		assert.Equal(t, 1, got[fits].Quantity)
		assert.ErrorIs(t, got[long].Err, channel.ErrInvalid)
		assert.ErrorIs(t, got["\xff"].Err, channel.ErrInvalid)
		s.Forget()
		errs := push(t, ch, to(long, 1), to("\xff", 1))
		assert.ErrorIs(t, errs[long], channel.ErrInvalid)
		assert.ErrorIs(t, errs["\xff"], channel.ErrInvalid)
		assert.Zero(t, s.Count(nil))
	})
}

func TestTrapEmptyItems(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 20)
		ch := open(t, s)
		s.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool { return r.URL.Query().Get("identifiers") != "" }, Status: 200,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"numberOfResults":0,"items":[]}`})
		_, err := ch.Levels(t.Context(), skus)
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Len(t, levels(t, ch, skus...), 20)
		assert.Empty(t, levels(t, ch, "NO", "NO SUCH", "NOR THIS"), "which is possible")
	})
}

// Every spelling of a code comes with the status that says what it is.
func TestTrapStatusesAndCodes(t *testing.T) {
	for _, code := range []string{"InvalidInput", "BAD_REQUEST", "400"} {
		bubble(t, func(t *testing.T) {
			s := amazontest.New(amazontest.Config{})
			skus := stock(s, 3)
			ch := open(t, s)
			got := levels(t, ch, skus...)
			s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", skus[1]), Status: 400,
				Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"errors":[{"code":"` + code + `","message":"No.","details":""}]}`})
			var updates []channel.Update
			for _, sku := range skus {
				u := to(sku, 9)
				u.Seen = new(got[sku])
				updates = append(updates, u)
			}
			errs := push(t, ch, updates...)
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs[skus[1]], channel.ErrInvalid)
			assert.ErrorContains(t, errs[skus[1]], code)
			assert.Equal(t, 9, quantity(t, s, skus[2]))
		})
	}
}

func TestTrapInvalidIsSaidWith200(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 3)
		ch := open(t, s)
		s.Refuse(skus[0], -1, "90000900", "The listing is <b>blocked</b>.")
		s.Refuse(skus[1], 1, "4000000", "An internal error has occurred. Please try again.")
		errs := push(t, ch, to(skus[0], 9), to(skus[1], 9), to(skus[2], 9))
		assert.ErrorIs(t, errs[skus[0]], channel.ErrInvalid)
		assert.ErrorContains(t, errs[skus[0]], "90000900: The listing is blocked.")
		assert.ErrorIs(t, errs[skus[1]], channel.ErrUnavailable)
		assert.False(t, channel.Permanent(errs[skus[1]]))
		assert.Equal(t, 9, quantity(t, s, skus[2]))
		// Alone it is this listing's trouble, too, and not the channel's.
		s.Refuse(skus[1], 1, "4000000", "An internal error has occurred. Please try again.")
		assert.Len(t, push(t, ch, to(skus[1], 9)), 1)
		assert.Empty(t, push(t, ch, to(skus[1], 9)))
		assert.Equal(t, 9, quantity(t, s, skus[1]))

		// An issue that is no error comes with what was accepted.
		s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", ""), Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"sku":"` + skus[2] + `","status":"ACCEPTED","submissionId":"1","issues":[{"code":"1","message":"m","severity":"WARNING","categories":[]}]}`)
		}})
		assert.Empty(t, push(t, ch, to(skus[2], 8)))
	})
}

func TestTrapNoCompareAndSetMeansRepeating(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 1)
		ch := open(t, s)
		for _, f := range []channeltest.Fault{
			{Cut: true, Apply: true}, {Status: 500}, {Status: 503, Apply: true, Body: "<html>"}, {Status: 504},
		} {
			f.Match = channeltest.On("PATCH", "")
			s.Inject(f)
			assert.Empty(t, push(t, ch, to(skus[0], 9)), "%+v", f)
		}
		assert.Equal(t, 9, quantity(t, s, skus[0]))
		s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", ""), Times: -1, Status: 502, Body: "<html>"})
		err := ch.Push(t.Context(), []channel.Update{to(skus[0], 8)})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorIs(t, err, channel.ErrUnclear, "it may have been done")
		s.Heal()
		s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Status: 502})
		err = ch.Push(t.Context(), []channel.Update{to(skus[0], 8)})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.NotErrorIs(t, err, channel.ErrUnclear, "nothing was sent")
	})
}
