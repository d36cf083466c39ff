// Package pgtest runs a PostgreSQL of its own for tests, and cuts connections to
// it.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound: this machine has no PostgreSQL.
var ErrNotFound = errors.New("no PostgreSQL on this machine: neither initdb and postgres in PATH nor in /usr/lib/postgresql/*/bin")

// A Server is a PostgreSQL with a cluster of its own in a temporary folder. It
// listens on a loopback port only, and asks for a password.
type Server struct {
	bin, dir string
	password string
	port     int
	settings []string
	process  *os.Process
	exited   chan struct{}
}

// startTimeout is how long a server may take to be ready, also after a crash.
const startTimeout = 30 * time.Second

// Start makes a cluster and starts its server. Settings are such as "fsync=off".
func Start(settings ...string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgqueue-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, password: rand.Text(), settings: settings}
	if err := s.create(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	for range 5 { // another process may take the port first
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.Restart(); err == nil {
			return s, nil
		}
	}
	_ = os.RemoveAll(dir)
	return nil, err
}

// find returns the folder of the newest PostgreSQL.
func find() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
				return filepath.Dir(path), nil
			}
		}
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(paths) == 0 {
		return "", ErrNotFound
	}
	version := func(path string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(path))), 64)
		return v
	}
	return filepath.Dir(slices.MaxFunc(paths, func(a, b string) int { return int(10 * (version(a) - version(b))) })), nil
}

// create makes the cluster.
func (s *Server) create() error {
	pwfile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(pwfile, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := own(s.dir, pwfile); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username=stocksync", "--pwfile="+pwfile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = s.dir, asUser()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.dir, "log") }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Addr is where the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is where to connect, by way of another address if one is given.
func (s *Server) URL(addr string) string {
	if addr == "" {
		addr = s.Addr()
	}
	return fmt.Sprintf("postgres://stocksync:%s@%s/postgres?sslmode=disable", s.password, addr)
}

// Restart starts the server after Kill, on the port that it had, and waits until
// it is ready.
func (s *Server) Restart() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		if err := s.launch(); err != nil {
			return err
		}
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		// Processes of a killed server may still be on their way out.
		_ = s.Kill()
		log, _ := os.ReadFile(s.log())
		if ctx.Err() != nil || !bytes.Contains(log, []byte("still in use")) {
			return fmt.Errorf("postgres: %w: %s", err, log[max(0, len(log)-2000):])
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *Server) launch() error {
	log, err := os.Create(s.log())
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "shared_buffers=64MB"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, log, log, asUser()
	started := make(chan error)
	exited := make(chan struct{})
	go func() {
		// The server is told to stop when the thread ends that started it: this
		// one, when the process does.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.exited = cmd.Process, exited
	return nil
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, s.URL(""))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill kills the server's first process with SIGKILL: the others notice, and the
// server recovers when it is started again.
func (s *Server) Kill() error {
	err := s.process.Kill()
	<-s.exited
	return err
}

// Stop stops the server, and removes its cluster.
func (s *Server) Stop() error {
	_ = s.process.Signal(os.Interrupt) // a fast shutdown
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.Kill()
	}
	return os.RemoveAll(s.dir)
}
