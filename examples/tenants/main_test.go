package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMerchantsLiveSideBySide(t *testing.T) {
	defer goleak.VerifyNone(t)
	var out strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, run(ctx, &out, 5, 50), "the shop that is down is nobody else's affair")
	assert.Contains(t, out.String(), "after a reconciliation of each")
	assert.Contains(t, out.String(), "5 merchants of 50 products. A sale of each was visible")
}

func TestADeliveryWithAnothersSecretIsRefused(t *testing.T) {
	a, b := newMerchant(1, 1), newMerchant(2, 1)
	require.NoError(t, a.build(t.TempDir()))
	defer a.queue.Close()
	require.NoError(t, a.deliver(a.syncer.WebhookHandler(), a.ids[0]))
	require.Error(t, b.deliver(a.syncer.WebhookHandler(), b.ids[0]))
}
