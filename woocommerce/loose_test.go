package woocommerce_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// lingering is a shop that takes 0.4 s for an item, and goes on when its client
// has gone.
func lingering() *woocommercetest.Server {
	return woocommercetest.New(woocommercetest.Config{ItemWriteTime: 400 * time.Millisecond, Lingers: true})
}

// The caller gives up in the middle of a batch. What it said is done is done,
// what was sent is unclear, and what was not is not.
func TestAGivenUpBatchIsUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := lingering()
		skus := simple(shop, 300)
		ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Parallel: 1}, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		ctx, cancel := contextFor(t, 60*time.Second) // the first batch takes 40 s
		defer cancel()
		errs := failures(t, ch.Push(ctx, updates))
		assert.Len(t, errs, 200)
		for i, sku := range skus {
			switch {
			case i < 100:
				assert.NoError(t, errs[sku], sku)
			case i < 200:
				assert.ErrorIs(t, errs[sku], channel.ErrUnclear, sku)
				assert.ErrorIs(t, errs[sku], context.DeadlineExceeded)
				assert.Equal(t, "unclear", channel.Class(errs[sku]))
			default:
				assert.NotErrorIs(t, errs[sku], channel.ErrUnclear, "it was not sent")
				assert.ErrorIs(t, errs[sku], context.DeadlineExceeded)
			}
		}
		time.Sleep(2 * time.Minute)
	})
}

// A newer write to the same products waits until the shop has done with the one
// that was given up, and is what is shown in the end.
func TestAGivenUpBatchIsSettledBeforeTheNextWrite(t *testing.T) {
	for name, pick := range map[string]func(skus []string) []string{
		"all":            func(skus []string) []string { return skus },
		"the first":      func(skus []string) []string { return skus[:1] },
		"one at the end": func(skus []string) []string { return skus[59:] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := lingering()
				skus := simple(shop, 60)
				var logs bytes.Buffer
				ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Logger: slog.New(slog.NewTextHandler(&logs, nil))}, woocommerce.ChannelConfig{})
				ctx, cancel := contextFor(t, 2500*time.Millisecond)
				defer cancel()
				errs := failures(t, ch.Push(ctx, seen(t, ch, 5, skus...)))
				assert.Len(t, errs, 60)

				again := pick(skus)
				require.NoError(t, ch.Push(t.Context(), seen(t, ch, 7, again...)))
				shows(t, shop, 7, again...)
				time.Sleep(2 * time.Minute)
				shows(t, shop, 7, again...)
				assert.Equal(t, 60+len(again), shop.Writes())
				assert.Contains(t, logs.String(), "an earlier write was abandoned, reading back what became of it")
			})
		})
	}
}

func TestOthersDoNotWaitForAGivenUpBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := lingering()
		skus := simple(shop, 70)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		ctx, cancel := contextFor(t, 2500*time.Millisecond)
		defer cancel()
		require.Error(t, ch.Push(ctx, seen(t, ch, 5, skus[:60]...)))
		start := time.Now()
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 7, skus[60:]...)))
		assert.Less(t, time.Since(start), 5*time.Second)
		time.Sleep(time.Minute)
	})
}

// Who cannot wait is told that nothing was written.
func TestAGivenUpBatchThatIsStillGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := lingering()
		skus := simple(shop, 60)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		for range 2 {
			ctx, cancel := contextFor(t, 2500*time.Millisecond)
			require.Error(t, ch.Push(ctx, seen(t, ch, 5, skus...)))
			cancel()
		}
		assert.Equal(t, 1, shop.Count(batches), "nothing was sent on top of it")
		time.Sleep(time.Minute)
		shows(t, shop, 5, skus...)
		shop.Forget()
		require.NoError(t, ch.Push(t.Context(), seen(t, ch, 6, skus...)))
		shows(t, shop, 6, skus...)
	})
}

// The shop is at work for longer than is waited, and the client knows it in the
// next call.
func TestAnUnclearOutcomeIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 100)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		shop.ApplySlowly(5 * time.Second)
		errs := failures(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
		assert.ErrorIs(t, errs["S-100"], channel.ErrUnclear)
		tries := 0
		for ; ch.Push(t.Context(), seen(t, ch, 7, "S-100")) != nil; tries++ {
			assert.Equal(t, 1, shop.Count(batches), "nothing was sent on top of it")
		}
		assert.LessOrEqual(t, tries, 3)
		time.Sleep(10 * time.Minute)
		shows(t, shop, 7, "S-100")
	})
}

