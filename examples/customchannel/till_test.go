package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/examples/internal/production"
	"github.com/ecosire/stocksync/examples/internal/show"
)

// start runs a simulator until the test ends.
func start(t *testing.T, s *simulator) {
	require.NoError(t, s.look())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
}

// newSubject is all that the conformance kit needs to know of a till.
func newSubject(t *testing.T, levels []channel.Level) channeltest.Subject {
	dir := t.TempDir()
	s := newSimulator(dir, make(map[string]int))
	for _, l := range levels {
		if _, twice := s.shows[l.SKU]; twice {
			t.Skip("a till has each SKU once")
		}
		switch {
		case l.Unset:
			t.Skip("a till shows a quantity for every article that it counts")
		case l.Err != nil:
			s.open[l.SKU] = true
		default:
			s.shows[l.SKU] = l.Quantity
		}
	}
	start(t, s)
	till, err := New(Config{Dir: dir})
	require.NoError(t, err)

	stock := filepath.Join(dir, "stock.csv")
	return channeltest.Subject{
		Channel: till,
		Shown:   s.quantity,
		Set:     s.set,
		Stall: func() (resume func()) {
			s.setOffline(true)
			return func() { s.setOffline(false) }
		},
		Break: func() (mend func()) {
			s.setOffline(true)
			require.NoError(t, os.Truncate(stock, 10))
			return func() {
				s.setOffline(false)
				time.Sleep(time.Second) // it tells of its stock again
			}
		},
	}
}

func TestConformance(t *testing.T) {
	channeltest.TestChannelInBubble(t, newSubject)
}

// open returns a till whose simulator does nothing by itself.
func open(t *testing.T, shows map[string]int) (*Till, *simulator) {
	dir := t.TempDir()
	s := newSimulator(dir, shows)
	require.NoError(t, s.look())
	till, err := New(Config{Dir: dir})
	require.NoError(t, err)
	return till, s
}

func files(t *testing.T, s *simulator, pattern string) []string {
	names, err := filepath.Glob(filepath.Join(s.dir, pattern))
	require.NoError(t, err)
	return names
}

func TestOfflineIsUnavailableAndLeavesNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till, s := open(t, map[string]int{"A": 1})
		began := time.Now()
		err := till.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 7}})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "it is offline")
		assert.Equal(t, 10*time.Second, time.Since(began))
		assert.Empty(t, files(t, s, "delta-*"), "a till that comes back must not find an old quantity")
		require.NoError(t, s.look())
		n, _ := s.quantity("A")
		assert.Equal(t, 1, n)

		// What is cancelled is withdrawn too.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, till.Push(ctx, []channel.Update{{SKU: "A", Quantity: 7}}), context.DeadlineExceeded)
		assert.Empty(t, files(t, s, "delta-*"))
	})
}

func TestTakenWithoutAnAnswerIsUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till, s := open(t, map[string]int{"A": 1})
		time.AfterFunc(time.Second, func() { os.Remove(files(t, s, "delta-*")[0]) })
		err := till.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 7}})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "gave no answer")
	})
}

func TestTillRefusesAFileThatIs(t *testing.T) {
	good := file{kind: delta, sequence: 2, made: time.Now(), rows: []row{{"A", "7"}, {"B", "8"}}}
	data := good.encode()
	stale := good
	stale.sequence = 1
	for _, tt := range []struct {
		name     string
		sequence int
		data     []byte
		reason   string
	}{
		{"torn", 2, data[:len(data)/2], "torn: it has no closing line"},
		{"torn by a byte", 2, data[:len(data)-1], "torn: it has no closing line"},
		{"empty", 2, nil, "torn: it has no closing line"},
		{"short of a row", 2, []byte(strings.Replace(string(data), "R,B,8\n", "", 1)), "damaged: its checksum does not match"},
		{"short with a checksum", 2, reclosed(t, data, "R,B,8\n", ""), "short: it has 1 rows, and its closing line counts 2"},
		{"changed", 2, []byte(strings.Replace(string(data), "A,7", "A,9", 1)), "damaged: its checksum does not match"},
		{"without a header", 2, reclosed(t, data, "H,", "X,"), "malformed: it has no header"},
		{"another one", 3, data, "it is not delta 3"},
		{"repeated", 1, stale.encode(), "repeated: file 1 is done already"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", ""), func(t *testing.T) {
			s := newSimulator(t.TempDir(), map[string]int{"A": 1, "B": 2})
			s.last = 1
			answer := s.take(tt.sequence, tt.data)
			assert.Equal(t, refused, answer.kind)
			assert.Equal(t, tt.reason, answer.reason())
			assert.Equal(t, map[string]int{"A": 1, "B": 2}, s.shows, "nothing of it was done")
		})
	}
	s := newSimulator(t.TempDir(), map[string]int{"A": 1, "B": 2, "C": 3})
	s.last = 1
	assert.Empty(t, s.take(2, data).rows)
	assert.Equal(t, map[string]int{"A": 7, "B": 8, "C": 3}, s.shows, "a missing row is not zero")
}

