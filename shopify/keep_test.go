package shopify

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func kept(t testing.TB, ch *Channel) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, ch.Keep(&b))
	return b.Bytes()
}

func TestWhatIsKeptSavesTheSearches(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 600)
	shop.Add(shopifytest.Item{SKU: "KIT", Bundle: true}, shopifytest.Item{SKU: "ab", Available: 1}, shopifytest.Item{SKU: "A B", Available: 2})
	skus = append(skus, "KIT", "ab", "A B")
	ctx := channel.WithRun(t.Context(), "run-1")
	require.NoError(t, ch.Preload(ctx))
	seen := levels(t, ch, skus...)
	require.ErrorIs(t, ch.Push(t.Context(), updates(seen[600:601], 1)), channel.ErrShared)
	text := kept(t, ch)
	assert.Less(t, len(text), 14*603+200)
	assert.NotContains(t, string(text), "shpat_test")
	want := levels(t, ch, skus...)

	again := open(t, shop)
	require.NoError(t, again.Restore(iotest.OneByteReader(bytes.NewReader(text))))
	shop.Forget()
	require.NoError(t, again.Preload(channel.WithRun(t.Context(), "run-2")))
	assert.Equal(t, want, levels(t, again, skus...))
	assert.Equal(t, 3, shop.Count(nil), "three reads of 250 items and no more")
	assert.ErrorIs(t, levels(t, again, "KIT")[0].Err, channel.ErrShared)
	assert.Equal(t, text, kept(t, again))

	// The shop has changed meanwhile.
	again = open(t, shop)
	require.NoError(t, again.Restore(bytes.NewReader(text)))
	shop.Rename("SKU-0000", "X")
	shop.Remove("SKU-0001")
	shop.Add(shopifytest.Item{SKU: "SKU-0001", Available: 7})
	got := levels(t, again, "X", "SKU-0001")
	require.Len(t, got, 2)
	assert.Equal(t, 0, got[0].Quantity)
	assert.Equal(t, 7, got[1].Quantity)
}

func TestWhatIsNotRestored(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	levels(t, ch, stock(shop, 3)...)
	text := kept(t, ch)
	fresh := func(change ...func(*Config, *ChannelConfig)) *Channel { return open(t, shop, change...) }
	require.NoError(t, fresh().Restore(bytes.NewReader(text)))
	assert.ErrorContains(t, fresh(func(c *Config, _ *ChannelConfig) { c.Shop = "other" }).Restore(bytes.NewReader(text)), "another shop")
	assert.ErrorContains(t, fresh(func(_ *Config, c *ChannelConfig) { c.LocationID = "2" }).Restore(bytes.NewReader(text)), "another shop or location")
	for n := range len(text) {
		assert.Error(t, fresh().Restore(bytes.NewReader(text[:n])), "cut after %d", n)
		damaged := bytes.Clone(text)
		damaged[n] ^= 0x10
		ch := fresh()
		assert.Error(t, ch.Restore(bytes.NewReader(damaged)), "byte %d", n)
		assert.Len(t, levels(t, ch, "SKU-0000", "SKU-0002"), 2, "it works all the same")
	}
	assert.Error(t, fresh().Restore(iotest.ErrReader(errors.New("disk"))))
	assert.ErrorContains(t, ch.Keep(full{}), "full")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func FuzzRestore(f *testing.F) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(f, shop)
	for i := range 5 {
		ch.client.items.add(fmt.Sprint(i), uint64(i)+1)
	}
	f.Add(kept(f, ch))
	f.Add([]byte(keepMagic))
	f.Fuzz(func(t *testing.T, text []byte) {
		ch := open(t, shop)
		if ch.Restore(bytes.NewReader(text)) == nil {
			if err := open(t, shop).Restore(bytes.NewReader(kept(t, ch))); err != nil {
				t.Fatal(err)
			}
		}
	})
}
