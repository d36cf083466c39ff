package syncer_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// TestWhatWasAcknowledgedSurvivesAKill kills a service at random moments, some
// of them while it starts, and starts it again on the same queue file. Every
// event that it answered with 202 must be done in the end.
//
// Each life of the service gets events about products of its own, so that no
// later event can hide that one was lost.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	kills := 60
	if testing.Short() {
		kills = 10
	}
	const (
		senders = 4
		each    = 3 // products of a sender in one life
	)
	seed := rand.Uint64()
	t.Logf("seed %d; only the moments of the kills come from it", seed)
	chance := rand.New(rand.NewPCG(seed, 0))

	w := newCrashWorld(t)
	var lives [][]string
	for life := range kills {
		var ids []string
		for i := range senders * each {
			ids = append(ids, w.add(fmt.Sprintf("SKU-%d-%d", life, i)))
		}
		lives = append(lives, ids)
	}
	acknowledged, unfinished := 0, 0
	for _, ids := range lives {
		s := w.startService(t)
		if chance.IntN(8) == 0 { // before it is ready, perhaps
			time.Sleep(time.Duration(chance.IntN(30)) * time.Millisecond)
			s.kill()
			continue
		}
		url := s.ready(t)
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for own := range slices.Chunk(ids, each) {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					w.sell(own[n%each], url)
				}
			})
		}
		time.Sleep(time.Duration(chance.IntN(120)) * time.Millisecond)
		s.kill()
		cancel()
		wg.Wait()
		for _, id := range ids {
			if w.ledger.acknowledged(id) && w.ledger.version[id] > 0 {
				acknowledged++
				if !w.right(id) {
					unfinished++
				}
			}
		}
	}
	t.Logf("%d kills; the last change of %d products was acknowledged, and of %d of them not yet done at the kill", kills, acknowledged, unfinished)
	assert.Positive(t, unfinished, "else nothing was put to the test")

	last := w.startService(t)
	defer last.kill()
	last.ready(t)
	wrong := func() (ids []string) {
		for _, id := range w.ledger.ids {
			if w.ledger.acknowledged(id) && w.ledger.version[id] > 0 && !w.right(id) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	assert.Eventually(t, func() bool { return len(wrong()) == 0 }, 15*time.Second, 20*time.Millisecond)
	assert.Empty(t, wrong(), "acknowledged, and lost")
}

// A crashWorld is what outlives the service: ECOSIRE, the shops, and the file
// of the queue.
type crashWorld struct {
	ledger  ledger
	erp     *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
	client  *http.Client
	env     []string
}

const crashSecret = "s3cret"

func newCrashWorld(t *testing.T) *crashWorld {
	const latency = 5 * time.Millisecond
	w := &crashWorld{
		erp:     ecosiretest.New(ecosiretest.Config{Limit: 1e6, Latency: latency}),
		shopify: shopifytest.New(shopifytest.Config{Bucket: 1e6, RestoreRate: 1e5, Latency: latency}),
		woo:     woocommercetest.New(woocommercetest.Config{RequestTime: latency}),
		client:  &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second},
		env:     append(os.Environ(), "CRASH_QUEUE="+filepath.Join(t.TempDir(), "queue.db")),
	}
	for name, fake := range map[string]http.Handler{"ECOSIRE": w.erp, "SHOPIFY": w.shopify, "WOO": w.woo} {
		server := httptest.NewServer(fake)
		t.Cleanup(server.Close)
		w.env = append(w.env, "CRASH_"+name+"="+server.URL)
	}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

func (w *crashWorld) add(sku string) string {
	id := w.erp.Add(ecosiretest.Product{SKU: sku, OnHand: 1e6})[0]
	const shown = 9e5 // wrong, but near enough for the guard to let it be mended
	w.shopify.Add(shopifytest.Item{SKU: sku, Available: shown})
	w.woo.Add(woocommercetest.Product{SKU: sku, Quantity: shown})
	w.ledger.add(id, sku, 1e6)
	return id
}

// sell sells a unit and sends the event, once.
func (w *crashWorld) sell(id, url string) {
	w.ledger.change(id, func() int {
		w.erp.Sell(id, 1)
		p, _ := w.erp.Product(id)
		return p.OnHand - p.Reserved
	})
	versions := w.ledger.versions([]string{id})
	body := fmt.Appendf(nil, `{"id":"evt_1","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, id)
	req, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(crashSecret, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return // nobody knows whether it was stored
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusAccepted {
		w.ledger.acknowledge(versions)
	}
}

// right tells whether both shops show what ECOSIRE has.
func (w *crashWorld) right(id string) bool {
	p, _ := w.erp.Product(id)
	a, _ := w.shopify.Available(p.SKU)
	b, _ := w.woo.Quantity(p.SKU)
	return a == p.OnHand-p.Reserved && a == b
}

// A service is a process of its own.
type service struct {
	cmd    *exec.Cmd
	stdout io.Reader
	stderr bytes.Buffer
}

func (w *crashWorld) startService(t *testing.T) *service {
	exe, err := os.Executable()
	require.NoError(t, err)
	s := &service{cmd: exec.Command(exe, "-test.run=^TestCrashService$", "-test.count=1")}
	s.cmd.Env = w.env
	s.cmd.Stderr = &s.stderr
	_, err = s.cmd.StdinPipe() // ends with this process, and so does the service
	require.NoError(t, err)
	s.stdout, err = s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	return s
}

// ready returns where the service receives events.
func (s *service) ready(t *testing.T) string {
	timer := time.AfterFunc(20*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	line, err := bufio.NewReader(s.stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		s.kill()
		require.FailNow(t, "the service did not start", "%s%s", line, &s.stderr)
	}
	return url
}

func (s *service) kill() {
	_ = s.cmd.Process.Kill() // SIGKILL: nothing of it can clean up
	_ = s.cmd.Wait()
}

// TestCrashService is the service, in a process that the test starts. By itself
// it does nothing.
func TestCrashService(t *testing.T) {
	file := os.Getenv("CRASH_QUEUE")
	if file == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	queue, err := boltqueue.Open(file)
	require.NoError(t, err)
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", BaseURL: os.Getenv("CRASH_ECOSIRE") + "/api"})
	require.NoError(t, err)
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), BaseURL: os.Getenv("CRASH_SHOPIFY")})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: "1"})
	require.NoError(t, err)
	woo, err := woocommerce.New(woocommerce.Config{URL: os.Getenv("CRASH_WOO"), ConsumerKey: "ck_test", ConsumerSecret: "cs_test"})
	require.NoError(t, err)
	store, err := woo.Channel(woocommerce.ChannelConfig{})
	require.NoError(t, err)
	hooks, err := ecosire.NewWebhooks(crashSecret)
	require.NoError(t, err)
	s := configure(t, syncer.Config{
		Source: source, Webhooks: hooks, Queue: queue, Gather: 10 * time.Millisecond,
		WatchEvery: -1, Schedule: syncer.Never(),
	}, location, store)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = http.Serve(listener, s.WebhookHandler()) }()
	fmt.Printf("listening on http://%s/webhooks\n", listener.Addr())
	t.Fatal(s.Run(t.Context()))
}
