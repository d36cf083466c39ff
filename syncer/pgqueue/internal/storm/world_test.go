//go:build unix

package storm

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// products is the number of products of a world.
const products = 200

// A world is what the replicas live in: the database, ECOSIRE and two shops.
type world struct {
	t           *testing.T
	server      *pgtest.Server
	queue       *pgqueue.Queue // for whoever looks on
	env         []string
	erp         *ecosiretest.Server
	quick, slow *shop
	ids         []string
	replicas    []*process
	client      *http.Client

	granted, refused atomic.Int64
	acknowledged     atomic.Int64
	mu               sync.Mutex
	reconciled       []time.Time // when complete reconciliations began
	terms            uint64
	quantity         int // of all changes, so that each is another
	marking          sync.WaitGroup
	stopMarks        context.CancelFunc
	silences         []time.Duration
}

func newWorld(t *testing.T, control string, slots ...time.Time) *world {
	server, err := pgtest.Start("fsync=off")
	if err != nil && os.Getenv("STOCKSYNC_PGTEST") != "require" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop() })
	w := &world{t: t, server: server, erp: ecosiretest.New(ecosiretest.Config{}),
		quick: newShop(40 * time.Millisecond), slow: newShop(200 * time.Millisecond),
		client: &http.Client{Transport: &http.Transport{}, Timeout: time.Second}}
	t.Cleanup(w.client.CloseIdleConnections)
	for i := range products {
		w.ids = append(w.ids, w.erp.Add(ecosiretest.Product{SKU: fmt.Sprintf("SKU-%d", i), OnHand: 0})...)
	}
	w.env = append(os.Environ(), "STORM_QUEUE=storm", "STORM_CONTROL="+control)
	counting := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c := &status{ResponseWriter: rw}
		w.erp.ServeHTTP(c, r)
		if c.code == http.StatusTooManyRequests {
			w.refused.Add(1)
		} else {
			w.granted.Add(1)
		}
	})
	for name, h := range map[string]http.Handler{"STORM_ECOSIRE": counting, "STORM_QUICK": w.quick, "STORM_SLOW": w.slow} {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		w.env = append(w.env, name+"="+s.URL)
	}
	var at []string
	for _, slot := range slots {
		at = append(at, fmt.Sprint(slot.UnixMilli()))
	}
	w.env = append(w.env, "STORM_SLOTS="+strings.Join(at, " "))
	pool, err := pgxpool.New(context.Background(), server.URL(""))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	w.queue, err = pgqueue.New(pool, pgqueue.Options{Queue: "storm"})
	require.NoError(t, err)
	require.NoError(t, w.queue.Migrate(t.Context()))
	for _, name := range []string{"a", "b", "c"} {
		proxy, err := pgtest.NewProxy(server.Addr())
		require.NoError(t, err)
		t.Cleanup(proxy.Close)
		p := &process{w: w, name: name, proxy: proxy}
		w.replicas = append(w.replicas, p)
		p.start()
	}
	t.Cleanup(func() {
		w.stopMarking()
		for _, p := range w.replicas {
			p.kill()
		}
	})
	return w
}

type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) { s.code = code; s.ResponseWriter.WriteHeader(code) }

// A process is one of the replicas.
type process struct {
	w     *world
	name  string
	proxy *pgtest.Proxy

	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
	ended chan struct{}
}

func (p *process) start() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(slices.Clone(p.w.env), "STORM_NAME="+p.name, "STORM_DATABASE="+p.w.server.URL(p.proxy.Addr()))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(p.w.t, err)
	stdin, err := cmd.StdinPipe()
	require.NoError(p.w.t, err)
	require.NoError(p.w.t, cmd.Start())
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.stdin, p.url, p.ended = cmd, stdin, "", ended
	p.mu.Unlock()
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.said(lines.Text())
		}
		_ = cmd.Wait()
	}()
}

