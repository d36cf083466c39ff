package main

import (
	"context"
	"encoding/csv"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

const mug = "018e5678-abcd-7000-8000-000000000001"

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// What docs/going-live.md says is what happens, week by week, in one folder.
func TestThePageIsTrue(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, run(t.Context(), []string{"coverage", "gaps.csv"}, env()))
	file, err := os.Open("gaps.csv")
	require.NoError(t, err)
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	require.NoError(t, file.Close())
	assert.Len(t, rows, 5)

	for _, tt := range []struct {
		week              []string
		written, observed int
	}{{nil, 0, 4}, {[]string{"WEEK", "1"}, 0, 4}, {[]string{"WEEK", "2", "PILOT", "MUG-1"}, 1, 3}, {[]string{"WEEK", "3"}, 4, 0}} {
		s, queue, err := build(env(tt.week...))
		require.NoError(t, err)
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		for _, c := range r.Channels {
			assert.Equal(t, tt.written, c.Updated, "%v: %s", tt.week, c.Channel)
			assert.Equal(t, tt.observed, c.Observed, "%v: %s", tt.week, c.Channel)
		}
		require.NoError(t, queue.Close())
	}

	week3 := env("WEEK", "3", "USER", "ana")
	require.NoError(t, run(t.Context(), []string{"pin", mug, "0", "recall of batch 7"}, week3))
	s, queue, err := build(week3) // it outlives the process
	require.NoError(t, err)
	pins, err := s.Pins(t.Context())
	require.NoError(t, err)
	require.Len(t, pins, 1)
	assert.Equal(t, syncer.Pin{ProductID: mug, Who: "ana", Why: "recall of batch 7", Since: pins[0].Since, Until: pins[0].Until}, pins[0])
	require.NoError(t, queue.Close())
	require.NoError(t, run(t.Context(), []string{"pin", mug, "0", "again"}, env("WEEK", "3")), "in a container nobody is USER")
	require.NoError(t, run(t.Context(), []string{"explain", mug}, week3))
	require.NoError(t, run(t.Context(), []string{"unpin", mug, "sorted out"}, week3))
}

func TestServe(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	require.NoError(t, run(ctx, []string{"serve"}, env("ADDR", "127.0.0.1:0")))
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		args []string
		env  func(string) string
	}{
		{nil, env()}, {[]string{"pin", "x"}, env()}, {[]string{"pin", mug, "few", "why"}, env()},
		{[]string{"night"}, env("WEEK", "2")}, {[]string{"night"}, env("WEEK", "4")}, {[]string{"night"}, env("SHOPIFY_SHOP", "acme")},
	} {
		assert.Error(t, run(t.Context(), tt.args, tt.env), "%v", tt.args)
	}
}
