package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/ecosire/stocksync/channel"
)

// Config configures a [Till]. Dir is required.
type Config struct {
	// Name is the channel's name; "" means "till:" and the directory's name.
	Name string
	// Dir is the directory that is shared with the till.
	Dir string
	// Wait is how long Push waits for the till's answer; 0 means 10 seconds.
	Wait time.Duration
	// MaxAge is how old the till's stock file may be; 0 means 15 minutes.
	MaxAge time.Duration
}

// A Till is a store's till as a channel: it shows stock to the cashier. There
// is no API. The two exchange files in a directory, and for hours the till
// does not look at it.
//
//	delta-000042.csv    from the channel: what to show
//	answer-000042.csv   from the till: what it did of it
//	stock.csv           from the till: what it shows, written again and again
//
// One process writes to a till. An answer that comes when nobody waits for it any
// more stays where it is.
type Till struct {
	cfg Config

	mu       sync.Mutex
	sequence int // of the latest delta; 0 means that nobody has looked yet
}

var (
	_ channel.Channel = (*Till)(nil)
	_ channel.Reader  = (*Till)(nil)
	_ channel.Lister  = (*Till)(nil)
)

// New returns the channel to a till. It does no I/O.
func New(cfg Config) (*Till, error) {
	if cfg.Dir == "" {
		return nil, errors.New("till: Config.Dir is empty: name the directory that is shared with the till")
	}
	cfg.Name = cmp.Or(cfg.Name, "till:"+filepath.Base(cfg.Dir))
	cfg.Wait = cmp.Or(cfg.Wait, 10*time.Second)
	cfg.MaxAge = cmp.Or(cfg.MaxAge, 15*time.Minute)
	return &Till{cfg: cfg}, nil
}

// Name returns the channel's name.
func (t *Till) Name() string { return t.cfg.Name }

// Push writes one file, and waits for the till's answer to it.
//
// Without an answer Push ends in [channel.ErrUnavailable]: it never reports as
// shown what only lies in a directory. The file is then withdrawn, so that a
// till that is back after hours does not find this morning's quantities; whoever
// called Push does it again, with the quantities of then. If the till has just
// taken the file, nobody knows what became of it, which is the same error: the
// quantities are absolute, so doing it again is harmless.
func (t *Till) Push(ctx context.Context, updates []channel.Update) error {
	errs := make(channel.Errors)
	var rows []row
	for _, u := range updates {
		if err := fit(u.SKU); err != nil {
			errs[u.SKU] = err
			continue
		}
		rows = append(rows, row{u.SKU, strconv.Itoa(u.Quantity)})
	}
	if len(rows) == 0 {
		return errs.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	sequence, err := t.send(rows)
	if err != nil {
		return unavailable("writing its file: %v", err)
	}
	answer, err := t.await(ctx, sequence)
	if err != nil {
		return err
	}
	for _, r := range answer.rows {
		errs[r.sku] = refusal(r)
	}
	return errs.Err()
}

// fit says what is wrong with an SKU in a file of lines, if anything.
func fit(sku string) error {
	if sku == "" || strings.ContainsFunc(sku, unicode.IsControl) {
		return fmt.Errorf("%w: the SKU %q cannot stand in a till's file", channel.ErrInvalid, sku)
	}
	return nil
}

// refusal maps the till's reasons onto the errors that a syncer understands.
func refusal(r row) error {
	switch r.value {
	case "unknown":
		return channel.UnknownSKU(r.sku)
	case "untracked":
		return fmt.Errorf("%w: %q is sold at an open price", channel.ErrNotTracked, r.sku)
	case "quantity":
		return fmt.Errorf("%w: the till does not take this quantity of %q", channel.ErrInvalid, r.sku)
	}
	return fmt.Errorf("%w: the till says %q of %q", channel.ErrNotApplied, r.value, r.sku)
}

// send writes the next file. The lock is held until the file is there: the
// till refuses a sequence below one that it has seen.
func (t *Till) send(rows []row) (sequence int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sequence == 0 {
		if t.sequence, err = t.latest(); err != nil {
			return 0, err
		}
	}
	t.sequence++
	return t.sequence, put(t.path("delta", t.sequence), file{kind: delta, sequence: t.sequence, made: time.Now(), rows: rows})
}

// latest finds the last sequence used, also by a process before this one.
func (t *Till) latest() (int, error) {
	names, err := filepath.Glob(filepath.Join(t.cfg.Dir, "*-*.csv"))
	if err != nil {
		return 0, err
	}
	latest := 0
	for _, name := range names {
		_, digits, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".csv"), "-")
		if n, err := strconv.Atoi(digits); err == nil {
			latest = max(latest, n)
		}
	}
	stock, err := get(filepath.Join(t.cfg.Dir, "stock.csv"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("the till's stock file, which has the last sequence: %w", err)
	}
	return max(latest, stock.sequence), nil
}

