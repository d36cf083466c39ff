package main

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestTheStory(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), options{before: 4 * time.Second, after: 6 * time.Second, lease: 2 * time.Second}, "", &out)
	if errors.Is(err, pgtest.ErrNotFound) && os.Getenv("STOCKSYNC_PGTEST") != "require" {
		t.Skip(err)
	}
	require.NoError(t, err, &out)
	assert.Contains(t, out.String(), "the shop shows what ECOSIRE has of all 40 products")
	assert.Regexp(t, `killed (anna|berta|clara), which led`, out.String())
}
