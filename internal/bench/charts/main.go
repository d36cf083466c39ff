// Charts draws the charts of docs/performance.md from the tables in it, so that
// the two cannot disagree, each for a light page and for a dark one. Run it from
// the module's root:
//
//	go run ./internal/bench/charts
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/bench/table"
)

func main() {
	if err := draw(".", "docs"); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

// draw reads the tables of the module at root, and writes the charts into a folder.
func draw(root, into string) error {
	page, err := os.ReadFile(filepath.Join(root, "docs", "performance.md"))
	if err != nil {
		return err
	}
	curve, err := os.ReadFile(filepath.Join(root, "internal", "bench", "charts", "curve.md"))
	if err != nil {
		return err
	}
	for name, make := range map[string]func() (*chart, error){
		"time":  func() (*chart, error) { return timeAgainstSize(string(page)) },
		"curve": func() (*chart, error) { return ratioAgainstSize(string(curve)) },
		"delay": func() (*chart, error) { return delayAgainstLoad(string(page)) },
	} {
		c, err := make()
		if err != nil {
			return err
		}
		for _, theme := range themes {
			file := filepath.Join(into, "performance-"+name+theme.suffix+".svg")
			if err := os.WriteFile(file, []byte(c.svg(theme)), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// timeAgainstSize is how long a catalogue takes on both shops.
func timeAgainstSize(text string) (*chart, error) {
	c := &chart{title: "Reconciling both shops: time against catalogue size", x: "products", y: "time", logY: true, unit: duration}
	rows, err := table.Read(text, "catalogue")
	if err != nil {
		return nil, err
	}
	for _, kind := range []struct{ of, name string }{
		{"100 % drift", "100 % drift, first sync"}, // they do not differ by a line's width
		{"1 % drift", "1 % drift"},
		{"0 % drift", "0 % drift"},
	} {
		err = errors.Join(err, c.add(kind.name, "", rows, 0, 6, func(r []string) bool { return r[1] == "both" && r[2] == kind.of }))
	}
	err = errors.Join(err, c.add("bound, 1 % drift", "5 4", rows, 0, 7, func(r []string) bool { return r[1] == "both" && r[2] == "1 % drift" }))
	peers, missing := table.Read(text, "peers")
	if err = errors.Join(err, missing); err != nil {
		return nil, err
	}
	return c, c.add("the guide's way", "", peers, 1, 6, func(r []string) bool { return r[0] == "the guide's way" && r[2] == "1 % drift" })
}

// ratioAgainstSize is how much longer than the bound a catalogue takes.
func ratioAgainstSize(text string) (*chart, error) {
	rows, err := table.Read(text, "curve")
	if err != nil {
		return nil, err
	}
	c := &chart{title: "Reconciling both shops: time, divided by the bound", x: "products", y: "ratio", unit: plain}
	any := func([]string) bool { return true }
	if err := c.add("1 % drift", "", rows, 0, 3, any); err != nil {
		return nil, err
	}
	return c, c.add("at most", "5 4", rows, 0, 4, any)
}

// delayAgainstLoad is how long events take to be shown.
func delayAgainstLoad(text string) (*chart, error) {
	c := &chart{title: "From event to visible: p99 against load, 10,000 products", x: "events a second", y: "delay", logY: true, unit: duration}
	rows, err := table.Read(text, "latency")
	if err != nil {
		return nil, err
	}
	for _, way := range []string{"events alone", "while reconciling"} {
		for _, shop := range []struct {
			name   string
			column int
		}{{"Shopify", 4}, {"WooCommerce", 7}} {
			err = errors.Join(err, c.add(shop.name+", "+way, map[string]string{"while reconciling": "5 4"}[way], rows, 0, shop.column,
				func(r []string) bool { return r[2] == way }))
		}
	}
	return c, err
}

// add adds a series of those rows that are picked. A quantity is a time, in
// seconds then, or a number.
func (c *chart) add(name, dash string, rows [][]string, x, y int, pick func([]string) bool) error {
	s := series{name: name, dash: dash}
	quantity := func(cell string) (float64, error) {
		if d, err := time.ParseDuration(cell); err == nil {
			return d.Seconds(), nil
		}
		return strconv.ParseFloat(strings.ReplaceAll(cell, ",", ""), 64)
	}
	for _, r := range rows {
		if len(r) <= max(x, y) || !pick(r) {
			continue
		}
		px, badX := quantity(r[x])
		py, badY := quantity(r[y])
		if err := errors.Join(badX, badY); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.points = append(s.points, [2]float64{px, py})
	}
	if len(s.points) == 0 {
		return fmt.Errorf("no quantities for %q", name)
	}
	c.series = append(c.series, s)
	return nil
}
