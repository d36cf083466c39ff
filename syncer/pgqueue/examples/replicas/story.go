package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// products is the number of products in the shop.
const products = 40

// A story is what happens around the replicas.
type story struct {
	out      io.Writer
	began    time.Time
	erp      *ecosiretest.Server
	shop     *woocommercetest.Server
	ids      []string
	replicas []*process
	sold     int

	mu     sync.Mutex
	writes []time.Time // of the shop
}

// A process is a replica, as seen from outside.
type process struct {
	name, url string
	cmd       *exec.Cmd
}

func run(ctx context.Context, o options, url string, out io.Writer) error {
	url, stop, err := database(url, out)
	if err != nil {
		return err
	}
	defer stop()
	st := &story{out: out, began: time.Now(), erp: ecosiretest.New(ecosiretest.Config{}), shop: woocommercetest.New(woocommercetest.Config{})}
	for i := range products {
		sku := fmt.Sprintf("MUG-%02d", i)
		st.ids = append(st.ids, st.erp.Add(ecosiretest.Product{SKU: sku, OnHand: 100})...)
		st.shop.Add(woocommercetest.Product{SKU: sku, Quantity: 100})
	}
	env := append(os.Environ(), "DATABASE_URL="+url, "REPLICAS_QUEUE=example-"+rand.Text()[:8], "REPLICAS_LEASE="+o.lease.String())
	for name, handler := range map[string]http.Handler{"REPLICAS_ECOSIRE": st.erp, "REPLICAS_SHOP": http.HandlerFunc(st.watched)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(l) }()
		env = append(env, name+"=http://"+l.Addr().String())
	}
	defer func() {
		for _, p := range st.replicas {
			p.kill()
		}
	}()
	for _, name := range []string{"anna", "berta", "clara"} {
		if err := st.start(name, env); err != nil {
			return err
		}
	}
	if err := st.sell(ctx, o.before); err != nil {
		return err
	}
	dead := st.leader()
	if dead == nil {
		return errors.New("nobody leads")
	}
	dead.kill()
	killed := time.Now()
	st.say("killed %s, which led", dead.name)
	if err := st.sell(ctx, o.after); err != nil {
		return err
	}
	st.say("no more sales")
	for wait := time.Now(); len(st.wrong()) > 0 && time.Since(wait) < 30*time.Second; {
		time.Sleep(200 * time.Millisecond)
	}
	fmt.Fprintf(out, "\nThe longest time without writes after the kill was %v; a lease is %v.\n", st.silence(killed).Round(10*time.Millisecond), o.lease)
	if wrong := st.wrong(); len(wrong) > 0 {
		return fmt.Errorf("the shop is not right: %s", strings.Join(wrong, ", "))
	}
	fmt.Fprintf(out, "%d units were sold, and the shop shows what ECOSIRE has of all %d products.\n", st.sold, products)
	return nil
}

// watched is the shop, with a look at its writes.
func (st *story) watched(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		st.mu.Lock()
		st.writes = append(st.writes, time.Now())
		st.mu.Unlock()
	}
	st.shop.ServeHTTP(w, r)
}

func (st *story) start(name string, env []string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	p := &process{name: name, cmd: exec.Command(exe)}
	p.cmd.Env, p.cmd.Stderr = append(env[:len(env):len(env)], roleEnv+"="+name), os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if _, err := p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	st.replicas = append(st.replicas, p)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s did not start: %w", name, err)
	}
	p.url = strings.TrimSpace(line)
	return nil
}

// kill ends a process as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// sell sells something every quarter of a second, and says once a second how
// things are.
func (st *story) sell(ctx context.Context, long time.Duration) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < long; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		id := st.ids[st.sold%products]
		st.erp.Sell(id, 1)
		st.sold++
		for attempt := 0; !st.deliver(st.replicas[(st.sold+attempt)%len(st.replicas)], id); attempt++ { // as a load balancer would
			if attempt > 20 {
				return errors.New("no replica takes events")
			}
			time.Sleep(20 * time.Millisecond)
		}
		if st.sold%4 == 0 {
			leader := "nobody"
			if p := st.leader(); p != nil {
				leader = p.name
			}
			st.say("%-6s leads; %3d sold, %2d products to be written", leader, st.sold, len(st.wrong()))
		}
	}
	return nil
}

func (st *story) say(format string, args ...any) {
	fmt.Fprintf(st.out, "%5.1f s  %s\n", time.Since(st.began).Seconds(), fmt.Sprintf(format, args...))
}

var client = &http.Client{Timeout: 2 * time.Second}

func (st *story) deliver(p *process, id string) bool {
	body := fmt.Appendf(nil, `{"id":"evt_%d","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, st.sold, id)
	req, err := http.NewRequest(http.MethodPost, p.url+"/webhooks/ecosire", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, body))
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted
}

// leader asks the replicas who leads. Any of them knows.
func (st *story) leader() *process {
	for _, p := range st.replicas {
		resp, err := client.Get(p.url + "/health")
		if err != nil {
			continue
		}
		var h syncer.Health
		err = json.NewDecoder(resp.Body).Decode(&h)
		resp.Body.Close()
		if err != nil {
			continue
		}
		for _, q := range st.replicas {
			if h.Leader != nil && q.name == h.Leader.Name {
				return q
			}
		}
		return nil
	}
	return nil
}

// wrong are the products that the shop does not show as ECOSIRE has them.
func (st *story) wrong() (wrong []string) {
	for _, id := range st.ids {
		p, _ := st.erp.Product(id)
		if n, _ := st.shop.Quantity(p.SKU); n != p.OnHand-p.Reserved {
			wrong = append(wrong, fmt.Sprintf("%s shows %d of %d", p.SKU, n, p.OnHand-p.Reserved))
		}
	}
	return wrong
}

// silence is the longest time between two writes after a moment, from the last
// one before.
func (st *story) silence(after time.Time) (longest time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	var last time.Time
	for _, at := range st.writes {
		if at.After(after) {
			longest = max(longest, at.Sub(cmp.Or(last, after)))
		}
		last = at
	}
	return longest
}
