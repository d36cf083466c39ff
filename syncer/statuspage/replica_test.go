package statuspage_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
	"github.com/ecosire/stocksync/syncer/statuspage"
)

// Whichever replica a balancer chooses shows the same, and can approve.
func TestAnyReplicaServesThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, w := queuetest.NewServer(10*time.Second), newWorld(t, statuspage.Config{}, "a")
		start := func(name string) (page http.Handler, stop func()) {
			s, err := syncer.New(syncer.Config{
				Source: w, Targets: []syncer.Target{{Channel: w.shops[0]}}, Queue: server.Open(), Name: name, Journal: 24 * time.Hour, Schedule: syncer.Never(),
			})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			time.Sleep(2 * time.Second)
			w.s = s
			return statuspage.Handler(s, statuspage.Config{Actor: ann}), func() { cancel(); assert.NoError(t, <-done) }
		}
		leads, stopLeader := start("one")
		stands, stopOther := start("two")
		h := w.trip() // asked of the second, made by the first
		time.Sleep(6 * time.Second)
		for name, page := range map[string]http.Handler{"the leader's": leads, "the other's": stands} {
			w.page = page
			body := w.get("/")
			has(t, body, `<bdi>one</bdi><span><span class="state ok">Leads`, name)
			has(t, body, `<bdi>two</bdi><span>stands by`, name)
			has(t, body, "Changes are held until somebody looks", name)
			has(t, w.get("/held?channel=a"), h.Hash, name)
		}
		assert.Equal(t, http.StatusSeeOther, w.post("/approve", url.Values{"channel": {"a"}, "hash": {h.Hash}}).Code)
		time.Sleep(20 * time.Second)
		n, _ := w.shops[0].Quantity("SKU-7")
		assert.Zero(t, n, "whoever leads has written it")
		w.page = leads
		hasNot(t, w.get("/"), "Changes are held")

		stopLeader()
		time.Sleep(20 * time.Second)
		w.page = stands
		has(t, w.get("/"), `<bdi>two</bdi><span><span class="state ok">Leads`)
		stopOther()
		time.Sleep(20 * time.Second)
		body := w.get("/")
		has(t, body, "Nothing is being synced")
		assert.True(t, strings.Contains(body, "No process leads") || strings.Contains(body, "Run does not run"))
	})
}
