package amazon

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a newer version wrote down is refused with a sentence, and left as it is.
func TestFeedsOfANewerVersionAreNotMisread(t *testing.T) {
	store := new(memory)
	ch := &Channel{name: "amazon:test"}
	ch.feeds = newFeeds(ch, ChannelConfig{FeedFrom: 1, Store: store})
	newer := []byte(`[{"id":"A","phase":"split\u001b","added":"2026-01-01T00:00:00Z"}]`)
	require.NoError(t, store.Save(t.Context(), ch.feeds.name(), newer))
	_, err := ch.feeds.enter(t.Context())
	require.ErrorContains(t, err, "a newer one has worked with it")
	assert.NotContains(t, err.Error(), "\x1b")
	kept, err := store.Load(t.Context(), ch.feeds.name())
	require.NoError(t, err)
	assert.Equal(t, newer, kept)

	require.NoError(t, store.Save(t.Context(), ch.feeds.name(), []byte(`[{"id":"A","phase":"sent","more":1}]`)))
	leave, err := ch.feeds.enter(t.Context())
	require.NoError(t, err, "a field more is none of its business")
	leave()
}