// said takes note of what a replica prints.
func (p *process) said(line string) {
	what, rest, _ := strings.Cut(line, " ")
	w := p.w
	switch what {
	case "listening":
		p.mu.Lock()
		p.url = rest
		p.mu.Unlock()
	case "leads":
		var n uint64
		_, _ = fmt.Sscan(rest, &n)
		w.quick.leads(n)
		w.slow.leads(n)
		w.mu.Lock()
		w.terms = max(w.terms, n)
		w.mu.Unlock()
	case "reconciled":
		var ms int64
		_, _ = fmt.Sscan(rest, &ms)
		w.mu.Lock()
		w.reconciled = append(w.reconciled, time.UnixMilli(ms))
		w.mu.Unlock()
	case "error":
		w.t.Errorf("%s: %s", p.name, rest)
	}
}

func (p *process) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill is SIGKILL: nothing of it can clean up.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// change gives a product another quantity, and has a replica take the event,
// until one has acknowledged it.
func (w *world) change(ctx context.Context, n int) {
	w.mu.Lock()
	w.quantity++
	w.erp.Set(w.ids[n], w.quantity, 0)
	w.mu.Unlock()
	for ctx.Err() == nil {
		url := w.replicas[rand.IntN(len(w.replicas))].address()
		if url != "" && w.deliver(url, w.ids[n]) {
			w.acknowledged.Add(1)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) deliver(url, id string) bool {
	body := fmt.Appendf(nil, `{"id":"evt_1","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, id)
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted
}

// mark changes products all the time, one after the other in each of some
// senders, until stopMarking.
func (w *world) mark(senders int, pause time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	w.stopMarks = cancel
	for i := range senders {
		w.marking.Go(func() {
			for ctx.Err() == nil {
				// Each sender has products of its own, so what was changed last is what was
				// acknowledged last.
				w.change(context.Background(), rand.IntN(products/senders)*senders+i)
				time.Sleep(rand.N(2 * pause))
			}
		})
	}
}

func (w *world) stopMarking() {
	if w.stopMarks != nil {
		w.stopMarks()
		w.marking.Wait()
	}
}

// leader waits until a term after one begins, and returns whose it is.
func (w *world) leader(after uint64, within time.Duration) (*process, uint64) {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < within; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		info, err := w.queue.Leader(ctx)
		cancel()
		if err != nil || info.Number <= after {
			continue
		}
		for _, p := range w.replicas {
			if p.name == info.Name {
				return p, info.Number
			}
		}
	}
	require.FailNow(w.t, "nobody leads", "after term %d", after)
	return nil, 0
}

// quiet waits until nothing is left to be done, and returns the products that
// are wrong then.
func (w *world) quiet(within time.Duration) (wrong []string) {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < within; time.Sleep(200 * time.Millisecond) {
		n, failed := 0, false
		for _, lane := range []string{"inbox", "channel/quick", "channel/slow"} {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			d, err := w.queue.Depth(ctx, lane)
			cancel()
			n, failed = n+d.Tasks, failed || err != nil
		}
		if n > 0 || failed {
			continue
		}
		wrong = nil
		for i, id := range w.ids {
			p, _ := w.erp.Product(id)
			sku := fmt.Sprintf("SKU-%d", i)
			if a, b := w.quick.quantity(sku), w.slow.quantity(sku); a != p.OnHand || b != p.OnHand {
				wrong = append(wrong, fmt.Sprintf("%s is %d, shown as %d and %d", sku, p.OnHand, a, b))
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		if time.Since(began) > within/2 {
			return wrong
		}
	}
	return append(wrong, "there is still something to be done")
}

// violations are those of both shops.
func (w *world) violations() (all map[string]int, examples []string) {
	all = make(map[string]int)
	for _, s := range []*shop{w.quick, w.slow} {
		wrong, some := s.violations()
		for what, n := range wrong {
			all[what] += n
		}
		examples = append(examples, some...)
	}
	return all, examples
}

var _ syncer.SharedQueue = (*pgqueue.Queue)(nil)
