// Goinglive is a whole service for the first month in production; docs/going-live.md
// goes through it week by week. WEEK says how much it may write:
//
//	WEEK=1  nothing: it only observes
//	WEEK=2  the products that PILOT names by the beginning of their SKUs
//	WEEK=3  everything, with the guard on
//
// Its commands are
//
//	coverage FILE               what the shops have of the catalogue; FILE gets it as CSV
//	night                       one reconciliation, now
//	serve                       events and every night's reconciliation, until interrupted
//	pin PRODUCT QUANTITY WHY    show QUANTITY on all channels for a week
//	unpin PRODUCT WHY           end that
//	explain PRODUCT             why the channels show what they show
//
// It talks to the services that the environment names (see package stocksync), and
// without any to a simulated ECOSIRE and two simulated shops in the process.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// build builds the service. What it has to remember is in one file.
func build(getenv func(string) string) (*syncer.Syncer, *boltqueue.Queue, error) {
	cfg := stocksync.Config{Getenv: getenv, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	services, err := stocksync.FromEnv(cfg)
	if errors.Is(err, stocksync.ErrNoEnv) {
		fmt.Println("Simulated services: nothing leaves this process.")
		services, err = simulated(cfg.Logger)
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range services.Targets {
		t := &services.Targets[i]
		switch week := getenv("WEEK"); week {
		case "1", "":
			t.Observe = true
		case "2":
			pilot := getenv("PILOT")
			if pilot == "" {
				return nil, nil, errors.New("WEEK=2 needs PILOT, such as PILOT=MUG-1")
			}
			t.Observe = true
			t.Pilot = func(s channel.Stock) bool { return strings.HasPrefix(s.SKU, pilot) }
		case "3":
		default:
			return nil, nil, fmt.Errorf("WEEK=%s is none of 1, 2 and 3", week)
		}
	}
	queue, err := boltqueue.Open("stocksync.db")
	if err != nil {
		return nil, nil, err
	}
	s, err := services.Writer(syncer.Config{Queue: queue, Hooks: syncer.Hooks{
		Alarm: func(_ context.Context, a syncer.Alarm) {
			// Wake somebody here.
			fmt.Printf("ALARM %s %s: %s (over: %v)\n", a.Class, a.Channel, a.Text, !a.Ended.IsZero())
		},
		Reconciled: func(_ context.Context, r *syncer.Report, err error) {
			// Mail this to somebody.
			fmt.Println(r, err)
		},
	}})
	if err != nil {
		return nil, nil, errors.Join(err, queue.Close())
	}
	return s, queue, nil
}

func run(ctx context.Context, args []string, getenv func(string) string) (err error) {
	if len(args) == 0 {
		return errors.New("usage: coverage FILE | night | serve | pin PRODUCT QUANTITY WHY | unpin PRODUCT WHY | explain PRODUCT")
	}
	s, queue, err := build(getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	switch command := args[0]; {
	case command == "coverage" && len(args) == 2:
		return coverage(ctx, s, args[1])
	case command == "night" && len(args) == 1:
		r, err := s.Reconcile(ctx)
		if r != nil {
			fmt.Print(r)
		}
		return err
	case command == "serve" && len(args) == 1:
		return serve(ctx, s, getenv("ADDR"))
	case command == "pin" && len(args) == 4:
		quantity, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		err = s.Pin(ctx, syncer.Pin{
			ProductID: args[1], Quantity: quantity, Until: time.Now().Add(7 * 24 * time.Hour), Who: who(getenv), Why: args[3],
		})
		return show(ctx, s, args[1], err)
	case command == "unpin" && len(args) == 3:
		return show(ctx, s, args[1], s.Unpin(ctx, syncer.Pin{ProductID: args[1], Who: who(getenv), Why: args[2]}))
	case command == "explain" && len(args) == 2:
		return explain(ctx, s, args[1])
	}
	return fmt.Errorf("%q is no command, or has too few or too many arguments", strings.Join(args, " "))
}

// coverage says what the shops have, and writes a table for whoever mends them.
func coverage(ctx context.Context, s *syncer.Syncer, file string) error {
	c, err := s.Coverage(ctx)
	if err != nil {
		return err
	}
	fmt.Print(c)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(c.WriteCSV(f), f.Close())
}

// show has a product shown as it is to be now, by a process that does not serve.
func show(ctx context.Context, s *syncer.Syncer, product string, err error) error {
	if err != nil {
		return err
	}
	_, err = s.SyncProducts(ctx, product)
	return errors.Join(err, explain(ctx, s, product))
}

// who is at the command line.
func who(getenv func(string) string) string {
	return cmp.Or(getenv("USER"), getenv("USERNAME"), "the command line")
}

func explain(ctx context.Context, s *syncer.Syncer, product string) error {
	x, err := s.Explain(ctx, syncer.Question{ProductID: product})
	if x != nil {
		fmt.Print(x)
	}
	return err
}

// serve takes ECOSIRE's events, and reconciles at night.
func serve(ctx context.Context, s *syncer.Syncer, addr string) error {
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if addr == "" {
		server.Addr = "127.0.0.1:8080"
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	fmt.Println("Serving on", server.Addr, "until interrupted.")
	return s.Run(ctx)
}
