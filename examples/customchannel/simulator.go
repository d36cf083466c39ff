package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// A simulator is the till on the other side of the directory. It is as strict
// as a good one: it does nothing of a file that is torn, short or repeated.
type simulator struct {
	dir string

	mu      sync.Mutex
	shows   map[string]int
	open    map[string]bool // sold at an open price: there is no count
	last    int             // the sequence done last
	offline bool
	tear    int      // how many more files arrive cut in half
	refused []string // reasons
	written time.Time
}

func newSimulator(dir string, shows map[string]int) *simulator {
	return &simulator{dir: dir, shows: shows, open: make(map[string]bool)}
}

// run looks for files until ctx is done.
func (s *simulator) run(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if err := s.look(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look does what files are there, in their order, and tells of the stock twice
// a second.
func (s *simulator) look() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offline {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(s.dir, "delta-*.csv")) // sorted
	if err != nil {
		return err
	}
	for _, name := range names {
		taken := filepath.Join(s.dir, ".taken")
		if os.Rename(name, taken) != nil {
			continue // withdrawn
		}
		data, err := os.ReadFile(taken)
		if err != nil {
			return err
		}
		if s.tear > 0 {
			s.tear--
			data = data[:len(data)/2]
		}
		var sequence int
		fmt.Sscanf(filepath.Base(name), "delta-%d.csv", &sequence)
		answer := s.take(sequence, data)
		// The stock first: who reads it after the answer must see what was done.
		if err := s.tell(); err != nil {
			return err
		}
		if err := put(filepath.Join(s.dir, fmt.Sprintf("answer-%06d.csv", sequence)), answer); err != nil {
			return err
		}
	}
	if time.Since(s.written) >= time.Second/2 {
		return s.tell()
	}
	return nil
}

// take does what a file says, and returns the answer.
func (s *simulator) take(sequence int, data []byte) file {
	answer := file{kind: done, sequence: sequence, made: time.Now()}
	f, err := decode(data)
	switch {
	case err != nil:
	case f.kind != delta || f.sequence != sequence:
		err = fmt.Errorf("it is not delta %d", sequence)
	case sequence <= s.last:
		err = fmt.Errorf("repeated: file %d is done already", s.last)
	}
	if err != nil {
		s.refused = append(s.refused, err.Error())
		answer.kind, answer.rows = refused, []row{{value: err.Error()}}
		return answer
	}
	s.last = sequence
	for _, r := range f.rows {
		n, err := strconv.Atoi(r.value)
		_, known := s.shows[r.sku]
		switch {
		case s.open[r.sku]:
			answer.rows = append(answer.rows, row{r.sku, "untracked"})
		case !known:
			answer.rows = append(answer.rows, row{r.sku, "unknown"})
		case err != nil || n < -99_999 || n > 99_999:
			answer.rows = append(answer.rows, row{r.sku, "quantity"})
		default:
			s.shows[r.sku] = n
		}
	}
	return answer
}

// tell writes the stock file.
func (s *simulator) tell() error {
	f := file{kind: full, sequence: s.last, made: time.Now()}
	for sku, n := range s.shows {
		f.rows = append(f.rows, row{sku, strconv.Itoa(n)})
	}
	for sku := range s.open {
		f.rows = append(f.rows, row{sku, "untracked"})
	}
	s.written = f.made
	return put(filepath.Join(s.dir, "stock.csv"), f)
}

// quantity is what the cashier sees.
func (s *simulator) quantity(sku string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.shows[sku]
	return n, ok
}

// set is somebody's edit at the till.
func (s *simulator) set(sku string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shows[sku] = n
	if !s.offline {
		s.tell()
	}
}

func (s *simulator) setOffline(offline bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = offline
}

// tearNext makes the next file arrive in half.
func (s *simulator) tearNext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tear++
}

func (s *simulator) refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.refused...)
}