// What could not be read back is unclear, too.
func TestAnOutcomeThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 150)
		ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Parallel: 1}, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Inject(
			channeltest.Fault{Match: batches, Skip: 1, Cut: true, Apply: true},
			channeltest.Fault{Match: lookups, Cut: true, Times: -1},
		)
		errs := failures(t, ch.Push(t.Context(), updates))
		assert.Len(t, errs, 50)
		for _, err := range errs {
			assert.ErrorIs(t, err, channel.ErrUnclear)
			assert.ErrorIs(t, err, channel.ErrUnavailable)
		}
	})
}

// A wall against bots lets reads through, and answers each write with a page.
func TestAWallAgainstBots(t *testing.T) {
	for _, status := range []int{200, 202} {
		synctest.Test(t, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := simple(shop, 2000)
			ch := open(t, shop, woocommerce.ChannelConfig{})
			updates := seen(t, ch, 5, skus...)
			shop.Forget()
			shop.Inject(channeltest.Fault{Match: channeltest.On("POST", ""), Times: -1, Status: status,
				Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html><head><title>One moment, please</title></head></html>"})
			start := time.Now()
			err := ch.Push(t.Context(), updates)
			require.ErrorIs(t, err, channel.ErrUnavailable)
			assert.False(t, isErrors(err), "it is the shop")
			assert.ErrorContains(t, err, `titled "One moment, please"`)
			assert.LessOrEqual(t, shop.Count(channeltest.On("POST", "")), 6)
			assert.Less(t, shop.Count(nil), 20)
			assert.Less(t, time.Since(start), 15*time.Second)

			shop.Forget()
			require.ErrorIs(t, ch.Push(t.Context(), updates[:1]), channel.ErrUnavailable)
			assert.LessOrEqual(t, shop.Count(channeltest.On("POST", "")), 2, "a probe is one attempt")

			shop.Heal()
			require.NoError(t, ch.Push(t.Context(), updates))
			shows(t, shop, 5, skus...)
		})
	}
}

// Where every write fails, the others of a Push are not tried.
func TestWritesThatAllFailAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 2000)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Forget()
		shop.Inject(channeltest.Fault{Match: batches, Status: 500, Body: page, Times: -1})
		err := ch.Push(t.Context(), updates)
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.LessOrEqual(t, shop.Count(batches), 9)
		shop.Forget()
		assert.ErrorIs(t, ch.Push(t.Context(), updates[:1]), channel.ErrUnavailable)
		assert.LessOrEqual(t, shop.Count(batches), 2)
	})
}

// A product that PHP dies of is written last and alone, and soon given up.
func TestOneProductThatBreaksBatches(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{RequestTime: 45 * time.Millisecond, ItemWriteTime: 20 * time.Millisecond})
		skus := simple(shop, 1000)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		start := time.Now()
		require.NoError(t, ch.Push(t.Context(), updates))
		usual := time.Since(start)

		bad := idOf(t, updates, "S-317")
		updates = seen(t, ch, 6, skus...)
		shop.Fatal(bad, "Allowed memory size of 268435456 bytes exhausted (tried to allocate 20480 bytes)")
		for round := range 3 {
			shop.Forget()
			start = time.Now()
			for i := range updates {
				updates[i].Quantity++
			}
			errs := failures(t, ch.Push(t.Context(), updates))
			require.Len(t, errs, 1)
			assert.ErrorIs(t, errs["S-317"], channel.ErrUnavailable)
			assert.ErrorContains(t, errs["S-317"], "Allowed memory size of 268435456 bytes exhausted")
			assert.ErrorContains(t, errs["S-317"], "plugin stock-badges")
			assert.Less(t, time.Since(start), 2*usual)
			if round > 0 {
				assert.Equal(t, 11, shop.Count(batches), "it is remembered")
			}
		}
		shop.Fatal(bad, "")
		require.NoError(t, ch.Push(t.Context(), updates))
		shop.Forget()
		require.NoError(t, ch.Push(t.Context(), updates))
		assert.Equal(t, 10, shop.Count(batches), "all is well again")
	})
}