// reclosed changes a file, and makes its checksum right again.
func reclosed(t *testing.T, data []byte, old, new string) []byte {
	lines, closing, ok := cutLast([]byte(strings.Replace(string(data), old, new, 1)))
	require.True(t, ok)
	fields := strings.Split(closing, ",")
	return fmt.Appendf(lines, "E,%s,%x\n", fields[1], sha256.Sum256(lines))
}

func TestATornFileIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till, s := open(t, map[string]int{"A": 1})
		start(t, s)
		s.tearNext()
		u := channel.Update{SKU: "A", Quantity: 7}
		err := till.Push(t.Context(), []channel.Update{u})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorContains(t, err, "it refused file 1: torn")
		assert.NoError(t, till.Push(t.Context(), []channel.Update{u}))
	})
}

func TestANewProcessGoesOnWithTheSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, s := open(t, map[string]int{"A": 1})
		start(t, s)
		require.NoError(t, first.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 2}}))
		require.NoError(t, first.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 3}}))
		second, err := New(first.cfg)
		require.NoError(t, err)
		require.NoError(t, second.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 4}}), "the till refuses a repeated sequence")
		assert.Equal(t, 3, s.last)
	})
}

func TestAStockFileThatCannotBeReliedOnIsAnErrorNotAnEmptyAnswer(t *testing.T) {
	for name, hurt := range map[string]func(t *testing.T, path string){
		"absent": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"torn":   func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 40)) },
		"old":    func(*testing.T, string) { time.Sleep(16 * time.Minute) },
		"from the future": func(t *testing.T, path string) {
			require.NoError(t, put(path, file{kind: full, made: time.Now().Add(time.Hour)}))
		},
		"another file": func(t *testing.T, path string) {
			require.NoError(t, put(path, file{kind: delta, made: time.Now()}))
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", ""), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				till, s := open(t, map[string]int{"A": 1})
				_, err := till.Levels(t.Context(), []string{"A"})
				require.NoError(t, err)
				hurt(t, filepath.Join(s.dir, "stock.csv"))
				_, err = till.Levels(t.Context(), []string{"A"})
				assert.ErrorIs(t, err, channel.ErrUnavailable)
			})
		})
	}
}

// The whole story, with an hour that is one.
func TestDemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, demo(t.Context(), show.To(&out, os.Getenv), t.TempDir(), time.Hour))
		assert.Contains(t, out.String(), "down:")
		assert.Contains(t, out.String(), "The till shows ECOSIRE's quantity for all 50 products")
	})
}

// It simulates whatever the environment names.
func TestRunInAProductionEnvironment(t *testing.T) {
	m := production.New(t, 3)
	for name, value := range m.Env {
		t.Setenv(name, value)
	}
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	run(ctx, nil, time.Hour, show.To(&out, os.Getenv), &errOut)
	assert.True(t, strings.HasPrefix(out.String(), "Simulated services:"), out.String())
	for _, args := range []string{"-h", "-write", "till"} {
		out.Reset()
		errOut.Reset()
		want := 2
		if args == "-h" {
			want = 0
		}
		assert.Equal(t, want, run(t.Context(), []string{args}, time.Hour, &out, &errOut), args)
		assert.Contains(t, errOut.String(), "usage: customchannel", args)
		assert.Empty(t, out.String(), args)
	}
	assert.Zero(t, m.Requests())
}
