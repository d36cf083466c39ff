package syncer

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// An approval that was given beforehand covers as many products of its own channel
// as it says, once, until it expires; one that cannot be read covers none.
func TestWhatAnApprovalCovers(t *testing.T) {
	good := approvalRecord{Approval: Approval{Channel: "a", Who: "ann", UpTo: 5, Expires: time.Now().Add(time.Hour)}}
	with := func(change func(*approvalRecord)) []byte {
		a := good
		change(&a)
		value, err := json.Marshal(a)
		require.NoError(t, err)
		return value
	}
	for name, tt := range map[string]struct {
		value    []byte
		products int
		want     bool
	}{
		"as many":           {with(func(*approvalRecord) {}), 5, true},
		"too many":          {with(func(*approvalRecord) {}), 6, false},
		"used":              {with(func(a *approvalRecord) { a.Used = true }), 5, false},
		"expired":           {with(func(a *approvalRecord) { a.Expires = time.Now().Add(-time.Second) }), 5, false},
		"another channel's": {with(func(a *approvalRecord) { a.Channel = "a/b" }), 5, false},
		"senseless":         {[]byte(`{"channel":"a","upTo":9,"expires":"2999-01-01T00:00:00Z"`), 5, false},
	} {
		q := &flaky{MemoryQueue: NewMemoryQueue(), fails: make(map[string]int)}
		s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		require.NoError(t, q.Save(t.Context(), approvalSet, Record{"a/1", tt.value}))
		assert.Equal(t, tt.want, s.covered(t.Context(), s.targets[0], tt.products), name)
		q.fails["Records"] = 1
		assert.False(t, s.covered(t.Context(), s.targets[0], tt.products), "%s: it is used, or cannot be read", name)
	}
}