// What is refused for one item of a batch is found by halving.
func TestOneItemThatIsRefused(t *testing.T) {
	for _, fault := range []channeltest.Fault{
		{Status: 403, Body: page},
		{Status: 406, Body: page},
		{Status: 400, Body: `{"code":"rest_invalid_param","message":"Invalid parameter(s): update"}`},
	} {
		t.Run(fmt.Sprint(fault.Status), func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := simple(shop, 100)
			ch := open(t, shop, woocommerce.ChannelConfig{})
			updates := seen(t, ch, 5, skus...)
			item := fmt.Appendf(nil, `{"id":%d,`, idOf(t, updates, "S-42"))
			fault.Times, fault.Match = -1, func(r channeltest.Request) bool { return bytes.Contains(r.Body, item) }
			shop.Inject(fault)
			errs := failures(t, ch.Push(t.Context(), updates))
			require.Len(t, errs, 1)
			assert.NotErrorIs(t, errs["S-42"], channel.ErrUnauthorized, "it is not the key")
			shows(t, shop, 5, "S-1", "S-41", "S-43", "S-100")
			shows(t, shop, 1, "S-42")
			assert.LessOrEqual(t, shop.Count(batches), 31)
		})
	}
}

// A gateway that takes no long bodies, and says so by another status than 413.
func TestALimitOfBodiesIsLearned(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 200)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	shop.Inject(channeltest.Fault{Status: 403, Body: page, Times: -1, Match: func(r channeltest.Request) bool { return bytes.Count(r.Body, []byte(`"id"`)) > 30 }})
	require.NoError(t, ch.Push(t.Context(), seen(t, ch, 5, skus...)))
	shows(t, shop, 5, skus...)
	updates := seen(t, ch, 6, skus...)
	shop.Forget()
	require.NoError(t, ch.Push(t.Context(), updates))
	assert.Equal(t, 8, shop.Count(batches))
}

func TestAParentInTheTrash(t *testing.T) {
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprint("one parent a batch ", single), func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{SingleParent: single})
			skus := append(simple(shop, 3), variations(shop, 3, 3)...)
			ch := open(t, shop, woocommerce.ChannelConfig{})
			updates := seen(t, ch, 5, skus...)
			it := idOf(t, updates, "V-1-1")
			p, _ := shop.Product(it)
			shop.Trash(p.ParentID)
			errs := failures(t, ch.Push(t.Context(), updates))
			require.Len(t, errs, 3)
			for _, sku := range []string{"V-1-1", "V-1-2", "V-1-3"} {
				assert.ErrorIs(t, errs[sku], channel.ErrInvalid)
				assert.NotErrorIs(t, errs[sku], channel.ErrUnauthorized)
				assert.ErrorContains(t, errs[sku], "in the trash?")
			}
			shows(t, shop, 5, "S-1", "V-2-1", "V-3-3")
		})
	}
	t.Run("alone", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, variations(shop, 1, 1)...)
		p, _ := shop.Product(idOf(t, updates, "V-1-1"))
		shop.Trash(p.ParentID)
		errs := failures(t, ch.Push(t.Context(), updates))
		assert.ErrorIs(t, errs["V-1-1"], channel.ErrInvalid)
	})
	t.Run("a key that may not write at all", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, variations(shop, 3, 3)...)
		shop.Inject(channeltest.Fault{Match: batches, Times: -1, Status: 403, Body: `{"code":"woocommerce_rest_cannot_batch","message":"Sorry, you are not allowed to batch manipulate this resource.","data":{"status":403}}`})
		err := ch.Push(t.Context(), updates)
		require.ErrorIs(t, err, channel.ErrUnauthorized)
		assert.False(t, isErrors(err))
		assert.LessOrEqual(t, shop.Count(batches), 2)
	})
	t.Run("one item that the key's user may not edit", func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := simple(shop, 3)
		ch := open(t, shop, woocommerce.ChannelConfig{})
		updates := seen(t, ch, 5, skus...)
		shop.Disguise(idOf(t, updates, "S-2"), func(row map[string]any) {
			row["error"] = map[string]any{"code": "woocommerce_rest_cannot_edit", "message": "Sorry, you are not allowed to edit this resource.", "data": map[string]any{"status": 401}}
		})
		errs := failures(t, ch.Push(t.Context(), updates))
		require.Len(t, errs, 1)
		assert.ErrorIs(t, errs["S-2"], channel.ErrInvalid)
		assert.NotErrorIs(t, errs["S-2"], channel.ErrUnauthorized)
	})
}