// await waits for the till's answer to a file.
func (t *Till) await(ctx context.Context, sequence int) (file, error) {
	const look = 50 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	wait := time.NewTimer(t.cfg.Wait)
	defer wait.Stop()
	path := t.path("answer", sequence)
	for {
		answer, err := get(path)
		switch {
		case err == nil && answer.kind == refused:
			os.Remove(path)
			t.forget() // the till may know of sequences that this process does not
			return file{}, unavailable("it refused file %d: %s", sequence, answer.reason())
		case err == nil && answer.kind == done && answer.sequence == sequence:
			os.Remove(path)
			return answer, nil
		case err == nil:
			return file{}, unavailable("%s is not an answer to file %d", path, sequence)
		case !errors.Is(err, fs.ErrNotExist):
			return file{}, unavailable("its answer to file %d: %v", sequence, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.withdraw(sequence)
			return file{}, ctx.Err()
		case <-wait.C:
			if t.withdraw(sequence) {
				return file{}, unavailable("it did not take file %d within %v: it is offline", sequence, t.cfg.Wait)
			}
			return file{}, unavailable("it took file %d, and gave no answer within %v", sequence, t.cfg.Wait)
		}
	}
}

// withdraw takes a file back. It reports false if the till has it: the till
// takes a file by renaming it.
func (t *Till) withdraw(sequence int) bool { return os.Remove(t.path("delta", sequence)) == nil }

func (t *Till) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sequence = 0
}

func (t *Till) path(kind string, sequence int) string {
	return filepath.Join(t.cfg.Dir, fmt.Sprintf("%s-%06d.csv", kind, sequence))
}

// Levels reads the till's stock file, which makes the channel a
// [channel.Reader]: only differences are written, and drift is found. A file
// that is absent, torn or too old is an error: nobody knows what the till
// shows then. An SKU that is not in the file is unknown, never 0.
func (t *Till) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	rows, err := t.stock(ctx)
	if err != nil {
		return nil, err
	}
	shown := make(map[string]string, len(rows))
	for _, r := range rows {
		shown[r.sku] = r.value
	}
	var levels []channel.Level
	for _, sku := range skus {
		value, ok := shown[sku]
		if !ok {
			continue
		}
		l := channel.Level{SKU: sku}
		if value == "untracked" {
			l.Err = refusal(row{sku, value})
		} else if l.Quantity, err = strconv.Atoi(value); err != nil {
			return nil, unavailable("its stock file says %q of %q", value, sku)
		}
		levels = append(levels, l)
	}
	return levels, nil
}

// SKUs yields what is in the stock file, which makes the channel a
// [channel.Lister]: a plan then tells what the till has and ECOSIRE has not.
func (t *Till) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rows, err := t.stock(ctx)
		if err != nil {
			yield("", err)
			return
		}
		for _, r := range rows {
			if !yield(r.sku, nil) {
				return
			}
		}
	}
}

func (t *Till) stock(ctx context.Context) ([]row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := get(filepath.Join(t.cfg.Dir, "stock.csv"))
	switch age := time.Since(f.made); {
	case err != nil:
		return nil, unavailable("its stock file: %v", err)
	case f.kind != full:
		return nil, unavailable("its stock file is of the kind %q", f.kind)
	case age.Abs() > t.cfg.MaxAge: // or from the future: one of the clocks is wrong
		return nil, unavailable("its stock file was written %v ago", age.Round(time.Second))
	}
	return f.rows, nil
}

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: the till: %s", channel.ErrUnavailable, fmt.Sprintf(format, args...))
}
