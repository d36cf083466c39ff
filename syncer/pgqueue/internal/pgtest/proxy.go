package pgtest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
)

// A Proxy passes connections on to a server, until they are cut: then nothing
// arrives, as if packets were lost on the way. What was sent meanwhile arrives
// when the cut is mended, as TCP would have it.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu      sync.Mutex
	change  *sync.Cond
	cut     [2]bool
	trap    *trap // nil if there is none
	refuses bool
	deafTo  []byte // see LoseAnswer; nil if there is none
	closed  bool
	conns   map[net.Conn]bool
	lost    int // connections with a lower number pass nothing any more
	next    int
	// passed counts the bytes that were passed on.
	passed [2]int64
}

// The directions of a connection.
const (
	ToServer = iota
	ToClient
)

// NewProxy returns a proxy on a loopback port.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, conns: make(map[net.Conn]bool)}
	p.change = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where to connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut stops what goes in some directions, and mend lets it go on.
func (p *Proxy) Cut(directions ...int) (mend func()) {
	p.set(true, directions)
	return sync.OnceFunc(func() { p.set(false, directions) })
}

// Lose has nothing pass any more on the connections that there are, as when
// something on the way has forgotten them. New ones work.
func (p *Proxy) Lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = p.next
}

// CutBefore cuts the way to the server as soon as something is sent that has
// text in it, such as a statement of a client that uses the simple protocol, and
// refuses new connections from then on, such as one that would cancel it. Cut is
// closed then, and answered when the server has answered it after all.
func (p *Proxy) CutBefore(text string) (cut, answered <-chan struct{}, mend func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = &trap{[]byte(text), make(chan struct{}), make(chan struct{})}
	return p.trap.sprung, p.trap.answered, sync.OnceFunc(func() { p.set(false, []int{ToServer}) })
}

// LoseAnswer lets what has text in it pass to the server, once, and ends the
// connection when the server answers: the client gets nothing of that.
func (p *Proxy) LoseAnswer(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deafTo = []byte(text)
}

// deafens reports whether the answer to something is to be lost.
func (p *Proxy) deafens(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deafTo == nil || !bytes.Contains(b, p.deafTo) {
		return false
	}
	p.deafTo = nil
	return true
}

// A trap waits for something that is sent to the server.
type trap struct {
	text             []byte
	sprung, answered chan struct{}
}

// notice looks at what is about to pass to the server, and returns the trap if
// that springs it.
func (p *Proxy) notice(b []byte) *trap {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.trap
	if t == nil || !bytes.Contains(b, t.text) {
		return nil
	}
	p.trap, p.cut[ToServer], p.refuses = nil, true, true
	close(t.sprung)
	return t
}

func (p *Proxy) set(cut bool, directions []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range directions {
		p.cut[d] = cut
	}
	p.change.Broadcast()
}

// Close ends all connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.change.Broadcast()
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	refused, number := p.refuses, p.next
	p.next++
	p.mu.Unlock()
	if refused || !p.pass(number, ToServer, 0) { // a cut wire does not open connections either
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return
	}
	sprung := make(chan *trap, 1)
	var deaf atomic.Bool
	var both sync.WaitGroup
	both.Go(func() {
		p.copy(number, server, client, ToServer, func(b []byte) {
			if t := p.notice(b); t != nil {
				sprung <- t
			}
			if p.deafens(b) {
				deaf.Store(true)
			}
		})
	})
	both.Go(func() {
		p.copy(number, client, server, ToClient, func([]byte) {
			if deaf.Load() {
				_ = client.Close()
			}
			select {
			case t := <-sprung:
				close(t.answered)
			default:
			}
		})
	})
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy passes on what comes from src, after see has seen it. The end of the
// connection passes like a byte: while the wire is cut, neither side learns that
// the other has gone.
func (p *Proxy) copy(number int, dst, src net.Conn, direction int, see func([]byte)) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			see(buf[:n])
		}
		if !p.pass(number, direction, n) {
			return
		}
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil && direction == ToServer {
				_ = src.Close()
				return
			}
		}
		if err != nil {
			_ = dst.Close()
			return
		}
	}
}

// pass waits until something may go in a direction, and reports whether it ever
// may.
func (p *Proxy) pass(number, direction, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for (p.cut[direction] || number < p.lost) && !p.closed {
		p.change.Wait()
	}
	p.passed[direction] += int64(n)
	return !p.closed
}

// Passed is how many bytes went in a direction.
func (p *Proxy) Passed(direction int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed[direction]
}
